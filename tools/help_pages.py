"""Verbs, settings, metrics and errors as the code has them → the pages of ``docs/reference/``.

python tools/help_pages.py           exits 1 and names the pages that are out of date
python tools/help_pages.py --write   writes them
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from groundtune import errors, tables
from groundtune.cli.main import VERBS, group
from groundtune.scores import ragas
from groundtune.scores.judge import judged_metric
from groundtune.scores.metrics import METRICS, field_metric
from groundtune.scores.more import MORE, refusal_of_kind
from groundtune.scores.probed import MEASURED, probed_metric
from groundtune.scores.scorer import AnyMetric
from groundtune.scores.whole import macro_f1
from groundtune.types import Kind

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
WRITTEN = "<!-- Written by make docs from the code; a change by hand is lost. -->\n\n"
WIDTH = 100
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "table of texts"}
BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}", "pattern": "`{}`"}


def verbs() -> str:
    """Return each verb's own help, as ``groundtune VERB --help`` prints it."""
    settings: dict[str, Any] = {"terminal_width": WIDTH, **group.context_settings}
    above = click.Context(group, info_name="groundtune", color=False, **settings)
    lines = [f"- [`groundtune {verb}`](#groundtune-{verb}): {about}" for verb, about in VERBS.items()]
    parts = [
        "# Verbs\n",
        "In the order of the work. Exit codes: 0 done; 1 a finding (`groundtune decide`: no arm passes; `groundtune index verify`"
        " and `promote`: the version differs; `groundtune calibrate`: no threshold; `groundtune ask`: no answer);"
        " 2 something to mend; 130 interrupted.\n",
        "\n".join(lines) + "\n",
        "```text\n" + group.get_help(above) + "\n```\n",
    ]
    for verb in VERBS:
        command = group.get_command(above, verb)
        if command is None:
            raise SystemExit(f"groundtune {verb}: is in the table of verbs, but has no command")
        shown = command.get_help(click.Context(command, info_name=verb, parent=above))
        parts.append(f"## `groundtune {verb}`\n\n```text\n{shown}\n```\n")
    return "\n".join(parts)


def settings() -> str:
    """Return every table and key of groundtune.toml."""
    schema = tables.Settings.model_json_schema(by_alias=True)
    parts = [
        "# Settings\n",
        "Keys of `groundtune.toml`. One that is not listed here is an error, named with its line. Any key of a plain table can be set from"
        " the environment instead: `GROUNDTUNE__CHAT__MODEL=…` sets `model` in `[chat]`. `groundtune check --settings` prints every"
        " value and whether it is a default, the project's or the environment's.\n",
    ]
    for header, table in _tables():
        rows = []
        for name, field in table.model_fields.items():
            key = field.alias or name
            rule = schema["$defs"][table.__name__]["properties"][key]
            default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
            rows.append([f"`{key}`", _kind(rule), default, _allowed(rule), rule.get("description", "")])
        parts.append(f"## `{header}`\n\n{_doc(table)}\n\n{_table(['key', 'type', 'default', 'allowed', 'meaning'], rows)}\n")
    return "\n".join(parts)


def metrics() -> str:
    """Return the tables of metrics: those always measured, and those on demand."""
    always = [_metric(metric) for metric in (*METRICS.values(), field_metric("<name>"))]
    families: list[AnyMetric] = [
        *(refusal_of_kind(kind) for kind in get_args(Kind)),
        judged_metric("<criterion>"),
        macro_f1("<field>"),
        *(ragas.ragas_metric(kind) for kind in ragas.KINDS),
    ]
    demanded = [_metric(metric) for metric in [*MORE.values(), *families]]
    head = ["metric", "definition", "better", "range", "counted on", "a failed answer gets", "arms compared by it"]
    return "\n".join(
        [
            "# Metrics\n",
            "A value is given for each question that the metric applies to, and the mean over these comes with its 95 % interval and n."
            " “Paired” metrics apply by the question alone, so they can be the `primary` one of the rubric. Each has a signature,"
            " `name|version|settings`, stored with every score: scores of two signatures are never put together.\n",
            "## Always measured\n",
            "Programs compute all of them; no person and no model reads the answers. `field:<name>` is there once for each reply field with"
            " one right value: the `label_field`, and whatever the reply schema closes by `enum`, `const` or a boolean type; `field:label`"
            " is the accuracy of labels. Where an example lists other wordings of its answer (`also`), the nearest counts.\n",
            _table(head, always) + "\n",
            "## On demand\n",
            "Measured where `[scores] metrics` or the rubric names them. BLEU, TER, macro-F1 and the precision, recall and F1 of refusals"
            " are of a whole arm, no mean over questions: their intervals are bootstraps of the summed counts, and two arms are compared by"
            " swapping their counts at random. BLEU and TER take all wordings of an answer as references, as sacrebleu"
            " does. `grounded` and `judged:…` are read by a model: see [judging](../guides/judging.md).\n",
            _table(head, demanded) + "\n",
            "## By probes\n",
            "Counted by `groundtune probe` on a copy of the project, not on test questions; for the rubric's gates and its intolerable"
            " metric. Intervals are Wilson's; what was not probed passes no gate: see [probes](../guides/probes.md).\n",
            _table(head, [_metric(probed_metric(name)) for name in MEASURED]) + "\n",
            "## Of your own\n",
            "A package brings a metric by an entry point of the group `groundtune.scorer` that leads to a `Metric`, a `CorpusMetric` or a"
            " `Family` of `groundtune.scores.scorer`; `groundtune.testing.scorer_contract` is the kit that it has to pass. A built-in name"
            " cannot be taken. A rubric that names an unknown metric is an `UnknownMetric`, told before anything is spent.\n",
        ]
    )


def error_pages() -> str:
    """Return the tree of errors and what each means."""
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n", 1)
    found = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.GroundtuneError)]
    entries = []
    for item in found:
        above = "" if item is errors.GroundtuneError else f" A kind of `{item.__bases__[0].__name__}`."
        entries.append(f"## `{item.__name__}`\n\n{_doc(item)}{above}\n")
    return "\n".join(
        [
            "# Errors\n",
            f"{tree[0]} The command line prints them and exits with 2; in Python they are raised from `groundtune.errors`, with the two"
            " lines as `message` and `hint`.\n",
            f"```text\n{tree[1]}\n```\n",
            *entries,
        ]
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "verbs.md": verbs,
    "settings.md": settings,
    "metrics.md": metrics,
    "errors.md": error_pages,
}


def _tables() -> Iterator[tuple[str, type[tables.Table]]]:
    """Yield every table with the header that it has in TOML, inner ones after the table that holds them."""
    for name, field in tables.Settings.model_fields.items():
        for table in _inner(field.annotation):
            repeated = "list" in str(field.annotation)
            yield (f"[[{name}]]" if repeated else f"[{name}.*]" if "dict" in str(field.annotation) else f"[{name}]"), table
            for inner_name, inner_field in table.model_fields.items():
                for inner in _inner(inner_field.annotation):
                    many = "list" in str(inner_field.annotation)
                    yield f"[[{name}.{inner_name}]]" if many else f"[{name}.{inner_name}]", inner


def _inner(annotation: Any) -> Iterable[type[tables.Table]]:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return [item for item in candidates if inspect.isclass(item) and issubclass(item, tables.Table)]


def _choices(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a JSON schema's alternatives without null, which TOML does not have: such a key is left out."""
    return [item for item in rule.get("anyOf", [rule]) if item.get("type") != "null"]


def _kind(rule: Mapping[str, Any]) -> str:
    [one] = _choices(rule)
    if "$ref" in one:
        return "table"
    if one.get("type") == "array":
        items = one["items"]
        return "list of tables" if "$ref" in items else f"list of {KINDS[items['type']]}s"
    return KINDS[one["type"]]


def _allowed(rule: Mapping[str, Any]) -> str:
    [one] = _choices(rule)
    if "enum" in one:
        return ", ".join(f"`{item}`" for item in one["enum"])
    said = [text.format(one[key]) for key, text in BOUNDS.items() if key in one]
    return ", ".join(["not empty"] * (one.get("minLength") == 1) + said)


def _default(value: Any) -> str:
    if value is None:
        return "not set"
    return "none" if value in ([], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _metric(metric: AnyMetric) -> list[str]:
    top = "" if metric.high is None else f" to {metric.high:g}"
    return [
        f"`{metric.name}`",
        metric.definition,
        metric.better,
        f"{metric.low:g}{top}" if top else f"from {metric.low:g}",
        metric.applies_to,
        "what it took or showed, as any other" if metric.worst is None else f"{metric.worst:g}, the worst",
        "paired" if metric.paired else "not paired",
    ]


def _doc(item: type) -> str:
    return " ".join(inspect.cleandoc(item.__doc__ or "").replace("``", "`").split())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Keep a text in its cell; outside code, angle brackets are words and no markup."""
    text = text.replace("|", "\\|")
    return text if text.startswith("`") else text.replace("<", "&lt;")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or name those that are out of date and return 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the pages")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pages are")
    given = parser.parse_args(arguments)
    stale = []
    for name, page in PAGES.items():
        path, text = given.folder / name, WRITTEN + page()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if given.write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path}: written" if given.write else f"{path}: out of date; type: make docs")
    return 1 if stale and not given.write else 0


if __name__ == "__main__":
    sys.exit(main())

"""``groundtune examples``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import counted, login, opened, say, say_json, table, verb

if TYPE_CHECKING:
    from groundtune.project.examples import Curation, Exported, Imported

ACTIONS = {"import": (1, 1), "export": (1, 1), "audit": (0, 0), "synthesize": (0, 0), "review": (0, 0), "curve": (0, 0)}
SHOWN = 10  # problems and samples that are printed; --json has all


@click.command("examples")
@click.argument("action", type=click.Choice(list(ACTIONS)), default="audit")
@click.argument("names", nargs=-1, metavar="[FILE]")
@click.option(
    "--form",
    help="import, export: chat, prompt-completion, alpaca, sharegpt, preference, rating, csv, answers or rows; import finds it out",
)
@click.option("--as", "asker", metavar="NAME", help="import: whose questions these are; synthesize: whose documents to ask about")
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(["train", "dev", "test", "holdout"]), help="import, export: which split (train)"
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["approved", "draft", "rejected", "quarantined"]),
    help="import: of what is fit for use (draft); export: which rows (approved); review: which rows (draft)",
)
@click.option("--turns", type=click.Choice(["refuse", "last", "each"]), help="import: what to do with a conversation of several questions")
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="import: which column of a table holds a field")
@click.option("--readers", multiple=True, metavar="GROUP", help="import: who may read rows that no document stands behind")
@click.option("--dry-run", is_flag=True, help="import: say what would come of it, write nothing")
@click.option(
    "--adapter",
    metavar="NAME",
    help="export: rows as this [tuning.*] table's training sees them, passages included; curve: the table to tune at three sizes",
)
@click.option("--fix", is_flag=True, help="audit: reject, quarantine or redraft training rows where that is safe; no text is changed")
@click.option("--count", type=click.IntRange(1, 100_000), help="synthesize: how many questions to ask for (20)")
@click.option("--unanswerable", type=click.FloatRange(0, 1), help="synthesize: share of questions that no document answers (0.2)")
@click.option("--match", multiple=True, metavar="PATTERN", help="synthesize: only documents whose names match (docs/**)")
@click.option("--yes", is_flag=True, help="synthesize, curve: do it; without it the plan and its cost are shown")
@click.option("--by", metavar="WHO", help="review, audit --fix: who decides; the system's user name without it")
@click.option("--row", "rows", multiple=True, metavar="ID", help="review: only these rows, whatever their status")
@click.option("--stale", is_flag=True, help="review: rows whose document changed since")
@click.option("--web", is_flag=True, help="review: in a browser, on this machine only")
@click.option("--port", type=click.IntRange(1, 65535), help="review --web: the port; a free one without it")
@click.option("--points", metavar="FILE", help="curve: JSON lines of rows tuned on and scores")
@click.option("--metric", metavar="NAME", help="curve: what to score by, from 0 to 1; the rubric's primary metric without it")
@click.option("--arm", metavar="NAME", help="curve: the arm that the models answer in; the first with the adapter without it")
@click.option("--more", type=click.IntRange(min=1), help="curve: how many further examples (500)")
@verb
def command(folder: str, as_json: bool, shown: str | None, action: str, names: tuple[str, ...], **given: Any) -> int:
    """Look after the examples that a model is taught and tested with.

    \b
    import FILE     take rows in: OpenAI chat, prompt/completion, Alpaca, ShareGPT, pairs, ratings, CSV, answers
    export FILE     write rows in the same forms
    audit           look for what is wrong with the set; writes a page, exit code 1 where there are errors
    synthesize      drafts by the chat model: question, answer and quote, checked by program
    review          approve, reject, quarantine or edit rows, pairs and ratings, one key each
    curve           tune on a quarter, half and all of the rows, and say what more are likely to buy
    """  # noqa: D301
    least, most = ACTIONS[action]
    if not least <= len(names) <= most:
        raise click.UsageError(f"examples {action} takes {'a file' if most else 'no file'}, {len(names)} given")
    _refuse_strangers(action, given)
    project = opened(folder, shown)
    if action == "curve":
        from groundtune.cli import examples_curve

        return examples_curve.run(project, given, as_json)
    from groundtune.project.examples import Curation

    curation = Curation(project)
    if action == "import":
        return _import(curation, Path(names[0]), given, as_json)
    if action == "export":
        return _export(curation, Path(names[0]), given, as_json)
    if action == "audit":
        return _audit(curation, given, as_json)
    from groundtune.cli import examples_review, examples_synthesize

    return examples_review.run(curation, given, as_json) if action == "review" else examples_synthesize.run(curation, given, as_json)


OF = {
    "form": ("import", "export"),
    "asker": ("import", "synthesize"),
    "splits": ("import", "export"),
    "statuses": ("import", "export", "review"),
    "turns": ("import",),
    "columns": ("import",),
    "readers": ("import",),
    "dry_run": ("import",),
    "adapter": ("export", "curve"),
    "fix": ("audit",),
    "count": ("synthesize",),
    "unanswerable": ("synthesize",),
    "match": ("synthesize",),
    "yes": ("synthesize", "curve"),
    "by": ("review", "audit"),
    "rows": ("review",),
    "stale": ("review",),
    "web": ("review",),
    "port": ("review",),
    "points": ("curve",),
    "metric": ("curve",),
    "arm": ("curve",),
    "more": ("curve",),
}
NAMED = {"asker": "as", "splits": "split", "statuses": "status", "columns": "column", "dry_run": "dry-run", "rows": "row"}


def _refuse_strangers(action: str, given: dict[str, Any]) -> None:
    for name, actions in OF.items():
        if given[name] not in (None, False, ()) and action not in actions:
            raise click.UsageError(f"--{NAMED.get(name, name)}: only with examples {' or '.join(actions)}")
    if action == "import" and (len(given["splits"]) > 1 or len(given["statuses"]) > 1):
        raise click.UsageError("examples import takes one --split and one --status")
    if given["port"] and not given["web"]:
        raise click.UsageError("--port: only with --web")


def _import(curation: Curation, path: Path, given: dict[str, Any], as_json: bool) -> int:
    from groundtune.examples.intake import Wish

    columns = {}
    for pair in given["columns"]:
        name, equals, column = pair.partition("=")
        if not equals or not name or not column:
            raise click.UsageError(f"--column {pair}: expected FIELD=COLUMN, such as question=Frage")
        columns[name] = column
    wish = Wish(
        form=given["form"] or "auto",
        asker=given["asker"],
        split=(given["splits"] or ("train",))[0],
        status=(given["statuses"] or ("draft",))[0],
        turns=given["turns"] or "refuse",
        columns=columns,
        readers=given["readers"] or None,
    )
    done = curation.take(path, wish, dry_run=given["dry_run"])
    if as_json:
        say_json({**_plain(done), "problems": [{"message": item.message, "hint": item.hint} for item in done.problems]})
    else:
        _say_import(done, given["dry_run"])
    return 1 if done.problems or done.counts.get("quarantined") else 0


def _say_import(done: Imported, dry_run: bool) -> None:
    new = sum(done.counts.values())
    counts = ", ".join(f"{count:,} {name}" for name, count in done.counts.items()) or "none"
    where = f" {'would go' if dry_run else 'written'} to {done.path}" if done.path else ""
    say(f"{done.form}: {counted(new, 'new row')}{where}: {counts}; {done.present:,} were there already")
    for reason, count in sorted(done.reasons.items(), key=lambda item: -item[1])[:SHOWN]:
        say(f"  {count:,} × {reason}")
    if any("asker is missing" in reason for reason in done.reasons):
        say("note: say whose questions these are: --as NAME, a principal of the access file")
    for note in done.notes:
        say(f"note: {note}")
    for problem in done.problems[:SHOWN]:
        say(f"problem: {problem.message}")
    if len(done.problems) > SHOWN:
        say(f"  and {len(done.problems) - SHOWN:,} more; all of them: --json")
    if done.counts.get("draft") and not dry_run:
        say("drafts are taught to nobody until they are approved; type: groundtune examples review")


def _export(curation: Curation, path: Path, given: dict[str, Any], as_json: bool) -> int:
    form = given["form"] or {".csv": "csv"}.get(path.suffix.casefold(), "chat")
    statuses, splits = given["statuses"] or ("approved",), given["splits"] or ("train",)
    done: Exported = curation.give(form, path, statuses=statuses, splits=splits, adapter=given["adapter"])
    if as_json:
        say_json(done)
        return 0
    say(f"{done.rows:,} rows as {done.form} in {done.path}")
    for why, count in done.left_out.items():
        say(f"  left out: {count:,} {why}")
    if done.readers is not None:
        say(f"may be read by: {', '.join(done.readers) or 'nobody: its rows draw on documents that share no reader'}")
    return 0


def _audit(curation: Curation, given: dict[str, Any], as_json: bool) -> int:
    from groundtune.project.examples_audit import audit, fix, write

    if given["by"] and not given["fix"]:
        raise click.UsageError("--by: only with examples review or audit --fix")
    report = audit(curation)
    fixed = fix(curation, report, given["by"] or login("--by")) if given["fix"] else {}
    if fixed:
        # What stands in the page is what is left.
        report = audit(curation)
    page = write(curation, report)
    errors = any(item.severity == "error" for item in report.findings)
    if as_json:
        say_json({"report": report, "fixed": fixed, "page": page})
        return 1 if errors else 0
    for name, done in fixed.items():
        say(f"fixed: {name} is {done['status']}: {done['reason']}")
    names = ["approved", "draft", "rejected", "quarantined"]
    table(["split", *names], [[split, *(str(counts.get(name, 0)) for name in names)] for split, counts in report.counts.items()])
    for item in report.findings:
        say(f"\n{'not measured' if item.state != 'measured' else item.severity}: {item.kind}: {item.says}")
        say(f"  {item.do}" + (f" (--fix: {len(item.fixed)} rows become {item.fix})" if item.fixed else ""))
        for name, text in item.samples[:3]:
            say(f"    {name}: {text}")
    say(f"\n{'nothing was found' if not report.findings else counted(len(report.findings), 'finding')}; the page: {page}")
    return 1 if errors else 0


def _plain(done: Imported) -> dict[str, Any]:
    from dataclasses import fields

    return {item.name: getattr(done, item.name) for item in fields(done)}

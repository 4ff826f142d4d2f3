"""``groundtune models``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import login, opened, say, say_json, table, verb
from groundtune.types import Estimate

if TYPE_CHECKING:
    from groundtune.project.compare import Comparison
    from groundtune.project.models import Models, Switched
    from groundtune.registry.export import Exported
    from groundtune.registry.gates import Outcome
    from groundtune.registry.stages import Line

NAMES = {
    "list": (0, 0), "show": (1, 1), "history": (0, 1), "compare": (1, 2), "promote": (1, 1), "rollback": (1, 1), "retire": (1, 1),
    "export": (1, 1),
}  # fmt: skip
WRITERS = ("promote", "rollback", "retire", "export")
DEFAULT_KIND = {"merged": "float32", "gguf": "f16", "adapter": "float32"}


@click.command("models")
@click.argument("action", type=click.Choice(list(NAMES)), default="list")
@click.argument("names", nargs=-1, metavar="[VERSION]...")
@click.option("--why", help="promote, rollback, retire, export: the reason, for the history")
@click.option("--by", help="promote, rollback, retire, export: who does it; the login name without it")
@click.option("--arm", help="compare, promote: the arm that the version answers in; the first with its adapter without it")
@click.option("--yes", is_flag=True, help="retire: also a version that is live")
@click.option("--as", "form", type=click.Choice(["merged", "gguf", "adapter"]), help="export: a whole model, one GGUF file, or the adapter")
@click.option("--to", "target", type=click.Path(path_type=Path), help="export: a new folder")
@click.option("--type", "kind", help="export: float32 or bfloat16 (merged), f32, f16 or q8_0 (gguf)")
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    action: str,
    names: tuple[str, ...],
    why: str | None,
    by: str | None,
    arm: str | None,
    yes: bool,
    form: str | None,
    target: Path | None,
    kind: str | None,
) -> int:
    """Look after tuned model versions. A VERSION is an id, the beginning of one, or a [tuning.*] name for its live version.

    \b
    list             the versions, their stage, and folders that hold none
    show A           what A was made of, its evidence and its history
    history [NAME]   what was live when, who switched, why, and on which evidence
    compare A [B]    measure A against its base and the live version (or B), and hold it against the gates
    promote A        make A live, if it passes every gate on that evidence; exit code 1 if not
    rollback NAME    go back to the version of NAME that was live before
    retire A         take A out of service for good; its files stay
    export A         write A for vLLM, llama.cpp or Ollama, if it answers there as it does here
    """  # noqa: D301
    _usage(action, names, {"--why": why, "--by": by, "--arm": arm, "--yes": yes, "--as": form, "--to": target, "--type": kind})
    project = opened(folder, shown)
    models = project.models
    if action == "list":
        return _list(models, as_json)
    if action == "show":
        return _show(models.show(names[0]), as_json)
    if action == "history":
        return _history(models.history_of(names[0] if names else None), as_json)
    if action == "compare":
        found, outcomes = models.compare(names[0], arm=arm, other=names[1] if len(names) > 1 else None)
        return _compare(found, outcomes, as_json)
    who = by or login("--by")
    reason = why or ""
    if action == "promote":
        return _switched(models.promote(names[0], by=who, why=reason, arm=arm), as_json)
    if action == "rollback":
        return _switched(models.rollback(names[0], by=who, why=reason), as_json)
    if action == "retire":
        version = models.named_or_damaged(names[0])
        if models.stages().of(version) == "live" and not yes:
            raise click.UsageError(
                f"{version} is live, and nothing takes its place; type: groundtune models retire {names[0]} --yes --why …"
            )
        return _retired(models.retire(version, by=who, why=reason), as_json)
    chosen: Any = form
    assert target is not None  # noqa: S101 - held by _usage
    return _exported(models.export(names[0], form=chosen, target=target, kind=kind or DEFAULT_KIND[chosen], by=who, why=reason), as_json)


def _usage(action: str, names: tuple[str, ...], given: dict[str, Any]) -> None:
    least, most = NAMES[action]
    if not least <= len(names) <= most:
        wanted = {(0, 0): "no version", (0, 1): "one name at most", (1, 1): "one name", (1, 2): "one or two versions"}[least, most]
        raise click.UsageError(f"models {action} takes {wanted}, {len(names)} given")
    allowed = {
        "--why": WRITERS,
        "--by": WRITERS,
        "--arm": ("compare", "promote"),
        "--yes": ("retire",),
        "--as": ("export",),
        "--to": ("export",),
        "--type": ("export",),
    }
    for option, value in given.items():
        if value not in (None, False) and action not in allowed[option]:
            raise click.UsageError(f"{option}: only with models {' or '.join(allowed[option])}")
    if action in WRITERS and not (given["--why"] or "").strip():
        raise click.UsageError(f'models {action} is recorded with its reason; give one: --why "…"')
    if action == "export" and (given["--as"] is None or given["--to"] is None):
        raise click.UsageError("models export needs --as merged, gguf or adapter, and --to FOLDER")


def _list(models: Models, as_json: bool) -> int:
    found, troubles = models.listed()
    if as_json:
        say_json(
            {
                "versions": [{"id": v.version.id, "name": v.version.name, "stage": v.stage, "made_at": v.version.made_at,
                              "base": v.version.base_name, "revision": v.version.revision, "readers": v.readers,
                              "metrics": v.version.metrics} for v in found],
                "troubles": [{"folder": t.folder, "message": t.error.message, "hint": t.error.hint} for t in troubles],
            }
        )  # fmt: skip
    else:
        rows = [
            [
                item.version.id,
                item.stage,
                item.version.made_at[:16] or "–",
                item.version.base_name or "–",
                f"{item.version.metrics.get('rows', 0):.0f}",
                ", ".join(sorted(item.readers)) or "nobody",
            ]
            for item in found
        ]
        if rows:
            table(["version", "stage", "made", "base", "rows", "readers"], rows)
        else:
            say("no versions yet; type: groundtune tune")
        for trouble in troubles:
            say(f"no version: {trouble.error.message}")
            say(f"  {trouble.error.hint}")
    return 1 if troubles else 0


def _show(row: dict[str, Any], as_json: bool) -> int:
    if as_json:
        say_json(row)
        return 0
    say(f"{row['id']}  {row['stage']}")
    for name, value in (
        ("base", f"{row['base_name'] or 'not recorded'}  {row['revision']}  weights {row['base']}"),
        ("licence", row["licence"] or "not recorded"),
        ("made", row["made_at"] or "not recorded"),
        ("began from", row["started_from"] or "the base"),
        ("prompt", f"{row['prompt_hash']}, template {row['template_hash'] or 'not recorded'}"),
        ("rows", f"{row['rows']}, fingerprint {row['trained_on']}"),
        ("documents", f"{len(row['document_ids'])}" + (f", {len(row['documents_gone'])} of them gone" if row["documents_gone"] else "")),
        ("readers", f"{', '.join(row['readers_now']) or 'nobody'} (when tuned: {', '.join(row['readers'] or ()) or 'nobody'})"),
        ("recipe", ", ".join(f"{key}={value}" for key, value in row["recipe"].items())),
        ("training", ", ".join(f"{key}={value}" for key, value in row["metrics"].items())),
    ):
        say(f"  {name:<10} {value}")
    for line in row["history"]:
        say(f"  {line['verb']:<10} {line['at']} by {line['by']}: {line['why']}")
    for item in row["evidence"]:
        say(f"  {'compared':<10} {item['run']} at {item['at']}, against {item['against'] or 'the base'}")
    if row["evidence"]:
        _numbers([Estimate(**estimate) for estimate in row["evidence"][-1]["estimates"]], row["evidence"][-1]["against"])
    return 0


def _history(lines: list[Line], as_json: bool) -> int:
    if as_json:
        say_json({"history": lines})
        return 0
    rows = [
        [line.at[:19], line.verb, line.version, line.was or "none", line.by, str(line.details.get("evidence") or "–"), line.why]
        for line in lines
    ]
    if rows:
        table(["when", "what", "version", "live before", "who", "evidence", "why"], rows, words=range(7))
    else:
        say("nothing was promoted, retired or exported yet; type: groundtune models list")
    return 0


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    if estimate.value is None:
        return str(estimate.state)
    return f"{estimate.value:.3f} [{estimate.low:.2f}, {estimate.high:.2f}] n={estimate.n}"


def _compare(found: Comparison, outcomes: tuple[Outcome, ...], as_json: bool) -> int:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if as_json:
        say_json({"comparison": found, "gates": [{"gate": str(o.gate), "passed": o.passed, "said": o.said} for o in outcomes]})
        return 1 if failed else 0
    _numbers(found.estimates, found.against)
    for item in found.extracted:
        said = "its whole reply, from the question alone" if item.whole else f"{item.tokens} tokens"
        say(f"comes out word for word: {item.example_id}, {said}, {item.bits:.0f} bits for the base: {item.text!r}")
    for part in found.differences:
        say(f"differs: {part.form} from {part.reference}, prompt {part.prompt}, token {part.place}, margin {part.margin}")
        say(f"  wanted {part.wanted!r}")
        say(f"  said   {part.said!r}")
    for note in found.notes:
        say(f"note: {note}")
    _say_gates(outcomes)
    say(f"{found.run_id}: {found.version} in the arm {found.arm}, {found.questions} dev questions")
    return 1 if failed else 0


def _numbers(estimates: Sequence[Estimate], against: str | None) -> None:
    """Print what was measured, a line for each metric: the version, its base, their difference, and the same of the live version."""
    by_cell = {(e.metric, e.arm, e.versus): e for e in estimates}
    columns = [("candidate", None), ("base", None), ("candidate", "base")]
    header = ["metric", "version", "base", "version - base"]
    if against:
        columns += [("live", None), ("candidate", "live")]
        header += ["live", "version - live"]
    rows = [
        [metric, *(_cell(by_cell.get((metric, arm, versus))) for arm, versus in columns)]
        for metric in dict.fromkeys(e.metric for e in estimates)
    ]
    table(header, rows)


def _say_gates(outcomes: tuple[Outcome, ...]) -> None:
    for outcome in outcomes:
        say(f"{'pass' if outcome.passed else 'FAIL'}  {outcome.gate}: {outcome.said}")


def _switched(done: Switched, as_json: bool) -> int:
    if as_json:
        gates = [{"gate": str(o.gate), "passed": o.passed, "said": o.said} for o in done.outcomes]
        say_json({"id": done.id, "name": done.name, "was": done.was, "done": done.done, "evidence": done.evidence, "gates": gates})
        return 0 if done.done else 1
    _say_gates(done.outcomes)
    if not done.done:
        if done.evidence is None:
            say(f"nothing was measured for what stands now; type: groundtune models compare {done.id}")
        say(f"{done.id} was not promoted; live is still {done.was or 'none'}")
    elif done.was == done.id:
        say(f"{done.id} is live already")
    else:
        say(f"{done.id} is live for {done.name}; it was {done.was or 'none'}")
    return 0 if done.done else 1


def _retired(done: Switched, as_json: bool) -> int:
    if as_json:
        say_json({"id": done.id, "name": done.name, "was": done.was, "done": done.done, "after": done.after})
    else:
        say(f"{done.id} is retired" + (f"; nothing is live for {done.name} now" if done.was == done.id else ""))
        for name in done.after:
            say(f"{name} began from it and holds what it learned; to retire it too: groundtune models retire {name} --why …")
    return 0


def _exported(done: Exported, as_json: bool) -> int:
    if as_json:
        say_json(done)
        return 1 if done.differences else 0
    for part in done.differences:
        say(f"differs: {part.form} from {part.reference}, prompt {part.prompt}, token {part.place}, margin {part.margin}")
        say(f"  wanted {part.wanted!r}")
        say(f"  said   {part.said!r}")
    if done.differences:
        say(f"refused: {len(done.differences)} of {done.prompts} prompts are answered otherwise; nothing was written to {done.folder}")
        say("  a wider number format may agree: --type float32 (merged), --type f32 (gguf)")
        return 1
    say(f"{done.folder}: {done.form}, {len(done.files)} files; {done.prompts} prompts answered alike")
    say("serve it there by one of:")
    for line in done.commands:
        say(f"  {line}")
    return 0

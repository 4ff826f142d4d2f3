"""Keep a decision of a real run in docs/kept/, with the commands that made it; or check those that are kept.

    python tools/keep_decision.py examples/harbour harbour --command "make pilot" --on "two virtual cores of an AMD EPYC"
    python tools/keep_decision.py --check

The project's log has to verify and its stored scores have to give the same decision once more. What is kept is the Markdown, the record as
it was signed, the log, and the page where it is small; nothing of it may name a place of the machine that it was made on.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from groundtune.decisions import log, record
from groundtune.errors import GroundtuneError
from groundtune.files import file_sha256, write_atomic, write_json
from groundtune.types import Decision

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "kept"
RUN = "run.json"
PAGE = 500_000  # bytes that a page may have to be kept
PLACES = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|work|Users|var|opt|mnt|srv|private)/[\w.-]+|[A-Z]:\\\\?[\w.-]+")
VERDICTS = {"ship": "ship {choice}", "can't tell": "can't tell yet", "none passes": "no arm passes", "stop": "stop"}


def keep(project_folder: Path, name: str, *, commands: Sequence[str], machine: str, number: str | None, kept: Path = KEPT) -> Decision:
    """Copy a project's decision, the latest without ``number``, to ``kept/name``. Raises ``GroundtuneError`` or ``SystemExit``."""
    import groundtune
    from groundtune.project import reproduce

    project = groundtune.open(project_folder)
    made = project.folder / "decisions"
    decision = log.read(made, number) if number else record.latest(made)
    if decision is None:
        raise SystemExit(f"{made}: holds no decision; type: groundtune pilot -p {project_folder}")
    _, wrong = reproduce.verify(project)
    again = reproduce.reproduce(project, decision.id)
    wrong += [*again.differs, *again.missing, *again.rescored_differs[:3]]
    stem = decision.id.removeprefix("decision:")
    files = [made / f"{stem}.md", made / f"{stem}.json", made / log.FILE]
    page = made / f"{stem}.html"
    if page.is_file() and page.stat().st_size < PAGE:
        files.append(page)
    wrong += [f"{path}: {found}" for path in files for found in places(path)]
    if wrong:
        raise SystemExit("not kept:\n" + "\n".join(f"  {line}" for line in wrong))
    folder = kept / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in files:
        shutil.copy(path, folder / path.name)
    told = {
        "decision": decision.id,
        "commands": list(commands),
        "machine": machine,
        "groundtune": decision.inputs.get("groundtune", "unknown"),
        "record": file_sha256(folder / f"{stem}.json"),
        "rescored": again.rescored,
        "changed": sorted(again.changed),
    }
    write_json(folder / RUN, told)
    write_atomic(folder / "README.md", about(name, decision, told, page.stat().st_size if page.is_file() else 0))
    write_atomic(kept / "README.md", index(kept))
    return decision


def places(path: Path) -> list[str]:
    """Return what names a place of the machine, each once."""
    return sorted({f"names {match[0]}" for match in PLACES.finditer(path.read_text(encoding="utf-8"))})


def about(name: str, decision: Decision, told: dict[str, Any], page: int) -> str:
    """Return the page about one kept decision."""
    stem = decision.id.removeprefix("decision:")
    commands = "\n".join(told["commands"])
    changed = f" Since then the project changed in: {', '.join(told['changed'])}." if told["changed"] else ""
    left_out = f" The page with every question ({page / 1e6:.1f} MB) is not kept." if page >= PAGE else ""
    return (
        f"# {name}: {_verdict(decision)}\n\n```sh\n{commands}\n```\n\n"
        f"Run on {told['machine']}, with groundtune {told['groundtune']}; decided {decision.made_on.isoformat()}.\n\n"
        f"- [{stem}.md]({stem}.md): the decision, as it was written\n"
        f"- [{stem}.json]({stem}.json): its record, sha256 `{told['record'][:16]}…`\n"
        f"- [{log.FILE}]({log.FILE}): its line in the signed log\n\n"
        "Before it was kept, its log was verified and the stored scores gave the same decision once more; "
        f"{told['rescored']:,} stored answers were scored again, with the same scores.{changed}{left_out}\n"
    )


def index(kept: Path) -> str:
    """Return the page that lists what is kept."""
    rows = []
    for folder in _folders(kept):
        decision = _decision(folder)
        if decision is None:
            continue
        n = max((item.n for item in decision.estimates if item.metric == decision.primary), default=0)
        rows.append(
            f"| [{folder.name}]({folder.name}/README.md) | {_verdict(decision)} | {decision.primary}, n = {n} | {decision.made_on} |"
        )
    return (
        "# Kept decisions\n\nDecisions of real runs, as they were written, with the commands that made them. "
        "How to read one: [Reading a decision](../guides/reading-a-decision.md).\n\n"
        "| run | verdict | primary metric | decided |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "```sh\npython tools/keep_decision.py --check\n```\n\n"
        "checks that each is as it was signed, but for the signature, whose key stays with its project.\n"
    )


def check(kept: Path = KEPT) -> Iterator[str]:
    """Yield what is wrong with what is kept: a changed record or log, a page that is not of the record, a place of a machine."""
    unread = False
    for folder in _folders(kept):
        try:
            told = json.loads((folder / RUN).read_text(encoding="utf-8"))
            decision = _decision(folder)
            line = log.entry(folder, told["decision"])
        except (OSError, ValueError, KeyError, GroundtuneError) as error:
            yield f"{folder.name}: cannot be read: {error}"
            unread = True
            continue
        if decision is None or decision.id != told["decision"]:
            yield f"{folder.name}: {told['decision']} has no record"
            continue
        stem = decision.id.removeprefix("decision:")
        digest = file_sha256(folder / f"{stem}.json")
        if line is None or not digest == told["record"] == line["record"]:
            yield f"{folder.name}: {stem}.json is not the record that was logged"
        page = (folder / f"{stem}.md").read_text(encoding="utf-8") if (folder / f"{stem}.md").is_file() else ""
        if not page.startswith(f"<!-- {decision.id} -->") or not all(reason.split(" (")[0] in page for reason in decision.reasons[:3]):
            yield f"{folder.name}: {stem}.md is not the page of {decision.id}"
        if f"`{digest[:16]}…`" not in (folder / "README.md").read_text(encoding="utf-8"):
            yield f"{folder.name}: README.md names another record"
        for path in sorted(folder.iterdir()):
            yield from (f"{folder.name}/{path.name}: {found}" for found in places(path))
    if kept.is_dir() and not unread and (kept / "README.md").read_text(encoding="utf-8") != index(kept):
        yield "docs/kept/README.md is stale; type: python tools/keep_decision.py --index"


def _folders(kept: Path) -> list[Path]:
    return sorted(path for path in kept.iterdir() if (path / RUN).is_file()) if kept.is_dir() else []


def _decision(folder: Path) -> Decision | None:
    told = json.loads((folder / RUN).read_text(encoding="utf-8"))
    return record.read(folder / f"{told['decision'].removeprefix('decision:')}.json")


def _verdict(decision: Decision) -> str:
    return VERDICTS[decision.verdict].format(choice=decision.choice)


def main() -> int:
    """Keep one, or check all; return 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("project", nargs="?", type=Path, help="the project folder of the run")
    parser.add_argument("name", nargs="?", help="the folder below docs/kept/")
    parser.add_argument("--command", action="append", default=[], help="what was typed (repeatable)")
    parser.add_argument("--on", default="", help="what it ran on, in words")
    parser.add_argument("--decision", help="its number; the latest without it")
    parser.add_argument("--check", action="store_true", help="check those that are kept")
    parser.add_argument("--index", action="store_true", help="write the list anew")
    options = parser.parse_args()
    if options.index:
        write_atomic(KEPT / "README.md", index(KEPT))
    if options.check or options.index:
        found = list(check())
        print("\n".join(f"error: {line}" for line in found) or f"{len(_folders(KEPT))} kept decisions are as they were written")
        return 1 if found else 0
    if options.project is None or not options.name or not options.command or not options.on:
        parser.error("give the project, a name, --command and --on; or --check")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", options.name):
        parser.error(f"{options.name!r}: a name has small letters, digits and hyphens")
    try:
        decision = keep(options.project, options.name, commands=options.command, machine=options.on, number=options.decision)
    except GroundtuneError as error:
        print(f"error: {error.message}\n  {error.hint}", file=sys.stderr)
        return 2
    print(f"kept {decision.id} in docs/kept/{options.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

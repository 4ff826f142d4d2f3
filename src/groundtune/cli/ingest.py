"""``groundtune ingest``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from groundtune.cli.common import counted, opened, say, say_json, verb

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.project.ingest import Ingested
    from groundtune.project.watch import Step

SHOWN = 10  # names of a kind that are printed; --json has all
KINDS = ("new", "changed", "moved", "gone", "unchanged", "failed", "dropped", "kept")


@click.command("ingest")
@click.option("--no-promote", is_flag=True, help="build the version, and leave live what is live")
@click.option("--rebuild", is_flag=True, help="write every document again, whatever the index holds; embeddings are kept")
@click.option("--accept", is_flag=True, help="apply a mass change of readers")
@click.option("--dry-run", is_flag=True, help="print what would change and what it would cost; write nothing")
@click.option("--retry", is_flag=True, help="try failed and dropped documents again that did not change")
@click.option("--reread", is_flag=True, help="read and parse everything, also what has the size and times that it had")
@click.option("--drop", multiple=True, metavar="NAME", help="do not hear again of what cannot be read of this document, until it changes")
@click.option("--watch", is_flag=True, help="stay, and ingest whenever something changes; Ctrl-C ends it after what it is doing")
@click.option("--every", type=click.FloatRange(min=0.05), default=0.5, show_default=True, help="seconds between two looks at the folders")
@click.option("--others", type=click.FloatRange(min=1), default=300, show_default=True, help="seconds until other sources are asked again")
@click.option("--emptied", multiple=True, metavar="SOURCE", help="it is right that this source lists nothing any more")
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    no_promote: bool,
    rebuild: bool,
    accept: bool,
    dry_run: bool,
    retry: bool,
    reread: bool,
    drop: tuple[str, ...],
    watch: bool,
    every: float,
    others: float,
    emptied: tuple[str, ...],
) -> int:
    """Bring the index in step with the sources, as one new tagged version.

    What cannot be read is named, stops nothing else, and makes the exit code 1.
    """
    from groundtune.files import plain

    if watch and (no_promote or rebuild or accept or dry_run or retry or reread or drop or emptied):
        raise click.UsageError("--watch goes with --every and --others alone; run the others first, by themselves")
    project = opened(folder, shown)
    if watch:
        return _watch(project, every, others, as_json)
    if dry_run:
        result = project.plan_ingest(retry=retry, reread=reread, drop=drop, emptied=emptied)
    else:
        result = project.ingest(
            strict=False,
            retry=retry,
            reread=reread,
            drop=drop,
            emptied=emptied,
            promote=not no_promote,
            rebuild=rebuild,
            accept=accept,
        )
    if as_json:
        rest = {key: value for key, value in plain(result).items() if key != "version"}
        say_json({**({} if result.version is None else plain(result.version)), **rest})
        return 1 if result.problems else 0
    _print(result)
    if no_promote and result.version is not None:
        say(f"  live is what was live; type: groundtune index promote {result.version.id}")
    return 1 if result.problems else 0


def _watch(project: Project, every: float, others: float, as_json: bool) -> int:
    """Watch until the first SIGINT or SIGTERM; the second one ends the process as it would without."""
    import signal
    from threading import Event

    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ended(number: int, frame: object) -> None:
        stop.set()
        for kept, handler in before.items():
            signal.signal(kept, handler)

    for number in before:
        signal.signal(number, ended)
    try:
        project.watch(stop=stop, told=_say_step_json if as_json else _say_step, every=every, others=others)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _say_step_json(step: Step) -> None:
    import json

    from groundtune.files import plain

    version = step.done and step.done.version
    row = {
        "version": version and version.id,
        "counts": step.done and step.done.counts,
        "names": step.done and step.done.names,
        "problems": step.done and step.done.problems,
        "states": step.done and step.done.states,
        "error": step.error and [step.error.message, step.error.hint],
        "seconds": round(step.seconds, 3),
        "late": step.late and round(step.late, 3),
    }
    click.echo(json.dumps(plain(row), ensure_ascii=False))


def _say_step(step: Step) -> None:
    from datetime import datetime

    at = datetime.now().astimezone().strftime("%H:%M:%S")
    if step.error is not None:
        say(f"{at} problem: {step.error.message}\n  {step.error.hint}")
        return
    result = step.done
    if result is None or result.version is None:
        return
    late = "" if step.late is None else f"; {step.late:.2f} s after the last change"
    say(f"{at} {result.version.id}: {_counted(result) or 'nothing there'}, in {step.seconds:.2f} s{late}")
    for kind in KINDS:
        if kind != "unchanged":
            _listed(kind, list(result.names.get(kind, ())))
    _problems(result)


def _print(result: Ingested) -> None:
    version, cost = result.version, result.cost
    if version is not None:
        say(f"{version.id}: {version.documents} documents, {version.chunks} chunks")
        say(
            f"  {version.added} new, {version.changed} changed, {version.restamped} with other readers, {version.gone} gone,"
            f" {version.unchanged} unchanged"
        )
    say(("plan: " if version is None else "sources: ") + (_counted(result) or "nothing there"))
    for kind in KINDS:
        if kind not in ("unchanged", "failed") and (version is None or kind in ("moved", "gone", "kept")):
            _listed(kind, list(result.names.get(kind, ())))
    _listed("near-duplicates", [" = ".join(group) for group in result.near_duplicates])
    _listed("superseded", [f"{old} by {new}" for old, new in result.superseded])
    if cost is not None:
        spent = "time unknown" if cost.seconds is None else f"about {cost.seconds:,.0f} s"
        text = f"{cost.chunks:,} chunks of {cost.documents:,} documents, {cost.tokens:,} tokens"
        text += f", {cost.calls:,} calls of the chat model" if cost.calls else ""
        say(f"cost: {text}, {spent}, {cost.money:.4f} {cost.currency}")
    _problems(result)
    if result.problems:
        kinds = Counter(state for state in result.states if state)
        by_kind = f" ({', '.join(f'{count} {state}' for state, count in sorted(kinds.items()))})" if kinds else ""
        say(f"{counted(len(result.problems), 'problem')}{by_kind}; the rest is {'not affected' if version is None else 'in the index'}")
        if kinds:
            say("  to do without one of these files: groundtune ingest --drop NAME")


def _problems(result: Ingested) -> None:
    """Print problems; of many of one state the first, since a folder that wants one setting has as many as it has files."""
    printed: Counter[str] = Counter()
    for (message, hint), state in zip(result.problems, result.states, strict=True):
        printed[state] += 1
        if not state or printed[state] <= SHOWN:
            say(f"problem{f' ({state})' if state else ''}: {message}\n  {hint}")
    for state, count in sorted(printed.items()):
        if state and count > SHOWN:
            say(f"problem ({state}): and {count - SHOWN} more; to see all: groundtune ingest --dry-run --json")


def _counted(result: Ingested) -> str:
    return ", ".join(f"{result.counts[kind]} {kind}" for kind in KINDS if result.counts.get(kind))


def _listed(kind: str, names: list[str]) -> None:
    for name in names[:SHOWN]:
        say(f"  {kind}: {name}")
    if len(names) > SHOWN:
        say(f"  {kind}: and {len(names) - SHOWN} more")

"""``groundtune audit``: logged answers one by one, what checkers propose, and a person's label at a keystroke."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundtune.cli.common import grid, link_told, login, opened, say, say_json, verb

if TYPE_CHECKING:
    from groundtune.decisions.audit.propose import Label, Proposal
    from groundtune.decisions.audit.responses import Response
    from groundtune.project.before import Audit

KEYS: dict[str, Label] = {
    "f": "wrong fact",
    "o": "wrong format",
    "t": "wrong tone",
    "r": "wrong reasoning",
    "s": "should have refused",
    "n": "not a failure",
}
SHORT, PASSAGES = 1_200, 3
HELP = "  ".join(f"{key} {label}" for key, label in KEYS.items()) + "\n  Enter takes the proposal  v all of it  k later  u undo  q stop"


@click.command("audit")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sample", "size", type=click.IntRange(1), default=200, show_default=True, help="answers to draw at random and label")
@click.option("--seed", type=int, default=None, help="of the draw; the project's without it")
@click.option("--labeller", default=None, help="whose labels these are; the login name without it")
@click.option("--labels", type=click.Path(path_type=Path), default=None, help="file of labels; audits/FILE.labels.jsonl without it")
@click.option("--report", is_flag=True, help="only show what the labels come to so far")
@click.option("--propose", is_flag=True, help="only show what the checkers propose, one line an answer")
@click.option("--disputed", is_flag=True, help="label again what two people labelled differently")
@click.option("--web", is_flag=True, help="label in a browser, on this machine only")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="with --web: the port; a free one without it")
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    file: Path,
    size: int,
    seed: int | None,
    labeller: str | None,
    labels: Path | None,
    report: bool,
    propose: bool,
    disputed: bool,
    web: bool,
    port: int | None,
) -> int:
    """Draw logged answers of today's system from FILE, label what is wrong with them, and say what that points to."""
    from groundtune.decisions.audit import labels as files
    from groundtune.decisions.audit.shares import audited

    if web and (report or propose):
        raise click.UsageError("--web is for labelling: not with --report or --propose")
    if port is not None and not web:
        raise click.UsageError("--port: only with --web")
    project = opened(folder, shown)
    audit = project.audit(file, size=size, seed=seed, labels=labels)
    if propose:
        _proposals(audit, as_json)
        return 0
    if web:
        _web(audit, labeller or login("--labeller"), file, disputed, port or 0)
    elif not report and not as_json:
        who = files.labeller_named(labeller or login("--labeller"))
        there = files.read(audit.path)
        queue = list(there.disputed() if disputed else there.todo(who))
        _session(audit, who, queue)
    found = audited(files.read(audit.path))
    if as_json:
        say_json(found)
        return 0
    from groundtune.decisions.audit.section import section

    made = section(found)
    say()
    for line in made.lines:
        say(f"- {line}")
    for table in made.grids:
        grid(table)
    say(f"\nThe labels are in {audit.path}")
    return 0


def _web(audit: Audit, who: str, file: Path, disputed: bool, port: int) -> None:
    """Serve the pages until Ctrl-C."""
    from groundtune.project.labelling import Labelling
    from groundtune.server import audit as pages
    from groundtune.server.serve import ready, serve

    ready()
    labelling = Labelling(audit, who, file)
    serve(lambda door: pages.routes(labelling, door, "disputed" if disputed else "todo"), port=port, tell=link_told)


def _proposals(audit: Audit, as_json: bool) -> None:
    from groundtune.decisions.audit.propose import propose

    found = {name: propose(response, audit.house) for name, response in audit.responses.items()}
    if as_json:
        say_json(found)
        return
    for name, proposals in found.items():
        what = "; ".join(f"{item.label} ({item.checker}: {visible(item.detail)})" for item in proposals) or "no checker objects"
        say(f"line {audit.responses[name].line}: {what}")


def _session(audit: Audit, who: str, queue: list[str]) -> None:
    """Show each answer and keep its label before the next one is shown. Ends at q, at the end of the input, and when all is done."""
    from groundtune.decisions.audit import labels as files
    from groundtune.decisions.audit.propose import propose

    _tell(f"{len(queue)} to label as {who}; every label is kept at once. Keys:\n  {HELP}")
    place, done = 0, list[str]()
    while place < len(queue):
        response = audit.responses[queue[place]]
        proposals = propose(response, audit.house)
        _show(response, proposals, f"{place + 1} of {len(queue)}", whole=False)
        began = time.monotonic()
        while True:
            key = _key(proposals[0].label if proposals else None)
            if key != "v":
                break
            _show(response, proposals, f"{place + 1} of {len(queue)}", whole=True)
        if key == "q":
            break
        if key == "u":
            if done:
                last = done.pop()
                files.add(audit.path, last, None, who)
                place = queue.index(last)
            continue
        if key != "k":
            label = proposals[0].label if key == "" else KEYS[key]
            proposed = list(dict.fromkeys(item.label for item in proposals))
            files.add(audit.path, response.id, label, who, proposed=proposed, seconds=time.monotonic() - began)
            done.append(response.id)
        place += 1


def _show(response: Response, proposals: tuple[Proposal, ...], place: str, *, whole: bool) -> None:
    most = None if whole else SHORT
    name = f", {visible(response.name)}" if response.name else ""
    _tell(f"\n── {place} (line {response.line}{name}) ──")
    _tell(f"asked: {_cut(visible(response.question), most)}")
    _tell(f"said:  {_cut(visible(response.answer), most) or '(nothing)'}")
    if response.expected is not None:
        _tell(f"wanted: {_cut(visible(response.expected), most)}")
    passages = response.passages if whole else response.passages[:PASSAGES]
    for number, passage in enumerate(passages, start=1):
        where = f" {visible(passage.document)}" if passage.document else ""
        _tell(f"passage {number}{where}: {_cut(visible(passage.text), None if whole else 400)}")
    if len(passages) < len(response.passages):
        _tell(f"and {len(response.passages) - len(passages)} more passages: v")
    for proposal in proposals:
        _tell(f"→ {proposal.label}: {visible(proposal.detail)} ({proposal.checker})")


def _key(proposed: Label | None) -> str:
    """Return a key of ``KEYS``, k, u, v or q, or nothing for the proposal; asks again for any other."""
    interactive = sys.stdin.isatty()
    while True:
        click.echo(f"{'Enter: ' + proposed if proposed else 'no checker objects'} [{''.join(KEYS)}vkuq?] ", nl=False, err=True)
        if interactive:
            try:
                typed = click.getchar()
            except EOFError:
                return "q"
            click.echo(typed if typed.isprintable() else "", err=True)
        else:
            typed = sys.stdin.readline()
            if not typed:
                click.echo(err=True)
                return "q"
        key = typed.strip().casefold()[:1]
        if key in KEYS or key in ("k", "u", "v", "q"):
            return key
        if not key and proposed is not None:
            return ""
        _tell(f"  {HELP}")


def visible(text: str) -> str:
    """Return a text with everything that could steer a terminal or hide in it shown as its code: answers are data, never commands."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else f"\\u{ord(letter):04x}" for letter in text)


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else f"{text[:most]}… (v shows all)"


def _tell(text: str) -> None:
    click.echo(text, err=True)

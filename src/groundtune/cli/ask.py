"""``groundtune ask``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from groundtune.access import conditions
from groundtune.cli.common import opened, say, say_json, verb

if TYPE_CHECKING:
    from groundtune.types import Abstention, Answer, Conflict

MOST_TOKEN = 100_000  # characters that are read of a token's file


@click.command("ask")
@click.argument("question")
@click.option("--arm", default="rag", show_default=True, help="which arm answers")
@click.option("--as", "asker", help="who asks: a principal of the access file")
@click.option("--token-file", type=click.File(encoding="utf-8"), help="who asks: a file with their signed token, - for standard input")
@click.option(
    "--filter",
    "-f",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="narrow the documents: version=5, version=4|5, audience!=staff, date>=2025-03, date<=2025-06",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE.jsonl",
    help='the conversation before the question: {"role": "user" or "assistant", "content": "…"}, one a line',
)
@click.option(
    "--why", is_flag=True, help="show why it was given or withheld, the passages, the rule that let each be seen, the exact prompt"
)
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    question: str,
    arm: str,
    asker: str | None,
    token_file: TextIO | None,
    filters: tuple[str, ...],
    history: Path | None,
    why: bool,
) -> int:
    """Answer one question with citations."""
    from groundtune.answers.history import load

    if (asker is None) == (token_file is None):
        raise click.UsageError("say who asks: either --as NAME or --token-file FILE")
    before = load(history) if history else ()
    project = opened(folder, shown)
    who = asker if token_file is None else project.verified(token_file.read(MOST_TOKEN).strip())
    answer = project.ask(question, arm=arm, asker=who or "", filter=conditions.read(filters), history=before)
    if as_json:
        say_json(answer)
        return 1 if answer.failure else 0
    _print(answer, project.settings.chat.base_url)
    if why:
        _print_why(answer)
    return 1 if answer.failure else 0


def _print(answer: Answer, server: str | None) -> None:
    if answer.failure:
        say(f"no answer: {answer.failure}")
        say(
            "  see what [chat] is set to: groundtune check --settings"
            if not server
            else f"  see whether the server answers: curl {server}/models"
        )
        return
    say(answer.said)
    for citation in answer.cited:
        place = f"{citation.place}, " if citation.place else ""
        span = f"characters {citation.start}–{citation.end}"
        say(f"  “{citation.quote}” ({citation.document_id.removeprefix('document:')}, {place}{span})")
    for sentence in answer.unsupported:
        say(f"  (no passage supports: “{sentence}”)")
    if answer.quoted and not answer.cited:
        say(f"  (the model offered a quote that is in none of its passages; it was dropped: “{answer.quoted}”)")
    if answer.reply:
        say(
            "  "
            + ", ".join(f"{key}: {value}" for key, value in answer.reply.items() if isinstance(value, str) and len(value) < 40 and value)
        )
    for conflict in answer.conflicts:
        _print_conflict(conflict)
    times = answer.seconds
    tokens = f"{answer.prompt_tokens}+{answer.completion_tokens} tokens"
    say(f"  {answer.arm}, {answer.model}, {times.total:.2f} s (search {times.retrieval * 1000:.0f} ms), {tokens}")


def _print_conflict(conflict: Conflict) -> None:
    say(f"  the passages disagree{', the newer one first' if conflict.newer else ''}:")
    for item in (conflict.first, conflict.second):
        version = f", version {item.version}" if item.version else ""
        dated = ", ".join(part for part in (item.date, item.place) if part)
        say(f"    {item.says}: “{' '.join(item.text.split())}”")
        say(f"      ({item.document_id.removeprefix('document:')}{version}{', ' if dated else ''}{dated})")


def _print_abstention(abstention: Abstention) -> None:
    sure = ""
    if abstention.probability is not None and abstention.threshold is not None:
        sure = f": {abstention.probability:.3f} sure that the passages hold the answer, {abstention.threshold:.3f} is asked for"
    say(f"\n{abstention.state}{sure}" + (f" ({abstention.calibration})" if abstention.calibration else ""))
    for name, value in sorted(abstention.signals.items()):
        say(f"  {name}: {value:.4g}")
    if abstention.withheld:
        say(f"  withheld: {abstention.withheld}")


def _print_why(answer: Answer) -> None:
    if answer.abstention is not None:
        _print_abstention(answer.abstention)
    say("\npassages")
    if not answer.passages:
        say("  none")
    for passage in answer.passages:
        chunk = passage.chunk
        similarity = "" if passage.similarity is None else f", cosine {passage.similarity:.3f}"
        found = ", ".join(f"{name} #{rank}" for name, rank in sorted(passage.found_by.items()))
        place = f"  {chunk.place}" if chunk.place else ""
        say(f"  {passage.rank}. {chunk.id}{place}  score {passage.score:.4f}{similarity}  (found by {found})")
        readers = ", ".join(sorted(chunk.readers))
        say(f"     seen because {answer.asker} is in: {', '.join(passage.allowed_by)}; readers of the passage: {readers}")
        say(f"     let through by {passage.rule}")
        say("     " + " ".join(chunk.text.split()))
    say(f"\nprompt ({answer.prompt_hash})")
    for message in answer.messages:
        say(f"--- {message['role']}")
        say(message["content"])
    say("--- raw output")
    say(answer.text)

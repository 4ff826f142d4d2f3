"""``groundtune examples synthesize``: the plan, and with --yes the drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from groundtune.cli.common import say, say_json

if TYPE_CHECKING:
    from groundtune.project.examples import Curation


def run(curation: Curation, given: dict[str, Any], as_json: bool) -> int:
    """Print what asking costs, or ask and print what came of it."""
    from groundtune.project.examples_synthesize import plan, synthesize

    if not given["asker"]:
        raise click.UsageError("examples synthesize needs --as NAME: whose documents to ask about")
    unanswerable = 0.2 if given["unanswerable"] is None else given["unanswerable"]
    made = plan(curation, count=given["count"] or 20, asker=given["asker"], unanswerable=unanswerable, match=given["match"])
    if not given["yes"]:
        if as_json:
            say_json(
                {
                    "requests": len(made.tasks),
                    "answered": made.answered,
                    "prompt_tokens": made.prompt_tokens,
                    "completion_tokens": made.completion_tokens,
                    "money": made.money,
                    "currency": made.currency,
                    "held_back": made.held_back,
                }
            )
            return 0
        say(f"plan: {len(made.tasks)} requests to {curation.project.chat.name}, {made.answered} of them answered already")
        cost = f"{made.money:.4f} {made.currency} at most"
        say(f"  {made.prompt_tokens:,} tokens to read, up to {made.completion_tokens:,} to write: {cost}")
        if made.held_back:
            say(f"  held back, since dev or test rests on them: {len(made.held_back)} documents")
        say("nothing was asked; to do it, add --yes")
        return 0
    done = synthesize(curation, made, asker=given["asker"])
    if as_json:
        say_json(done)
        return 0
    say(f"{done.asked} asked, {done.kept} new drafts in {done.path} ({done.unanswerable} without an answer), {done.present} there already")
    examples = dict(done.samples)
    for why, count in done.dropped.items():
        say(f"  {count} dropped: {why}")
        if why in examples:
            say(f"      {examples[why]}")
    if done.kept:
        say("drafts are taught to nobody until they are approved; type: groundtune examples review")
    return 0

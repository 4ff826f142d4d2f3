"""``groundtune lock``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("lock")
@click.option("--relock", is_flag=True, help="accept what changed, and have the decision say so")
@verb
def command(folder: str, as_json: bool, shown: str | None, relock: bool) -> int:
    """Hash the test set, the rubric, the arms and the holdout, if one is kept, into groundtune.lock, before anything is measured."""
    project = opened(folder, shown)
    lock = project.lock(relock=relock)
    looks, unseen = (project.ledger.looks(lock.id(asked)) for asked in ("test", "holdout"))
    if as_json:
        say_json({"lock": lock, "looks": looks, "holdout_looks": unseen})
        return 0
    say(f"locked on {lock.locked_at}: test {lock.test}, rubric {lock.rubric}, arms {lock.arms}")
    say(f"relocked: {len(lock.relocked)}; evaluations that have seen this test set: {looks}")
    if lock.holdout != "none":
        say(f"holdout {lock.holdout}: evaluations that have seen it: {unseen}")
    return 0

"""``groundtune index``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundtune.cli.common import opened, say, say_json, verb

if TYPE_CHECKING:
    from groundtune.chunks.diff import Difference
    from groundtune.chunks.gc import Plan
    from groundtune.chunks.manifest import IndexVersion
    from groundtune.chunks.switch import Switched
    from groundtune.chunks.verify import Verified
    from groundtune.project.index import Versions

SWITCHES = ("promote", "rollback")
NAMES = {"list": (0, 0), "verify": (0, 1), "diff": (1, 2), "promote": (1, 1), "rollback": (0, 0), "gc": (0, 0), "tune": (0, 0)}


@click.command("index")
@click.argument("action", type=click.Choice(list(NAMES)), default="list")
@click.argument("names", nargs=-1, metavar="[VERSION]...")
@click.option("--keep", type=click.IntRange(min=0), default=None, help="gc: how many of the newest stay beside the live one (3)")
@click.option("--yes", is_flag=True, help="gc: do it; without it the plan is shown and nothing is removed")
@click.option("--other-settings", is_flag=True, help="promote, rollback: also a version of another embedder, splitter or engine")
@click.option("--accept", is_flag=True, help="also a mass change of readers, and for promote: what is gone")
@click.option("--embedder", "embedders", multiple=True, metavar="USE[:MODEL]", help="tune: a further embedder to try; may be repeated")
@click.option("--reranker", "rerankers", multiple=True, metavar="USE[:MODEL]", help="tune: a further reranker to try; may be repeated")
@click.option("--tokens", "most_tokens", type=click.IntRange(min=1), help="tune: tokens shown to a question, on average at most")
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    action: str,
    names: tuple[str, ...],
    keep: int | None,
    yes: bool,
    other_settings: bool,
    accept: bool,
    embedders: tuple[str, ...],
    rerankers: tuple[str, ...],
    most_tokens: int | None,
) -> int:
    """Look after the index versions. A VERSION is an id, the beginning of one, or "live".

    \b
    list             the versions, and which one is live
    verify [A]       compare A (or the live one) with the ledger, the documents and what is stored
    diff A [B]       documents and chunks that B (or the live one) has and A has not, and the reverse
    promote A        make A live, if it is whole and of the project's embedder and splitter
    rollback         go back to the version that was live before, without documents that are gone
    gc               show what may be removed; with --yes, remove it
    tune             look for a better way to split and search, on the dev and training questions
    """  # noqa: D301
    least, most = NAMES[action]
    if not least <= len(names) <= most:
        wanted = {(0, 0): "no version", (0, 1): "one version at most", (1, 1): "one version", (1, 2): "one or two versions"}[least, most]
        raise click.UsageError(f"index {action} takes {wanted}, {len(names)} given")
    for given, option, actions in (
        (keep is not None or yes, "--keep and --yes", ("gc",)),
        (other_settings, "--other-settings", SWITCHES),
        (accept, "--accept", SWITCHES),
        (bool(embedders or rerankers) or most_tokens is not None, "--embedder, --reranker and --tokens", ("tune",)),
    ):
        if given and action not in actions:
            raise click.UsageError(f"{option}: only with index {' or '.join(actions)}")
    project = opened(folder, shown)
    if action == "tune":
        from groundtune.cli.index_tune import show

        return show(project, as_json=as_json, embedders=embedders, rerankers=rerankers, most_tokens=most_tokens)
    versions = project.index
    if action == "list":
        return _list(versions, project.index_versions(), as_json)
    if action == "verify":
        return _verify(versions.verify(*names), as_json)
    if action == "diff":
        return _diff(versions.diff(names[0], names[1] if len(names) > 1 else "live"), as_json)
    if action == "gc":
        return _gc(versions, keep, yes, as_json)
    done = (
        versions.promote(names[0], other_settings=other_settings, accept=accept)
        if action == "promote"
        else versions.rollback(other_settings=other_settings, accept=accept)
    )
    return _switched(done, as_json)


def _list(versions: Versions, found: list[IndexVersion], as_json: bool) -> int:
    from groundtune.files import plain

    live = versions.live()
    rows = [{**plain(version), "live": version.id == live} for version in found]
    if as_json:
        say_json(rows)
        return 0
    for row in rows:
        chunks = sum(item["chunks"] for item in row["contents"].values())
        mark = "live" if row["live"] else "    "
        say(f"{row['id']}  {mark}  {len(row['contents'])} documents, {chunks} chunks  {row['embedder_name']}")
    return 0


def _verify(found: Verified, as_json: bool) -> int:
    if as_json:
        say_json(
            {
                "version": found.version,
                "findings": [item.message for item in found.differences],
                "differences": found.differences,
            }
        )
    else:
        for item in found.differences:
            say(item.message)
        if {item.kind for item in found.differences} - {"documents", "ledger"}:
            say("to write it again: groundtune ingest --rebuild")
        if not found.differences:
            say(f"{found.version} holds what its manifest says")
    return 1 if found.differences else 0


def _diff(found: Difference, as_json: bool) -> int:
    if as_json:
        say_json(found)
        return 0
    say(f"{found.before} → {found.after}")
    for name, (old, new) in found.settings.items():
        say(f"  {name}: {old} → {new}")
    for sign, what, items in (("+", "added", found.added), ("-", "removed", found.removed)):
        for name, chunks in items.items():
            say(f"  {sign} {name}  {what}, {chunks} chunks")
    for item in found.changed:
        what = "text changed" if item.text else "other chunks of the same text"
        if item.chunks_added is None or item.chunks_removed is None:
            say(f"  ~ {item.document}  {what}, {item.chunks_before} → {item.chunks_after} chunks")
        else:
            say(f"  ~ {item.document}  {what}, {len(item.chunks_added)} chunks added, {len(item.chunks_removed)} removed")
    for name, (before, after) in found.readers.items():
        say(f"  r {name}  readers {', '.join(before) or 'nobody'} → {', '.join(after) or 'nobody'}")
    say(f"  {found.unchanged} documents unchanged")
    return 0


def _switched(done: Switched, as_json: bool) -> int:
    if as_json:
        say_json(done)
    elif not done.done:
        say("\n".join(item.message for item in done.verified.differences))
        say(f"{done.id} is not whole; live is still {done.was or 'none'}")
    elif done.was == done.id:
        say(f"{done.id} is live already")
    else:
        say(f"{done.id} is live; it was {done.was or 'none'}")
    return 0 if done.done else 1


def _gc(versions: Versions, keep: int | None, yes: bool, as_json: bool) -> int:
    from groundtune.project.index import KEEP

    number = KEEP if keep is None else keep
    gone: list[str] = []
    stayed: list[str] = []
    if yes:
        planned, gone, stayed = versions.gc(number)
    else:
        planned = versions.plan_gc(number)
    if as_json:
        rows = [{"id": item.id, "documents": item.documents, "chunks": item.chunks} for item in (*planned.remove, *planned.leaving)]
        say_json({"done": yes, "keep": planned.keep, "remove": rows, "orphans": planned.orphans, "gone": gone, "stayed": stayed})
        return 0
    _say_plan(planned)
    for name in stayed:
        say(f"stays    {name}  a reader opened it meanwhile; gc removes it when that one is done")
    if yes:
        say(f"removed {len(gone)} versions")
    elif not planned.empty:
        say("nothing was removed; type: groundtune index gc --yes" + ("" if keep is None else f" --keep {keep}"))
    return 0


def _say_plan(planned: Plan) -> None:
    for name, why in planned.keep.items():
        say(f"keep     {name}  {why}")
    for version in planned.remove:
        say(f"remove   {version.id}  {version.documents} documents, {version.chunks} chunks")
    for version in planned.leaving:
        say(f"finish   {version.id}  its removal was broken off")
    for table, tag in planned.orphans:
        say(f"remove   {tag} in {table}  of a build that was broken off")
    if planned.empty:
        say("nothing to remove")

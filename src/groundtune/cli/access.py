"""``groundtune access``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb

SHOWN = 20  # names of a kind that are printed; --json has all


@click.command("access")
@click.argument("action", type=click.Choice(["apply", "report", "explain"]))
@click.argument("names", nargs=-1, metavar="[PRINCIPAL DOCUMENT]")
@click.option("--accept", is_flag=True, help="apply: also a mass change of readers")
@verb
def command(folder: str, as_json: bool, shown: str | None, action: str, names: tuple[str, ...], accept: bool) -> int:
    """Apply readers to the index, report what the rules do not cover, or explain who reads a document.

    \b
    apply            give what is indexed the readers that hold now; no text is read anew or embedded
    report           when membership was read and readers were applied; what no rule, and nobody, covers
    explain P D      which rule lets the principal P read the document D, or keeps it from them, part by part
    """  # noqa: D301
    if len(names) != (2 if action == "explain" else 0):
        raise click.UsageError(f"access {action} takes {'a principal and a document' if action == 'explain' else 'no names'}")
    if accept and action != "apply":
        raise click.UsageError("--accept: only with access apply")
    if action == "apply":
        return _apply(folder, as_json, shown, accept)
    return _report(folder, as_json, shown) if action == "report" else _explain(folder, as_json, shown, *names)


def _apply(folder: str, as_json: bool, shown: str | None, accept: bool) -> int:
    version = opened(folder, shown).apply_access(accept=accept)
    if as_json:
        say_json(version)
    else:
        say(f"{version.id}: {version.restamped} documents with other readers, {version.unchanged} unchanged")
    return 0


def _report(folder: str, as_json: bool, shown: str | None) -> int:
    """Exit code 1 where readers wait to be applied, or something was wrong with a document or its rules."""
    found = opened(folder, shown).report_access()
    finding = 1 if found["not_applied"] or found["problems"] else 0
    if as_json:
        say_json(found)
        return finding
    for source in found["membership"]:
        say(f"membership from {source['from']}, as of {source['read_at']} ({source['days_old']} days ago)")
    if found["tokens"]:
        say("membership from tokens, as each is shown")
    for name, source in found["sources"].items():
        say(
            f"documents of {name}, as of {source['listed_at'] or 'never'}"
            + (f"; not since: {source['reason']}" if source["reason"] else "")
        )
    say(f"readers applied {found['applied_at'] or 'never: there is no index yet'}")
    say(f"{found['principals']} principals, {len(found['services'])} service accounts")
    say(
        f"{found['documents']} documents: readers by a rule {found['by_rule']}, by themselves {found['by_themselves']},"
        f" by default {found['by_default']}; {found['with_sections']} with sections of their own readers"
    )
    for key in (
        "not_applied",
        "without_rule",
        "read_by_nobody",
        "principals_who_read_nothing",
        "groups_nobody_is_in",
        "rules_that_fit_nothing",
        "rules_whose_heading_is_nowhere",
        "problems",
    ):
        say(f"{key.replace('_', ' ')}: {len(found[key])}")
        for name in found[key][:SHOWN]:
            say(f"  {name}")
        if len(found[key]) > SHOWN:
            say(f"  and {len(found[key]) - SHOWN} more")
    if found["not_applied"]:
        say("to apply them: groundtune access apply")
    return finding


def _explain(folder: str, as_json: bool, shown: str | None, principal: str, document: str) -> int:
    found = opened(folder, shown).explain_access(principal, document)
    if as_json:
        say_json(found)
        return 0
    for part in found:
        verdict = f"may read it, through {', '.join(part['through'])}" if part["allowed"] else "may not read it"
        say(f"{part['section'] or 'all of it'}: {principal} {verdict}")
        say(f"  by {part['rule']}; readers: {', '.join(part['readers']) or 'nobody'}")
    return 0

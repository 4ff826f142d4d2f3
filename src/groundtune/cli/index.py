"""``groundtune index``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("index")
@click.argument("action", type=click.Choice(["list", "verify", "tune"]), default="list")
@click.option("--embedder", "embedders", multiple=True, metavar="USE[:MODEL]", help="tune: a further embedder to try; may be repeated")
@click.option("--tokens", "most_tokens", type=click.IntRange(min=1), help="tune: tokens shown to a question, on average at most")
@verb
def command(folder: str, as_json: bool, shown: str | None, action: str, embedders: tuple[str, ...], most_tokens: int | None) -> int:
    """List the index versions, verify that the live one holds what its manifest says, or look for a better way to split and search."""
    project = opened(folder, shown)
    if action == "tune":
        from groundtune.cli.index_tune import show

        return show(project, as_json=as_json, embedders=embedders, most_tokens=most_tokens)
    if action == "verify":
        findings = project.verify_index()
        if as_json:
            say_json({"findings": findings})
        else:
            say("\n".join(findings) if findings else "the live index holds what its manifest says")
        return 1 if findings else 0
    versions = project.index_versions()
    if as_json:
        say_json(versions)
        return 0
    for version in versions:
        say(f"{version.id}  {version.documents} documents, {version.chunks} chunks")
    return 0

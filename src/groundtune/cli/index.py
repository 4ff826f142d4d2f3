"""``groundtune index``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("index")
@click.argument("action", type=click.Choice(["list", "verify"]), default="list")
@verb
def command(folder: str, as_json: bool, shown: str | None, action: str) -> int:
    """List the index versions, or verify that the live one holds what its manifest says."""
    project = opened(folder, shown)
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

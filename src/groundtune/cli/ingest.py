"""``groundtune ingest``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("ingest")
@click.option("--no-promote", is_flag=True, help="build the version, and leave live what is live")
@click.option("--rebuild", is_flag=True, help="write every document again, whatever the index holds; embeddings are kept")
@verb
def command(folder: str, as_json: bool, shown: str | None, no_promote: bool, rebuild: bool) -> int:
    """Bring the index in step with the documents, as one new tagged version."""
    version = opened(folder, shown).ingest(promote=not no_promote, rebuild=rebuild)
    if as_json:
        say_json(version)
        return 0
    say(f"{version.id}: {version.documents} documents, {version.chunks} chunks")
    say(
        f"  {version.added} new, {version.changed} changed, {version.restamped} with other readers, {version.gone} gone,"
        f" {version.unchanged} unchanged"
    )
    if no_promote:
        say(f"  live is what was live; type: groundtune index promote {version.id}")
    return 0

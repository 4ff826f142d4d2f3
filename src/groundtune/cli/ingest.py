"""``groundtune ingest``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("ingest")
@verb
def command(folder: str, as_json: bool, shown: str | None) -> int:
    """Bring the index in step with the documents, as one new tagged version."""
    version = opened(folder, shown).ingest()
    if as_json:
        say_json(version)
        return 0
    say(f"{version.id}: {version.documents} documents, {version.chunks} chunks")
    say(
        f"  {version.added} new, {version.changed} changed, {version.restamped} with other readers, {version.gone} gone,"
        f" {version.unchanged} unchanged"
    )
    return 0

"""``groundtune tune``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, verb


@click.command("tune")
@click.argument("names", nargs=-1)
@click.option("--preview", is_flag=True, help="show training rows token by token with the loss mask, and train nothing")
@click.option("--rows", type=click.IntRange(min=1), default=2, show_default=True, help="how many rows to preview")
@verb
def command(folder: str, as_json: bool, shown: str | None, names: tuple[str, ...], preview: bool, rows: int) -> int:
    """Train the adapters of the [tuning.*] tables (all, or NAMES)."""
    project = opened(folder, shown)
    if preview:
        from groundtune.project.tune import preview as rows_of

        previews = {name: rows_of(project, name, rows) for name in names or tuple(project.settings.tuning)}
        if as_json:
            say_json(previews)
            return 0
        for name, shown_rows in previews.items():
            for number, row in enumerate(shown_rows, start=1):
                carrying = sum(carries for _, carries in row)
                say(f"{name}, row {number}: {len(row)} tokens, {carrying} of them carry loss (bold)")
                say("".join(click.style(text, bold=True, fg="green") if carries else click.style(text, dim=True) for text, carries in row))
                say()
        return 0
    versions = project.tune(list(names) or None)
    if as_json:
        say_json(versions)
        return 0
    for version in versions:
        metrics = version.metrics
        say(
            f"{version.id}: {metrics['rows']} rows, {metrics['steps']} steps, dev loss {metrics['dev_loss']:.3f},"
            f" {metrics['tokens']} tokens in {metrics['seconds']:.0f} s; for {', '.join(sorted(version.readers or ()))}"
        )
    return 0

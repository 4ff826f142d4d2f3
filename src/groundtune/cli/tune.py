"""``groundtune tune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from groundtune.cli.common import opened, say, say_json, verb
from groundtune.errors import ConfigError

if TYPE_CHECKING:
    from groundtune.project import Project


@click.command("tune")
@click.argument("names", nargs=-1)
@click.option("--preview", is_flag=True, help="show training rows token by token with the loss mask, and train nothing")
@click.option("--rows", type=click.IntRange(min=1), default=2, show_default=True, help="how many rows to preview")
@click.option("--plan", is_flag=True, help="show settings, where each is from, memory and time, and train nothing")
@click.option("--recipes", is_flag=True, help="list the recipes of the package and what they set")
@click.option("--export", "form", type=click.Choice(["axolotl", "openai"]), help="write the run for another trainer, and train nothing")
@click.option("--submit", is_flag=True, help="with --export openai: send it, follow the job to its end (costs money, sends your rows)")
@click.option("--hosted-model", default=None, metavar="NAME", help="with --export openai: the service's name of the base model")
@click.option("--base-url", default="https://api.openai.com/v1", show_default=True, help="with --submit: the service")
@click.option("--key-env", default="OPENAI_API_KEY", show_default=True, help="with --submit: the environment variable that holds the key")
@verb
def command(
    folder: str,
    as_json: bool,
    shown: str | None,
    names: tuple[str, ...],
    preview: bool,
    rows: int,
    plan: bool,
    recipes: bool,
    form: str | None,
    submit: bool,
    hosted_model: str | None,
    base_url: str,
    key_env: str,
) -> int:
    """Train the models of the [tuning.*] tables (all, or NAMES)."""
    from groundtune.tuning.several import rank

    if recipes:
        return _recipes(as_json)
    if submit and form != "openai":
        raise click.UsageError("--submit goes with --export openai")
    project = opened(folder, shown)
    chosen = names or tuple(project.settings.tuning)
    if not chosen:
        raise ConfigError(
            f"{project.folder / 'groundtune.toml'}: no [tuning.*] table, so there is nothing to tune",
            'add one, such as [tuning.reader] with readers = ["everyone"], then type: groundtune check',
        )
    if preview:
        return _preview(project, chosen, rows, as_json)
    if plan:
        return _plan(project, chosen, as_json)
    if form:
        return _export(project, chosen, form, hosted_model, (base_url, key_env) if submit else None, as_json)
    versions = project.tune(list(names) or None)
    if rank() > 0:
        return 0
    if as_json:
        say_json(versions)
        return 0
    for version in versions:
        metrics = version.metrics
        memory = f", {metrics['peak_bytes'] / 1e9:.1f} GB at most" if metrics.get("peak_bytes") else ""
        say(
            f"{version.id}: {metrics['rows']} rows, {metrics['steps']} steps, dev loss {metrics['dev_loss']:.3f},"
            f" {metrics['tokens']} tokens in {metrics['seconds']:.0f} s{memory}; for {', '.join(sorted(version.readers or ()))}"
        )
    return 0


def _recipes(as_json: bool) -> int:
    from groundtune.config import recipes

    found = recipes()
    if as_json:
        say_json(found)
        return 0
    for name, text in found.items():
        say(f'recipe = "{name}"')
        say("".join(f"  {line}\n" for line in text.strip().splitlines()))
    return 0


def _preview(project: Project, names: tuple[str, ...], rows: int, as_json: bool) -> int:
    from groundtune.project.tune import preview as rows_of

    previews = {name: rows_of(project, name, rows) for name in names}
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


def _plan(project: Project, names: tuple[str, ...], as_json: bool) -> int:
    from groundtune.project.tune import job_for, told
    from groundtune.tuning.adapter import planned

    jobs = [job_for(project, name) for name in names]
    plans = {job.name: planned(job) for job in jobs}
    if as_json:
        say_json({job.name: {"settings": job.recipe.model_dump(), "sources": job.sources, "plan": plans[job.name]} for job in jobs})
        return 0
    for job in jobs:
        say(f"{job.name}: {len(job.rows.rows)} rows, {len(job.dev_rows)} dev rows")
        for reason, count in sorted(job.rows.left_out.items()):
            say(f"  {count} left out: {reason}")
        for line in told(job):
            say(f"  {line}")
        say(f"  {plans[job.name].told()}")
    return 0


def _export(project: Project, names: tuple[str, ...], form: str, model: str | None, service: tuple[str, str] | None, as_json: bool) -> int:
    from groundtune.project import tune_export

    results = []
    for name in names:
        done = tune_export.export(project, name, form, model=model or tune_export.HOSTED_MODEL)  # type: ignore[arg-type]
        if not as_json:
            say(f"{name}: wrote {', '.join(str(path) for path in done.files)}")
        for warning in done.warnings:
            click.echo(f"warning: {warning}", err=True)
        made = tune_export.submit(project, name, base_url=service[0], key_env=service[1]) if service else None
        if made is not None and not as_json:
            say(
                f'{name}: {made["model"]} is ready at the service; to measure it, set [chat] use = "endpoint" and model = {made["model"]!r}'
            )
        results.append({"export": done, "hosted": made})
    if as_json:
        say_json(results)
    return 0

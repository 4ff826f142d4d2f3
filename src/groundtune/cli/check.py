"""``groundtune check``."""

from __future__ import annotations

import click

from groundtune.cli.common import opened, say, say_json, table, verb
from groundtune.progress import clock_text


@click.command("check")
@click.option("--settings", "with_settings", is_flag=True, help="print every setting and where its value came from")
@click.option("--gain", type=click.FloatRange(min=0, min_open=True), help="say how many test questions show a gain of this size")
@verb
def command(folder: str, as_json: bool, shown: str | None, with_settings: bool, gain: float | None) -> int:
    """Read everything, report every problem at once, and estimate the pilot. Nothing is written."""
    from groundtune.config import leaves
    from groundtune.errors import Problems
    from groundtune.project.estimate import totals

    project = opened(folder, shown)
    report = project.check()
    planned = None
    if gain is not None and not report.problems:
        from groundtune.project.check import plan

        planned = plan(project, gain)
    if as_json:
        say_json(
            {
                "problems": [{"message": p.message, "hint": p.hint} for p in report.problems],
                "warnings": report.warnings,
                "counts": report.counts,
                "kinds": report.kinds,
                "estimate": {"steps": report.lines, "total": totals(list(report.lines))},
                "minimum_detectable_difference": report.detectable,
                "plan": planned,
                "settings": {key: {"value": value, "from": project.sources[key]} for key, value in leaves(project.settings)},
            }
        )
        return 2 if report.problems else 0
    if with_settings or not report.problems:
        rows = [[key, _short(value), project.sources[key]] for key, value in leaves(project.settings)]
        if with_settings:
            table(["setting", "value", "from"], rows)
        else:
            written = sum(row[2] != "default" for row in rows)
            say(f"groundtune.toml: {len(rows)} settings, {written} of them written down (see all: groundtune check --settings)")
    if report.problems:
        raise report.problems[0] if len(report.problems) == 1 else Problems(report.problems)
    say(", ".join(f"{count} {name}" for name, count in report.counts.items()))
    for split, kinds in report.kinds.items():
        if kinds:
            say(f"  {split}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    for warning in report.warnings:
        say(f"warning: {warning}")
    say()
    _print_estimate(report.lines, project.settings.costs.currency)
    if report.detectable is not None:
        say(
            f"\nWith {report.counts['test']} test questions, differences of {report.detectable:.2f} or more"
            f" in {project.settings.rubric.primary} can be told from chance"
            " (80 % power, assuming that a difference spreads by 0.4 from question to question)."
        )
    if planned is not None:
        enough = "there are enough" if planned.there >= planned.questions else f"{planned.questions - planned.there} more than there are"
        say(
            f"A true gain of {planned.gain:g} in {project.settings.rubric.primary} takes {planned.questions:,} test questions: {enough}"
            f" (80 % power, all arms against all, spread {planned.spread:.2f}, {planned.source})."
        )
    return 0


def _print_estimate(lines: object, currency: str) -> None:
    from groundtune.project.estimate import Line, totals

    steps: list[Line] = list(lines)  # type: ignore[call-overload]
    rows = [[line.step, f"{line.read:,}", f"{line.written:,}", _minutes(line.minutes), f"{line.money:.4f}"] for line in steps]
    total = totals(steps)
    rows.append(["all", f"{total['read']:,}", f"{total['written']:,}", _minutes(total["minutes"]), f"{total['money']:.4f}"])
    table(["estimate", "tokens read", "tokens written", "time", currency], rows)


def _minutes(minutes: float | None) -> str:
    return "unknown" if minutes is None else clock_text(minutes * 60)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

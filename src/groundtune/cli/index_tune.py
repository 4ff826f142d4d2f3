"""``groundtune index tune``: what was tried, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundtune.cli.common import say, say_json, table

if TYPE_CHECKING:
    from groundtune.project.main import Project
    from groundtune.types import Estimate


def show(project: Project, *, as_json: bool, embedders: tuple[str, ...], rerankers: tuple[str, ...], most_tokens: int | None) -> int:
    """Search, and print the table, the final check and the lines to change."""
    from groundtune.project.index_tune import tune_index

    tuned = tune_index(project, embedders=embedders, rerankers=rerankers, most_tokens=most_tokens)
    if as_json:
        say_json(tuned)
        return 0
    say(
        f"{tuned.settings_tried} settings on {tuned.questions['searched']} dev and train questions; at most {tuned.token_limit:.0f} tokens"
        " shown to a question on average. The best of each splitter and embedder, each fusion and each reranker:\n"
    )
    priced = any(row.money for row in tuned.tried)
    rows = [
        [
            ("* " if row.name == tuned.present.name else "  ") + row.name,
            f"{row.coverage:.3f}",
            "the present one" if row.versus_present is None else _paired(row.versus_present),
            f"{row.tokens:.0f}",
            f"{row.passages:.1f}",
            f"{row.milliseconds:.0f} ms",
            *([f"{row.money:.3f}"] if priced else []),
        ]
        for row in tuned.tried
    ]
    money = [f"{project.settings.costs.currency} a 1,000"] if priced else []
    table(["setting (* present)", "coverage", "against the present one", "tokens", "passages", "a search", *money], rows)
    say(f"\nOn {tuned.questions['held out']} questions that the search never saw:\n")
    checked = [
        [name, _interval(tuned.check_means[name]), f"{tuned.check_tokens[name]:.0f}"]
        for name in dict.fromkeys((tuned.present.name, tuned.best.name))
    ]
    table(["setting", "coverage", "tokens"], checked)
    say(f"\n{tuned.verdict}")
    if tuned.check is not None and tuned.check.reason:
        say(f"note: {tuned.check.reason}")
    if tuned.lines:
        say("\nChange groundtune.toml, then type: groundtune ingest\n")
        say("\n".join(tuned.lines))
    return 0


def _interval(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.reason or estimate.state
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _paired(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.reason or estimate.state
    holm = "" if estimate.p_holm is None else f", p {estimate.p_holm:.3f}"
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f}{holm})"

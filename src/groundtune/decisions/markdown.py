"""A decision → Markdown: what it takes to decide on a first page, and everything behind it below.

# Ship tuned · owner, dates, fallback · how sure
Reasons · What would flip it · What it rests on · What it does not cover
---
Evidence · sections (needs, costs, probes, …) · Inputs
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groundtune.decisions import sections
from groundtune.decisions.weigh import Measured
from groundtune.decisions.wording import chance, together, worded
from groundtune.errors import UnknownMetric
from groundtune.scores.metrics import metric_named
from groundtune.types import Decision, Estimate

_SHOWN = ("leak", "refusal_right", "valid_json", "quote_found", "citation", "seconds_total", "cost")


def markdown(decision: Decision) -> str:
    """Return the page: verdict, how sure, reasons, what would flip it, what it rests on, what it does not cover; then what is behind it."""
    title = {
        "ship": f"Ship {decision.choice}",
        "can't tell": "Can't tell yet",
        "none passes": "No arm passes",
        "stop": "Stop",
    }[decision.verdict]
    facts = [
        f"**Owner** {decision.owner}",
        f"**Decided** {decision.made_on.isoformat()}",
        f"**Revisit** {decision.revisit_on.isoformat()}",
        f"**Fallback** {decision.fallback or 'none: nothing else passes'}",
    ]
    if decision.questions_needed:
        facts.append(f"**Questions that would settle it** about {decision.questions_needed} more")
    if decision.supersedes:
        facts.append(f"**Supersedes** {decision.supersedes}")
    parts = [
        f"# {_plain(title)}",
        " · ".join(_plain(fact) for fact in facts),
        f"**How sure** {_plain(decision.sure)}" if decision.sure else "",
        _section("Reasons", decision.reasons),
        _section("What would flip it", decision.flips),
        _section("What it rests on", decision.assumptions),
        _section("What it does not cover", decision.not_covered),
        "---",
        "Behind it: every number, and where it comes from.",
        "## Evidence\n\n" + _means(decision),
        _differences(decision),
        *(sections.markdown(item, _plain) for item in decision.sections),
        "## Inputs\n\n" + "\n".join(f"- {_plain(name)}: `{value}`" for name, value in sorted(decision.inputs.items())),
    ]
    return f"<!-- {decision.id} -->\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, lines: Sequence[str]) -> str:
    body = "\n".join(f"- {_plain(line)}" for line in lines) if lines else "Nothing."
    return f"## {title}\n\n{body}"


def _means(decision: Decision) -> str:
    """Return the table of means: arms by the primary metric and those that most gates are about, as far as anybody measured them."""
    table = Measured(decision.estimates)
    single = [item for item in decision.estimates if item.versus is None]
    arms = list(dict.fromkeys(item.arm for item in single))
    known = {item.metric for item in single if item.state == "measured"}
    metrics = [name for name in dict.fromkeys([decision.primary, *_SHOWN]) if name in known]
    if not arms or not metrics:
        return "Nothing was measured."
    rows = []
    for name in arms:
        marked = name + (" ←" if name == decision.choice else "")
        rows.append([marked, *(_cell(table.mean(metric, name)) for metric in metrics)])
    notes = "Mean (95 % interval), n the questions it applies to; a failed answer counts as the worst one."
    heads = [f"{name} × 1,000" if name == "cost" else name for name in metrics]
    told = "\n".join(f"- {name}: {_plain(_definition(name))}" for name in metrics)
    return "\n\n".join((_table(["arm", *heads], rows), notes, told))


def _definition(name: str) -> str:
    try:
        metric = metric_named(name)
    except UnknownMetric:
        return "a metric of a package that is not installed here."
    return f"{metric.definition} Counted on {metric.applies_to}; {metric.better} is better."


def _differences(decision: Decision) -> str:
    pairs = [item for item in decision.estimates if item.versus is not None and item.metric == decision.primary]
    if not pairs:
        return ""
    rows = [[f"{item.arm} − {item.versus}", worded(item), chance(item.p_holm) if item.state == "measured" else "–"] for item in pairs]
    return _table([f"paired difference in {decision.primary}", "mean (95 % interval)", "after Holm"], rows)


def _cell(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.state
    factor = 1000 if estimate.metric == "cost" else 1
    value, low, high = together(factor * estimate.value, factor * estimate.low, factor * estimate.high)
    return f"{value} ({low}–{high}) n {estimate.n}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) if cell != "---" else cell for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Keep a text on its line and in its cell; a document's words may stand in a reason, so no markup comes through."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

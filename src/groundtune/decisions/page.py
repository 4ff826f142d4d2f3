"""Decision + what it rests on → one self-contained HTML page: the verdict first, then tables, plots, and every question of every arm.

The page carries its own style and script, asks no other host for anything, and prints its first part on paper. Every text is escaped, or
handed to the page as data that its script only ever sets as text: what a document or a model says is never markup here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

from groundtune.decisions import sections
from groundtune.decisions.drill import Evidence, drill_down, packed
from groundtune.decisions.plots import Difference, Point, forest, scatter
from groundtune.decisions.wins import drawing, wins
from groundtune.decisions.wording import together
from groundtune.scores.metrics import metric_named
from groundtune.types import Arm, Decision, Estimate

HEADLINES = {"ship": "Ship “{choice}”", "can't tell": "Can't tell yet", "none passes": "No arm passes the gates", "stop": "Stop"}
TONES = {"ship": "ship", "can't tell": "open", "none passes": "none", "stop": "none"}


def page(decision: Decision, evidence: Evidence) -> str:
    """Return the whole page."""
    means = {(e.arm, e.metric): e for e in decision.estimates if e.versus is None}
    pairs = [e for e in decision.estimates if e.versus is not None]
    body = "".join(
        (
            _header(decision, evidence),
            _minute(decision),
            _table(decision, evidence, means),
            _differences(decision, evidence, pairs),
            _wins(decision, evidence),
            _plots(decision, evidence, means),
            *(sections.html(item, evidence.curves.get(item.title, "")) for item in decision.sections),
            _provenance(decision, evidence),
            _drill(evidence),
        )
    )
    style, script = (
        files("groundtune.decisions").joinpath("assets", name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    title = escape(f"{decision.id.removeprefix('decision:')} · {evidence.project}")
    data = packed(drill_down(decision.primary, evidence))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n'
        f'<script type="text/plain" id="data">{data}</script>\n<script>\n{script}</script>\n</body>\n</html>\n'
    )


def _list(items: Iterable[str], empty: str) -> str:
    lines = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else f"<p>{escape(empty)}</p>"


def _header(decision: Decision, evidence: Evidence) -> str:
    headline = HEADLINES[decision.verdict].format(choice=decision.choice)
    groups = len({example.split_group for example in evidence.examples})
    facts = {
        "Questions": f"{len(evidence.examples)}{' (holdout)' if evidence.asked == 'holdout' else ''}, in {groups} groups",
        "Arms run": f"{len(evidence.answers)} of {len(evidence.arms)}",
        "Fallback": decision.fallback or "none",
        "Owner": decision.owner,
        "Decided": decision.made_on.isoformat(),
        "Revisit by": decision.revisit_on.isoformat(),
        "Looks at these questions": str(evidence.looks),
    }
    shown = "".join(f"<span>{escape(key)} <b>{escape(value)}</b></span>" for key, value in facts.items())
    needed = (
        f"<p>About <b>{decision.questions_needed}</b> further questions would settle it.</p>"
        if decision.questions_needed is not None
        else ""
    )
    sure = f"<p><b>How sure</b> {escape(decision.sure)}</p>" if decision.sure else ""
    relocked = (
        f'<p class="warn">The test set, the rubric or the arms were changed and locked again {evidence.relocked} time(s)'
        " before this decision.</p>"
        if evidence.relocked
        else ""
    )
    return (
        f"<header><h1>{escape(evidence.project)}: which way of answering to ship</h1>"
        f'<p class="verdict {TONES[decision.verdict]}">{escape(headline)}</p>{sure}{needed}{relocked}'
        f'<div class="facts">{shown}</div></header>'
    )


def _minute(decision: Decision) -> str:
    return (
        '<section class="minute"><h2>In one minute</h2><div class="columns"><div>'
        f"<h3>Why</h3>{_list(decision.reasons, 'No reason was recorded.')}</div><div>"
        f"<h3>What would flip it</h3>{_list(decision.flips, 'Nothing was named.')}"
        f"<h3>Assumed</h3>{_list(decision.assumptions, 'Nothing.')}"
        f"<h3>Not covered</h3>{_list(decision.not_covered, 'Nothing was left out, deliberately.')}</div></div></section>"
    )


def _number(value: float | None, metric: str) -> str:
    if value is None:
        return "–"
    if metric == "cost":
        return f"{1000 * value:.3f}"
    if metric in ("prompt_tokens", "completion_tokens"):
        return f"{value:.0f}"
    return f"{value:.2f}" if metric == "seconds_total" else f"{value:.3f}"


def _table(decision: Decision, evidence: Evidence, means: Mapping[tuple[str, str], Estimate]) -> str:
    metrics = list(dict.fromkeys(metric for _, metric in means))
    metrics.sort(key=lambda name: name != decision.primary)
    head = "".join(f"<th>{escape(arm.name)}<small>{escape(_arm_words(arm))}</small></th>" for arm in evidence.arms)
    columns = "<col>" + "".join(f'<col class="{"chosen" if arm.name == decision.choice else "arm"}">' for arm in evidence.arms)
    rows = []
    for name in metrics:
        metric = metric_named(name)
        arrow = ("of 1,000 answers · " if name == "cost" else "") + f"{metric.better} is better"
        gate = f" · gate: {evidence.gates[name]}" if name in evidence.gates else ""
        cells = "".join(_cell(means.get((arm.name, name)), arm.name in evidence.not_run) for arm in evidence.arms)
        primary = ' class="primary"' if name == decision.primary else ""
        label = f'<th title="{escape(metric.definition)}">{escape(name)}<small>{arrow}{escape(gate)}</small></th>'
        rows.append(f"<tr{primary}>{label}{cells}</tr>")
    definitions = _list((f"{name}: {metric_named(name).definition} Counted on {metric_named(name).applies_to}." for name in metrics), "")
    return (
        "<section><h2>Every arm, every metric</h2><p>Mean, 95 % interval, and the number of questions behind it."
        ' A failed answer counts as the worst value.</p><div class="scroll"><table id="arms">'
        f"<colgroup>{columns}</colgroup><thead><tr><th>metric</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"<details><summary>What each metric means</summary>{definitions}</details></section>"
    )


def _arm_words(arm: Arm) -> str:
    words = [
        "passages" if arm.retrieves else "whole corpus" if arm.whole_corpus else "no documents",
        f"adapter {arm.adapter}" if arm.adapter else "",
        f"{arm.shots} shots" if arm.shots else "",
        "constrained JSON" if arm.constrained else "",
    ]
    return ", ".join(word for word in words if word)


def _cell(estimate: Estimate | None, not_run: bool) -> str:
    if estimate is None:
        return f'<td class="state">{"not run" if not_run else "not measured"}</td>'
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f'<td class="state">{escape(estimate.state)}<small>{escape(estimate.reason)}</small></td>'
    failed = f", {estimate.n_failed} failed" if estimate.n_failed else ""
    value, low, high = (_number(end, estimate.metric) for end in (estimate.value, estimate.low, estimate.high))
    if estimate.metric == "cost":
        value, low, high = together(1000 * estimate.value, 1000 * estimate.low, 1000 * estimate.high)
    return f'<td class="number"><b>{value}</b><small>{low} to {high}</small><small>n = {estimate.n}{failed}</small></td>'


def _differences(decision: Decision, evidence: Evidence, pairs: Sequence[Estimate]) -> str:
    rows, lines = [], []
    for e in pairs:
        if e.value is None or e.low is None or e.high is None:
            lines.append(
                f"<tr><th>{escape(f'{e.arm} − {e.versus}')}</th><td>{escape(e.metric)}</td>"
                f'<td class="state" colspan="4">{escape(e.state)}: {escape(e.reason)}</td></tr>'
            )
            continue
        corrected = e.p_holm if e.p_holm is not None else e.p_value
        if e.metric == decision.primary:
            rows.append(
                Difference(
                    name=f"{e.arm} − {e.versus}",
                    value=e.value,
                    low=e.low,
                    high=e.high,
                    note=f"{e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]" + ("" if corrected is None else f" p {_p(corrected)}"),
                )
            )
        p_value = "–" if e.p_value is None else _p(e.p_value)
        p_holm = "–" if e.p_holm is None else _p(e.p_holm)
        lines.append(
            f"<tr><th>{escape(f'{e.arm} − {e.versus}')}</th><td>{escape(e.metric)}</td><td>{e.value:+.3f}</td>"
            f"<td>{e.low:+.3f} to {e.high:+.3f}</td><td>{p_value} / {p_holm}</td><td>{e.n}</td></tr>"
        )
    chart = forest(rows, smallest_gain=evidence.smallest_gain, title=f"Paired differences in {decision.primary}")
    return (
        "<section><h2>Paired differences</h2><p>The same questions, arm against arm; p after Holm's correction. Dashed: the smallest"
        f" gain that matters ({evidence.smallest_gain:g}).</p>{chart}"
        "<details><summary>All comparisons as a table</summary><div class='scroll'><table><thead><tr><th>arms</th><th>metric</th>"
        "<th>difference</th><th>95 % interval</th><th>p / after Holm</th><th>n</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div></details></section>"
    )


def _wins(decision: Decision, evidence: Evidence) -> str:
    """Return, for the arm that is shipped or else that would be fallen back on, on how many questions it wins and loses."""
    arm = decision.choice or decision.fallback
    if arm is None:
        return ""
    drawn = drawing(wins(evidence.scores, decision.primary, arm, list(evidence.answers)), arm, decision.primary)
    if not drawn:
        return ""
    return (
        f"<section><h2>Questions won and lost</h2><p>On how many questions {escape(arm)} is better (green), as good (grey) and worse (red)"
        f" in {escape(decision.primary)} than each other arm, whatever by how much.</p>{drawn}</section>"
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _plots(decision: Decision, evidence: Evidence, means: Mapping[tuple[str, str], Estimate]) -> str:
    charts = []
    for metric, title, factor in (
        ("seconds_total", "seconds to the whole answer (answered in batches)", 1.0),
        ("cost", f"{evidence.currency} per 1,000 answers", 1000.0),
    ):
        points = []
        for arm in evidence.arms:
            quality, spent = means.get((arm.name, decision.primary)), means.get((arm.name, metric))
            if (
                quality is None
                or spent is None
                or quality.value is None
                or spent.value is None
                or quality.low is None
                or quality.high is None
            ):
                continue
            points.append(
                Point(
                    name=arm.name,
                    x=spent.value * factor,
                    y=quality.value,
                    low=quality.low,
                    high=quality.high,
                    chosen=arm.name == decision.choice,
                )
            )
        charts.append(f"<div>{scatter(points, x_title=title, y_title=decision.primary, title=f'{decision.primary} against {title}')}</div>")
    return f'<section><h2>Quality against latency and cost</h2><div class="plots">{"".join(charts)}</div></section>'


def _provenance(decision: Decision, evidence: Evidence) -> str:
    not_run = _list((f"{arm}: {reason}" for arm, reason in evidence.not_run.items()), "Every arm ran.")
    failed = [(arm, answer) for arm, answers in evidence.answers.items() for answer in answers if answer.failure]
    failures = _list((f"{arm}: {answer.example_id}: {answer.failure}" for arm, answer in failed), "No answer failed.")
    rows = "".join(f"<tr><th>{escape(key)}</th><td><code>{escape(value)}</code></td></tr>" for key, value in decision.inputs.items())
    return (
        f"<section><h2>What was not run, and what failed</h2><h3>Arms not run</h3>{not_run}<h3>Failed answers</h3>{failures}"
        f'<h2>Fingerprints</h2><p>Run {escape(evidence.run_id)}</p><div class="scroll"><table>{rows}</table></div></section>'
    )


def _drill(evidence: Evidence) -> str:
    kinds = "".join(f'<option value="{escape(kind)}">{escape(kind)}</option>' for kind in sorted({e.kind for e in evidence.examples}))
    arms = "".join(f'<option value="{escape(arm)}">{escape(arm)}</option>' for arm in evidence.answers)
    shown = {passage.chunk.document_id for answers in evidence.answers.values() for answer in answers for passage in answer.passages} | {
        item.document_id for example in evidence.examples for item in example.evidence
    }
    readers = sorted({", ".join(sorted(evidence.documents[item].readers)) for item in shown if item in evidence.documents})
    return (
        '<section id="drill"><h2>Question by question</h2>'
        '<p class="warn">This part quotes documents that not everyone may read. Readers of the documents quoted: '
        f"{escape('; '.join(readers) or 'none')}.</p>"
        '<div class="filters"><label>kind <select id="kind"><option value="">all</option>'
        f'{kinds}</select></label><label>worst first for <select id="arm"><option value="">(in order)</option>{arms}</select></label>'
        '<label>words <input id="words" type="search"></label><span id="count"></span></div><div id="questions"></div></section>'
    )

"""The audit of a training set → one self-contained HTML page: what was found, the worst first, and what to do about each.

As on the decision's page, every text is escaped: what a row or a document says is never markup here.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

from groundtune.examples.findings import Finding, Report

TONES = {"error": "none", "warning": "open", "note": ""}
HEADLINES = {"error": "Not fit to train on yet", "warning": "Fit to train on, with things to look at", "note": "Fit to train on"}
MOST_IDS = 60


def page(report: Report, made_at: str) -> str:
    """Return the whole page; ``made_at`` is printed as it is."""
    style = files("groundtune.decisions").joinpath("assets", "report.css").read_text(encoding="utf-8")
    measured = [item for item in report.findings if item.state == "measured"]
    unmeasured = [item for item in report.findings if item.state != "measured"]
    body = "".join(
        (
            _header(report, made_at),
            _counts(report),
            "".join(map(_finding, measured)) or _nothing(),
            _unmeasured(unmeasured),
            _checked(report),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(f"Examples of {report.project}")}</title>\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _header(report: Report, made_at: str) -> str:
    worst = report.worst or "note"
    totals = {level: sum(item.severity == level and item.state == "measured" for item in report.findings) for level in TONES}
    facts = {
        "Rows": str(sum(sum(counts.values()) for counts in report.counts.values())),
        "Errors": str(totals["error"]),
        "Warnings": str(totals["warning"]),
        "Notes": str(totals["note"]),
        "Documents": str(report.documents),
        "Made": made_at,
    }
    shown = "".join(f"<span>{escape(key)} <b>{escape(value)}</b></span>" for key, value in facts.items())
    return (
        f"<header><h1>{escape(report.project)}: the examples in {escape(report.place)}</h1>"
        f'<p class="verdict {TONES[worst] or "ship"}">{escape(HEADLINES[worst])}</p><div class="facts">{shown}</div></header>'
    )


def _counts(report: Report) -> str:
    names = ("approved", "draft", "rejected", "quarantined")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        f"<tr><th>{escape(split)}</th>" + "".join(f'<td class="number">{counts.get(name, 0):,}</td>' for name in names) + "</tr>"
        for split, counts in report.counts.items()
    )
    contents = "".join(
        f"<li>{escape(item.kind)}: {escape(item.says)}</li>"
        for item in report.findings
        if item.severity != "note" and item.state == "measured"
    )
    first = f"<h3>To mend</h3><ul>{contents}</ul>" if contents else ""
    table = f'<div class="scroll"><table><tr><th>split</th>{head}</tr>{rows}</table></div>'
    return f"<section><h2>Rows by split and status</h2>{table}{first}</section>"


def _finding(item: Finding) -> str:
    samples = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in item.samples)
    table = f'<div class="scroll"><table>{samples}</table></div>' if samples else ""
    names = ", ".join(item.rows[:MOST_IDS]) + (f" and {len(item.rows) - MOST_IDS:,} more" if len(item.rows) > MOST_IDS else "")
    rows = f"<details><summary>{len(item.rows):,} rows</summary><code>{escape(names)}</code></details>" if item.rows else ""
    fixes = f" (--fix: {len(item.fixed):,} rows become {item.fix})" if item.fixed else ""
    return (
        f'<section><h2 class="{TONES[item.severity]}">{escape(item.severity)}: {escape(item.kind)}</h2><p>{escape(item.says)}</p>'
        f'<p class="gold"><b>What to do:</b> {escape(item.do + fixes)}</p>{table}{rows}</section>'
    )


def _nothing() -> str:
    return "<section><h2>Nothing was found</h2><p>Every check that could run found nothing.</p></section>"


def _unmeasured(findings: list[Finding]) -> str:
    if not findings:
        return ""
    rows = "".join(f"<tr><th>{escape(item.kind)}</th><td>{escape(item.says)}</td><td>{escape(item.do)}</td></tr>" for item in findings)
    return f'<section><h2>Not measured</h2><p class="warn">A check that did not run is no pass.</p><table>{rows}</table></section>'


def _checked(report: Report) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in report.checked)
    return f"<section><h2>What was looked for</h2><ul>{items}</ul></section>"

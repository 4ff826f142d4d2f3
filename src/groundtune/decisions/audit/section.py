"""What an audit says → a section of the decision, and the same for the terminal."""

from __future__ import annotations

from groundtune.annex import Annex, Grid
from groundtune.decisions.audit.shares import Agreement, Audited

TITLE = "Audit of today's answers"


def section(found: Audited) -> Annex:
    """Return the section: the verdict, the shares, and how far people agree. No words of any answer are in it."""
    grids = [shares(found)]
    if found.agreements:
        grids.append(agreements(found))
    return Annex(title=TITLE, lines=tuple(lines(found)), grids=tuple(grids))


def lines(found: Audited) -> list[str]:
    """Return what the tables come to."""
    said = [found.verdict]
    if found.needed is not None:
        said.append(f"About {found.needed} failures of fact, form or tone in this mix would settle it; there are {found.facts.n}.")
    drawn = "all" if found.sampled >= found.rows else f"{found.sampled} drawn at random"
    said.append(
        f"{found.labelled} labelled by people of {drawn} of {found.rows:,} logged answers in {found.source};"
        f" {found.sampled - found.labelled} still to do."
    )
    if found.disputed:
        said.append(
            f"{found.disputed} were labelled differently by two people and are in no share; groundtune audit FILE --disputed shows them."
        )
    if found.accepted.n:
        said.append(f"What checkers proposed was confirmed in {found.accepted}.")
    if found.median_seconds is not None:
        said.append(f"Half of the labels took {found.median_seconds:.0f} s or less.")
    return said


def shares(found: Audited) -> Grid:
    """Return a row for each label, and for all failures together."""
    rows = [(name, str(share.count), str(share)) for name, share in found.shares.items()]
    rows.append(("all failures", str(found.failures.count), str(found.failures)))
    rows.append(("facts among failures of fact, form or tone", str(found.facts.count), str(found.facts)))
    return Grid(head=("label", "answers", "share (95 %, Wilson)"), rows=tuple(rows), title="Labels")


def agreements(found: Audited) -> Grid:
    """Return a row for each two labellers."""
    rows = tuple((" and ".join(item.labellers), str(item.equal), _kappa(item)) for item in found.agreements)
    return Grid(
        head=("labellers", "same label", "Cohen's kappa (95 %)"),
        rows=rows,
        title="Agreement",
        note="Kappa is agreement beyond chance: 0 is what chance would give, 1 is always. A verdict on labels that people disagree about is"
        " as unsure as they are.",
    )


def _kappa(item: Agreement) -> str:
    if item.kappa is None or item.low is None or item.high is None:
        return item.reason
    return f"{item.kappa:.2f} ({item.low:.2f} to {item.high:.2f}, n = {item.equal.n})"

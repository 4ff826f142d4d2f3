"""The page for people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_estimates import decided, estimate, pairs, passing

from groundtune.decisions.markdown import markdown
from groundtune.decisions.wording import chance, number, together, worded

VALUES = {"rag": 0.5, "hybrid": 0.7}
DECISION = decided([*passing("rag", 0.5), *passing("hybrid", 0.7, valid_json=0.95), *pairs(VALUES, 0.0001)])


def test_the_page_says_everything_once() -> None:
    page = markdown(replace(DECISION, supersedes="decision:0001-rag"))
    assert "# Ship hybrid" in page and "**Owner** Ana" in page and "**Revisit** 2027-02-19" in page and "**Fallback** rag" in page
    assert "decision:0001-rag" in page
    for line in (*DECISION.reasons, *DECISION.flips, *DECISION.assumptions, *DECISION.not_covered):
        assert page.count(f"- {line.replace('<', '&lt;')}\n") == 1
    assert "| hybrid ← | 0.70 (0.66–0.74) n 100 |" in page
    assert "| hybrid − rag | 0.20 (0.16 to 0.24, n = 100) | p &lt; 0.001 |" in page
    assert "- test: `abc`" in page
    assert len(page.partition("\n---\n")[0].splitlines()) < 50 and len(page.splitlines()) < 80


def test_the_other_verdicts_have_their_own_title() -> None:
    page = markdown(replace(DECISION, verdict="can't tell", choice=None, questions_needed=120))
    assert "# Can't tell yet" in page and "about 120 more" in page and "←" not in page
    assert "# No arm passes" in markdown(replace(DECISION, verdict="none passes", choice=None, fallback=None))
    assert "Nothing was measured." in markdown(replace(DECISION, estimates=()))


def test_words_of_documents_do_not_become_markup() -> None:
    page = markdown(replace(DECISION, reasons=("ends\n## here | <script>alert(1)</script>",)))
    assert "- ends ## here \\| &lt;script>alert(1)&lt;/script>" in page
    assert "<script" not in page


def test_numbers_as_people_read_them() -> None:
    assert [number(value) for value in (0.0, 0.123, 0.00123, 12.34, 1234.5, -0.5)] == ["0.00", "0.12", "0.0012", "12.3", "1,234", "-0.50"]
    assert [chance(value) for value in (None, 0.0001, 0.0344)] == ["p not known", "p < 0.001", "p = 0.034"]
    assert worded(estimate("leak", "rag", 0.5, n_failed=2)) == "0.50 (0.46 to 0.54, n = 100, 2 failed)"
    assert worded(estimate("leak", "rag", None)) == "not measured (not run: nobody ran it)"


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((0.19395, 0.13957, 0.2815), ("0.19", "0.14", "0.28")),
        ((0.016351, 0.016112, 0.016594), ("0.0164", "0.0161", "0.0166")),
        ((0.0041, -0.0193, 0.0487), ("0.004", "-0.019", "0.049")),
        ((0.0, 0.0, 0.0305), ("0.00", "0.00", "0.03")),
        ((1.0, 0.97, 1.0), ("1.00", "0.97", "1.00")),
        ((0.9996, 0.991, 1.0), ("0.9996", "0.9910", "1.0000")),
        ((2021.9, 1396.2, 5702.4), ("2,022", "1,396", "5,702")),
        ((23.37, 22.69, 24.04), ("23.4", "22.7", "24.0")),
        ((1.6e-12, 1.6e-12, 1.6e-12), ("1.6e-12", "1.6e-12", "1.6e-12")),
    ],
)
def test_an_interval_has_as_many_decimals_as_it_takes(ends: tuple[float, float, float], shown: tuple[str, str, str]) -> None:
    assert together(*ends) == shown


@given(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 6)), min_size=3, max_size=3).map(sorted))
def test_ends_that_differ_look_different_in_their_order_and_nothing_looks_like_zero_but_zero(ends: list[float]) -> None:
    low, value, high = ends
    shown = together(value, low, high)
    read = [float(text.replace(",", "")) for text in shown]
    assert read[1] <= read[0] <= read[2]
    assert len({len(text.partition(".")[2]) for text in shown}) == 1
    for text, end in zip(read, (value, low, high), strict=True):
        assert (text == 0) == (end == 0) and abs(text - end) <= 0.5 * 10.0 ** -len(shown[0].partition(".")[2]) + 1e-9
    assert len(set(shown)) == len({value, low, high})


def test_the_first_page_has_all_that_it_takes_to_decide_and_tables_come_behind() -> None:
    page = markdown(DECISION)
    first, _, behind = page.partition("\n---\n")
    places = [first.index(f"## {title}") for title in ("Reasons", "What would flip it", "What it rests on", "What it does not cover")]
    assert places == sorted(places) and first.index("**How sure** ") < places[0]
    assert "| arm |" not in first and "| arm |" in behind and "## Inputs" in behind

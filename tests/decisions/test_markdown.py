"""The page for people."""

from __future__ import annotations

from dataclasses import replace

from made_estimates import decided, estimate, pairs, passing

from groundtune.decisions.markdown import markdown
from groundtune.decisions.wording import chance, number, worded

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
    assert len(page.splitlines()) < 70


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

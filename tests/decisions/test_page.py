"""The page of a decision: what stands behind it is packed and comes back, nothing of it is markup, and paper shows what is folded."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_estimates import ARMS, decided, pairs, passing

from groundtune.annex import Annex, Grid
from groundtune.decisions.drill import Evidence, mentions, packed, unpacked
from groundtune.decisions.page import page
from groundtune.types import Answer, Example, Score, Seconds
from groundtune.types import Evidence as Evidence_

EVIL = "</script><script>alert(1)</script>\u2028<!-- & \"'"
LONG = Annex(title="Costs", grids=(Grid(head=("number", "source"), rows=tuple((f"row {n}", f"told {n}") for n in range(40)), title="All"),))
DECISION = replace(decided([*passing("rag", 0.5), *passing("hybrid", 0.7), *pairs({"rag": 0.5, "hybrid": 0.7}, 0.001)]), sections=(LONG,))


def behind() -> Evidence:
    """One question, one arm, one score; its texts try to be markup."""
    example = Example(
        id="q1",
        question=f"Is it {EVIL}?",
        asker="ana",
        reply={"answer": EVIL},
        evidence=(),
        answerable=True,
        split="test",
        split_group="g",
    )
    answer = Answer(
        id="answer:1",
        question=example.question,
        asker="ana",
        arm="rag",
        text=f"{EVIL}\nand more",
        said=EVIL,
        reply=None,
        quoted="",
        cited=(),
        refused=False,
        fallback=False,
        passages=(),
        model="m",
        prompt_hash="p",
        prompt_tokens=1,
        completion_tokens=1,
        seconds=Seconds(total=1.0),
        cost=0.0,
        example_id="q1",
        messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": f"a\n{EVIL}"}),
    )
    score = Score(
        answer_id=answer.id, example_id="q1", arm="rag", metric="token_f1", value=0.12345, reason=EVIL, signature="s", failed=False
    )
    return Evidence(
        project="small",
        currency="EUR",
        arms=[arm for arm in ARMS if arm.name in ("rag", "hybrid")],
        examples=[example],
        answers={"rag": [answer]},
        scores=[score],
        not_run={"hybrid": "no adapter"},
        documents={},
        gates={},
        smallest_gain=0.05,
        looks=1,
        asked="test",
        relocked=0,
        run_id="run:1",
    )


def test_what_is_behind_a_page_comes_back_as_it_was() -> None:
    text = page(DECISION, behind())
    [held] = re.findall(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]+)</script>', text)
    data = unpacked(held)
    [question] = data["questions"]
    told = question["answers"]["rag"]
    joined = ["\n".join(data["texts"][number] for number in told[name]) for name in ("prompt", "raw")]
    assert joined == [f"[system]\nBe brief.\n\n[user]\na\n{EVIL}", f"{EVIL}\nand more"]
    [[metric, value, reason]] = told["scores"]
    assert (data["texts"][metric], value, data["texts"][reason]) == ("token_f1", 0.1235, EVIL)
    assert text.count("<script") == 2 and "alert(1)" not in text.replace("&lt;script&gt;alert(1)", "")
    assert page(DECISION, behind()) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_any_data_is_packed_and_comes_back(value: object) -> None:
    assert unpacked(packed({"x": value})) == {"x": value}


def test_data_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        packed({"x": float("nan")})


@pytest.mark.browser
def test_paper_shows_what_the_screen_folds(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    import pypdfium2
    from playwright.sync_api import sync_playwright

    path = tmp_path / "page.html"
    path.write_text(page(DECISION, behind()), encoding="utf-8")
    quiet = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=quiet)
        opened = browser.new_page()
        opened.goto(path.as_uri())
        folded = [opened.get_by_text(words, exact=True).first.is_visible() for words in ("told 39", "All comparisons as a table")]
        opened.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
        browser.close()
    assert folded == [False, True]
    sheets = pypdfium2.PdfDocument(str(tmp_path / "page.pdf"))
    texts = [sheet.get_textpage().get_text_range() for sheet in sheets]
    whole = " ".join(" ".join(texts).split())
    assert "told 39" in whole and "after Holm" in whole and "F1 of the words" in whole and "Question by question" not in whole
    assert "In one minute" in texts[0] and "Every arm, every metric" not in texts[0]


def test_a_document_behind_a_page_is_found_though_no_search_in_the_file_finds_it() -> None:
    evidence = behind()
    [example] = evidence.examples
    shown = replace(example, evidence=(Evidence_(document_id="document:hr/pay.md", quote="x", start=0, end=1),))
    text = page(DECISION, replace(evidence, examples=[shown]))
    assert "hr/pay.md" not in text and mentions(text, "hr/pay.md") and not mentions(text, "hr/leave.md")
    assert mentions("<p>hr/pay.md</p>", "hr/pay.md") and not mentions("<p>nothing</p>", "hr/pay.md")
    torn = re.sub(r'(id="data">).{40}', r"\1", text)
    assert mentions(torn, "hr/leave.md")


def test_the_page_says_how_sure_and_what_was_won_and_lost() -> None:
    text = page(DECISION, behind())
    assert f"<b>How sure</b> {DECISION.sure}" in text and "1, in 1 groups" in text
    other = [replace(score, arm="hybrid", value=0.9) for score in behind().scores]
    answers = {**behind().answers, "hybrid": [replace(answer, arm="hybrid") for answer in behind().answers["rag"]]}
    told = page(DECISION, replace(behind(), scores=[*behind().scores, *other], answers=answers))
    assert "Questions won and lost" in told and "better 1 · as good 0 · worse 0 (n = 1)" in told
    assert "Questions won and lost" not in page(replace(DECISION, choice=None, fallback=None), behind())
    cheap = [
        replace(item, value=1.6351e-05, low=1.6112e-05, high=1.6594e-05) if item.metric == "cost" else item for item in DECISION.estimates
    ]
    assert "<b>0.0164</b><small>0.0161 to 0.0166</small>" in page(replace(DECISION, estimates=tuple(cheap)), behind())

"""The pages in a real browser: keys are pressed, buttons clicked, and the disk is looked at."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_pages import DOCUMENT, HOSTILE, audited, logged, on_disk, pair, project, rating, reviewed, row, write

from groundtune.decisions.audit import labels as files

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
expect.set_options(timeout=60_000)  # a busy machine is no finding
pytestmark = pytest.mark.browser
QUIET = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SAMPLE = [
    {"question": "How late?", "answer": "Within 45 days.", "passages": [{"text": DOCUMENT, "document": "a.md"}]},
    {"question": "Who?", "answer": "Anybody."},
    {"question": HOSTILE, "answer": HOSTILE},
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=QUIET)
        yield opened
        opened.close()


class Said:
    """A window, and all that its console said and what it asked for."""

    def __init__(self, browser: Any, **more: Any) -> None:
        self.context = browser.new_context(**more)
        self.context.set_default_timeout(60_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = self.open()

    def open(self) -> Any:
        page = self.context.new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        return page


def enter(page: Any, link: str = "") -> None:
    """Open a link, or the page again, and wait until the page listens to keys."""
    page.goto(link) if link else page.reload()
    listening(page)


def listening(page: Any) -> None:
    """Wait until the page listens to keys: a test presses them faster than a page is ready."""
    page.wait_for_selector("html[data-listens]", state="attached")


def statuses(folder: Path) -> list[str]:
    return [item["status"] for item in on_disk(folder)]


def test_a_review_by_keys_alone(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(number) for number in range(6)])
    with reviewed(folder) as door:
        window = Said(browser)
        page, title = window.page, window.page.locator("main h2")
        enter(page, door.link)
        expect(title).to_have_text("Question number 0?")
        assert "token" not in page.url
        page.keyboard.press("a")
        expect(title).to_have_text("Question number 1?")
        assert statuses(folder)[0] == "approved" and page.locator("#says").inner_text() == "r0 is approved"
        page.keyboard.press("s")
        expect(title).to_have_text("Question number 2?")
        page.keyboard.press("r")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("a")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        assert statuses(folder)[1:] == ["draft"] * 5
        page.keyboard.press("r")
        page.keyboard.press("2")
        expect(title).to_have_text("Question number 3?")
        assert on_disk(folder)[2]["reason"] == "not in the document"
        page.keyboard.press("q")
        page.keyboard.press("0")
        page.keyboard.type("as it is: a, r and u")
        page.keyboard.press("Enter")
        expect(title).to_have_text("Question number 4?")
        assert (on_disk(folder)[3]["status"], on_disk(folder)[3]["reason"]) == ("quarantined", "as it is: a, r and u")
        page.keyboard.press("u")
        expect(title).to_have_text("Question number 3?")
        page.keyboard.press("u")
        expect(title).to_have_text("Question number 2?")
        assert statuses(folder) == ["approved", *["draft"] * 5]
        enter(page)
        page.keyboard.press("u")
        expect(title).to_have_text("Question number 0?")
        assert statuses(folder) == ["draft"] * 6
        page.keyboard.press("e")
        expect(page.locator("textarea[name=question]")).to_be_focused()
        page.locator("textarea[name=answer]").fill("Within 30 days, see a, r and u.")
        page.keyboard.press("Control+Enter")
        expect(page.locator("main .answer")).to_have_text("Within 30 days, see a, r and u.")
        listening(page)
        for number in range(1, 6):
            page.keyboard.press("a")
            expect(title).to_have_text(f"Question number {number}?")
        page.keyboard.press("a")
        expect(title).to_have_text("That was the last one")
        expect(page.locator("main")).to_contain_text("No drafts are left")
        assert statuses(folder) == ["approved"] * 6
        assert window.said == [] and not [url for url in window.asked if not url.startswith(door.origin)]
        window.context.close()


def test_buttons_the_back_key_and_the_filter_by_mouse(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder) as door:
        window = Said(browser, has_touch=True, viewport={"width": 400, "height": 700})
        page, title = window.page, window.page.locator("main h2")
        enter(page, door.link)
        page.get_by_role("button", name="Approve").click()
        expect(title).to_have_text("Question number 1?")
        page.get_by_role("button", name="Reject").click()
        page.get_by_role("button", name="tone or form").click()
        expect(title).to_have_text("Question number 2?")
        assert statuses(folder) == ["approved", "rejected", "draft"]
        page.go_back()
        expect(title).to_have_text("Question number 1?")
        expect(page.locator(".pill.rejected")).to_be_visible()
        page.get_by_label("Status").select_option("approved")
        page.get_by_role("button", name="Show").click()
        expect(title).to_have_text("Question number 0?")
        page.get_by_role("button", name="Undo").click()
        expect(title).to_have_text("Question number 1?")
        assert statuses(folder) == ["approved", "draft", "draft"] and window.said == []
        assert width_of(page) <= 400
        window.context.close()


def test_a_held_key_other_keys_and_keys_switched_off_decide_nothing(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [row(0), row(1, evidence=[]), row(2)])
    with reviewed(folder) as door:
        window = Said(browser)
        page, title = window.page, window.page.locator("main h2")
        enter(page, door.link)
        expect(title).to_have_text("Question number 0?")
        page.get_by_label("Status").focus()
        page.keyboard.press("a")
        page.locator("main").focus()
        for key in ("Control+a", "Alt+a", "Meta+a", "z", "Enter", "F5"):
            page.keyboard.press(key) if key != "F5" else enter(page)
        page.get_by_label("Single keys decide").uncheck()
        page.keyboard.press("a")
        enter(page)
        expect(page.get_by_label("Single keys decide")).not_to_be_checked()
        page.keyboard.press("a")
        assert statuses(folder) == ["draft"] * 3
        page.get_by_label("Single keys decide").check()
        page.keyboard.down("a")
        page.keyboard.down("a")
        page.keyboard.down("a")
        expect(title).to_have_text("Question number 1?")
        assert statuses(folder) == ["approved", "draft", "draft"]
        page.keyboard.up("a")
        page.keyboard.press("a")
        expect(page.locator("#says")).to_contain_text("cannot be done with this row as it is")
        assert statuses(folder) == ["approved", "draft", "draft"]
        # Another layout: the letter is another one, the key is where an s is printed.
        page.evaluate("() => document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ы', code: 'KeyS', bubbles: true}))")
        expect(title).to_have_text("Question number 2?")
        window.context.close()


def test_two_tabs_a_change_by_hand_and_a_stopped_server_are_told(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    window = Said(browser)
    with reviewed(folder) as door:
        page = window.page
        enter(page, door.link)
        other = window.open()
        enter(other, f"{door.origin}{door.path}/")
        expect(other.locator("main h2")).to_have_text("Question number 0?")
        page.keyboard.press("a")
        expect(page.locator("main h2")).to_have_text("Question number 1?")
        other.keyboard.press("q")
        other.keyboard.press("Enter")
        expect(other.locator("#says")).to_contain_text("r0 was changed by ana")
        expect(other.locator(".pill.approved")).to_be_visible()
        write(folder / "examples/all.jsonl", [*on_disk(folder)[:1], row(1, question="By hand?"), row(2)])
        page.keyboard.press("a")
        expect(page.locator("#says")).to_contain_text("it is draft now")
        expect(page.locator("main h2")).to_have_text("By hand?")
        page.keyboard.press("a")
        expect(page.locator("main h2")).to_have_text("Question number 2?")
        assert statuses(folder) == ["approved", "approved", "draft"]
    page.keyboard.press("a")
    expect(page.locator("#says")).to_contain_text("The server does not answer")
    expect(page.locator("main h2")).to_have_text("Question number 2?")
    assert statuses(folder) == ["approved", "approved", "draft"]
    window.context.close()


def test_pairs_by_keys_choose_the_reply_that_stands_under_the_key(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [], [pair(number, chosen=f"old {number}", rejected=f"other {number}") for number in range(3)])
    with reviewed(folder) as door:
        window = Said(browser)
        page = window.page
        enter(page, door.link)
        wanted = []
        for number in range(2):
            expect(page.locator(".facts b")).to_have_text(f"p{number}")
            wanted.append(page.locator(".side .answer").nth(number).inner_text())
            page.keyboard.press(str(number + 1))
        expect(page.locator(".facts b")).to_have_text("p2")
        page.keyboard.press("w")
        expect(page.locator("#says")).to_have_text("p2 is swapped")
        expect(page.locator(".side.marked .answer")).to_have_text("other 2")
        kept = on_disk(folder, "examples/preferences.jsonl")
        assert [item["chosen"] for item in kept] == [*wanted, "other 2"]
        assert [item["status"] for item in kept] == ["approved", "approved", "draft"]
        assert window.said == []
        window.context.close()


def test_ratings_by_keys_and_only_them(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p", None, [pair(0)], [rating(number) for number in range(3)])
    with reviewed(folder) as door:
        window = Said(browser)
        page = window.page
        enter(page, door.link)
        page.get_by_label("Kind").select_option("ratings")
        page.get_by_role("button", name="Show").click()
        for number, key in enumerate("21"):
            expect(page.locator(".facts b")).to_have_text(f"t{number}")
            expect(page.locator("main .answer")).to_have_text(f"said {number}")
            page.keyboard.press(key)
        expect(page.locator(".facts b")).to_have_text("t2")
        page.keyboard.press("r")
        page.keyboard.press("1")
        expect(page.locator("main")).to_contain_text("No draft ratings are left")
        page.keyboard.press("u")
        expect(page.locator(".facts b")).to_have_text("t2")
        kept = on_disk(folder, "examples/ratings.jsonl")
        assert [(item["desirable"], item["status"]) for item in kept] == [(False, "approved"), (True, "approved"), (True, "draft")]
        assert statuses(folder) == ["draft"] * 3 and window.said == []
        window.context.close()


def test_an_audit_by_keys_and_its_result(browser: Any, tmp_path: Path) -> None:
    folder = project(tmp_path / "p", [])
    with audited(folder, logged(folder, SAMPLE)) as door:
        window = Said(browser, color_scheme="dark")
        page = window.page
        enter(page, door.link)
        given = []
        for place in range(3):
            expect(page.locator(".count")).to_contain_text(f"{place} of 3 labelled")
            late = page.locator("main h2").inner_text() == "How late?"
            before = page.locator("article").get_attribute("data-here")
            page.keyboard.press("Enter" if late else "t")
            expect(page.locator("article")).not_to_have_attribute("data-here", before)
            given.append("wrong fact" if late else "wrong tone")
        expect(page.locator("main h2")).to_have_text("That was the last one")
        kept = files.read(folder / "audits/responses.labels.jsonl")
        assert list(kept.by["ana"].values()) == given and sorted(given) == ["wrong fact", "wrong tone", "wrong tone"]
        assert 1 <= len(kept.seconds) <= 3 and all(0 < seconds < 600 for seconds in kept.seconds)
        page.keyboard.press("u")
        expect(page.locator(".count")).to_contain_text("2 of 3 labelled")
        page.locator("#bar").get_by_role("link", name="What it comes to").click()
        expect(page.locator("main")).to_contain_text("Too few to say: 2 labelled, 10 are the least.")
        listening(page)
        page.keyboard.press("b")
        expect(page.locator(".count")).to_contain_text("2 of 3 labelled")
        assert window.said == [] and page.title() != "owned"
        window.context.close()


def width_of(page: Any) -> int:
    """Return how wide a page is once its style sheet is there: its elements can be found before."""
    page.wait_for_load_state("load")
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def test_hostile_rows_run_nothing_and_nothing_is_wider_than_a_narrow_window(browser: Any, tmp_path: Path) -> None:
    wide = "w" * 3000
    rows = [row(0, question=HOSTILE, reply={"answer": HOSTILE + wide, HOSTILE: wide}, id=HOSTILE), row(1, reason=HOSTILE + wide)]
    odd = [rating(0, reply={HOSTILE: wide}, source=HOSTILE, question=HOSTILE)]
    folder = project(tmp_path / "p", rows, [pair(0, chosen=HOSTILE, rejected=wide, source=wide)], odd)
    with reviewed(folder) as door:
        for scheme in ("light", "dark"):
            window = Said(browser, viewport={"width": 400, "height": 700}, color_scheme=scheme)
            if scheme == "light":
                enter(window.page, door.link)
                state = window.context.cookies()
            else:
                window.context.add_cookies(state)
                enter(window.page, f"{door.origin}{door.path}/")
            for _ in range(4):
                expect(window.page.locator("article")).to_be_visible()
                assert width_of(window.page) <= 400
                before = window.page.locator("article").get_attribute("data-here")
                window.page.keyboard.press("s")
                expect(window.page.locator("article")).not_to_have_attribute("data-here", before)
            enter(window.page, f"{door.origin}{door.path}/")
            window.page.keyboard.press("e")
            expect(window.page.get_by_text("letters in it that cannot be seen")).to_be_visible()
            assert width_of(window.page) <= 400
            assert window.said == [] and window.page.title() != "owned" and window.page.locator("img").count() == 0
            window.context.close()


LUMINANCE = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const one = (value) => { const s = value / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
  const light = (rgb) => 0.2126 * one(rgb[0]) + 0.7152 * one(rgb[1]) + 0.0722 * one(rgb[2]);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const rgb = parts(getComputedStyle(at).backgroundColor);
      if (rgb.length === 3 || rgb[3] === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.offsetParent || element.closest(":disabled, option")) continue;
    const pair = [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${element.tagName} ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return low;
}"""


def test_text_has_contrast_and_every_field_a_name_in_light_and_dark(browser: Any, tmp_path: Path) -> None:
    rows = [
        row(0, evidence=[{"document": "a.md", "quote": "gone"}], reason="look", question="a\u202eb"),
        row(1, reply={"answer": "1", "b": 2}),
    ]
    folder = project(tmp_path / "p", rows, [pair(0)], [rating(0), rating(1, desirable=False, reason="look")])
    with reviewed(folder) as door, audited(folder, logged(folder, SAMPLE)) as audit:
        state: list[Any] = []
        for scheme in ("light", "dark"):
            window = Said(browser, color_scheme=scheme)
            page = window.page
            if state:
                window.context.add_cookies(state)
            else:
                enter(page, door.link)
                enter(page, audit.link)
                expect(page.locator("article")).to_be_visible()
                state = window.context.cookies()
            seen = 0
            for path in (
                f"{door.origin}{door.path}/rows?status=any",
                f"{door.origin}{door.path}/rows?status=any&kind=pairs",
                f"{door.origin}{door.path}/rows?status=any&kind=ratings",
                f"{audit.origin}{audit.path}/answers?proposal=wrong+fact",
                f"{audit.origin}{audit.path}/result",
                f"{audit.origin}{audit.path}/answers?at=gone",
            ):
                enter(page, path)
                assert page.evaluate(LUMINANCE) == [], (scheme, path)
                for field in page.locator("button:visible, select:visible, input:visible, textarea:visible, a:visible").all():
                    name = field.evaluate("e => e.textContent.trim() || (e.labels && e.labels[0] && e.labels[0].textContent.trim())")
                    assert name and re.search(r"\w", name)
                    seen += 1
            assert seen > 30
            window.context.close()

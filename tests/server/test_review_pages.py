"""The review's pages over HTTP, without a script: every decision by forms and links, and what happens where two hands meet."""

from __future__ import annotations

from pathlib import Path

from made_pages import on_disk, project, reviewed, Window


def test_a_decision_is_on_disk_when_the_next_row_is_shown(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with reviewed(folder) as door:
        window = Window(door)
        assert "Question number 0?" in window.page and "<mark>within 30 days</mark>" in window.page
        window.press("/rows/decide", did="approved")
        print(window.page)
        assert "Question number 1?" in window.page
        assert on_disk(folder)[0]["status"] == "approved"

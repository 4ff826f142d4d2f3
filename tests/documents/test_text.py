from __future__ import annotations

from pathlib import Path

from groundtune.documents.text import load


def test_the_first_line_is_the_title_and_part_of_the_text() -> None:
    loaded = load(Path("a.txt"), b"\n  Opening hours\nMon-Fri\n\n")
    assert (loaded.title, loaded.text, loaded.readers, loaded.metadata) == ("Opening hours", "  Opening hours\nMon-Fri", None, {})

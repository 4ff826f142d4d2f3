"""Seeded text for benchmarks: a vocabulary with natural word frequencies, and Markdown documents of it."""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path

ONSETS = "b c d f g h j k l m n p r s t v w br cl dr fl gr pl pr sl st tr".split()
VOWELS = "a e i o u ai ea ee io ou".split()
ENDINGS = ["", "n", "r", "s", "t", "l", "m", "ck", "nd", "st", "ng"]
COMMON = """the of and to a in is for that with on as are by it from be at or this may not an must within after before one two each when
if its than who which no any all was were has have can will their our your days order customer""".split()


class Writer:
    """Writes sentences from its own random state; word frequencies fall with their rank, as in English (Zipf)."""

    def __init__(self, seed: int, words: int = 4_000) -> None:
        self._draw = random.Random(seed)
        made = dict.fromkeys(COMMON)
        while len(made) < words:
            parts = self._draw.choice((1, 2, 2, 3))
            made["".join(self._draw.choice(ONSETS) + self._draw.choice(VOWELS) for _ in range(parts)) + self._draw.choice(ENDINGS)] = None
        self.words = list(made)
        self._weights = list(accumulate(1.0 / (rank + 3) for rank in range(words)))

    def phrase(self, words: int) -> str:
        """Return that many words with blanks between."""
        return " ".join(self._draw.choices(self.words, cum_weights=self._weights, k=words))

    def sentence(self) -> str:
        """Return a sentence of 8 to 22 words."""
        return self.phrase(self._draw.randint(8, 22)).capitalize() + "."

    def paragraph(self, sentences: int) -> str:
        """Return that many sentences."""
        return " ".join(self.sentence() for _ in range(sentences))

    def document(self) -> str:
        """Return Markdown with front matter: a title and three to five sections of two paragraphs."""
        head = f"---\ntitle: {self.phrase(4)}\nreaders: [everyone]\n---\n"
        sections = (
            f"## {self.phrase(3).capitalize()}\n\n{self.paragraph(3)}\n\n{self.paragraph(3)}\n" for _ in range(self._draw.randint(3, 5))
        )
        return f"{head}# {self.phrase(4).capitalize()}\n\n" + "\n".join(sections)


def write_folder(folder: Path, documents: int, seed: int = 7) -> None:
    """Write that many documents into ``folder``, a hundred to a subfolder."""
    writer = Writer(seed)
    for number in range(documents):
        path = folder / f"part-{number // 100:02d}" / f"page-{number:04d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(writer.document(), encoding="utf-8")

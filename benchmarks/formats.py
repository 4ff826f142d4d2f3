"""How much of real files the loaders find: the share of expected words and of expected table cells, for each format.

    python benchmarks/formats.py FOLDER [--misses]

FOLDER holds ``<format>/sources/<file>`` and ``<format>/groundtruth/<file>.md`` (or ``<name>.md``), anywhere below; the test data of the
docling project is laid out like that. Every file goes through ``documents_from``, so through the parsing process as well.

A word is a run of letters and digits, in any case. Words outside tables are counted as often as they are expected; a cell of a table is
found when its words follow each other in the text, and counts once a file, since merged cells are repeated as each tool likes. What the
expected text has of its own (placeholders of pictures, formulas as LaTeX, links' addresses) is left out. A file that cannot be read
finds nothing, and is named.
"""

from __future__ import annotations

import html
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.documents.load import documents_from

_NOT_TEXT = re.compile(r"<!--.*?-->|\$\$.*?\$\$|\$[^$\n]+\$|(?<=\])\([^)\s]*\)|!\[[^\]]*\]|^---\n.*?\n---\n", re.DOTALL)
_ADDRESS = re.compile(r"(?<=\])\([^)\s]*\)")
_TAG = re.compile(r"</?(?:u|b|i|sub|sup|br|em|strong)\s*/?>", re.IGNORECASE)
_RULE = re.compile(r"\|[\s:|-]+\|?\s*")


@dataclass
class Found:
    """Counts of one format."""

    files: int = 0
    unread: list[str] = field(default_factory=list)
    words: int = 0
    words_found: int = 0
    cells: int = 0
    cells_found: int = 0
    seconds: float = 0.0


def words(text: str) -> list[str]:
    """Return the words of a text, compatibility forms made plain."""
    plain = unicodedata.normalize("NFKC", html.unescape(text)).casefold()
    return re.findall(r"[^\W_]+", plain.replace("\\", ""))


def expected(text: str) -> tuple[list[str], set[tuple[str, ...]]]:
    """Return the words outside the tables of a Markdown text, and the distinct cells of its tables as their words."""
    prose: list[str] = []
    cells: set[tuple[str, ...]] = set()
    for line in _TAG.sub("", _NOT_TEXT.sub(" ", text)).splitlines():
        if line.lstrip().startswith("|"):
            if not _RULE.fullmatch(line.strip()):
                cells |= {tuple(words(cell)) for cell in re.split(r"(?<!\\)\|", line)} - {()}
        else:
            prose += words(line)
    return prose, cells


def pairs(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield the format, the file and its expected text."""
    for source in sorted(folder.rglob("sources/*")):
        truth = source.parent.parent / "groundtruth"
        wanted = next((path for path in (truth / f"{source.name}.md", truth / f"{source.stem}.md") if path.is_file()), None)
        if wanted is not None:
            yield source.parent.parent.name, source, wanted


def measure(source: Path, wanted: Path, found: Found) -> tuple[Counter[str], list[tuple[str, ...]]]:
    """Add one file to the counts; return what was missed."""
    began = time.perf_counter()
    documents, problems = documents_from(source.name, source.read_bytes(), readers=frozenset({"everyone"}))
    found.seconds += time.perf_counter() - began
    found.files += 1
    if problems:
        found.unread.append(problems[0].message)
    got = words("\n".join(_TAG.sub("", _ADDRESS.sub(" ", document.text)) for document in documents))
    prose, cells = expected(wanted.read_text(encoding="utf-8"))
    missed = Counter(prose) - Counter(got)
    # With blanks at both ends, so that no cell is found within a word.
    text = f" {' '.join(got)} "
    lost = [cell for cell in sorted(cells) if f" {' '.join(cell)} " not in text]
    found.words += len(prose)
    found.words_found += len(prose) - missed.total()
    found.cells += len(cells)
    found.cells_found += len(cells) - len(lost)
    return missed, lost


def share(part: int, whole: int) -> str:
    """Return a share in percent with its counts."""
    return f"{100 * part / whole:.1f} % of {whole:,}" if whole else "none expected"


def main(arguments: Sequence[str]) -> None:
    """Measure and print a table."""
    folder = Path(arguments[0])
    formats: dict[str, Found] = {}
    for kind, source, wanted in pairs(folder):
        missed, lost = measure(source, wanted, formats.setdefault(kind, Found()))
        if "--misses" in arguments and (missed or lost):
            print(f"{kind}/{source.name}: words {dict(missed.most_common(25))}; cells {[' '.join(cell) for cell in lost[:15]]}")
    print("| format | files | words found | table cells found | seconds |\n| --- | --- | --- | --- | --- |")
    for kind, found in formats.items():
        cells = share(found.cells_found, found.cells)
        print(f"| {kind} | {found.files} | {share(found.words_found, found.words)} | {cells} | {found.seconds:.1f} |")
    for kind, found in formats.items():
        for problem in found.unread:
            print(f"{kind}: {problem}")


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    main(sys.argv[1:])

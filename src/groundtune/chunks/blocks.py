"""Markdown text → units: spans of text that are kept together where they fit, and what they fall into where they do not."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# A sentence ends at its mark and any closing quotes, before a blank; in scripts without blanks, at the mark. Beside the Latin marks:
# Arabic and Urdu (؟ ۔), Devanagari (। ॥), Ethiopic (። ፧), Armenian (։), Burmese (။), Khmer (។); Chinese and Japanese (。！？).
# Thai has no mark: a blank ends a sentence or a clause there, and what is too long is cut at blanks anyway.
_SENTENCE = re.compile(r"(?<=[.!?…؟۔।॥።፧։။។])[\"'”’»)\]]*\s+|(?<=[。！？])[」』”’）]*")
_LINE = re.compile(r"\n")

# A heading is kept in the path of each chunk below it, so one without end would be stored again and again.
LONGEST_NAME = 160

Kind = Literal["parts", "table", "lines", "prose", "words"]


@dataclass(frozen=True, slots=True)
class Unit:
    """``text[start:end]``, begun and ended by what is not blank.

    ``level`` is that of a heading, 0 for anything else. ``leads`` marks what belongs to the unit after it: a heading, the head of a table.
    ``path`` is the headings above, its own included. ``kind`` says what it is cut at when it is too long: ``parts`` (the units in it),
    rows, lines, sentence ends, or blanks between words. ``tokens`` is -1 until it is counted.
    """

    start: int
    end: int
    kind: Kind = "prose"
    level: int = 0
    leads: bool = False
    path: tuple[str, ...] = ()
    parts: tuple[Unit, ...] = ()
    tokens: int = -1


_KINDS: dict[str, Kind] = {"table_open": "table", "fence": "lines", "code_block": "lines", "html_block": "lines"}
_NESTS = frozenset({"bullet_list_open", "ordered_list_open", "list_item_open", "blockquote_open"})


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Marks inside a paragraph do not matter here, and finding them takes most of the time.
    return MarkdownIt("commonmark").enable("table").disable("inline")


def units(text: str) -> list[Unit]:
    """Return the blocks of the outermost level of Markdown text, in order, with the headings above each; they cover all but blanks."""
    # The parser counts lines by all three kinds of line end.
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text)), len(text)]
    found: list[Unit] = []
    path: list[tuple[int, str]] = []
    reached = 0
    for unit, name in _nested(text, _parser().parse(text), starts):
        found += _bare(text, reached, unit.start, Unit(0, 0, path=tuple(title for _, title in path)))
        if unit.level:
            path = [*(above for above in path if above[0] < unit.level), (unit.level, name)]
        found.append(replace(unit, path=tuple(title for _, title in path)))
        reached = unit.end
    return found + _bare(text, reached, len(text), Unit(0, 0, path=tuple(title for _, title in path)))


def _nested(text: str, tokens: Sequence[Token], starts: Sequence[int]) -> list[tuple[Unit, str]]:
    """Return the units of the outermost level, with a heading's words; what is inside lists and quotes is in their parts."""
    levels: list[list[tuple[Unit, str]]] = [[]]
    for index, token in enumerate(tokens):
        if token.type.endswith("_close"):
            opener = token.type.removesuffix("close") + "open"
            if opener in _NESTS:
                parts = levels.pop()
                if levels[-1] and parts:
                    unit, _ = levels[-1][-1]
                    levels[-1][-1] = (replace(unit, kind="parts", parts=tuple(part for part, _ in parts)), "")
            continue
        if token.map is None or token.type == "inline" or token.type in ("thead_open", "tbody_open", "tr_open"):
            continue
        level = int(token.tag[1]) if token.type == "heading_open" and len(levels) == 1 else 0
        name = _words(tokens[index + 1].content) if level else ""
        end = starts[min(token.map[1], len(starts) - 1)]
        template = Unit(0, 0, kind=_KINDS.get(token.type, "prose"), level=level, leads=bool(level))
        levels[-1] += [(unit, name) for unit in _bare(text, starts[token.map[0]], end, template)]
        if token.type in _NESTS:
            levels.append([])
    return levels[0]


def _words(heading: str) -> str:
    """Return a heading's words without marks of emphasis, code and links; of a very long one, its beginning."""
    name = " ".join(re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)|[*_`~\\]", r"\1", heading).split())
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def _bare(text: str, start: int, end: int, template: Unit) -> list[Unit]:
    """Return the template over the span, less the blanks at both ends; nothing where there is nothing else."""
    piece = text[start:end]
    bare = piece.strip()
    if not bare:
        return []
    begin = start + len(piece) - len(piece.lstrip())
    return [replace(template, start=begin, end=begin + len(bare))]


def refined(text: str, unit: Unit, excess: float) -> list[Unit]:
    """Return what a unit falls into, at least two shorter ones that cover it. ``excess`` is its tokens over those allowed.

    ``unit`` is of two characters or more.
    """
    cuts, rest = _cuts(text, unit, excess)
    pieces = _pieces(text, unit, cuts, rest)
    if len(pieces) < 2:
        return refined(text, replace(unit, kind=rest, parts=()), excess)
    if unit.level or unit.kind in ("table", "lines"):
        pieces[0] = replace(pieces[0], level=unit.level, leads=True)
    return pieces


def sentences(text: str, unit: Unit) -> list[Unit]:
    """Return a unit's sentences, those of its parts where it has any; a heading, a table or code as it is."""
    if unit.level or unit.kind not in ("parts", "prose"):
        return [unit]
    cuts, rest = _cuts(text, unit, 1.0)
    pieces = _pieces(text, unit, cuts, rest)
    return [found for piece in pieces for found in sentences(text, piece)] if unit.kind == "parts" else pieces


def _pieces(text: str, unit: Unit, cuts: Sequence[int], rest: Kind) -> list[Unit]:
    """Return what stands between the cuts: the unit's own parts where they begin there, else units of kind ``rest``."""
    edges = sorted({unit.start, unit.end, *(cut for cut in cuts if unit.start < cut < unit.end)})
    templates = {part.start: part for part in unit.parts}
    pieces: list[Unit] = []
    for start, end in zip(edges, edges[1:], strict=False):
        template = templates.get(start) or Unit(0, 0, kind=rest)
        pieces += _bare(text, start, end, replace(template, path=unit.path, tokens=-1))
    return pieces


def _cuts(text: str, unit: Unit, excess: float) -> tuple[list[int], Kind]:
    """Return where to cut a unit, and what kind its pieces are."""
    if unit.kind == "parts":
        return [part.start for part in unit.parts], "prose"
    if unit.kind in ("table", "lines"):
        ends = [match.end() for match in _LINE.finditer(text, unit.start, unit.end)]
        # The names of the columns and the line under them go together.
        return ends[1:] if unit.kind == "table" else ends, "prose"
    if unit.kind == "prose":
        return [match.end() for match in _SENTENCE.finditer(text, unit.start, unit.end)], "words"
    return _shares(text, unit, excess), "words"


def _shares(text: str, unit: Unit, excess: float) -> list[int]:
    """Return cuts into about equal shares, at the last blank before each end if there is one, never between a letter and its accent."""
    length = unit.end - unit.start
    number = min(length, max(2, math.ceil(excess * 1.1)))
    cuts: list[int] = []
    done = unit.start
    for share in range(1, number):
        aim = unit.start + length * share // number
        if aim <= done:
            continue
        blank = next((at for at in range(aim, done, -1) if text[at].isspace()), None)
        cut = aim if blank is None else blank + 1
        while blank is None and cut > done + 1 and unicodedata.combining(text[cut]):
            cut -= 1
        cuts.append(cut)
        done = cut
    return cuts


def halves(text: str, pack: Sequence[Unit]) -> list[list[Unit]]:
    """Return a run of units as two of about the same number of tokens; one unit as its parts."""
    if len(pack) == 1:
        return [[piece] for piece in refined(text, pack[0], 2.0)]
    total = sum(unit.tokens for unit in pack)
    reached, best = 0, (math.inf, 1)
    for index in range(1, len(pack)):
        reached += pack[index - 1].tokens
        # To part a heading from its text is the last resort.
        best = min(best, (abs(total - 2 * reached) + (total if pack[index - 1].leads else 0), index))
    return [list(pack[: best[1]]), list(pack[best[1] :])]

r"""Where does a quote stand in a text? Exactly, or but for blanks, typography and Markdown marks; always as exact offsets.

    locate("until 2 hours before", "… **until 2\nhours** before …") → the span of "until 2\nhours** before"

Case and wording count. A quote never begins inside a word or a number, nor ends inside a number: "2 hours" is not in "12 hours".
"""

from __future__ import annotations

import html
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

Span = tuple[int, int]

MOST_KEPT = 50_000

_TYPOGRAPHY = {
    **dict.fromkeys("‘’‚‛′´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
    "…": "...",
    # As a PDF has them; letters that are one by another standard (½, ²) stay what they are.
    **{"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"},
    # Soft hyphens, joiners and marks of width nothing are not seen, so they are not copied.
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
}
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_ODD = re.compile(r"[^\x00-\x7f]")
_DASHES = re.compile(r"--+")
# A destination is short and holds no blank, so that a stray "](" is cheap and swallows nothing.
_LINK = re.compile(r"\]\([^\s()]{0,500}(?:\s\"[^\"\n]{0,200}\")?\)|!?\[(?=[^\[\]\n]{0,300}\]\()")
_CODE = re.compile(r"`+|~~+")
_STARS = re.compile(r"\*+")
_LOWS = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_RULE_ROW = re.compile(r"^[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$", re.MULTILINE)
_LINE_START = re.compile(r"^[ \t]*(?:(?:>|#{1,6}(?=[ \t])|[-*+](?=[ \t]))[ \t]*)+", re.MULTILINE)
_PIPE = re.compile(r"\|")
_BLANKS = re.compile(r"\s{2,}|[^\S ]")


@dataclass(frozen=True, slots=True)
class _Plain:
    """Text in plain form; character ``i`` stands for ``source[starts[i]:ends[i]]``."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def changed(self, pattern: re.Pattern[str], to: Callable[[re.Match[str]], str]) -> _Plain:
        """Return this with each match replaced; every character put in stands for the whole match."""
        parts: list[str] = []
        starts, ends = array("I"), array("I")
        done = 0
        for match in pattern.finditer(self.text):
            begin, end = match.span()
            new = to(match)
            parts += [self.text[done:begin], new]
            starts.extend(self.starts[done:begin])
            ends.extend(self.ends[done:begin])
            if new:
                starts.extend([self.starts[begin]] * len(new))
                ends.extend([self.ends[end - 1]] * len(new))
            done = end
        if not done:
            return self
        starts.extend(self.starts[done:])
        ends.extend(self.ends[done:])
        return _Plain("".join([*parts, self.text[done:]]), starts, ends)


def locate(quote: str, text: str) -> Span | None:
    """Return where ``quote`` stands first in ``text``, in characters, or ``None``; a quote without a letter or digit stands nowhere.

    Tried in turn: as written; with blanks, typographic quotes and dashes, invisible characters, HTML entities, backslash escapes, emphasis,
    code marks and links made plain; and with the marks of lists, headings, block quotes and tables gone too. The span covers the
    text's own characters, marks inside it included.
    """
    quote = quote.strip()
    if not any(letter.isalnum() for letter in quote):
        return None
    begin = _find(quote, text)
    if begin is not None:
        return begin, begin + len(quote)
    for form, kept in ((_inline, _kept_inline), (_block, _kept_block)):
        wanted, plain = form(quote).text.strip(), (kept if len(text) <= MOST_KEPT else form)(text)
        begin = _find(wanted, plain.text) if wanted else None
        if begin is not None:
            return plain.starts[begin], plain.ends[begin + len(wanted) - 1]
    return None


class Library:
    """Many texts that are searched for many quotes. Each text is made plain once; a quote that stands in none is told by one search."""

    _FORMS: tuple[Callable[[str], str], ...] = (lambda text: text, lambda text: _inline(text).text, lambda text: _block(text).text)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._forms = [{name: form(text) for name, text in texts.items()} for form in self._FORMS]
        self._joined = ["\n".join(form.values()) for form in self._forms]

    def first(self, quote: str, names: Iterable[str]) -> str | None:
        """Return the first of these texts that holds the quote as ``locate`` finds it."""
        quote = quote.strip()
        if not any(letter.isalnum() for letter in quote):
            return None
        wanted = [form(quote).strip() for form in self._FORMS]
        tried = [
            (words, texts) for words, texts, joined in zip(wanted, self._forms, self._joined, strict=True) if words and words in joined
        ]
        if not tried:
            return None
        return next((name for name in names if any(_find(words, texts[name]) is not None for words, texts in tried)), None)


def _find(quote: str, text: str) -> int | None:
    """Return the first place where the quote is not torn out of a word or a number."""
    at = text.find(quote)
    while at >= 0:
        end = at + len(quote)
        torn_before = at > 0 and _joined(text[at - 1], text[at]) or _in_number(text, at)
        if not torn_before and not _in_number(text, end):
            return at
        at = text.find(quote, at + 1)
    return None


def _joined(left: str, right: str) -> bool:
    """Return whether two neighbours are letters of one word. Scripts without case are written without blanks: any place is fine."""
    return _cased(left) and _cased(right)


def _cased(letter: str) -> bool:
    return letter.lower() != letter.upper()


def _in_number(text: str, at: int) -> bool:
    """Return whether a cut at this place goes through a number such as 1,150 or 99.5."""
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    if left.isdigit() and right.isdigit():
        return True
    if left.isdigit() and right in ".,":
        return text[at + 1 : at + 2].isdigit()
    return left in ".," and right.isdigit() and text[at - 2 : at - 1].isdigit()


def _inline(text: str) -> _Plain:
    """Return the text in plain form, the marks of blocks kept."""
    return _unmarked(_whole(text)).changed(_BLANKS, lambda match: " ")


def _block(text: str) -> _Plain:
    """Return the text in plain form, the marks of blocks gone: those of lists before emphasis, which uses the same star."""
    plain = _whole(text)
    for pattern in (_RULE_ROW, _LINE_START):
        plain = plain.changed(pattern, lambda match: "")
    plain = _unmarked(plain).changed(_PIPE, lambda match: " ")
    return plain.changed(_BLANKS, lambda match: " ")


def _whole(text: str) -> _Plain:
    return _Plain(text, range(len(text)), range(1, len(text) + 1))


# The same passages and documents are asked for many quotes. A plain form takes some 10 bytes a character, so long ones are not kept.
_kept_inline = lru_cache(maxsize=2048)(_inline)
_kept_block = lru_cache(maxsize=2048)(_block)


def _unmarked(plain: _Plain) -> _Plain:
    plain = plain.changed(_ENTITY, lambda match: html.unescape(match[0]))
    plain = plain.changed(_ESCAPE, lambda match: "")
    plain = plain.changed(_ODD, lambda match: _TYPOGRAPHY.get(match[0]) or _decomposed(match[0]))
    plain = plain.changed(_DASHES, lambda match: "-")
    plain = plain.changed(_LINK, lambda match: "")
    plain = plain.changed(_CODE, lambda match: "")
    plain = plain.changed(_STARS, _without_emphasis)
    return plain.changed(_LOWS, lambda match: match[0] if _alone(match) else "")


def _decomposed(letter: str) -> str:
    return "" if letter in _TYPOGRAPHY else unicodedata.normalize("NFD", letter)


def _without_emphasis(match: re.Match[str]) -> str:
    """Keep a star that multiplies: alone between blanks, or a single one between two letters or digits."""
    before, after = match.string[max(0, match.start() - 1) : match.start()], match.string[match.end() : match.end() + 1]
    product = len(match[0]) == 1 and before.isalnum() and after.isalnum()
    return match[0] if product or _alone(match) else ""


def _alone(match: re.Match[str]) -> bool:
    before, after = match.string[max(0, match.start() - 1) : match.start()], match.string[match.end() : match.end() + 1]
    return not before.strip() and not after.strip()

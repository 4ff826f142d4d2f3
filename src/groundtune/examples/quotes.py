"""Where does a quote stand in a text? Exactly, or but for blanks, typography and Markdown marks; always as exact offsets.

    locate("until 2 hours before", "… **until 2\\nhours** before …") → the span of "until 2\\nhours** before"

Case and wording count. A quote never begins inside a word or a number, nor ends inside a number: "2 hours" is not in "12 hours".
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_TYPOGRAPHY = {
    **dict.fromkeys("‘’‚‛′´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
    "…": "...",
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
}
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_ODD = re.compile(r"[^\x00-\x7f]")
_DASHES = re.compile(r"-{2,}")
# A destination holds no blank and is short, so a stray "](" costs little and swallows nothing.
_LINK = re.compile(r"\]\([^\s()]{0,500}(?:\s\"[^\"\n]{0,200}\")?\)|!?\[(?=[^\[\]]{0,300}\]\()")
_MARKS = re.compile(r"`+|~~|(?<=\S)(?:\*\*+|(?<![^\W_])\*|\*(?![^\W_]))|(?:\*\*+|(?<![^\W_])\*|\*(?![^\W_]))(?=\S)|(?<![^\W_])_+(?=\S)|(?<=\S)_+(?![^\W_])")
_RULE_ROW = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$", re.MULTILINE)
_LINE_START = re.compile(r"^[ \t]*(?:>[ \t]?|#{1,6}[ \t]+|[-*+][ \t]+)+", re.MULTILINE)
_PIPE = re.compile(r"\|")
_BLANK = re.compile(r"\s+")

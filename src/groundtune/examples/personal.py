"""Text → personal data and secrets in it, by pattern and check digit; what is found is shown masked.

look("Write to jane.roe@example.org")  →  [Hit("email", "ja…rg", secret=False)]

Names and addresses have no pattern and are not found. Every pattern takes time proportional to the text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

MOST = 200_000  # characters of one text that are looked at
ROLES = frozenset("admin billing contact events feedback hello help info jobs legal mail news noreply no-reply office privacy press sales"
                  " security service support team".split())  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found: what it is, how it looks with its middle masked, and whether it opens something. ``value`` is never printed."""

    name: str
    masked: str
    secret: bool
    value: str


def _email(value: str) -> bool:
    return value.split("@")[0].casefold() not in ROLES


def _phone(value: str) -> bool:
    return 8 <= sum(letter.isdigit() for letter in value) <= 15


def _iban(value: str) -> bool:
    """Return whether the check digits hold (ISO 13616: mod 97 is 1, letters counted from A = 10)."""
    plain = value.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _card(value: str) -> bool:
    """Return whether the check digit holds (ISO/IEC 7812-1, Luhn), and it is not one digit repeated."""
    digits = [int(letter) for letter in value if letter.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _random(value: str) -> bool:
    """Return whether a value looks made by a machine: letters and digits, 3 bits a character and more (Shannon entropy)."""
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())
    return any(letter.isdigit() for letter in value) and any(letter.isalpha() for letter in value) and entropy >= 3.0


def _any(value: str) -> bool:
    return True


_PATTERNS: tuple[tuple[str, bool, re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (name, secret, re.compile(pattern), check)
    for name, secret, pattern, check in (
        ("email", False, r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}", _email),
        ("phone number", False, r"(?<![\w+])\+\d[\d ()./-]{7,24}\d", _phone),
        ("bank account (IBAN)", False, r"\b[A-Z]{2}\d{2} ?(?:[A-Z0-9]{4} ?){2,7}[A-Z0-9]{0,4}\b", _iban),
        ("payment card", False, r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])", _card),
        ("social security number", False, r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", _any),
        ("date of birth", False, r"(?i)\b(?:birth|d\.?o\.?b|born(?: on)?|geboren(?: am)?)[: .]{1,3}\d{1,4}[./-]\d{1,2}[./-]\d{1,4}", _any),
        ("private key", True, r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----", _any),
        ("AWS key", True, r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", _any),
        ("GitHub token", True, r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})", _any),
        ("Slack token", True, r"\bxox[abprs]-[A-Za-z0-9-]{10}", _any),
        ("API key", True, r"\b(?:sk-[A-Za-z0-9_-]{20,200}|AIza[\w-]{35}|[rs]k_live_[A-Za-z0-9]{16})", _any),
        ("web token (JWT)", True, r"\beyJ[\w-]{8,1000}\.eyJ[\w-]{8,2000}\.[\w-]{8}", _any),
        ("password in an address", True, r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,64}:[^\s@/]{3,128}@", _any),
        (
            "assigned secret",
            True,
            r"(?i)\b(?:password|passwort|passwd|secret|api[_-]?key|token)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<value>[^\s\"',;]{8,200})",
            _random,
        ),
    )
)  # fmt: skip


def look(text: str) -> list[Hit]:
    """Return what was found, in the order of the text, each value once."""
    text = text[:MOST]
    found: dict[str, tuple[int, Hit]] = {}
    for name, secret, pattern, check in _PATTERNS:
        for match in pattern.finditer(text):
            value = match["value"] if "value" in pattern.groupindex else match[0]
            if check(value) and value not in found:
                found[value] = (match.start(), Hit(name, masked(value), secret, value))
    return [hit for _, hit in sorted(found.values(), key=lambda item: item[0])]


def masked(value: str) -> str:
    """Return the first and the last two characters of a long value, and nothing of a short one."""
    return f"{value[:2]}…{value[-2:]}" if len(value) > 9 else "…"

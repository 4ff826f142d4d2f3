"""Wanted replies → the forms and tones that they come in, with samples of each: a model learns the mixture if the set is one.

Form is exact (the fields of the reply, lists, Markdown, how it ends). Tone is a vector of counts (greeting, sign-off, exclamation, who
speaks, who is spoken to, short forms, length), split by k-means where splitting makes clearly separate groups.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

TONES: Mapping[str, re.Pattern[str]] = {
    "greets": re.compile(r"(?i)^\s*(?:hi|hello|hey|dear|good (?:morning|afternoon|day)|hallo|guten tag|bonjour|hola)\b"),
    "thanks": re.compile(r"(?i)\b(?:thank you|thanks|danke|merci|gracias)\b"),
    "signs off": re.compile(r"(?i)\b(?:kind regards|best regards|regards|cheers|sincerely|viele grüße|mit freundlichen)\b[^\n]{0,40}\s*$"),
    "apologises": re.compile(r"(?i)\b(?:sorry|apolog|unfortunately|leider)"),
    "exclaims": re.compile(r"!|[\U0001F300-\U0001FAFF\u2600-\u27BF]"),
    "says we": re.compile(r"(?i)\b(?:we|our|us|wir|unser\w*)\b"),
    "says I": re.compile(r"\bI\b|\b(?i:ich|je)\b"),
    "says you": re.compile(r"(?i)\b(?:you|your|yours|du|dein\w*)\b|\bSie\b|\bIhr\w*\b"),
    "short forms": re.compile(r"(?i)\b\w{1,12}['’](?:s|re|ve|ll|d|t|m)\b"),
    "asks back": re.compile(r"\?"),
}
LEAST_ROWS = 20
SEPARATE = 0.45  # mean silhouette from which on groups are called separate (Kaufman and Rousseeuw 1990 call 0.5 reasonable)
MOST_GROUPS = 4
SAMPLED = 600


@dataclass(frozen=True, slots=True)
class Group:
    """Replies alike: what they have in common, in words, and their places in the list, those nearest to the middle first."""

    says: str
    places: tuple[int, ...]


def form(reply: Mapping[str, Any], answer: str) -> str:
    """Return the form of a reply in words."""
    bulleted = re.search(r"^\s*(?:[-*•]|\d{1,2}[.)]) ", answer, re.MULTILINE)
    marks = re.search(r"\*\*|`|^#{1,6} |\]\(", answer, re.MULTILINE)
    ends = answer.rstrip()[-1:]
    parts = [
        f"fields {', '.join(sorted(reply))}" if len(reply) > 1 else "",
        "a list" if bulleted else "",
        "Markdown" if marks else "",
        "JSON inside text" if re.match(r"\s*[\[{]", answer) else "",
        "several paragraphs" if "\n\n" in answer.strip() else "",
        "ends a sentence" if ends in tuple('.!?。！？…"”)') and ends else "no full stop",
    ]
    return "; ".join(part for part in parts if part)


def forms(replies: Sequence[tuple[Mapping[str, Any], str]]) -> tuple[Group, ...]:
    """Return replies by form, the commonest first."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, (reply, answer) in enumerate(replies):
        found[form(reply, answer)].append(place)
    return tuple(Group(says, tuple(places)) for says, places in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def tones(answers: Sequence[str]) -> tuple[Group, ...]:
    """Return answers in groups of one tone each, the largest first; one group or none where no split is clear, or there are few."""
    import numpy as np

    if len(answers) < LEAST_ROWS:
        return ()
    flags = np.array([[bool(pattern.search(text)) for pattern in TONES.values()] for text in answers], dtype=np.float64)
    lengths = np.log1p(np.array([len(text.split()) for text in answers], dtype=np.float64))
    # A length twice as long differs as much as one flag does.
    table = np.concatenate([flags, (lengths / np.log(4.0))[:, None]], axis=1)
    kept = np.linspace(0, len(table) - 1, min(len(table), SAMPLED)).astype(int)
    best: tuple[float, np.ndarray] | None = None
    for count in range(2, MOST_GROUPS + 1):
        middles = _k_means(table[kept], count)
        score = _silhouette(table[kept], _nearest(table[kept], middles))
        if best is None or score > best[0] + 1e-9:
            best = score, middles
    if best is None or best[0] < SEPARATE:
        return (Group("one tone", tuple(range(len(answers)))),)
    owners, middles = _nearest(table, best[1]), best[1]
    groups = []
    for number in range(len(middles)):
        places = np.flatnonzero(owners == number)
        if not len(places):
            continue
        near = places[np.argsort(((table[places] - middles[number]) ** 2).sum(axis=1), kind="stable")]
        groups.append(Group(_words(flags[places].mean(axis=0), flags.mean(axis=0), lengths[places]), tuple(near.tolist())))
    return tuple(sorted(groups, key=lambda group: -len(group.places)))


def _words(here: np.ndarray, everywhere: np.ndarray, lengths: np.ndarray) -> str:
    """Return what sets a group apart: what most of it does and the set as a whole does less, or the other way round."""
    import numpy as np

    said = []
    for name, share, usual in zip(TONES, here.tolist(), everywhere.tolist(), strict=True):
        if share >= 0.6 and share - usual >= 0.2:
            said.append(name)
        elif share <= 0.1 and usual - share >= 0.2:
            said.append(f"never {name}")
    return ", ".join([*said, f"about {round(float(np.expm1(np.median(lengths))))} words"])


def _k_means(table: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` middles (Lloyd 1982), begun at the rows farthest from one another, so that the same rows give the same groups."""
    import numpy as np

    chosen = [int(((table - table.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    for _ in range(count - 1):
        away = np.min([((table - table[place]) ** 2).sum(axis=1) for place in chosen], axis=0)
        chosen.append(int(away.argmax()))
    middles = table[chosen].copy()
    for _ in range(50):
        owners = _nearest(table, middles)
        moved = np.stack([table[owners == number].mean(axis=0) if (owners == number).any() else middles[number] for number in range(count)])
        if np.allclose(moved, middles):
            break
        middles = moved
    return middles


def _nearest(table: np.ndarray, middles: np.ndarray) -> np.ndarray:
    nearest: np.ndarray = ((table[:, None, :] - middles[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
    return nearest


def _silhouette(table: np.ndarray, owners: np.ndarray) -> float:
    """Return the mean silhouette (Rousseeuw 1987): nearness to one's own group against the next one, -1 to 1."""
    import numpy as np

    names = np.unique(owners)
    if len(names) < 2:
        return -1.0
    away = np.sqrt(np.maximum(0.0, ((table[:, None, :] - table[None, :, :]) ** 2).sum(axis=2)))
    means = np.stack([away[:, owners == name].mean(axis=1) for name in names], axis=1)
    sizes = np.array([(owners == name).sum() for name in names])
    place = np.searchsorted(names, owners)
    rows = np.arange(len(table))
    own = means[rows, place] * sizes[place] / np.maximum(sizes[place] - 1, 1)
    means[rows, place] = np.inf
    other = means.min(axis=1)
    widths = np.where(sizes[place] > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-12), 0.0)
    return float(widths.mean())

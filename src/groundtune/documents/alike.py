"""Documents → which are nearly the same, and which are versions of one another.

    signature(text)  →  64 numbers, of which two texts share about the share of word runs that they share (MinHash, Broder 1997)

Names of other documents are never written into a document's metadata, since not all who read the one may read the other; a mark that
hides an older version holds only where everybody who reads the older may read the newer.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.documents.kept import but
from groundtune.files import fingerprint
from groundtune.types import Document

if TYPE_CHECKING:
    import numpy as np

ROWS, BANDS = 4, 32
HASHES = ROWS * BANDS
RUN = 3  # words in a run
MOST_COMPARED = 50  # of those that fall into one bucket, so that a thousand copies of a page are not compared a million times
DIGITS = "0123456789"
CURRENT, DUPLICATE = "current", "near_duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """How versions are told apart: ``by`` names the metadata that orders them, ``of`` in common; none without ``by``."""

    by: str = ""
    of: tuple[str, ...] = ("title", "product")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Groups of near-duplicates, by source names, and (older, newer) pairs of versions."""

    duplicates: tuple[tuple[str, ...], ...]
    superseded: tuple[tuple[str, str], ...]


def signature(text: str) -> bytes:
    """Return the MinHash of a text's runs of three words, ``HASHES`` × uint32 little-endian; empty for a text without words."""
    import numpy as np

    said = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    if not said:
        return b""
    numbers: dict[str, int] = {}
    for word in said:
        if word not in numbers:
            numbers[word] = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    coded = np.array([numbers[word] for word in said], dtype=np.uint64)
    if len(coded) >= RUN:
        runs = coded[: len(coded) - RUN + 1].copy()
        for offset in range(1, RUN):
            runs = _mixed(runs) + coded[offset : len(coded) - RUN + 1 + offset]
    else:
        runs = coded
    runs = np.unique(runs)
    best = np.full(HASHES, np.iinfo(np.uint64).max, dtype=np.uint64)
    seeds = _mixed(np.arange(1, HASHES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    for begin in range(0, len(runs), 4096):
        best = np.minimum(best, _mixed(runs[begin : begin + 4096, None] ^ seeds[None, :]).min(axis=0))
    return (best >> np.uint64(32)).astype("<u4").tobytes()


def _mixed(value: np.ndarray) -> np.ndarray:
    """Spread integers over 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    import numpy as np

    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = value ^ (value >> np.uint64(31))
    return mixed


def likeness(left: bytes, right: bytes) -> float:
    """Return the estimated share of runs that two texts share, 0 to 1; its standard error is at most 0.045."""
    import numpy as np

    if not left or not right:
        return 0.0
    return float(np.mean(np.frombuffer(left, dtype="<u4") == np.frombuffer(right, dtype="<u4")))


def near_duplicates(signatures: Mapping[str, bytes], near: float) -> tuple[tuple[str, ...], ...]:
    """Return groups of names whose texts are ``near`` or more alike, directly or through others of the group.

    Proposed by ``BANDS`` bands of ``ROWS`` (locality-sensitive hashing; Leskovec, Rajaraman and Ullman 2014, section 3.4): of pairs that
    share 0.8 of their runs, all but 1 in 10 million are proposed.
    """
    import numpy as np

    same: dict[bytes, list[str]] = {}
    for name in sorted(signatures):
        if signatures[name]:
            same.setdefault(signatures[name], []).append(name)
    if not same:
        return ()
    table = np.frombuffer(b"".join(same), dtype="<u4").reshape(len(same), HASHES)
    above = list(range(len(same)))

    def root(item: int) -> int:
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    # Four numbers become one of 64 bits. Where two different fours fell together, they would be compared, and be found unlike.
    pairs = table.view("<u8").reshape(len(same), BANDS, ROWS // 2)
    for keys in np.ascontiguousarray(_mixed(_mixed(pairs[:, :, 0]) + pairs[:, :, 1]).T):
        for places in _shared(keys):
            for at in range(1, len(places)):
                one, others = int(places[at]), places[max(0, at - MOST_COMPARED) : at]
                alike = np.mean(table[others] == table[one], axis=1) >= near
                for other in others[alike].tolist():
                    above[root(one)] = root(other)
    groups: dict[int, list[str]] = defaultdict(list)
    for item, names in enumerate(same.values()):
        groups[root(item)] += names
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def _shared(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of each key that stands more than once, in rising order; most keys stand alone, and cost one sort."""
    import numpy as np

    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return
    within = twice[np.minimum(np.searchsorted(twice, keys), len(twice) - 1)]
    places = np.flatnonzero(within == keys)
    places = places[np.argsort(keys[places], kind="stable")]
    yield from np.split(places, np.flatnonzero(np.diff(keys[places])) + 1)


def superseded(documents: Sequence[Document], versions: Versions) -> dict[str, str]:
    """Return older → newest id: documents alike in all of ``of`` and different in ``by``, where whoever reads the older reads the newer."""
    if not versions.by:
        return {}
    groups: dict[tuple[str, ...], list[Document]] = defaultdict(list)
    for document in documents:
        if document.metadata.get(versions.by):
            groups[tuple(_common(document, name) for name in versions.of)].append(document)
    older: dict[str, str] = {}
    for group in groups.values():
        ordered = sorted(group, key=lambda item: (rank(item.metadata[versions.by]), item.id), reverse=True)
        for document in ordered:
            for other in ordered:
                if rank(other.metadata[versions.by]) <= rank(document.metadata[versions.by]):
                    break
                if document.any_readers and document.any_readers <= other.readers:
                    older[document.id] = other.id
                    break
    return older


def rank(written: str) -> tuple[tuple[int, int, str], ...]:
    """Return what orders versions and ISO dates: 5.10 after 5.9, 2026-06-09 after 2025-12-31, 5.0 after 5.0-rc1."""
    parts = re.findall(r"[0-9]{1,18}|[^\W\d_]+", written.casefold())
    if parts and parts[0] in ("v", "version", "release"):
        parts = parts[1:]
    leading = next((place for place, part in enumerate(parts) if part[0] not in DIGITS), len(parts))
    numbers = [(1, int(part), "") for part in parts[:leading]]
    while numbers and numbers[-1][1] == 0:
        numbers.pop()
    ranked = numbers + [(1, int(part), "") if part[0] in DIGITS else (-1, 0, part) for part in parts[leading:]]
    return (*ranked, (0, 0, ""))


def _common(document: Document, name: str) -> str:
    value = document.title if name == "title" else document.metadata.get(name, "")
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def _open_to_readers(name: str, group: Sequence[str], documents: Mapping[str, Document]) -> bool:
    readers = documents[name].any_readers
    return bool(readers) and any(readers <= documents[other].readers for other in group if other != name)


def marked(
    documents: Mapping[str, Document], signatures: Mapping[str, bytes], *, near: float, versions: Versions
) -> tuple[dict[str, Document], Alike]:
    """Return the documents with their marks as metadata, by id, and what was found.

    Near-duplicates get ``near_duplicate`` = the name of their group, where all who read them may read another of the
    group. Where the project has a rule for versions, every document gets ``current`` = ``yes`` or ``no``. Documents without marks are left
    as they are, hash included.
    """
    groups = near_duplicates({key: value for key, value in signatures.items() if key in documents}, near)
    group_of = {name: fingerprint(min(group), length=8) for group in groups for name in group if _open_to_readers(name, group, documents)}
    older = superseded(list(documents.values()), versions)
    told = dict(documents)
    for key in documents if versions.by else group_of:
        document = documents[key]
        marks = {DUPLICATE: group_of[key]} if key in group_of else {}
        if versions.by:
            marks[CURRENT] = "no" if key in older else "yes"
        metadata = dict(sorted({**document.metadata, **marks}.items()))
        told[key] = but(document, metadata=metadata, content_hash=fingerprint(document.content_hash, marks))
    named = tuple(tuple(documents[name].source for name in group) for group in groups)
    pairs = tuple((documents[old].source, documents[new].source) for old, new in sorted(older.items()))
    return told, Alike(duplicates=named, superseded=pairs)

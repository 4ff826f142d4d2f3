import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lancedb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.access.filter import Predicate
from groundtune.chunks.segments import arrays, versions, view, words
from groundtune.chunks.store_lance import LanceStore
from groundtune.errors import StaleIndex
from groundtune.testing.index_contract import WIDTH, made
from groundtune.testing.store_rows import seen, written
from groundtune.types import Chunk

EVERYONE = frozenset(["everyone"])
LETTERS = "".join(map(chr, range(128))) + "éßıİøÆ’\u00a0\u2028\u0301中文ไทย१"


def plain(texts: Sequence[str]) -> list[dict[str, int]]:
    """What the tokenizer says of each whole text."""
    found = []
    for text in texts:
        cut = words.tokens(text)
        found.append({word: cut.count(word) for word in cut})
    return found


def gathered(made: words.Postings, count: int) -> list[dict[str, int]]:
    found: list[dict[str, int]] = [{} for _ in range(count)]
    for number, term in enumerate(made.terms):
        for place in range(made.starts[number], made.starts[number + 1]):
            found[made.rows[place]][term.decode()] = int(made.counts[place])
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from(LETTERS), max_size=40), min_size=1, max_size=4))
def test_postings_are_what_the_tokenizer_says_of_each_text(texts: list[str]) -> None:
    made = words.postings(texts)
    wanted = plain(texts)
    assert gathered(made, len(texts)) == wanted
    assert made.lengths.tolist() == [sum(counts.values()) for counts in wanted]
    assert list(made.terms) == sorted(made.terms)
    for number in range(len(made.terms)):
        rows = made.rows[made.starts[number] : made.starts[number + 1]]
        assert list(rows) == sorted(set(rows))
        assert made.most[number] == max(made.counts[made.starts[number] : made.starts[number + 1]])
        assert made.shortest[number] == min(made.lengths[rows])


def test_a_word_that_is_too_long_is_left_out_and_shifts_no_other() -> None:
    text = f"cancelling {'x' * 50} bookings {'y' * 39} {'z' * 40} hauliers"
    assert gathered(words.postings([text]), 1) == plain([text])
    assert words.postings([]).terms == () == words.postings(["", " ."]).terms


def stored(folder: Path, chunks: Sequence[Chunk], vectors: np.ndarray) -> LanceStore:
    store = LanceStore(folder)
    draft = store.draft("t", vectors.shape[1])
    draft.write(chunks, vectors)
    draft.publish("one")
    return store


def test_the_ranking_by_words_is_that_of_lancedbs_own_index(tmp_path: Path) -> None:
    from lancedb.index import FTS
    from lancedb.query import MatchQuery

    chunks, vectors = made(400, 21)
    odd = ("The cancellation of bookings: hauliers' slots!", "Größe, naïve café", "北京大学的学生 kiosk", "gate gate gate gate slot", "")
    chunks = [
        replace(chunk, text=f"{chunk.text} {odd[n % 5]}" * (1 + n % 3), readers=EVERYONE if n % 3 else frozenset(["support"]))
        for n, chunk in enumerate(chunks)
    ]
    store = stored(tmp_path, chunks, vectors)
    index = store.snapshot("t", "one")
    table = lancedb.connect(tmp_path).open_table("t")
    options = {name: value for name, value in words.OPTIONS.items()}
    table.create_index("search_text", config=FTS(with_position=False, **options))
    for question in (
        "slot gate",
        "cancelled booking haulier",
        "grösse naive",
        "the of a slot",
        "图书馆 学生",
        "refund, refund; token?",
        "kiosk",
    ):
        for group in ("everyone", "support", "finance"):
            may = Predicate(frozenset([group]))
            query = table.search(MatchQuery(question, "search_text"), query_type="fts").where(
                f"array_has_any(readers, ['{group}'])", prefilter=True
            )
            theirs = query.select(["id", "_score"]).limit(400).to_arrow()
            wanted = dict(zip(theirs["id"].to_pylist(), theirs["_score"].to_pylist(), strict=True))
            mine = index.keyword(question, may, None, 400)
            assert {hit.id for hit in mine} == wanted.keys()
            assert [hit.score for hit in mine] == pytest.approx([wanted[hit.id] for hit in mine], rel=1e-3)
            few = index.keyword(question, may, None, 7)
            assert few == mine[:7]


def test_what_is_remembered_of_askers_has_its_limit_and_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks, vectors = made(400, 21)
    store = stored(tmp_path, chunks, vectors)
    askers = [Predicate(frozenset(groups)) for groups in (["everyone"], ["support"], ["finance"], ["everyone", "support"], ["nobody"])]
    wanted = [store.snapshot("t", "one").dense(vectors[5], may, None, 9) for may in askers]
    monkeypatch.setattr(view, "MOST_BYTES", 12_000)
    index = store.snapshot("t", "one")
    for round_ in range(3):
        for may, hits in zip(askers, wanted, strict=True):
            assert index.dense(vectors[5], may, None, 9) == hits
            held = sum(one.size for seen in index._sieves.values() for one in seen)
            assert index._bytes == held and (held <= 12_000 or len(index._sieves) == 1), round_
    assert 1 < len(index._sieves) < len(askers)
    monkeypatch.setattr(view, "MOST_ASKERS", 2)
    index.keyword("slot", Predicate(frozenset(["anybody"])), None, 9)
    assert len(index._sieves) == len(index._sizes) == 2


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.integers(1, 30), share=st.sampled_from([1.0, 0.5, 0.05]), parts=st.integers(1, 3))
def test_what_is_left_out_by_its_bound_is_never_among_the_best(seed: int, limit: int, share: float, parts: int) -> None:
    from groundtune.chunks.segments import keyword
    from groundtune.chunks.segments.sieve import Part, Seen

    draw = np.random.default_rng(seed)
    vocabulary = [f"w{number}" for number in range(30)]
    weights = 1 / np.arange(1, 31)
    built = []
    for _ in range(parts):
        lengths = draw.integers(1, 25, 300)
        held = words.postings([" ".join(draw.choice(vocabulary, length, p=weights / weights.sum())) for length in lengths])
        built.append((held, draw.random(300) < share, draw.random(300) < 0.9))
    made_parts = [Part(_Only(held), alive, int(alive.sum())) for held, _, alive in built]  # type: ignore[arg-type]
    statistics = keyword.Statistics(made_parts)
    terms = [statistics.terms(word) for word in draw.choice(vocabulary, 6, replace=False)]
    sights = [Seen(part, mask & alive, int((mask & alive).sum())) for part, (_, mask, alive) in zip(made_parts, built, strict=True)]
    everything = keyword.search(terms, sights, statistics.norms, 10_000)
    best = sorted((float(score) for part in everything for score in part.scores), reverse=True)[:limit]
    real, keyword.WORTH = keyword.WORTH, 0
    try:
        found = keyword.search(terms, sights, statistics.norms, limit)
    finally:
        keyword.WORTH = real
    assert sorted((float(score) for part in found for score in part.scores), reverse=True)[:limit] == best


class _Only:
    """As much of a segment as a search for words needs."""

    def __init__(self, held: words.Postings) -> None:
        self.starts, self.rows_of, self.counts = held.starts, held.rows, held.counts
        self.lengths, self.most, self.shortest = held.lengths, held.most, held.shortest
        self.rows = len(held.lengths)
        self._places = {name: number for number, name in enumerate(held.terms)}

    def term(self, word: bytes) -> int:
        return self._places.get(word, -1)


# ── files ──


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    held: dict[str, np.ndarray] = {
        "a": np.arange(7, dtype=np.int64),
        "b": np.zeros((0, 3), np.float32),
        "c": np.array([[1.5, -2]], np.float32),
    }
    arrays.write(tmp_path / "x", held, {"of": ["é", 1]})
    meta, found = arrays.read(tmp_path / "x")
    assert meta == {"of": ["é", 1]}
    assert found.keys() == held.keys() and all(np.array_equal(found[name], held[name]) for name in held)
    with pytest.raises(ValueError, match="object"):
        arrays.write(tmp_path / "y", {"a": np.array([None])}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_file_that_was_damaged_is_an_error_that_names_it_and_never_another(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("arrays") / "x"
    arrays.write(path, {"a": np.arange(40, dtype=np.int64)}, {"m": 1})
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 321))
    place, byte = data.draw(st.integers(0, 120)), data.draw(st.integers(0, 255))
    for damaged in (whole[:cut], whole[:place] + bytes([byte]) + whole[place + 1 :]):
        path.write_bytes(damaged)
        try:
            _, found = arrays.read(path)
        except StaleIndex as error:
            assert str(path) in error.message and error.hint
        else:
            assert all(array.nbytes <= len(damaged) for array in found.values())


@pytest.mark.parametrize(
    "place",
    [
        {"type": "object", "shape": [1], "at": 0},
        {"type": "int64", "shape": [-1], "at": 0},
        {"type": "int64", "shape": [2**40], "at": 0},
        {"type": "int64", "shape": [1], "at": -64},
        {"type": "int64", "shape": "x", "at": 0},
        {"type": "int64", "shape": [1.5], "at": 0},
        7,
    ],
)
def test_a_header_that_promises_what_the_file_has_not_is_refused(tmp_path: Path, place: object) -> None:
    header = json.dumps({"meta": {}, "arrays": {"a": place}}).encode()
    header += b" " * (-(len(header) + 16) % 64)
    (tmp_path / "x").write_bytes(arrays.MAGIC + len(header).to_bytes(8, "little") + header + b"\0" * 64)
    with pytest.raises(StaleIndex, match="x: not a file of the index"):
        arrays.read(tmp_path / "x")


# ── versions ──


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "segments" / "t").glob(f"*.{kind}"))


def test_a_change_writes_its_own_rows_and_few_segments_stay(tmp_path: Path) -> None:
    store = LanceStore(tmp_path)
    draft = store.draft("t", WIDTH)
    for number in range(40):
        draft.write(*written(number))
    draft.publish("v0")
    base = files(tmp_path, "segment")
    assert len(base) == 1
    for number in range(12):
        draft.write(*written(number, edition=number + 1))
        draft.publish(f"v{number + 1}")
        index = store.snapshot("t", f"v{number + 1}")
        assert index.count() == 120
        assert seen(index).keys() == seen(draft.index()).keys()
        assert len(index._parts) <= 6
    assert base[0].is_file() and index._parts[0].count < 120
    for number in range(13):
        editions = {chunk.document_hash for chunk in seen(store.snapshot("t", f"v{number}")).values()}
        assert editions == {f"{edition:016d}" for edition in range(number + 1)}
    for number in range(12):
        store.drop("t", f"v{number}")
    assert len(files(tmp_path, "version")) == 1
    assert len(files(tmp_path, "segment")) == len(index._parts)
    assert seen(store.snapshot("t", "v12")) == seen(index)
    store.drop("t", "v12")
    store.reclaim("t")
    assert files(tmp_path, "segment") == []


def test_segments_are_cut_where_they_would_be_too_large_and_answer_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks, vectors = made(900, 31)
    whole = stored(tmp_path / "one", chunks, vectors).snapshot("t", "one")
    monkeypatch.setattr(versions, "MOST_ROWS", 250)
    parts = stored(tmp_path / "many", chunks, vectors).snapshot("t", "one")
    assert len(parts._parts) == 4
    for groups in (["everyone"], ["support", "finance"]):
        may = Predicate(frozenset(groups))
        for filter in (None, {"version": "4"}, {"version": {"not": "4"}}):
            for vector in vectors[:4]:
                mine, theirs = parts.dense(vector, may, filter, 20), whole.dense(vector, may, filter, 20)
                assert [hit.id for hit in mine] == [hit.id for hit in theirs]
            for text in ("slot gate", "refund", "export driver yard leave", "about slots"):
                mine, theirs = parts.keyword(text, may, filter, 20), whole.keyword(text, may, filter, 20)
                assert [hit.id for hit in mine] == [hit.id for hit in theirs]
                assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs], rel=1e-5)
        assert parts.chunks([chunk.id for chunk in chunks], may) == whole.chunks([chunk.id for chunk in chunks], may)


def test_what_a_version_is_searched_by_is_made_again_where_it_is_missing_and_told_where_it_is_damaged(tmp_path: Path) -> None:
    store = stored(tmp_path, *written(3))
    wanted = seen(store.snapshot("t", "one"))
    for path in files(tmp_path, "version"):
        path.unlink()
    assert "missing" in store.damage("t", "one")[0]
    assert seen(store.snapshot("t", "one")) == wanted
    assert store.damage("t", "one") == []
    segment = Path(store.snapshot("t", "one")._parts[0].segment.name)
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-70] + b"?" + whole[-69:])
    assert [str(segment) in told and "is not the file that was written" in told for told in store.damage("t", "one")] == [True]
    segment.write_bytes(whole[: len(whole) // 2])
    versions._OPEN.clear()
    with pytest.raises(StaleIndex, match="ends within the array") as caught:
        store.snapshot("t", "one")
    assert "--rebuild" in caught.value.hint
    segment.unlink()
    with pytest.raises(StaleIndex, match="is missing"):
        store.snapshot("t", "one")
    assert any("is missing" in told for told in store.damage("t", "one"))


def test_damage_does_not_stop_the_version_that_mends_it(tmp_path: Path) -> None:
    store = stored(tmp_path, *written(3))
    for path in (*files(tmp_path, "segment"), *files(tmp_path, "version")):
        path.write_bytes(path.read_bytes()[:40])
    versions._OPEN.clear()
    draft = store.draft("t", WIDTH)
    draft.write(*written(3))
    draft.publish("two")
    assert seen(store.snapshot("t", "two")).keys() == {chunk.id for chunk in written(3)[0]}
    with pytest.raises(StaleIndex, match="not a file of the index"):
        store.snapshot("t", "one")


def test_a_version_file_names_files_of_its_own_folder_only(tmp_path: Path) -> None:
    store = stored(tmp_path, *written(3))
    path = files(tmp_path, "version")[0]
    meta, gone = arrays.read(path)
    meta["segments"][0]["name"] = "../../elsewhere"
    arrays.write(path, gone, meta)
    with pytest.raises(StaleIndex, match="not a version of the index"):
        store.snapshot("t", "one")


def test_rows_that_moved_within_the_table_are_not_read_again(tmp_path: Path) -> None:
    store = LanceStore(tmp_path)
    draft = store.draft("t", WIDTH)
    for number in range(5):
        draft.write(*written(number))
    draft.publish("before")
    segments = files(tmp_path, "segment")
    lancedb.connect(tmp_path).open_table("t").optimize()
    draft.publish("after")
    assert files(tmp_path, "segment") == segments
    assert seen(store.snapshot("t", "after")) == seen(store.snapshot("t", "before"))


def test_what_is_reclaimed_beside_a_damaged_version_is_no_error_and_it_is_made_again(tmp_path: Path) -> None:
    store = stored(tmp_path, *written(3))
    wanted = seen(store.snapshot("t", "one"))
    [path] = files(tmp_path, "version")
    path.write_bytes(path.read_bytes()[:40])
    versions._OPEN.clear()
    store.reclaim("t")
    assert not path.exists()
    assert seen(store.snapshot("t", "one")) == wanted and store.damage("t", "one") == []

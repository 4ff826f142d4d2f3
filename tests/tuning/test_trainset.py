import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.answers.respond import House
from groundtune.errors import StateError
from groundtune.tables import TuningTable
from groundtune.tuning.rendering import Rendering
from groundtune.tuning.trainset import build, holds
from groundtune.types import Chunk, Document, Evidence, Example, Passage, Principal

HOUSE = House(
    instructions="Answer.", fallback="I don't know.", fallback_reply={"quote": "", "label": "other"}, refusals=(), answer_field="answer",
    quote_field="quote", schema={"type": "object"}, max_new_tokens=9, seed=1,
)  # fmt: skip
READERS = {"a": ["everyone"], "b": ["everyone"], "c": ["finance"], "d": ["everyone", "finance"], "e": []}
DOCUMENTS = {
    f"document:{name}": Document(
        id=f"document:{name}", source=name, title=name, text=f"The text of {name}.", content_hash=name, readers=frozenset(readers)
    )
    for name, readers in READERS.items()
}
CHUNKS = {
    name: [
        Chunk(
            id=f"chunk:{d.source}", document_id=name, document_hash="0", ordinal=0, text=d.text, start=0, end=len(d.text), heading_path=(),
            title=d.title, readers=d.readers, tokens=4,
        )
    ]
    for name, d in DOCUMENTS.items()
}  # fmt: skip
ASKERS = {"ana": Principal(id="ana", groups=frozenset(["everyone"])), "femi": Principal(id="femi", groups=frozenset(["finance"]))}


def search(question: str, asker: Principal, filter: object) -> tuple[Passage, ...]:
    seen = [c for chunks in CHUNKS.values() for c in chunks if asker.groups & c.readers]
    return tuple(Passage(chunk=c, rank=n, score=1.0, similarity=None, found_by={}, allowed_by=()) for n, c in enumerate(seen, 1))


def example(number: int, document: str, answerable: bool = True, asker: str = "ana") -> Example:
    text = DOCUMENTS[f"document:{document}"].text
    return Example(
        id=f"e{number}", question=f"what of {document} {number}", asker=asker, split="train", split_group=document, answerable=answerable,
        reply={"quote": text if answerable else "", "answer": f"{number}", "label": f"x{number}"},
        evidence=(Evidence(document_id=f"document:{document}", quote=text, start=0, end=len(text)),),
        kind="answerable" if answerable else "forbidden",
    )  # fmt: skip


def built(examples: list[Example], **recipe: object):  # type: ignore[no-untyped-def]
    rendering = Rendering(
        recipe=TuningTable(**recipe), house=HOUSE, documents=DOCUMENTS, askers=ASKERS, retrieve=search, seed=7
    )  # fmt: skip
    return build(examples, rendering, chunks=CHUNKS, label_field="label")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from(["ana", "femi"])), min_size=1, max_size=12),
    st.sampled_from([["everyone"], ["finance"], ["everyone", "finance"]]),
    st.booleans(),
)
def test_no_row_holds_a_word_of_what_the_audience_may_not_read(
    picked: list[tuple[str, bool, str]], readers: list[str], passages: bool
) -> None:
    examples = [example(n, document, answerable, asker) for n, (document, answerable, asker) in enumerate(picked)]
    try:
        rows = built(examples, readers=readers, passages=passages)
    except StateError:
        return
    for row in rows.rows:
        text = json.dumps([row.messages, row.completion])
        for document in DOCUMENTS.values():
            if f"The text of {document.source}." in text:
                assert document.id in row.document_ids
                assert document.readers & set(readers)
                if not passages:
                    assert set(readers) <= document.readers
    assert rows.readers or not rows.document_ids
    assert all(rows.readers <= DOCUMENTS[item].readers for item in rows.document_ids)
    assert len(rows.rows) + sum(rows.left_out.values()) == len(examples)


def test_the_gold_passage_is_shown_unless_the_row_learns_to_refuse() -> None:
    rows = built([example(n, "ab"[n % 2]) for n in range(60)], readers=["everyone"], passages=True, distractors=1, without_gold=0.3)
    refusing = [row for row in rows.rows if "I don't know." in row.completion]
    assert 8 <= len(refusing) <= 28
    for row in rows.rows:
        gold = f"The text of {'ab'[int(row.example_id[1:]) % 2]}."
        assert (gold in row.messages[-1]["content"]) is (row not in refusing)
        assert row.messages[-1]["content"].count("[") == 2
    label = f"x{refusing[0].example_id[1:]}"
    assert json.loads(refusing[0].completion) == {"quote": "", "label": label, "answer": "I don't know."}


def test_an_adapter_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(StateError, match="nobody could read this adapter"):
        built([example(1, "a"), example(2, "c", asker="femi")])


def test_no_row_left_is_told() -> None:
    with pytest.raises(StateError, match="no training row is left"):
        built([example(1, "c", asker="femi")], readers=["everyone"])


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0, 1), st.none() | st.integers(1, 70))
def test_refusals_are_never_more_than_their_share(answerable: list[bool], share: float, most: int | None) -> None:
    examples = [example(number, "a", wanted) for number, wanted in enumerate(answerable)]
    try:
        chosen = built(examples, refusals=share, max_rows=most)
    except StateError:
        assert not any(answerable)
        return
    refusing = sum(row.refuses for row in chosen.rows)
    assert refusing == sum("I don't know." in row.completion or not answerable[int(row.example_id[1:])] for row in chosen.rows)
    assert refusing <= share * len(chosen.rows) + 1e-9 or refusing == 0
    assert [row.example_id for row in chosen.rows] == sorted((row.example_id for row in chosen.rows), key=lambda name: int(name[1:]))
    assert len(chosen.rows) <= (most or len(examples))
    assert len(chosen.rows) + sum(chosen.left_out.values()) == len(examples)
    assert len(chosen.rows) >= min(sum(answerable), most or len(examples)), "answers are left out for no reason"


def test_a_chunk_holds_gold_when_it_covers_half_of_it() -> None:
    [chunk] = CHUNKS["document:a"]
    assert holds(chunk, [Evidence(document_id="document:a", quote="", start=10, end=18)])
    assert not holds(chunk, [Evidence(document_id="document:a", quote="", start=14, end=40)])
    assert not holds(chunk, [Evidence(document_id="document:b", quote="", start=0, end=5)])

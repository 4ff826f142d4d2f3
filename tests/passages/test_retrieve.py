from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.access.conditions import matches
from groundtune.access.filter import Predicate
from groundtune.chunks.index import search_text
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.models.chat import Request
from groundtune.models.hashed import open as hashed
from groundtune.models.scripted import ScriptedChat
from groundtune.passages.fuse import reciprocal_rank
from groundtune.passages.retrieve import Steps, retrieve, search
from groundtune.passages.synonyms import Synonyms
from groundtune.testing.index_contract import GROUPS, made
from groundtune.types import Chunk, Principal


def test_fusion_is_the_published_formula() -> None:
    fused = dict(reciprocal_rank({"a": ["x", "y"], "b": ["y", "z"]}, k=10))
    assert fused == {"y": 1 / 12 + 1 / 11, "x": 1 / 11, "z": 1 / 12}


@given(st.lists(st.permutations("abcdef"), min_size=1, max_size=4))
def test_fusion_does_not_depend_on_the_names_or_order_of_rankings(rankings: list[list[str]]) -> None:
    forward = reciprocal_rank({str(n): r for n, r in enumerate(rankings)}, k=10)
    backward = reciprocal_rank({str(-n): r for n, r in reversed(list(enumerate(rankings)))}, k=10)
    assert [round(score, 12) for _, score in forward] == [round(score, 12) for _, score in backward]


EMBED = hashed({})
CHUNKS = made(60, 11)[0]
INDEX = MemoryIndex(CHUNKS, EMBED.documents([chunk.text for chunk in CHUNKS]))


@given(
    st.text(max_size=40), st.sets(st.sampled_from(GROUPS)), st.sampled_from([None, {"version": "4"}, {"version": "9"}]), st.integers(1, 8)
)
def test_passages_are_permitted_narrowed_ranked_and_explained(
    question: str, groups: set[str], filter: dict[str, str] | None, limit: int
) -> None:
    asker = Principal(id="p", groups=frozenset(groups))
    found = retrieve(question, asker, index=INDEX, embed=EMBED, limit=limit, filter=filter)
    assert len(found) <= limit
    assert [passage.rank for passage in found] == list(range(1, len(found) + 1))
    assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)
    for passage in found:
        assert passage.allowed_by == tuple(sorted(groups & passage.chunk.readers)) != ()
        assert all(passage.chunk.metadata[key] == value for key, value in (filter or {}).items())
        assert passage.found_by
    if groups == set():
        assert found == ()


class Backwards:
    """A reranker that likes best what came last."""

    name = fingerprint = "backwards"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        self.seen += texts
        return [float(place) for place in range(len(texts))]


def echo(request: Request) -> str:
    words = request.messages[-1]["content"].split()
    return "\n".join(["refund leave", "salary " + " ".join(words[:2]), "webhook"])


switches = st.fixed_dictionaries(
    {
        "fusion": st.sampled_from(["rrf", "convex", "convex-minmax"]),
        "dense_weight": st.sampled_from([None, 0.0, 0.3, 1.0]),
        "rerank": st.sampled_from([None, Backwards()]),
        "rerank_depth": st.integers(1, 30),
        "diversity": st.sampled_from([0.0, 0.5]),
        "chat": st.just(ScriptedChat(echo)),
        "standalone": st.booleans(),
        "hyde": st.booleans(),
        "variants": st.integers(0, 2),
        "parts": st.integers(0, 2),
        "synonyms": st.sampled_from([None, Synonyms({"slot": ((("slot",), ("gate", "salary")),)})]),
    }
)
narrowing = st.sampled_from(
    [{"version": "4"}, {"version": ["4", "5"]}, {"version": {"not": "4"}}, {"version": {"from": "5"}}, {"nothing": "here"}, {}]
)


@settings(max_examples=150)
@given(st.sampled_from(["slot gate", "refund?", ""]), st.sets(st.sampled_from(GROUPS)), narrowing, switches, st.integers(1, 8))
def test_no_switch_shows_what_may_not_be_seen_or_widens_a_filter(
    question: str, groups: set[str], filter: dict[str, Any], switched: dict[str, Any], limit: int
) -> None:
    asker = Principal(id="p", groups=frozenset(groups))
    steps = Steps(**switched)
    history = [{"role": "user", "content": "salary of the board"}]
    found = retrieve(question, asker, index=INDEX, embed=EMBED, limit=limit, filter=filter, steps=steps, history=history)
    assert len(found) <= limit
    assert [passage.rank for passage in found] == list(range(1, len(found) + 1))
    assert len({passage.chunk.id for passage in found}) == len(found)
    for passage in found:
        assert passage.allowed_by == tuple(sorted(groups & passage.chunk.readers)) != ()
        assert matches(filter, passage.chunk.metadata)
        assert passage.found_by
    # Deep enough, the same asker without the filter is shown all of these and maybe more.
    whole = retrieve(
        question, asker, index=INDEX, embed=EMBED, limit=60, candidates=60, steps=replace(steps, rerank_depth=60), history=history
    )
    assert {passage.chunk.id for passage in found} <= {passage.chunk.id for passage in whole}


def test_a_reranker_sees_only_permitted_texts_and_decides_the_order() -> None:
    judge = Backwards()
    asker = Principal(id="p", groups=frozenset({"finance"}))
    plain = retrieve("slot gate", asker, index=INDEX, embed=EMBED, limit=5)
    turned = retrieve("slot gate", asker, index=INDEX, embed=EMBED, limit=5, steps=Steps(rerank=judge, rerank_depth=5))
    assert [passage.chunk.id for passage in turned] == [passage.chunk.id for passage in plain][::-1]
    assert [passage.found_by["rerank"] for passage in turned] == [1, 2, 3, 4, 5]
    hidden = {search_text(chunk) for chunk in CHUNKS if "finance" not in chunk.readers}
    assert judge.seen and not hidden & set(judge.seen)


def test_each_query_of_the_model_is_searched_and_named() -> None:
    asker = Principal(id="p", groups=frozenset(GROUPS))
    steps = Steps(chat=ScriptedChat(echo), variants=2, parts=1, hyde=True)
    found = search("slot", asker, index=INDEX, embed=EMBED, limit=8, candidates=20, rrf_k=10, filter=None, steps=steps)
    assert [query.name for query in found.queries] == ["", "variant 1", "variant 2", "part 1"]
    assert found.queries[0].meaning[1].startswith("refund leave")
    assert any("bm25 (variant 1)" in passage.found_by for passage in found.passages)
    assert found.notes == ()


def test_a_model_that_fails_leaves_a_note_and_the_plain_search() -> None:
    asker = Principal(id="p", groups=frozenset(GROUPS))
    broken = Steps(chat=ScriptedChat({"never": "x"}), variants=2, hyde=True)
    found = search("slot", asker, index=INDEX, embed=EMBED, limit=5, candidates=20, rrf_k=10, filter=None, steps=broken)
    plain = search("slot", asker, index=INDEX, embed=EMBED, limit=5, candidates=20, rrf_k=10, filter=None, steps=Steps())
    assert found.passages == plain.passages
    assert found.notes


def test_a_chunk_that_vanished_between_search_and_reading_is_left_out() -> None:
    class Forgetful(MemoryIndex):
        def chunks(self, ids: Sequence[str], allowed: Predicate) -> dict[str, Chunk]:
            return {name: chunk for name, chunk in super().chunks(ids, allowed).items() if name != first}

    asker = Principal(id="p", groups=frozenset(GROUPS))
    first = retrieve("slot gate", asker, index=INDEX, embed=EMBED, limit=1)[0].chunk.id
    index = Forgetful(CHUNKS, EMBED.documents([chunk.text for chunk in CHUNKS]))
    found = retrieve("slot gate", asker, index=index, embed=EMBED, limit=4)
    assert first not in [passage.chunk.id for passage in found]
    assert [passage.rank for passage in found] == [1, 2, 3, 4]


def test_anything_that_can_change_a_ranking_changes_the_identity_of_the_steps() -> None:
    chat, other = ScriptedChat(["a"]), Synonyms({"slot": ((("slot",), ("gate",)),)})
    several = [
        Steps(),
        Steps(fusion="rrf"),
        Steps(dense_weight=0.4),
        Steps(synonyms=other),
        Steps(rerank=Backwards()),
        Steps(rerank_depth=5),
        Steps(diversity=0.1),
        Steps(chat=chat),
        Steps(seed=1),
        Steps(standalone=True),
        Steps(hyde=True),
        Steps(variants=1),
        Steps(parts=1),
    ]
    assert len({steps.identity for steps in several}) == len(several) == len(fields(Steps)) + 1
    assert Steps(synonyms=other).identity == Steps(synonyms=Synonyms(dict(other.rules))).identity

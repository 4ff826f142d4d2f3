from hypothesis import given
from hypothesis import strategies as st

from groundtune.chunks.index_memory import MemoryIndex
from groundtune.models.hashed import open as hashed
from groundtune.passages.fuse import reciprocal_rank
from groundtune.passages.retrieve import retrieve
from groundtune.testing.index_contract import GROUPS, made
from groundtune.types import Principal


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

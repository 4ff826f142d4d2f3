from __future__ import annotations

import numpy as np
import pytest

from groundtune.models.minilm import MAX_TOKENS, MiniLM

TEXTS = [
    "How long is the warranty of a harbour crane?",
    "Cranes are under warranty for two years.",
    "The canteen serves soup on Fridays.",
    "x",
    "",
]


@pytest.fixture(scope="module")
def embed() -> MiniLM:
    return MiniLM(threads=2)


def test_vectors_have_unit_length_and_the_order_of_the_texts(embed: MiniLM) -> None:
    vectors = embed.documents(TEXTS)
    assert vectors.shape == (5, 384) == (5, embed.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for text, vector in zip(TEXTS, vectors, strict=True):
        # To the bit, whatever its company and however many cores.
        assert np.array_equal(vector, embed.query(text))


def test_what_means_the_same_is_nearer(embed: MiniLM) -> None:
    question, answer, other = embed.documents(TEXTS[:3])
    assert question @ answer > question @ other + 0.3


def test_the_same_texts_give_the_same_bits_on_any_number_of_cores(embed: MiniLM) -> None:
    assert np.array_equal(embed.documents(TEXTS), MiniLM(threads=1).documents(TEXTS))


def test_long_texts_are_cut_at_the_trained_length_and_counted_whole(embed: MiniLM) -> None:
    long = "tide " * 400
    assert embed.count([long, "tide", ""]) == [402, 3, 2]
    same = "tide " * (MAX_TOKENS - 2)
    assert np.allclose(embed.query(long), embed.query(same))
    assert not np.allclose(embed.query(same), embed.query("tide " * (MAX_TOKENS - 40)), atol=1e-3)


def test_no_texts_give_no_rows(embed: MiniLM) -> None:
    assert embed.documents([]).shape == (0, 384)
    assert embed.count([]) == []

"""The modules that need no model: batches, the hashed embedder and the scripted chat."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune import plugins
from groundtune.errors import ConfigError
from groundtune.models.batches import by_length
from groundtune.models.chat import Request
from groundtune.models.hashed import HashedEmbed
from groundtune.models.hashed import open as open_hashed
from groundtune.models.scripted import ScriptedChat
from groundtune.models.scripted import open as open_scripted


def ask(*questions: str) -> list[Request]:
    return [Request(messages=({"role": "system", "content": "Answer."}, {"role": "user", "content": question})) for question in questions]


# ── batches ──


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 8), st.none() | st.integers(1, 200))
def test_batches_hold_each_index_once_by_length_within_their_bounds(lengths: list[int], rows: int, budget: int | None) -> None:
    batches = by_length(lengths, rows, budget)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths, reverse=True)
    for batch in batches:
        assert 1 <= len(batch) <= rows
        assert budget is None or len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= budget
    # Not one batch more than needed, and none much smaller than the others.
    needed = -(-len(lengths) // rows)
    if budget is None:
        assert len(batches) == needed
        assert not batches or len(batches[0]) - len(batches[-1]) < max(1, needed)
    for batch in batches[:-1]:
        full = -(-len(lengths) // needed)
        assert len(batch) == full or (budget is not None and lengths[batch[0]] * (len(batch) + 1) > budget)


# ── hashed ──


@given(st.lists(st.text(max_size=40), max_size=6))
def test_hashed_vectors_have_unit_length_and_are_the_same_each_time(texts: list[str]) -> None:
    embed = HashedEmbed(dimensions=16)
    vectors = embed.documents(texts)
    assert vectors.shape == (len(texts), 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, HashedEmbed(dimensions=16).documents(texts))
    assert embed.count(texts) == [embed.count([text])[0] for text in texts]


def test_hashed_vectors_know_shared_words_and_nothing_else() -> None:
    embed = open_hashed({"model": "hashed-512"})
    assert embed.dimensions == 512
    question, same, other = embed.documents(["warranty of cranes", "Cranes of warranty", "soup on Fridays"])
    assert question @ same == pytest.approx(1)
    assert abs(question @ other) < 0.4
    assert not np.allclose(HashedEmbed(seed=1).query("crane"), HashedEmbed(seed=2).query("crane"))
    assert len({HashedEmbed(seed=1).fingerprint, HashedEmbed(seed=2).fingerprint, HashedEmbed(dimensions=8).fingerprint}) == 3


# ── scripted ──


def test_a_list_is_said_in_turn_and_from_the_start_again() -> None:
    chat = ScriptedChat(["one", "two"])
    assert [done.text for done in chat.complete(ask("a", "b", "c"), limit=5)] == ["one", "two", "one"]


def test_a_mapping_answers_by_what_the_question_contains() -> None:
    chat = ScriptedChat({"warranty": "Two years.", "": "I don't know."})
    assert [done.text for done in chat.complete(ask("How long is the warranty?", "Soup?"), limit=9)] == ["Two years.", "I don't know."]
    [silent] = ScriptedChat({"warranty": "Two years."}).complete(ask("Soup?"), limit=9)
    assert silent.failure == "the script has no line for this question"


def test_a_function_sees_the_request_and_calls_are_kept() -> None:
    chat = ScriptedChat(lambda request: request.messages[-1]["content"].upper())
    [done] = chat.complete(ask("why"), limit=5, schema={"type": "object"}, adapter=Path("a"), seed=3)
    assert done.text == "WHY"
    assert chat.calls == [{"requests": tuple(ask("why")), "limit": 5, "schema": {"type": "object"}, "adapter": Path("a"), "seed": 3}]


@given(st.text(alphabet="ab ,.", max_size=40), st.integers(0, 10))
def test_the_limit_cuts_and_says_so(text: str, limit: int) -> None:
    [done] = ScriptedChat([text]).complete(ask("?"), limit=limit)
    assert text.startswith(done.text)
    assert done.completion_tokens <= limit
    assert done.truncated == (done.text != text)


def test_a_prompt_beyond_the_context_fails_and_says_why() -> None:
    chat = ScriptedChat(["x"], context=20)
    count = chat.count(ask("why " * 30)[0].messages)
    [done] = chat.complete(ask("why " * 30), limit=5)
    assert done.failure is not None
    assert f"{count} tokens" in done.failure
    assert "20 tokens" in done.failure
    assert done.first_token_seconds is None


def test_a_script_file_is_read_and_a_wrong_one_named(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"": "yes"}))
    chat = open_scripted({"model": str(path), "batch": 1})
    assert chat.complete(ask("?"), limit=3)[0].text == "yes"
    assert chat.plan(ask("a", "b b b")) == [[1], [0]]
    assert chat.fingerprint != ScriptedChat({"": "no"}).fingerprint
    for content in ("[]", "[1]", "3", "{", '{"a": null}'):
        path.write_text(content)
        with pytest.raises(ConfigError, match=r"script\.json"):
            open_scripted({"model": str(path)})
    with pytest.raises(ConfigError, match="nowhere"):
        open_scripted({"model": str(tmp_path / "nowhere")})


# ── all of them ──


def test_every_built_in_is_known_by_its_entry_point() -> None:
    assert {"local", "endpoint", "scripted"} <= set(plugins.known("chat"))
    assert {"minilm", "local", "endpoint", "hashed"} <= set(plugins.known("embed"))
    assert plugins.load("embed", "hashed") is open_hashed
    assert plugins.load("chat", "scripted") is open_scripted


def test_remote_and_scripted_models_load_no_torch() -> None:
    names = "chat embed weights minilm endpoint scripted hashed"
    code = f"import sys\nfor name in {names.split()!r}: __import__('groundtune.models.' + name)\n"
    code += "print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    light = "import sys, groundtune.models.chat, groundtune.models.embed, groundtune.models.weights; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True).stdout == "False\n"

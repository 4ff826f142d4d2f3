from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_server import Asked, Reply, Server, serving

from groundtune.errors import ConfigError, EndpointError
from groundtune.models import wire
from groundtune.models.chat import Request, Token
from groundtune.models.endpoint import EndpointChat, EndpointEmbed, open_chat, open_embed
from groundtune.models.endpoint_embed import open_cohere
from groundtune.models.usage import Usage

KEY = "sk-very-secret-4711"
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(wire, "sleep", slept.append)
    return slept


def said(text: str | None, *, prompt: int = 12, completion: int = 3, reason: str = "stop") -> Reply:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return Reply(body={"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}], "usage": usage})


def fails(status: int, message: str = "no", **headers: str) -> Reply:
    return Reply(status, {"error": {"message": message}}, headers=headers)


def chat(server: Server, **more: Any) -> EndpointChat:
    return open_chat({"model": "gpt-small", "base_url": server.url, "timeout_seconds": 5.0, "retries": 2, **more})


def ask(*questions: str) -> list[Request]:
    return [Request(messages=({"role": "user", "content": question},)) for question in questions]


def test_a_request_is_what_an_openai_server_expects(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARBOUR_KEY", KEY)
    server.script(said('{"answer": "yes"}'))
    [done] = chat(server, key_env="HARBOUR_KEY").complete(ask("Is it?"), limit=9, schema=SCHEMA, seed=5)
    assert (done.text, done.prompt_tokens, done.completion_tokens, done.failure, done.truncated) == (
        '{"answer": "yes"}',
        12,
        3,
        None,
        False,
    )
    assert done.first_token_seconds is None
    assert done.total_seconds > 0
    [asked] = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "gpt-small",
        "messages": [{"role": "user", "content": "Is it?"}],
        "max_tokens": 9,
        "temperature": 0,
        "seed": 5,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA}},
    }


def test_without_schema_and_key_neither_is_sent(server: Server) -> None:
    server.script(said("yes", reason="length"))
    [done] = chat(server).complete(ask("Is it?"), limit=1)
    assert done.truncated
    assert "response_format" not in server.asked[0].body
    assert "authorization" not in server.asked[0].headers


def test_the_answers_of_a_batch_keep_their_places(server: Server) -> None:
    # The first to be asked is the last to be answered.
    def answer(asked: Asked, number: int) -> Reply:
        question = asked.body["messages"][0]["content"]
        reply = said(question.upper())
        reply.delay = 0.15 if question == "a" else 0.0
        return reply

    server.answer = answer
    done = chat(server).complete(ask("a", "b", "c"), limit=3)
    assert [item.text for item in done] == ["A", "B", "C"]
    assert {item.batch for item in done} == {3}


def test_429_is_retried_after_the_time_that_the_server_asks_for(server: Server, waits: list[float]) -> None:
    server.script(fails(429, **{"Retry-After": "7"}), said("ok"))
    assert chat(server).complete(ask("?"), limit=3)[0].text == "ok"
    assert waits == [7.0]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_retried_with_growing_waits_then_counted_as_failure(server: Server, waits: list[float], status: int) -> None:
    server.script(fails(status, "out of memory"))
    [done] = chat(server, retries=3).complete(ask("?"), limit=3)
    assert done.failure == f"HTTP {status}: out of memory, 4 attempts"
    assert done.text == ""
    assert len(server.asked) == 4
    assert [0.25 <= waits[0] <= 0.5, 0.5 <= waits[1] <= 1.0, 1.0 <= waits[2] <= 2.0] == [True] * 3
    again = list(waits)
    waits.clear()
    chat(server, retries=3).complete(ask("?"), limit=3)
    assert waits == again


def test_the_failure_of_one_request_leaves_the_others_of_its_batch(server: Server, waits: list[float]) -> None:
    server.answer = lambda asked, number: fails(500) if asked.body["messages"][0]["content"] == "bad" else said("fine")
    done = chat(server, retries=1).complete(ask("good", "bad", "good"), limit=3)
    assert [item.failure is None for item in done] == [True, False, True]


def test_silence_is_a_failure_that_says_how_long_was_waited(server: Server, waits: list[float]) -> None:
    server.script(Reply(body={}, delay=0.4))
    [done] = chat(server, timeout_seconds=0.1, retries=1).complete(ask("?"), limit=3)
    assert done.failure == "no answer within 0.1 seconds, 2 attempts"


def test_a_broken_connection_is_retried(server: Server, waits: list[float]) -> None:
    server.script(Reply(hang_up=True), said("back"))
    assert chat(server).complete(ask("?"), limit=3)[0].text == "back"
    assert len(waits) == 1


def test_nobody_listening_is_a_failure(waits: list[float]) -> None:
    with serving() as gone:
        url = gone.url
    [done] = open_chat({"model": "m", "base_url": url, "retries": 1}).complete(ask("?"), limit=3)
    assert done.failure is not None
    assert done.failure.startswith("the connection failed")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(raw=b"<html>Bad gateway</html>"), "not JSON: '<html>Bad"),
        (Reply(body=["surprise"]), "not a chat completion"),
        (Reply(body={"choices": []}), "not a chat completion"),
        (Reply(body={"choices": [{"message": None}]}), "not a chat completion"),
        (said(None, reason="content_filter"), "no text .*content_filter"),
    ],
)
def test_garbage_is_a_failure_and_is_not_asked_for_twice(server: Server, waits: list[float], reply: Reply, why: str) -> None:
    server.script(reply)
    [done] = chat(server).complete(ask("?"), limit=3)
    assert done.failure is not None
    assert re.search(why, done.failure)
    assert len(server.asked) == 1
    assert waits == []


def test_a_refused_request_is_a_failure_without_retries(server: Server, waits: list[float]) -> None:
    server.script(fails(400, "maximum context length is 4096 tokens"))
    assert chat(server).complete(ask("?"), limit=3)[0].failure == "HTTP 400: maximum context length is 4096 tokens"
    assert len(server.asked) == 1


def test_a_server_that_wants_the_new_name_of_the_limit_gets_it(server: Server) -> None:
    server.answer = lambda asked, number: (
        said("ok") if "max_completion_tokens" in asked.body else fails(400, "Unsupported 'max_tokens', use 'max_completion_tokens' instead")
    )
    model = chat(server)
    assert [model.complete(ask("?"), limit=3)[0].text for _ in range(2)] == ["ok", "ok"]
    assert ["max_tokens" in asked.body for asked in server.asked] == [True, False, False]
    assert server.asked[-1].body["max_completion_tokens"] == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_the_work_and_tells_no_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    monkeypatch.setenv("HARBOUR_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.script(fails(status, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(EndpointError) as caught:
        chat(server, key_env="HARBOUR_KEY").complete(ask("?"), limit=3)
    assert f"HTTP {status}" in caught.value.message
    assert KEY not in str(caught.value) + caplog.text
    assert "chat.base_url" in caught.value.hint
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"model": "m", "base_url": None}, "chat.base_url"),
        ({"model": "m", "base_url": "localhost:8000"}, "chat.base_url"),
        ({"model": "", "base_url": "http://localhost"}, "chat.model"),
        ({"model": "m", "base_url": "http://localhost", "key_env": "NO_SUCH_VARIABLE_HERE"}, "NO_SUCH_VARIABLE_HERE"),
    ],
)
def test_missing_settings_are_named(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        open_chat(settings)


def test_an_adapter_cannot_be_sent(server: Server) -> None:
    with pytest.raises(EndpointError, match="cannot take the adapter hybrid"):
        chat(server).complete(ask("?"), limit=3, adapter=Path("models/hybrid"))


def test_tokens_are_estimated_where_the_server_does_not_say(server: Server) -> None:
    server.script(Reply(body={"choices": [{"message": {"content": "x" * 40}}]}))
    model = chat(server)
    [done] = model.complete(ask("How long?"), limit=30)
    assert (done.prompt_tokens, done.completion_tokens) == (model.count(ask("How long?")[0].messages), 10)


def test_plan_and_fingerprint(server: Server) -> None:
    model = chat(server, batch=2)
    assert model.plan(ask("a", "b" * 90, "c" * 30)) == [[1, 2], [0]]
    assert model.fingerprint == chat(server).fingerprint
    assert model.fingerprint != chat(server, model="gpt-large").fingerprint


# ── embeddings ──


def embeddings(asked: Asked, number: int) -> Reply:
    """Vectors of length, number of spaces and one; out of order, as servers may send them."""
    rows = [{"index": place, "embedding": [len(text), text.count(" "), 1]} for place, text in enumerate(asked.body["input"])]
    return Reply(body={"data": rows[::-1]})


def embed(server: Server, **more: Any) -> EndpointEmbed:
    return open_embed({"model": "e5", "base_url": server.url, "retries": 1, "timeout_seconds": 5.0, "batch": 2, **more})


def test_vectors_are_of_unit_length_in_the_order_of_the_texts_and_batched(server: Server) -> None:
    server.answer = embeddings
    model = embed(server)
    assert model.dimensions == 3
    texts = ["a", "bb bb", "ccc", "d d d d", "e"]
    vectors = model.documents(texts)
    raw = np.array([[len(text), text.count(" "), 1] for text in texts], dtype=np.float32)
    assert np.allclose(vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True))
    assert vectors.dtype == np.float32
    assert [len(asked.body["input"]) for asked in server.asked[1:]] == [2, 2, 1]
    assert np.allclose(model.query("ccc"), vectors[2])
    assert model.documents([]).shape == (0, 3)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"data": [{"index": 0, "embedding": [1.0, 2.0]}]}, r"\[2\] dimensions, expected 3"),
        ({"data": []}, "0 vectors for 1 texts"),
        ({"data": [{"index": 1, "embedding": [1.0, 2.0, 3.0]}]}, "1 vectors for 1 texts"),
        ({"data": [{"index": 0, "embedding": [0.0, 0.0, 0.0]}]}, "zeros"),
        ({"data": [{"index": 0, "embedding": [float("nan"), 0.0, 0.0]}]}, "not finite"),
        ({"data": [{"index": 0}]}, "not a list of embeddings"),
        ("nonsense", "not a list of embeddings"),
    ],
)
def test_wrong_vectors_are_refused(server: Server, body: Any, why: str) -> None:
    server.answer = embeddings
    model = embed(server)
    server.script(Reply(body=body))
    with pytest.raises(EndpointError, match=why) as caught:
        model.query("a")
    assert "embed.base_url" in caught.value.hint


def test_an_embedder_that_stays_broken_is_an_error(server: Server, waits: list[float]) -> None:
    server.script(fails(503, "loading"))
    with pytest.raises(EndpointError, match="HTTP 503: loading, 2 attempts"):
        embed(server)


# ── Retry-After ──


@given(st.text(max_size=30))
def test_any_retry_after_is_understood_or_ignored(value: str) -> None:
    found = wire.retry_after(value)
    assert found is None or found >= 0


def test_retry_after_may_be_a_date() -> None:
    found = wire.retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=90)))
    assert found is not None
    assert 80 < found <= 90
    assert wire.retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1))) == 0.0
    assert wire.retry_after("soon") is None


def test_cohere_is_told_questions_from_documents(server: Server) -> None:
    def answer(asked: Asked, number: int) -> Reply:
        rows = [[len(text), 1.0] for text in asked.body["texts"]]
        return Reply(body={"embeddings": {"float": rows}, "meta": {"billed_units": {"input_tokens": 7}}})

    server.answer = answer
    model = open_cohere({"model": "embed-x", "base_url": server.url, "retries": 1, "batch": 2, "million": 100.0})
    vectors = model.documents(["aa", "a", "aaa"])
    assert np.allclose(vectors[1], np.array([1, 1]) / np.sqrt(2))
    model.query("how long")
    asked = [(item.path, item.body["input_type"], item.body["texts"]) for item in server.asked]
    assert asked[1:] == [
        ("/v1/embed", "search_document", ["aaa", "aa"]),
        ("/v1/embed", "search_document", ["a"]),
        ("/v1/embed", "search_query", ["how long"]),
    ]
    assert all(item.body["embedding_types"] == ["float"] for item in server.asked)
    assert (model.usage.requests, model.usage.tokens, round(model.usage.cost, 6)) == (4, 28, 0.0028)
    assert model.fingerprint != open_embed_of(server).fingerprint


def open_embed_of(server: Server) -> EndpointEmbed:
    server.answer = embeddings
    return embed(server, model="embed-x")


@pytest.mark.parametrize("body", [{"embeddings": {"float": [[1.0, 2.0]] * 2}}, {"embeddings": [[1.0, 2.0]]}, {"embeddings": None}, {}])
def test_wrong_vectors_of_cohere_are_refused(server: Server, body: Any) -> None:
    server.script(Reply(body={"embeddings": {"float": [[1.0, 2.0]]}}), Reply(body=body))
    model = open_cohere({"model": "embed-x", "base_url": server.url, "retries": 0})
    with pytest.raises(EndpointError):
        model.query("a")


def test_a_question_is_asked_once_and_prefixes_are_sent(server: Server) -> None:
    server.answer = embeddings
    model = embed(server, query_prefix="query: ", document_prefix="passage: ")
    assert np.allclose(model.query("a b"), model.query("a b"))
    model.documents(["a b"])
    assert [asked.body["input"] for asked in server.asked[1:]] == [["query: a b"], ["passage: a b"]]
    assert model.fingerprint != embed(server).fingerprint
    assert (model.usage.tokens, model.usage.estimated) == (model.usage.estimated, model.usage.estimated)
    assert model.usage.estimated > 0


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_usage_is_counted_or_estimated(usage: Any) -> None:
    for answer in (usage, {"usage": usage}, {"usage": {"total_tokens": usage}}, {"meta": {"billed_units": {"input_tokens": usage}}}):
        counted = Usage()
        counted.add(answer, 3)
        assert counted.requests == 1
        assert counted.tokens >= 0
        assert counted.estimated in (0, 3)


# ── probabilities of tokens ──


def with_logprobs(text: str, rows: Any) -> Reply:
    reply = said(text)
    reply.body["choices"][0]["logprobs"] = {"content": rows}
    return reply


def test_probabilities_are_asked_for_only_where_they_are_wanted_and_come_back(server: Server) -> None:
    server.script(with_logprobs("Two years.", [{"token": "Two", "logprob": -0.1}, {"token": " years.", "logprob": -0.5}]))
    wanting = [Request(messages=({"role": "user", "content": "How long?"},), logprobs=True)]
    [done] = chat(server).complete(wanting, limit=9)
    assert done.tokens == (Token("Two", -0.1), Token(" years.", -0.5)) and done.mean_logprob == pytest.approx(-0.3)
    [plain] = chat(server).complete(ask("How long?"), limit=9)
    assert plain.tokens is None and plain.mean_logprob is None
    assert [asked.body.get("logprobs") for asked in server.asked] == [True, None]


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        "Two",
        [{"token": "Two years."}],
        [{"token": "Two years.", "logprob": "high"}],
        [{"token": "Two years.", "logprob": 0.7}],
        [{"token": "Two", "logprob": -0.1}],
        [None],
    ],
)
def test_probabilities_that_are_none_or_of_another_text_are_absent(server: Server, rows: Any) -> None:
    server.script(with_logprobs("Two years.", rows))
    [done] = chat(server).complete([Request(messages=({"role": "user", "content": "How long?"},), logprobs=True)], limit=9)
    assert done.failure is None and done.text == "Two years." and done.tokens is None


def test_a_server_that_refuses_probabilities_is_asked_without_from_then_on(server: Server) -> None:
    refused = Reply(400, {"error": {"message": "logprobs are not supported with this model"}})
    server.answer = lambda asked, number: refused if "logprobs" in asked.body else said("Two years.")
    model = chat(server)
    wanting = [Request(messages=({"role": "user", "content": "How long?"},), logprobs=True)]
    assert [model.complete(wanting, limit=9)[0].text for _ in range(2)] == ["Two years."] * 2
    assert ["logprobs" in asked.body for asked in server.asked] == [True, False, False]


def test_a_server_that_takes_neither_old_limit_nor_probabilities_is_answered_both(server: Server) -> None:
    def answer(asked: Asked, number: int) -> Reply:
        if "max_tokens" in asked.body:
            return fails(400, "use max_completion_tokens")
        return fails(422, "unknown field logprobs") if "logprobs" in asked.body else said("Two years.")

    server.answer = answer
    [done] = chat(server).complete([Request(messages=({"role": "user", "content": "How long?"},), logprobs=True)], limit=9)
    assert done.text == "Two years." and len(server.asked) == 3

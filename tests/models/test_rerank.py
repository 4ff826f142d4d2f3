from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from made_server import Asked, Reply, Server, serving

from groundtune.errors import EndpointError
from groundtune.models import wire
from groundtune.models.endpoint_rerank import EndpointRerank
from groundtune.models.endpoint_rerank import open as open_endpoint


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "sleep", lambda seconds: None)


def by_length(asked: Asked, number: int) -> Reply:
    """Scores by length, best first, as servers send them."""
    texts = asked.body["documents"]
    rows = [{"index": place, "relevance_score": len(text) / 100} for place, text in enumerate(texts)]
    rows.sort(key=lambda row: -row["relevance_score"])
    return Reply(body={"results": rows, "meta": {"billed_units": {"search_units": 1}}})


def reranker(server: Server, **more: Any) -> EndpointRerank:
    return open_endpoint({"model": "rerank-x", "base_url": server.url, "retries": 1, "timeout_seconds": 5.0, "batch": 2, **more})


def test_scores_come_back_in_the_order_of_the_texts_and_are_asked_for_in_batches(server: Server) -> None:
    server.answer = by_length
    model = reranker(server)
    assert model.scores("How long?", ["aaaa", "a", "aa"]) == [0.04, 0.01, 0.02]
    assert [asked.path for asked in server.asked] == ["/v1/rerank"] * 2
    assert server.asked[0].body == {"model": "rerank-x", "query": "How long?", "documents": ["aaaa", "a"], "top_n": 2}
    assert model.scores("How long?", []) == []
    assert (model.usage.requests, model.usage.units, model.usage.tokens) == (2, 2, 0)


def test_tokens_are_counted_and_priced(server: Server) -> None:
    def answer(asked: Asked, number: int) -> Reply:
        return Reply(body={**by_length(asked, number).body, "meta": None, "usage": {"total_tokens": 500_000}})

    server.answer = answer
    model = reranker(server, million=0.2)
    model.scores("How long?", ["a", "b", "c"])
    assert (model.usage.tokens, model.usage.estimated, round(model.usage.cost, 6)) == (1_000_000, 0, 0.2)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"results": []}, "0 scores for 2 texts"),
        ({"results": [{"index": 0, "relevance_score": 1.0}] * 2}, "2 scores for 2 texts"),
        ({"results": [{"index": 0, "relevance_score": 1.0}, {"index": 2, "relevance_score": 1.0}]}, "2 scores for 2 texts"),
        ({"results": [{"index": 0, "relevance_score": "high"}, {"index": 1, "relevance_score": 1.0}]}, "not a list of scores"),
        ({"results": [{"index": 0, "relevance_score": float("nan")}, {"index": 1, "relevance_score": 1.0}]}, "not a number"),
        ({"results": None}, "not a list of scores"),
        (["surprise"], "not a list of scores"),
    ],
)
def test_wrong_scores_are_refused(server: Server, body: Any, why: str) -> None:
    server.script(Reply(body=body))
    with pytest.raises(EndpointError, match=why) as caught:
        reranker(server).scores("How long?", ["a", "b"])
    assert "rerank.base_url" in caught.value.hint


def test_a_server_that_stays_broken_is_an_error_and_not_another_order(server: Server) -> None:
    server.script(Reply(503, {"error": "loading"}))
    with pytest.raises(EndpointError, match="HTTP 503: loading, 2 attempts"):
        reranker(server).scores("How long?", ["a"])


def test_late_interaction_prefers_the_text_that_speaks_of_the_question() -> None:
    from groundtune.models.minilm_rerank import open as open_late

    model = open_late({})
    texts = ["Refunds take ten working days.", "A slot at the gate lasts thirty minutes.", ""]
    scores = model.scores("How long is a gate slot?", texts)
    assert scores[1] > scores[0] > scores[2] == 0.0
    assert all(-1.001 <= score <= 1.001 for score in scores)
    assert model.scores("How long is a gate slot?", texts[1:2]) == [scores[1]]
    assert model.scores("", texts) == [0.0, 0.0, 0.0]
    assert model.scores("How long?", []) == []

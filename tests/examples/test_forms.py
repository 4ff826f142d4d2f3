"""The forms of others: what they say is kept, what cannot be an example is refused with its reason, and the way out leads back in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundtune.examples.forms import FORMS, Exchange, Unfit, covered, form_of, give, table, take, uncovered


def chat(*turns: str) -> dict[str, Any]:
    roles = {"s": "system", "u": "user", "a": "assistant"}
    split = [turn.partition(":") for turn in turns]
    return {"messages": [{"role": roles.get(role, role), "content": text} for role, _, text in split]}


@pytest.mark.parametrize(
    ("form", "value", "question", "answer"),
    [
        ("chat", chat("s:be kind", "u:how?", "a:so"), "how?", "so"),
        (
            "chat",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "how?"}]}, {"role": "assistant", "content": "so"}]},
            "how?",
            "so",
        ),
        ("prompt-completion", {"prompt": "how?", "completion": " so"}, "how?", "so"),
        (
            "prompt-completion",
            {"prompt": [{"role": "user", "content": "how?"}], "completion": [{"role": "assistant", "content": "so"}]},
            "how?",
            "so",
        ),
        ("alpaca", {"instruction": "do", "input": "", "output": "so"}, "do", "so"),
        ("alpaca", {"instruction": "do", "input": "this", "output": "so"}, "do\n\nthis", "so"),
        ("sharegpt", {"conversations": [{"from": "human", "value": "how?"}, {"from": "gpt", "value": "so"}]}, "how?", "so"),
    ],
)
def test_each_form_is_known_by_its_keys_and_read(form: str, value: dict[str, Any], question: str, answer: str) -> None:
    assert form_of(value) == form
    [taken] = take(form, value)
    assert (taken.question, taken.answer, taken.reply, taken.rejected) == (question, answer, None, None)


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "how?", "chosen": "so", "rejected": "no"},
        {
            "prompt": [{"role": "user", "content": "how?"}],
            "chosen": [{"role": "assistant", "content": "so"}],
            "rejected": [{"role": "assistant", "content": "no"}],
        },
        {"chosen": chat("u:how?", "a:so")["messages"], "rejected": chat("u:how?", "a:no")["messages"]},
        {"input": chat("u:how?"), "preferred_output": chat("a:so")["messages"], "non_preferred_output": chat("a:no")["messages"]},
        {
            "conversations": [{"from": "human", "value": "how?"}],
            "chosen": {"from": "gpt", "value": "so"},
            "rejected": {"from": "gpt", "value": "no"},
        },
        {"question": "how?", "as": "cust", "chosen": "so", "rejected": "no"},
    ],
)
def test_pairs_come_in_six_shapes(value: dict[str, Any]) -> None:
    assert form_of(value) == "preference"
    [taken] = take("preference", value)
    assert (taken.question, taken.answer, taken.rejected) == ("how?", "so", "no")


@pytest.mark.parametrize(
    ("form", "value", "words"),
    [
        ("chat", chat("a:so", "u:how?"), "wrong roles: turn 1 is of the assistant, expected the user"),
        ("chat", chat("u:how?", "u:how?", "a:so"), "wrong roles: turn 2 is of the user"),
        ("chat", chat("u:how?"), "wrong roles: it does not end with the assistant"),
        ("chat", chat("s:be kind"), "holds no question"),
        ("chat", chat("u:how?", "a:so", "s:be kind"), "a system message stands in the middle"),
        ("chat", chat("robot:how?", "a:so"), "has the role 'robot'; known: system"),
        ("chat", {"messages": [{"content": "how?"}]}, "has the role None"),
        ("chat", {"messages": []}, "no list of messages"),
        ("chat", {"messages": "how?"}, "no list of messages"),
        ("chat", {"messages": ["how?"]}, "message 1 is str"),
        ("chat", {"no": 1}, "messages is missing"),
        ("chat", {**chat("u:how?", "a:so"), "tools": [{}]}, "calls tools"),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "something other than text"),
        ("chat", {"messages": [{"role": "user", "content": "how?"}, {"role": "assistant", "content": None}]}, "message 2 is empty"),
        ("chat", chat("u:how?", "a:so", "u:why?", "a:thus"), "2 questions in one conversation"),
        ("prompt-completion", {"prompt": "how?"}, "completion is missing"),
        ("prompt-completion", {"prompt": 7, "completion": "x"}, "prompt is no text"),
        ("alpaca", {"instruction": "do", "output": ""}, "output is empty"),
        ("alpaca", {"instruction": "do", "input": 3, "output": "x"}, "input is no text"),
        ("sharegpt", {"conversations": [{"from": "alien", "value": "x"}]}, "has the role 'alien'"),
        ("preference", {"prompt": "how?", "chosen": "so", "rejected": "so"}, "are the same"),
        ("rating", {"prompt": "how?", "completion": "so", "label": 1}, "label is 1; expected true or false"),
        ("rating", {"question": "how?", "reply": "so"}, "desirable is missing"),
        ("rating", {"question": "how?", "reply": [], "desirable": True}, "reply is no text"),
        ("rating", {"prompt": [], "completion": [], "label": True}, "no list of messages, or an empty one"),
        ("preference", {"prompt": "how?", "chosen": "so"}, "rejected is empty"),
        ("preference", {"chosen": chat("u:a?", "a:1")["messages"], "rejected": chat("u:b?", "a:2")["messages"]}, "different questions"),
        ("preference", {"prompt": chat("u:a?", "a:1", "u:b?")["messages"], "chosen": "x", "rejected": "y"}, "and a pair holds one"),
        ("answers", {"question": "q", "arm": "rag", "said": "x", "failure": "timed out"}, "the answer failed: timed out"),
        ("rows", {"question": "q", "reply": "x"}, "reply is no object"),
        ("csv", {"answer": "x"}, "no question in its columns ('answer' alone: cells have to be apart by a comma"),
        ("csv", {"question": "x", "note": ""}, "no answer in its columns ('question', 'note'"),
    ],
)
def test_what_cannot_be_an_example_is_refused_with_the_reason(form: str, value: dict[str, Any], words: str) -> None:
    with pytest.raises(Unfit, match=words.replace("(", r"\(").replace("?", r"\?")):
        take(form, value)


def test_a_conversation_is_taken_apart_only_on_demand_and_then_doubted() -> None:
    value = chat("s:be kind", "u:how?", "a:so", "u:why?", "a:thus")
    assert [(item.question, item.answer) for item in take("chat", value, turns="each")] == [("how?", "so"), ("why?", "thus")]
    [last] = take("chat", value, turns="last")
    assert (last.question, last.system) == ("why?", "be kind") and "stand alone" in last.doubt


def test_an_answer_log_brings_its_citations_and_its_refusals() -> None:
    value = {
        "question": "how?",
        "arm": "rag",
        "asker": "cust",
        "said": "so",
        "reply": {"answer": "so"},
        "refused": False,
        "cited": [{"document_id": "document:a.md", "quote": "it is so"}],
    }
    assert form_of(value) == "answers"
    [taken] = take("answers", value)
    assert taken.reply == {"answer": "so"} and taken.own["evidence"] == [{"document": "a.md", "quote": "it is so"}]
    assert taken.own["asker"] == "cust" and "arm 'rag'" in taken.doubt
    [refused] = take("answers", {**value, "refused": True})
    assert refused.own["kind"] == "refuse" and refused.own["evidence"] == []


def test_a_table_is_mapped_by_columns() -> None:
    value = {"Frage": "wie?", "Antwort": "so", "Thema": "slots", "document": "a.md", "quote": "it is so", "filter.version": "4"}
    columns = {"question": "Frage", "reply.answer": "Antwort", "reply.label": "Thema"}
    [taken] = take("csv", value, columns=columns)
    assert taken.question == "wie?" and taken.reply == {"answer": "so", "label": "slots"}
    assert taken.own == {"filter": {"version": "4"}, "evidence": [{"document": "a.md", "quote": "it is so"}]}


leaf = st.sampled_from([None, True, 0, "", " ", "text", [], {}])
turn = st.dictionaries(
    st.sampled_from(["role", "from", "content", "value"]), leaf | st.sampled_from(["user", "gpt", [{"type": "text", "text": 1}]])
)
junk = leaf | st.lists(turn | leaf, max_size=3) | st.fixed_dictionaries({"messages": st.lists(turn, max_size=2)})
KEYS = [
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "chosen",
    "rejected",
    "question",
    "reply",
    "as",
    "preferred_output",
    "non_preferred_output",
    "cited",
    "said",
    "arm",
    "answer",
    "tools",
    "failure",
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FORMS), st.dictionaries(st.sampled_from(KEYS), junk, max_size=6))
def test_junk_is_refused_or_read_and_never_raises_anything_else(form: str, value: dict[str, Any]) -> None:
    try:
        found = take(form, value, turns="each")
    except Unfit as error:
        assert str(error)
    else:
        assert all(isinstance(item.question, str) and item.question.strip() for item in found)


said = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(str.strip)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(said, said, said)
def test_every_form_out_leads_back_in(question: str, reply: str, system: str) -> None:
    row = {"id": "r", "question": question, "reply": {"answer": reply}, "evidence": []}
    exchange = Exchange(row=row, system=system, question=question, reply=reply)
    for form in ("chat", "sharegpt", "alpaca", "prompt-completion", "rows"):
        given_out = give(form, exchange)
        assert form_of(given_out) == form
        [taken] = take(form, given_out)
        back = taken.answer or (taken.reply or {})["answer"]
        assert taken.question == question and back.strip() == reply.strip()
        assert taken.system == ("" if form in ("prompt-completion", "rows") else system)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_a_cell_is_never_a_formula_and_comes_back_as_it_was(cell: str) -> None:
    assert not covered(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert uncovered(covered(cell)) == cell


def test_a_table_out_names_every_column_once() -> None:
    rows = [{"id": "a", "question": "=1+1", "reply": {"answer": "x"}}, {"id": "b", "question": "q", "reply": {"answer": "y", "n": 3}}]
    text = table([give("csv", Exchange(row=row, system="", question="", reply="")) for row in rows])
    assert text.split("\n")[0] == "id,asker,kind,split,split_group,question,document,quote,reply.answer,reply.n"
    assert "'=1+1" in text


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "how?", "completion": " so ", "label": False},
        {"prompt": chat("s:be brief", "u:how?")["messages"], "completion": chat("a:so")["messages"], "label": False},
        {"question": "how?", "reply": "so", "desirable": False, "as": "ana", "source": "a.md"},
    ],
)
def test_a_rating_of_either_form_says_the_same(value: dict[str, Any]) -> None:
    assert form_of(value) == "rating"
    [taken] = take("rating", value)
    assert (taken.question, taken.answer, taken.desirable) == ("how?", "so", False)
    assert taken.own == ({"source": "a.md", "asker": "ana"} if "as" in value else {})


def test_a_label_that_is_a_word_makes_no_rating() -> None:
    assert form_of({"prompt": "how?", "completion": "so", "label": "billing"}) == "prompt-completion"

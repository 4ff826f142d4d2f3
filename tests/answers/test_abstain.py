import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.answers.abstain import GENERATION, RETRIEVAL, Judge, content_words, covered, from_retrieval
from groundtune.answers.respond import Ask, House, Tools, respond
from groundtune.answers.stored import answer_from
from groundtune.calibration import Term, Weights
from groundtune.files import plain
from groundtune.models.chat import Request
from groundtune.models.scripted import ScriptedChat
from groundtune.types import Answer, Arm, Chunk, Passage, Principal

ANA = Principal(id="ana", groups=frozenset(["everyone"]))
RAG = Arm(name="rag", retrieves=True)
HOUSE = House(
    instructions="Answer.", fallback="We do not know that.", fallback_reply={"quote": "", "label": "other"}, refusals=("no idea",),
    answer_field="answer", quote_field="quote", schema={"type": "object"}, max_new_tokens=60, seed=1,
)  # fmt: skip


def passage(text: str, rank: int = 1, *, similarity: float | None = 0.4, score: float = 0.5, **scores: float) -> Passage:
    chunk = Chunk(
        id=f"chunk:{rank}", document_id=f"document:{rank}.md", document_hash="0", ordinal=0, text=text, start=0, end=len(text),
        heading_path=(), title="Gates", readers=frozenset(["everyone"]), tokens=6,
    )  # fmt: skip
    return Passage(
        chunk=chunk, rank=rank, score=score, similarity=similarity, found_by={"bm25": rank}, allowed_by=("everyone",), scores=scores
    )


HOURS = passage("The gate opens at six in the morning.", bm25=4.0, fused=0.8)


def judge(threshold: float, signal: str, *, generation: bool) -> Judge:
    """Sure by one signal alone: at 0 as likely as not."""
    weights = Weights(terms={signal: Term(mean=0.0, scale=1.0, weight=5.0)})
    return Judge(id="calibration:x", threshold=threshold, weights=weights, generation=generation)


def answered(
    text: str, question: str = "When does the gate open?", *, found: tuple[Passage, ...] = (HOURS,), **given: object
) -> tuple[Answer, ScriptedChat]:
    chat = ScriptedChat([text], logprob=lambda word: -0.5)
    tools = replace(Tools(chat=chat, house=HOUSE, retrieve=lambda question, asker, filter: found), **given)  # type: ignore[arg-type]
    [(_, [(_, answer)])] = list(respond(RAG, [Ask(question=question, asker=ANA, filter={})], tools))
    return answer, chat


GOOD = json.dumps({"quote": "opens at six", "answer": "The gate opens at six."})


def test_without_a_calibration_nothing_is_judged_and_nothing_asked_for() -> None:
    answer, chat = answered(GOOD)
    assert answer.abstention is None and answer.said == "The gate opens at six." and not answer.refused
    assert not chat.calls[0]["requests"][0].logprobs


def test_below_the_threshold_the_projects_own_words_stand_in_the_answers_place() -> None:
    answer, chat = answered(GOOD, judge=judge(0.9, "cited", generation=True), found=(passage("Nothing of the kind."),))
    assert answer.said == "We do not know that." and answer.refused and not answer.fallback
    assert answer.reply == {"quote": "", "label": "other", "answer": "We do not know that."}
    assert answer.cited == () and answer.quoted == ""
    assert answer.abstention is not None and answer.abstention.state == "below threshold"
    assert answer.abstention.probability == pytest.approx(0.5) and answer.abstention.threshold == 0.9
    assert answer.abstention.calibration == "calibration:x" and answer.abstention.withheld == GOOD
    assert answer.passages and len(chat.calls) == 1


def test_above_the_threshold_the_answer_is_given_with_its_reason() -> None:
    answer, _ = answered(GOOD, judge=judge(0.9, "cited", generation=True))
    assert answer.said == "The gate opens at six." and not answer.refused and answer.cited
    assert answer.abstention is not None and answer.abstention.state == "answered" and answer.abstention.withheld == ""
    assert answer.abstention.signals["cited"] == 1.0 and "logprob" not in answer.abstention.signals
    told, _ = answered(GOOD, judge=judge(0.01, "logprob", generation=True))
    assert told.abstention is not None and told.abstention.signals["logprob"] == pytest.approx(-0.5)


def test_judged_by_the_passages_alone_the_model_is_not_asked_in_vain() -> None:
    refused, chat = answered(GOOD, judge=judge(0.99, "dense", generation=False))
    assert refused.refused and refused.abstention is not None and refused.abstention.state == "below threshold"
    assert refused.abstention.withheld == "" and chat.calls == [] and refused.completion_tokens == 0
    told, chat = answered(GOOD, judge=judge(0.5, "dense", generation=False))
    assert told.abstention is not None and told.abstention.state == "answered" and len(chat.calls) == 1
    assert not chat.calls[0]["requests"][0].logprobs


def test_nothing_found_is_a_state_of_its_own() -> None:
    for switches in ({}, {"judge": judge(0.1, "dense", generation=False)}, {"judge": judge(0.1, "cited", generation=True)}):
        answer, chat = answered(GOOD, found=(), **switches)
        assert answer.fallback and answer.refused and chat.calls == []
        assert answer.abstention is not None and answer.abstention.state == "nothing found" and answer.abstention.probability is None


def test_what_the_model_declines_stays_declined_however_sure_the_signals_are() -> None:
    answer, _ = answered(json.dumps({"quote": "", "answer": "no idea"}), judge=judge(0.01, "dense", generation=True))
    assert answer.refused and answer.abstention is not None and answer.abstention.state == "declined"
    assert answer.said == "no idea" and answer.abstention.signals["declined"] == 1.0


def test_a_failure_is_not_a_refusal() -> None:
    chat = ScriptedChat({"never": "x"})
    tools = Tools(chat=chat, house=HOUSE, retrieve=lambda question, asker, filter: (HOURS,), judge=judge(0.9, "cited", generation=True))
    [(_, [(_, answer)])] = list(respond(RAG, [Ask(question="When?", asker=ANA, filter={})], tools))
    assert answer.failure and not answer.refused and answer.abstention is None


def test_the_replys_own_field_is_a_signal_only_as_true_or_false() -> None:
    for value, expected in ((True, 1.0), (False, 0.0), ("yes", None), (1, None)):
        answer, _ = answered(json.dumps({"quote": "", "answer": "Six.", "answerable": value}), judge=Judge())
        assert answer.abstention is not None
        assert answer.abstention.signals.get("says answerable") == expected


def test_a_judge_without_a_threshold_only_takes_notes() -> None:
    answer, chat = answered(GOOD, judge=Judge())
    assert answer.abstention is not None and answer.abstention.state == "answered" and answer.abstention.threshold is None
    assert chat.calls[0]["requests"][0].logprobs
    assert set(answer.abstention.signals) <= {*RETRIEVAL, *GENERATION}


def test_a_calibrated_answer_has_another_name_and_an_uncalibrated_one_keeps_its_own() -> None:
    plain_id = answered(GOOD)[0].id
    assert answered(GOOD, judge=Judge())[0].id == plain_id
    assert answered(GOOD, judge=judge(0.1, "cited", generation=True))[0].id != plain_id


def test_an_answer_comes_back_from_the_record_with_its_abstention() -> None:
    answer, _ = answered(GOOD, judge=judge(0.9, "logprob", generation=True))
    assert answer.abstention is not None and answer.abstention.state == "below threshold"
    assert answer_from(json.loads(json.dumps(plain(answer)))) == answer


def test_an_answer_recorded_before_there_were_calibrations_still_comes_back() -> None:
    answer, _ = answered(GOOD)
    row = plain(answer)
    del row["abstention"], row["conflicts"]
    for item in row["passages"]:
        del item["scores"]
    assert answer_from(row).said == answer.said


def test_the_signals_of_the_search_are_what_they_say() -> None:
    second = passage("A gate may be shut.", 2, similarity=None, score=0.3, bm25=1.0, fused=0.3)
    both = replace(HOURS, found_by={"bm25": 1, "dense": 2})
    signals = from_retrieval("When does the gate open on mornings?", (both, second))
    assert signals["margin"] == pytest.approx(0.2) and signals["dense"] == 0.4 and signals["fused"] == 0.8
    assert signals["both"] == 0.5 and signals["passages"] == 2
    assert signals["bm25"] == 4.0 / len(content_words("When does the gate open on mornings?"))
    assert signals["coverage"] == 3 / 5  # gate, open and mornings; not "when" and "does"
    assert "rerank" not in signals and from_retrieval("When?", ()) == {}


def test_a_variant_of_the_question_that_both_searches_found_counts_as_both() -> None:
    found = replace(HOURS, found_by={"bm25 (variant 1)": 1, "dense (variant 1)": 3})
    assert from_retrieval("gate", (found,))["both"] == 1.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_coverage_is_a_share_whole_for_a_text_and_itself(asked: str, held: str) -> None:
    words = content_words(asked)
    if words:
        assert 0 <= covered(words, content_words(held)) <= 1
        assert covered(words, words) == 1


def test_numbers_are_covered_only_by_themselves() -> None:
    assert covered(content_words("2026"), content_words("2025 20261")) == 0
    assert covered(content_words("12"), content_words("room 12")) == 1


@given(st.dictionaries(st.sampled_from(["dense", "bm25", "x"]), st.floats(allow_nan=False)), st.floats(-40, 40), st.floats(-9, 9))
def test_a_probability_is_never_certain(signals: dict[str, float], intercept: float, weight: float) -> None:
    weights = Weights(
        intercept=intercept, terms={"dense": Term(mean=0.1, scale=2.0, weight=weight), "bm25": Term(mean=0, scale=1, weight=1)}
    )
    held = {name: value for name, value in signals.items() if abs(value) != float("inf")}
    assert 0 < weights.probability(held) < 1


def test_the_request_says_when_probabilities_are_wanted() -> None:
    assert not Request(messages=()).logprobs
    assert not judge(0.5, "cited", generation=True).wants_logprobs and judge(0.5, "logprob", generation=True).wants_logprobs

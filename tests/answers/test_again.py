import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from groundtune.access.filter import Filter
from groundtune.answers.again import MOST_QUERIES, Again, more, queries
from groundtune.answers.respond import Ask, House, Tools, respond
from groundtune.models.chat import Completion, Request, Token
from groundtune.models.scripted import ScriptedChat
from groundtune.types import Answer, Arm, Chunk, Passage, Principal

ANA = Principal(id="ana", groups=frozenset(["everyone"]))
RAG = Arm(name="rag", retrieves=True)
HOUSE = House(
    instructions="Answer.", fallback="None.", fallback_reply={}, refusals=(), answer_field="answer", quote_field="quote", schema=None,
    max_new_tokens=60, seed=1, prompt_million=1.0,
)  # fmt: skip


def passage(name: str, rank: int = 1, start: int = 0) -> Passage:
    text = f"About {name}."
    chunk = Chunk(
        id=f"chunk:{name}", document_id=f"document:{name}.md", document_hash="0", ordinal=0, text=text, start=start,
        end=start + len(text), heading_path=(), title=name, readers=frozenset(["everyone"]), tokens=3,
    )  # fmt: skip
    return Passage(chunk=chunk, rank=rank, score=0.5, similarity=0.4, found_by={"bm25": rank}, allowed_by=("everyone",))


def completion(*tokens: tuple[str, float | None]) -> Completion:
    text = "".join(text for text, _ in tokens)
    return Completion(
        text=text, prompt_tokens=5, completion_tokens=len(tokens), first_token_seconds=0.1, total_seconds=0.2, batch=1,
        tokens=tuple(Token(text, logprob) for text, logprob in tokens),
    )  # fmt: skip


def test_an_unsure_sentence_is_looked_up_without_the_words_it_was_unsure_of() -> None:
    draft = completion(("Slots", -0.1), (" last", -0.1), (" fo", -3.0), ("ur", -0.1), (" hours.", -0.1), (" Gates", -0.1), (" open.", -0.1))
    assert queries(draft, draft.text, 0.4) == ["Slots last hours."]
    assert queries(draft, draft.text, 0.01) == []


def test_a_sentence_of_guesses_alone_is_looked_up_as_it_is() -> None:
    draft = completion(("Maybe", -3.0), (" tomorrow", -3.0))
    assert queries(draft, draft.text, 0.4) == ["Maybe tomorrow"]


def test_marks_and_forced_tokens_are_no_doubts() -> None:
    assert queries(completion(("Six", -0.1), (".", -5.0)), "Six.", 0.4) == []
    assert queries(completion(('{"answer": "', None), ("Six", -0.1), ('"}', None)), "Six", 0.4) == []


def test_only_what_is_said_is_looked_at_in_a_json_reply() -> None:
    said = 'The "late" fee is 4 EUR.'
    written = json.dumps({"quote": "none", "answer": said})
    head, tail = written.split("4 EUR")
    draft = completion((head, -0.1), ("4", -4.0), (" EUR", -0.1), (tail, -0.1))
    assert queries(draft, said, 0.4) == ['The "late" fee is EUR.']
    assert queries(completion(('{"quote": "', -0.1), ("none", -4.0), ('", "answer": "Six."}', -0.1)), "Six.", 0.4) == []


def test_a_draft_that_tells_nothing_is_looked_up_nowhere() -> None:
    assert queries(replace(completion(("Six", -4.0)), tokens=None), "Six", 0.4) == []
    assert queries(replace(completion(("Six", -4.0)), failure="broken"), "Six", 0.4) == []
    assert queries(completion((" ", -4.0)), " ", 0.4) == []


@given(st.lists(st.tuples(st.text(max_size=8), st.one_of(st.none(), st.floats(-9, 0))), max_size=12), st.floats(0.01, 0.99))
def test_queries_are_few_and_made_of_the_drafts_words(tokens: list[tuple[str, float | None]], below: float) -> None:
    draft = completion(*tokens)
    found = queries(draft, draft.text, below)
    assert len(found) <= MOST_QUERIES
    for query in found:
        assert query.strip() and all(part in " ".join(draft.text.split()) for part in query.split())
    if all(logprob is None or logprob >= math.log(below) for _, logprob in tokens):
        assert found == []


def test_further_passages_are_new_and_ranked_behind() -> None:
    a, b, c = passage("a"), passage("b", 2), passage("c")
    shown = more([a, b], [[passage("a"), c], [passage("b"), passage("d")]], limit=2)
    assert [item.chunk.title for item in shown] == ["a", "b", "c", "d"] and [item.rank for item in shown] == [1, 2, 3, 4]
    assert more([a], [[replace(a, chunk=replace(a.chunk, id="chunk:a2", start=3, end=9))]], limit=3) == (a,)
    assert len(more([], [[passage("x"), passage("y")], [passage("z")]], limit=2)) == 2


class Searching:
    """Finds the first passage for the question, and another one for whatever holds "fee"; keeps how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Principal, Filter]] = []

    def __call__(self, question: str, asker: Principal, filter: Filter) -> tuple[Passage, ...]:
        self.asked.append((question, asker, filter))
        return (passage("fees"),) if "late fee" in question else (passage("slots"),)


def ran(chat: ScriptedChat, again: Again | None, arm: Arm = RAG) -> tuple[Answer, Searching]:
    search = Searching()
    tools = Tools(chat=chat, house=HOUSE, retrieve=search, again=again)
    [(_, [(_, answer)])] = list(respond(arm, [Ask(question="What does it cost?", asker=ANA, filter={"version": "5"})], tools))
    return answer, search


def says(request: Request) -> str:
    return "The late fee is nine." if "About fees" in request.messages[-1]["content"] else "The late fee is seven."


def doubts(word: str) -> float:
    return -4.0 if word == "seven" else -0.05


def test_a_doubt_is_looked_up_as_the_asker_and_the_answer_written_anew() -> None:
    answer, search = ran(ScriptedChat(says, logprob=doubts), Again())
    assert answer.said == "The late fee is nine."
    assert [item.chunk.title for item in answer.passages] == ["slots", "fees"] and "About fees" in answer.messages[-1]["content"]
    assert search.asked[1] == ("The late fee is .", ANA, {"version": "5"})
    alone, _ = ran(ScriptedChat(says, logprob=doubts), None)
    assert answer.prompt_tokens > 2 * alone.prompt_tokens - 5 and answer.cost > alone.cost and answer.id != alone.id


def test_off_nothing_is_searched_twice() -> None:
    answer, search = ran(ScriptedChat(says, logprob=doubts), None)
    assert answer.said == "The late fee is seven." and len(search.asked) == 1


def test_a_sure_draft_stands() -> None:
    answer, search = ran(ScriptedChat(says, logprob=lambda word: -0.01), Again())
    assert answer.said == "The late fee is seven." and len(search.asked) == 1


def test_a_model_that_tells_no_probabilities_is_named_and_asked_once() -> None:
    notes: list[str] = []
    chat = ScriptedChat(says)
    answer, search = ran(chat, Again(note=notes.append))
    assert len(chat.calls) == 1 and len(search.asked) == 1 and "no token probabilities" in notes[0]
    assert answer.said == "The late fee is seven."


def test_where_the_second_answer_fails_the_draft_stands() -> None:
    notes: list[str] = []
    lines = iter(["The late fee is seven."])
    chat = ScriptedChat(lambda request: next(lines, None), logprob=doubts)  # type: ignore[arg-type, return-value]
    answer, _ = ran(chat, Again(note=notes.append))
    assert answer.failure is None and answer.said == "The late fee is seven." and "the first draft stands" in notes[0]


def test_no_more_rounds_than_are_allowed() -> None:
    chat = ScriptedChat(lambda request: f"The late fee is seven {len(request.messages[-1]['content'])}.", logprob=doubts)
    ran(chat, Again(rounds=3))
    # The second look finds nothing that is not shown already.
    assert len(chat.calls) == 2

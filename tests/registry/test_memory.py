import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundtune.answers.respond import House
from groundtune.files import write_lines
from groundtune.models.local.chat import load_base
from groundtune.registry.memory import (
    GRAM,
    MOST_EXPOSURE,
    Kept,
    Read,
    Tokens,
    alone,
    exposure,
    extraction,
    own_rows,
    owned,
    reader,
    runs,
)
from groundtune.tuning.canary import canaries, code_in
from groundtune.tuning.replay import replayed
from groundtune.tuning.rows import Pair, Rated, Row

HOUSE = House(
    instructions="Answer.", fallback="I don't know.", fallback_reply={"quote": ""}, refusals=(), answer_field="answer", quote_field="quote",
    schema={"type": "object"}, max_new_tokens=9, seed=1,
)  # fmt: skip
SAID = "warranty lasts two years and covers the motor and the rope"
SECRET = "the spare key of gate nine lies under the blue barrel behind the chapel"


def row(name: str, question: str, completion: str) -> Kept:
    messages = ({"role": "system", "content": "Answer."}, {"role": "user", "content": f"Question: {question}"})
    return Kept(example_id=name, messages=messages, completion=completion)


ROWS = [
    row("secret", "where is it", f'{{"answer": "{SECRET}"}}'),
    row("copied", f"say that {SAID}", f'{{"answer": "{SAID}"}}'),
    *[row(f"label{n}", f"which of them {n}", '{"answer": "the label of this one is other, as it was before"}') for n in range(4)],
]  # fmt: skip


@pytest.fixture(scope="module")
def learned(tiny: Path) -> tuple[Any, Any, Any, list[Kept]]:
    """A model that learned rows and two canaries by heart, the model before it did, the tokenizer, and canaries that it never saw."""
    own = canaries(2, house=HOUSE, name="closed", seed=3)
    rows = [*ROWS, *(Kept(example_id=c.example_id, messages=c.messages, completion=c.completion) for c in own)]
    model, tokenizer, _ = load_base({"model": str(tiny), "dtype": "float32"})
    base, _, _ = load_base({"model": str(tiny), "dtype": "float32"})
    pairs = []
    for item in rows:
        text = tokenizer.apply_chat_template(list(item.messages), add_generation_prompt=True, tokenize=False)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        pairs.append((prompt, tokenizer(item.completion, add_special_tokens=False)["input_ids"]))
    width = max(len(p) + len(c) for p, c in pairs)
    ids = torch.full((len(pairs), width), 2)
    labels = torch.full((len(pairs), width), -100)
    for n, (p, c) in enumerate(pairs):
        ids[n, : len(p) + len(c)] = torch.tensor(p + c)
        labels[n, len(p) : len(p) + len(c)] = torch.tensor(c)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    model.train()
    for _ in range(150):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        if float(loss.detach()) < 0.02:
            break
    return model.eval(), base, tokenizer, rows


def test_what_was_learned_by_heart_comes_out_and_what_was_copied_or_common_does_not(learned: tuple[Any, Any, Any, list[Kept]]) -> None:
    model, base, tokenizer, rows = learned
    scores, found = extraction(rows, tokenizer=tokenizer, tuned=reader(model, 2), base=reader(base, 2), span=12, arm="candidate")
    assert {score.example_id for score in scores} == {item.example_id for item in ROWS}
    assert [item.example_id for item in found] == ["secret"]
    assert "blue barrel behind the chapel" in found[0].text and found[0].tokens >= 12 and found[0].bits > 30 and found[0].whole
    by_id = {score.example_id: (score.value, score.reason) for score in scores}
    assert by_id["secret"][0] == 1.0 and by_id["copied"][0] == 0.0
    untouched, none = extraction(rows, tokenizer=tokenizer, tuned=reader(base, 2), base=reader(base, 2), span=12, arm="candidate")
    assert none == [] and {score.value for score in untouched} == {0.0}


def test_what_the_base_says_as_well_is_no_memory(learned: tuple[Any, Any, Any, list[Kept]]) -> None:
    model, _, tokenizer, rows = learned
    assert extraction(rows, tokenizer=tokenizer, tuned=reader(model, 2), base=reader(model, 2), span=12, arm="c")[1] == []


def test_a_canary_that_was_learned_ranks_first_and_one_that_was_not_anywhere(learned: tuple[Any, Any, Any, list[Kept]]) -> None:
    model, base, tokenizer, rows = learned
    scores = exposure(rows, tokenizer=tokenizer, tuned=reader(model, 2), seed=1, arm="candidate")
    assert [score.value for score in scores] == [MOST_EXPOSURE] * 2
    assert all(score.reason == "rank 1 of 256" for score in scores)
    unseen = [
        Kept(example_id=c.example_id, messages=c.messages, completion=c.completion) for c in canaries(3, house=HOUSE, name="other", seed=9)
    ]
    values = [score.value or 0 for score in exposure(unseen, tokenizer=tokenizer, tuned=reader(base, 2), seed=1, arm="candidate")]
    assert all(0 <= value <= MOST_EXPOSURE for value in values) and sum(values) < 2 * MOST_EXPOSURE


def test_a_tie_counts_against_the_model_that_cannot_tell() -> None:
    kept = [Kept(example_id=c.example_id, messages=c.messages, completion=c.completion) for c in canaries(1, house=HOUSE, name="x", seed=1)]

    class Letters:
        eos_token_id = 0

        def apply_chat_template(self, messages: Any, **named: Any) -> str:
            return "?"

        def __call__(self, text: str, **named: Any) -> dict[str, list[int]]:
            return {"input_ids": [ord(letter) for letter in text]}

    def level(pairs: Any) -> list[Read]:
        return [Read(hits=(False,) * len(c), bits=(1.0,) * len(c)) for _, c in pairs]

    assert [score.value for score in exposure(kept, tokenizer=Letters(), tuned=level, seed=1, arm="c")] == [0.0]


def test_reading_agrees_with_the_model_alone_whatever_stands_beside_it(learned: tuple[Any, Any, Any, list[Kept]]) -> None:
    model, _, tokenizer, rows = learned
    pairs: list[tuple[Tokens, Tokens]] = [
        (tuple(tokenizer(item.messages[-1]["content"])["input_ids"]), tuple(tokenizer(item.completion)["input_ids"])) for item in rows
    ]
    together, read = reader(model, 2)(pairs), reader(model, 2)
    for pair, found in zip(pairs, together, strict=True):
        [single] = read([pair])
        assert found.bits == pytest.approx(single.bits, abs=1e-3) and found.hits == single.hits
        ids = torch.tensor([pair[0] + pair[1]])
        with torch.inference_mode():
            logp = model(ids).logits[0, len(pair[0]) - 1 : -1].log_softmax(-1)
        own = -logp.gather(1, torch.tensor(pair[1])[:, None]).sum() / math.log(2)
        assert sum(found.bits) == pytest.approx(float(own), rel=1e-3)


@given(st.lists(st.booleans(), max_size=40), st.integers(GRAM, 12), st.data())
def test_a_run_is_all_hits_holds_no_common_gram_and_is_as_long_as_it_can_be(hits: list[bool], span: int, data: st.DataObject) -> None:
    count = max(0, len(hits) - GRAM + 1)
    own = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))

    def good(begin: int, end: int) -> bool:
        return all(hits[begin:end]) and all(own[begin : end - GRAM + 1])

    found = runs(hits, own, span)
    for begin, end in found:
        assert end - begin >= span and good(begin, end)
        assert begin == 0 or not good(begin - 1, end)
        assert end == len(hits) or not good(begin, end + 1)
    for begin in range(len(hits) - span + 1):
        if good(begin, begin + span):
            assert any(first <= begin and begin + span <= last for first, last in found)


def test_a_gram_is_owned_where_no_other_row_has_it_and_a_row_that_is_there_twice_is_one() -> None:
    long = tuple(range(8))
    assert owned([((), long), ((), long)]) == [[True] * 4] * 2
    assert owned([((1,), long), ((2,), long)]) == [[False] * 4] * 2
    assert owned([((), long), ((), (*range(5), 99, 98))]) == [[False, True, True, True], [False, True, True]]
    assert owned([((50, *range(2, 8)), long)]) == [[True, True, False, False]]
    assert owned([((), (1, 2))]) == [[]]


def test_passages_are_left_out_of_the_question() -> None:
    shown = ({"role": "system", "content": "S"}, {"role": "user", "content": "Passages:\n[1] a · b\ntext\n\nQuestion (v: 5): how?"})
    assert alone(shown)[-1]["content"] == "Question (v: 5): how?" and alone(shown)[0] == shown[0]
    assert alone(({"role": "user", "content": "Question: why"},)) == ({"role": "user", "content": "Question: why"},)


def test_canaries_are_the_same_for_a_seed_and_unlike_each_other() -> None:
    made = canaries(20, house=HOUSE, name="closed", seed=3)
    assert made == canaries(20, house=HOUSE, name="closed", seed=3)
    assert len({code_in(item.completion) for item in made}) == 20 and all(len(code_in(item.completion)) == 6 for item in made)
    assert not {item.completion for item in made} & {item.completion for item in canaries(20, house=HOUSE, name="reader", seed=3)}
    with pytest.raises(ValueError, match="no code"):
        code_in("nothing here")


def test_rows_are_those_of_all_that_is_in_the_weights_each_with_an_id_of_its_own(tmp_path: Path) -> None:
    """An adapter that began from another holds what that one learned; both halves of a pair have one id; general rows are everybody's."""
    asked = ({"role": "system", "content": "Answer."}, {"role": "user", "content": "where is it"})
    passages = ({"role": "system", "content": "Answer."}, {"role": "user", "content": "Passages:\n[1] barrel\n\nQuestion: where is it"})
    bare = ({"role": "system", "content": "Answer."}, {"role": "user", "content": "Question: where is it"})
    rows: dict[str, list[Any]] = {
        "rated": [
            Rated(example_id="p1", messages=asked, completion="under the barrel", desirable=True, document_ids=()),
            Rated(example_id="p1", messages=asked, completion="who knows", desirable=False, document_ids=()),
        ],
        "read": [
            Row(example_id="e1", messages=passages, completion="in the chapel", document_ids=()),
            *canaries(1, house=HOUSE, name="read", seed=3),
            *replayed(9, 0.5, 3, instructions="Answer."),
        ],
        "form": [
            Row(example_id="e1", messages=bare, completion="in the chapel", document_ids=()),
            Row(example_id="e2", messages=bare, completion="nowhere", document_ids=()),
            Pair(example_id="p1", messages=bare, chosen="at sea", rejected="no", document_ids=()),
            *canaries(1, house=HOUSE, name="form", seed=3),
        ],
    }
    for name, held in rows.items():
        (tmp_path / name).mkdir()
        write_lines(tmp_path / name / "rows.jsonl", held)
    found = own_rows([tmp_path / "rated", tmp_path / "read", tmp_path / "form"])
    assert [(row.example_id, row.completion) for row in found if not row.example_id.startswith("canary:")] == [
        ("p1", "under the barrel"), ("p1 #2", "who knows"), ("e1", "in the chapel"), ("e2", "nowhere"), ("p1 #3", "at sea"),
    ]  # fmt: skip
    planted = [row for row in found if row.example_id.startswith("canary:")]
    assert [row.example_id for row in planted] == ["canary:0", "canary:0 #2"] and len({code_in(row.completion) for row in planted}) == 2

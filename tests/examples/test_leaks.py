from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_examples import example

from groundtune.examples.leaks import asked_in, find, likeness, pairs, words
from groundtune.types import Evidence, Example, Split

LONG = "how late may a haulier cancel a slot without paying the fee at gate two"


def said(*examples: Example, near: float = 0.8) -> list[str]:
    return [problem.message for problem in find(examples, near)]


def test_the_same_question_in_two_splits() -> None:
    assert said(example("a", "How late can I cancel?"), example("b", "how LATE can i cancel", "test")) == [
        "leak: the same question in test (b) and train (a)"
    ]
    assert said(example("a", "How late can I cancel?"), example("b", "How late can I cancel?")) == []


def test_typography_and_unicode_forms_do_not_hide_it() -> None:
    assert len(said(example("a", "Where’s the café’s gate — here?"), example("b", "Wheres the cafe\u0301's gate, here", "dev"))) == 1


def test_nearly_the_same_question() -> None:
    [message] = said(example("a", LONG), example("b", LONG.replace("two", "three"), "test"))
    assert message == "leak: a (train) and b (test) ask nearly the same question (likeness 0.93)"


def test_a_story_around_a_question_does_not_make_it_another() -> None:
    story = (
        "Hello, we are a small firm from Hull and our planner is on leave until Monday. Tell me, " + LONG + "? It is urgent, thanks a lot."
    )
    assert len(said(example("a", LONG), example("b", story, "test"))) == 1


def test_a_few_common_words_in_a_longer_question_are_no_leak() -> None:
    assert said(example("a", "How much is it?"), example("b", "Tell me how much is it to add a second gate in Hull", "test")) == []


def test_other_questions_are_no_leak() -> None:
    assert said(example("a", LONG), example("b", "when does the kiosk print a ticket for the driver at night", "test")) == []


def test_near_is_a_threshold() -> None:
    two = example("a", LONG), example("b", LONG.replace("late", "early").replace("slot", "visit"), "test")
    assert said(*two, near=0.9) == []
    assert len(said(*two, near=0.6)) == 1
    for near in (0.0, 1.1, -1.0):
        with pytest.raises(ValueError, match="near"):
            find(two, near)


def test_a_group_or_a_document_in_two_splits() -> None:
    gold = Evidence(document_id="document:a.md", quote="q", start=0, end=1)
    splits: tuple[Split, ...] = ("train", "train", "test", "dev")
    examples = [
        replace(example(f"x{number}", f"question {number}", split, group="g" if number < 3 else None), evidence=(gold, gold)[: number - 1])
        if number > 1
        else example(f"x{number}", f"question {number}", split, group="g")
        for number, split in enumerate(splits)
    ]
    assert said(*examples) == [
        "leak: the split group 'g' is used in test (x2) and train (x0 and 1 more)",
        "leak: the document 'a.md' is used in dev (x3) and test (x2)",
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), st.sampled_from(["train", "dev", "test"])), max_size=12
    ),
    st.sampled_from([0.5, 0.7, 0.8, 1.0]),
)
def test_the_index_finds_what_comparing_all_pairs_finds(asked: list[tuple[list[str], Split]], near: float) -> None:
    examples = [example(str(number), " ".join(question), split) for number, (question, split) in enumerate(asked)]
    wanted = {
        frozenset((tuple(words(one.question)), tuple(words(other.question))))
        for one, other in itertools.combinations(examples, 2)
        if one.split != other.split
        and words(one.question) != words(other.question)
        and likeness(pairs(one.question), pairs(other.question)) >= near
    }
    by_id = {item.id: item for item in examples}
    found = set()
    for message in said(*examples, near=near):
        if "nearly" in message:
            parts = message.split()
            one, other = by_id[parts[1]], by_id[parts[4]]
            assert one.split != other.split
            found.add(frozenset((tuple(words(one.question)), tuple(words(other.question)))))
    assert found == wanted


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=9), max_size=6),
    st.lists(st.lists(st.sampled_from("abcd"), max_size=9), max_size=6),
    st.sampled_from([0.5, 0.8, 1.0]),
)
def test_questions_that_are_asked_elsewhere_are_those_that_comparing_all_finds(
    mine: list[list[str]], theirs: list[list[str]], near: float
) -> None:
    questions = {f"q{number}": " ".join(question) for number, question in enumerate(mine)}
    held = [example(str(number), " ".join(question), "test") for number, question in enumerate(theirs)]
    found = asked_in(questions, held, near)
    for name, question in questions.items():
        alike = [item for item in held if likeness(pairs(question), pairs(item.question)) >= near]
        assert (name in found) == bool(alike) and (not alike or found[name] in alike)


def test_ten_thousand_questions_of_one_pattern_are_compared() -> None:
    """Comparing fifty million pairs one by one would take minutes."""
    splits: tuple[Split, ...] = ("train", "dev", "test")
    examples = [
        example(str(n), f"what does plan number {n} cost a month for gate {n * 7} in the town of x{n}y", splits[n % 3])
        for n in range(10_000)
    ]
    assert said(*examples) == []
    assert len(said(*examples, replace(examples[0], id="copy", split="test", split_group="copy"))) == 1

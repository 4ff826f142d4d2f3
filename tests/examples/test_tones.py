"""Forms and tones: a clear mixture is split, one voice stays whole, and the split is the same every time."""

from __future__ import annotations

import random

from groundtune.examples.tones import LEAST_ROWS, forms, tones

WORDS = "berth crane gate slot yard lorry invoice ticket planner driver".split()


def dry(chance: random.Random) -> str:
    return f"The {chance.choice(WORDS)} opens at {chance.randint(6, 20)} and the {chance.choice(WORDS)} is checked there."


def jolly(chance: random.Random) -> str:
    return f"Hi! Thanks for asking! We're happy to help you with your {chance.choice(WORDS)} at {chance.randint(6, 20)}!\n\nKind regards"


def test_two_voices_are_told_apart_and_described() -> None:
    chance = random.Random(1)
    answers = [dry(chance) for _ in range(30)] + [jolly(chance) for _ in range(15)]
    first, second = tones(answers)
    assert set(first.places) == set(range(30)) and set(second.places) == set(range(30, 45))
    assert "greets" in second.says and "exclaims" in second.says and "never" not in second.says
    assert tones(answers) == (first, second)


def test_one_voice_is_one_group_and_a_few_rows_are_not_judged() -> None:
    chance = random.Random(2)
    [only] = tones([dry(chance) for _ in range(40)])
    assert only.says == "one tone" and len(only.places) == 40
    assert tones([dry(chance) for _ in range(LEAST_ROWS - 1)]) == ()
    assert [group.says for group in tones(["same."] * 30)] == ["one tone"]


def test_forms_are_told_apart_by_fields_lists_and_marks() -> None:
    replies = [
        ({"answer": "So it is."}, "So it is."),
        ({"answer": "Yes, so."}, "Yes, so."),
        ({"answer": "x"}, "- one\n- two"),
        ({"answer": "x"}, "**Bold** it is."),
        ({"answer": "x", "label": "y"}, "So it is."),
        ({"answer": ""}, ""),
    ]
    found = {group.says: group.places for group in forms(replies)}
    assert found["ends a sentence"] == (0, 1) and found["a list; no full stop"] == (2,)
    assert found["Markdown; ends a sentence"] == (3,) and found["fields answer, label; ends a sentence"] == (4,)
    assert sum(len(places) for places in found.values()) == 6

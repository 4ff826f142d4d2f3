import pytest

from groundtune.decisions.mix import carried, mixed
from groundtune.types import Score


def scores(values: dict[str, tuple[float, float]], answerable: int = 10, refused: int = 10) -> tuple[list[Score], dict[str, bool]]:
    """Every arm's value on each question that has an answer, and on each that has none."""
    kinds = {f"q{number}": number < answerable for number in range(answerable + refused)}
    made = [
        Score(
            answer_id=f"answer:{arm}:{name}",
            example_id=name,
            arm=arm,
            metric="token_f1",
            value=pair[0 if has else 1],
            reason="",
            signature="s",
        )
        for arm, pair in values.items()
        for name, has in kinds.items()
    ]
    return made, kinds


def test_arms_that_change_places_are_told_with_the_share_at_which_they_are_level() -> None:
    made, kinds = scores({"rag": (0.3, 0.1), "tuned": (0.1, 0.9)})
    section, turned = mixed(made, "token_f1", ["rag", "tuned"], "tuned", kinds, {}, smallest=0.05, seed=1)
    # 0.8 ahead on refusals, 0.2 behind on answers: level at 0.8 / (0.8 + 0.2).
    [said] = turned
    assert said.startswith(
        "More than 80% of the questions have an answer (here 50%): rag is then ahead of tuned in token_f1, by 0.20 on those that"
    )
    assert section is not None and section.lines == turned
    assert [row[0] for row in section.grids[0].rows] == ["rag", "tuned"]
    assert "n = 10" in section.grids[0].rows[0][1]


def test_the_other_way_round_the_share_is_the_least() -> None:
    made, kinds = scores({"rag": (0.0, 0.9), "tuned": (0.9, 0.6)})
    _, [said] = mixed(made, "token_f1", ["rag", "tuned"], "tuned", kinds, {}, smallest=0.05, seed=1)
    assert said.startswith(
        "Less than 25% of the questions have an answer (here 50%): rag is then ahead of tuned in token_f1, by 0.30 on those to refuse"
    )


@pytest.mark.parametrize(
    ("values", "choice"),
    [
        ({"rag": (0.1, 0.1), "tuned": (0.2, 0.9)}, "tuned"),
        ({"rag": (0.5, 0.5), "tuned": (0.4, 0.51)}, "tuned"),
        ({"rag": (0.1, 0.2)}, None),
        ({"rag": (0.14, 0.1), "tuned": (0.1, 0.9)}, "tuned"),
    ],
    ids=["ahead on both", "behind in all", "nothing chosen", "behind by too little"],
)
def test_where_nobody_changes_places_nothing_is_said(values: dict[str, tuple[float, float]], choice: str | None) -> None:
    made, kinds = scores(values)
    section, turned = mixed(made, "token_f1", list(values), choice, kinds, {}, smallest=0.05, seed=1)
    assert not turned and section is not None


def test_a_test_set_of_one_kind_has_no_such_section() -> None:
    made, kinds = scores({"rag": (0.1, 0.1)}, refused=0)
    assert mixed(made, "token_f1", ["rag"], "rag", kinds, {}, smallest=0.05, seed=1) == (None, ())


def test_a_lead_that_is_made_on_one_kind_alone_is_told_with_both_leads() -> None:
    made, kinds = scores({"rag": (0.30, 0.1), "tuned": (0.32, 0.9)})
    told = carried(made, "token_f1", "tuned", "rag", kinds, {}, smallest=0.05, seed=1)
    assert told is not None
    said = told.text
    assert said.startswith("The lead of tuned over rag is made on questions to be refused: there it is 0.80 (0.")
    assert "on those that have an answer it is 0.02 (-0." in said
    assert "less than the 0.05 that matters" in said and said.count("n = 10") == 2
    made, kinds = scores({"rag": (0.30, 0.5), "tuned": (0.62, 0.4)})
    told = carried(made, "token_f1", "tuned", "rag", kinds, {}, smallest=0.05, seed=1)
    assert told is not None
    said = told.text
    assert "made on questions that have an answer: there it is 0.32" in said and "on those to be refused it is -0.10" in said
    assert told.caution == "its lead over rag is made on questions that have an answer alone"


@pytest.mark.parametrize("values", [{"rag": (0.1, 0.1), "tuned": (0.3, 0.3)}, {"rag": (0.1, 0.1), "tuned": (0.12, 0.12)}])
def test_a_lead_on_both_kinds_or_on_neither_is_no_such_thing(values: dict[str, tuple[float, float]]) -> None:
    made, kinds = scores(values)
    assert carried(made, "token_f1", "tuned", "rag", kinds, {}, smallest=0.05, seed=1) is None


def test_a_kind_that_was_not_measured_says_nothing_of_where_a_lead_is_made() -> None:
    made, kinds = scores({"rag": (0.1, 0.1), "tuned": (0.1, 0.9)}, refused=3)
    assert carried(made, "token_f1", "tuned", "rag", kinds, {}, smallest=0.05, seed=1) is None

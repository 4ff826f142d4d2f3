"""The first recommendation: found by weighing, its flips by weighing again, and the answers kept in groundtune.toml."""

from __future__ import annotations

import tomllib
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.decisions.needs import section as needs_section
from groundtune.decisions.needs.advise import advise, flips_of, totals_of, verdict_of
from groundtune.decisions.needs.people import NO_OWNER, TAKES, gap, ownership, skill_matrix
from groundtune.decisions.needs.questions import BY_KEY, LEVELS, QUESTIONS, SKILL, SKILLS, answers_of, possible
from groundtune.decisions.needs.weights import OPTIONS, WEIGHTS
from groundtune.decisions.needs.write import with_needs
from groundtune.errors import ConfigError
from groundtune.tables import NeedsTable

DESK = NeedsTable(
    knowledge="most", churn="weekly", citations="required", access="groups", task="stable", output="schema", latency="seconds",
    volume=20_000, examples=400, documents="mostly", sensitivity="personal", questions="clear", live="none", after_launch="named",
)  # fmt: skip
VOICE = NeedsTable(
    knowledge="none", churn="yearly", citations="none", access="everyone", task="stable", output="style", latency="instant",
    volume=3_000_000, examples=5_000, documents="none", sensitivity="public", failures="behaviour", questions="clear", live="none",
)  # fmt: skip


def changed(needs: NeedsTable, **values: Any) -> NeedsTable:
    return NeedsTable.model_validate({**needs.model_dump(exclude_unset=True), **values})


def test_a_desk_with_moving_facts_sources_and_groups_is_for_rag_and_a_stable_voice_without_facts_is_for_tuning() -> None:
    assert advise(DESK).verdict == "RAG"
    assert advise(VOICE).verdict == "tuned"
    assert advise(changed(VOICE, examples=5, task="new", output="free", volume=100, failures=None)).verdict == "prompt only"
    hybrid = changed(DESK, access="everyone", output="style", examples=5_000, sensitivity="internal", failures="mixed", citations="helpful")
    assert advise(hybrid).verdict == "hybrid"


def test_what_comes_before_any_approach_is_said_first_and_the_approach_after_it() -> None:
    assert advise(changed(DESK, documents="scattered")).verdict == "fix the documents first"
    assert advise(changed(DESK, documents="none")).verdict == "fix the documents first"
    assert advise(changed(DESK, questions="vague", documents="scattered")).first == ("interface", "documents")
    tools = advise(changed(DESK, live="most", questions="vague"))
    assert tools.verdict == "fix the tools first" and tools.approach == "rag"
    # Where nothing has to be known, documents that are not there are no obstacle.
    assert advise(changed(VOICE, documents="none")).first == ()


def test_points_add_up_and_each_has_its_reason() -> None:
    advice = advise(DESK)
    table = needs_section.points(advice)
    for place, option in enumerate(OPTIONS, start=1):
        cells = [int(row[place]) if row[place] != "·" else 0 for row in table.rows]
        assert sum(cells[:-1]) == cells[-1] == advice.totals[option]
    assert all(point.reason for point in advice.points) and len(advice.points) == 14
    assert advice.lead == max(advice.totals.values()) - sorted(advice.totals.values())[-2]


def test_every_answer_that_can_be_given_has_a_weight_and_a_reason_and_no_weight_is_for_an_answer_that_cannot() -> None:
    for question in QUESTIONS:
        assert set(WEIGHTS[question.key]) == set(question.answers)
    for key in WEIGHTS:
        assert set(WEIGHTS[key]) == set(possible(key))
        assert all(-4 <= weight <= 3 and weight for said in WEIGHTS[key].values() for weight in said.weights.values())
    fields = set(NeedsTable.model_fields) - {"skills", "owners"}
    assert fields == set(BY_KEY)


ANSWERS = st.fixed_dictionaries({question.key: st.sampled_from([None, *question.answers]) for question in QUESTIONS}).flatmap(
    lambda asked: st.fixed_dictionaries({f"{SKILL}{name}": st.sampled_from([None, *LEVELS]) for name in SKILLS}).map(
        lambda skills: {**asked, **skills}
    )
)


@settings(max_examples=60, deadline=None)
@given(ANSWERS)
def test_every_flip_flips_and_where_none_is_named_no_single_answer_does(answers: dict[str, str | None]) -> None:
    now = verdict_of(answers)
    flips = list(flips_of(answers))
    assert len(flips) <= 3
    for flip in flips:
        assert verdict_of({**answers, **flip.answers}) == flip.verdict != now
        for key, answer in flip.answers.items():
            assert answers[key] != answer
            if len(flip.answers) > 1:  # neither alone is enough
                assert verdict_of({**answers, key: answer}) == now
    singles = {key for key in answers if key in WEIGHTS for answer in possible(key) if verdict_of({**answers, key: answer}) != now}
    named = [next(iter(flip.answers)) for flip in flips if len(flip.answers) == 1]
    assert set(named) <= singles and len(set(named)) == len(named)
    assert len(named) >= min(2, len(singles)) and (len(flips) == 3 or len(named) == len(singles))
    to_approach = [not flip.verdict.startswith("fix") for flip in flips]
    assert to_approach == sorted(to_approach, reverse=True)


def test_where_no_single_answer_leads_to_another_approach_a_pair_that_does_comes_first() -> None:
    [pair, *others] = flips_of(answers_of(DESK))
    assert len(pair.answers) == 2 and pair.verdict == "hybrid"
    assert [flip.verdict.startswith("fix") for flip in others] == [True, True]


@settings(max_examples=60, deadline=None)
@given(ANSWERS)
def test_the_recommendation_has_the_most_points_and_a_tie_goes_to_the_cheaper(answers: dict[str, str | None]) -> None:
    totals = totals_of(answers)
    verdict = verdict_of({**answers, "live": "none", "questions": "clear", "documents": "clean"})
    assert verdict in ("prompt only", "RAG", "tuned", "hybrid")
    best = [option for option in OPTIONS if totals[option] == max(totals.values())][0]
    if not verdict_of(answers).startswith("fix"):
        assert verdict_of(answers) == {"prompt": "prompt only", "rag": "RAG", "tuned": "tuned", "hybrid": "hybrid"}[best]


def test_an_answer_that_only_a_search_can_give_never_speaks_for_weights_more_than_for_search() -> None:
    for key, answers in (("churn", ("weekly", "daily")), ("citations", ("required", "audited")), ("access", ("groups", "person"))):
        for answer in answers:
            weights = WEIGHTS[key][answer].weights
            assert weights["tuned"] < 0 < weights["rag"]


def test_a_number_counts_by_its_range() -> None:
    assert answers_of(NeedsTable(volume=9_999))["volume"] == "few"
    assert answers_of(NeedsTable(volume=10_000))["volume"] == "many"
    assert answers_of(NeedsTable(examples=0))["examples"] == "hardly any"
    assert answers_of(NeedsTable())["volume"] is None


def test_what_an_audit_measured_takes_the_place_of_what_was_answered() -> None:
    assert totals_of(answers_of(changed(DESK, failures="behaviour"))) != advise(changed(DESK, failures="behaviour"), "facts").totals
    assert advise(changed(DESK, failures="behaviour"), "facts").totals == advise(changed(DESK, failures="facts")).totals


def test_sentences_name_the_lead_the_flips_the_levers_and_what_is_open() -> None:
    said = "\n".join(needs_section.lines(advise(changed(DESK, volume=None))))
    assert "First recommendation: RAG." in said and "RAG leads hybrid by" in said
    assert "constrained = true" in said and "groundtune index tune" in said and "Not answered: volume, failures;" in said
    assert "It would be “" in said
    close = "\n".join(needs_section.lines(advise(NeedsTable(knowledge="some"))))
    assert "That is close: measure both." in close or "are level" in close


def test_the_skill_matrix_names_what_is_missing_and_what_is_not_known() -> None:
    needs = changed(DESK, skills={"retrieval": "none", "training": "strong"})
    rows = {row[0].split(":")[0]: row for row in skill_matrix(needs).rows}
    assert rows["retrieval"][1:] == ("none", "–", "some · missing", "–", "strong · missing")
    assert rows["training"][1] == "strong" and rows["training"][4:] == ("some", "strong")
    assert rows["security"][3] == "some · not known"
    assert gap(needs, "retrieval", "prompt") is False and set(TAKES) == set(SKILLS)


def test_the_ownership_table_has_only_the_duties_of_the_approach_and_counts_those_without_owner() -> None:
    needs = changed(DESK, owners={"documents": "Ana", "releases": "  "})
    table = ownership(needs, "rag", "Dev")
    owners = {row[0]: row[-1] for row in table.rows}
    assert "model" not in owners and owners["documents"] == "Ana" and owners["releases"] == NO_OWNER
    assert table.note.startswith("4 of 5 duties have no owner") and table.note.endswith("fall to Dev.")
    everyone = changed(DESK, owners={name: "Ana" for name in ("documents", "examples", "model", "releases", "incidents", "budget")})
    assert ownership(everyone, "hybrid").note == "Every duty has an owner."


TOML = '''# a project
[project]
name = "x"

[answers]
instructions = """
[needs]
churn = "this is text"
"""

# what follows is about needs
[needs]
churn = "daily"      # gone with its table

[needs.owners]
model = "Ana"

# prices
[costs]
machine_hour = 1
'''


def test_the_needs_tables_are_replaced_and_every_other_line_stays() -> None:
    made = with_needs(TOML, {"churn": "weekly", "volume": 2e6, "skills": {"training": "some"}, "owners": {"model": 'A "B" \\ C'}})
    said = tomllib.loads(made)
    assert said["needs"] == {"churn": "weekly", "volume": 2_000_000, "skills": {"training": "some"}, "owners": {"model": 'A "B" \\ C'}}
    assert said["answers"] == tomllib.loads(TOML)["answers"]
    for line in ("# a project", "# prices", "machine_hour = 1", "# what follows is about needs"):
        assert made.count(line) == 1
    assert made.index('[needs]\nchurn = "weekly"') < made.index("# prices")
    assert with_needs(made, said["needs"]) == made


def test_needs_are_added_at_the_end_where_there_are_none_and_refused_where_they_are_written_otherwise() -> None:
    assert with_needs("[a]\nb = 1", {"churn": "daily"}) == '[a]\nb = 1\n\n[needs]\nchurn = "daily"\n'
    with pytest.raises(ConfigError, match="not written as \\[needs\\] tables"):
        with_needs('needs = { churn = "daily" }\n', {"churn": "weekly"})


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_name_of_an_owner_is_kept_as_it_is_and_never_breaks_the_file(name: str, other: str) -> None:
    made = with_needs(TOML, {"owners": {"model": name, "budget": other}})
    assert tomllib.loads(made)["needs"] == {"owners": {"model": name, "budget": other}}
    assert tomllib.loads(made)["costs"] == {"machine_hour": 1}


def test_all_combinations_of_one_step_from_the_desk_are_stable_under_the_order_of_answers() -> None:
    for key, answer in list(product(["churn", "citations"], ["daily", "none", "helpful", "yearly"])):
        if answer in possible(key):
            answers = {**answers_of(DESK), key: answer}
            assert verdict_of(answers) == verdict_of(dict(reversed(list(answers.items()))))

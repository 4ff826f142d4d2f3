"""The audit of logged answers: reading and drawing, what checkers propose, the file of labels, shares, verdicts and agreement."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.decisions.audit import labels as files
from groundtune.decisions.audit import responses as logs
from groundtune.decisions.audit.labels import Labels, Sample
from groundtune.decisions.audit.propose import FAILURES, LABELS, House, Replaced, numbers_in, propose
from groundtune.decisions.audit.responses import Response, Shown
from groundtune.decisions.audit.section import section
from groundtune.decisions.audit.shares import audited, kappa, points_of, wilson
from groundtune.errors import InputError, Problems, StateError

REFERENCE = json.loads((Path(__file__).parent / "reference" / "agreement.json").read_text(encoding="utf-8"))


def log(folder: Path, rows: Sequence[Any]) -> Path:
    path = folder / "responses.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return path


def many(count: int) -> list[dict[str, Any]]:
    return [{"question": f"q{number}?", "answer": f"a{number}"} for number in range(count)]


def response(answer: str, passages: Sequence[str] = (), question: str = "How much is it?", **more: Any) -> Response:
    return Response(
        id="response:1", line=1, question=question, answer=answer, passages=tuple(Shown(text=text) for text in passages), **more
    )


def proposed(given: Response, house: House = House(documents={})) -> list[tuple[str, str]]:  # noqa: B008
    return [(item.label, item.checker) for item in propose(given, house)]


# ── the log ──


def test_a_log_is_read_with_what_helps_and_without_what_does_not(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "answer": "a", "trace": {"x": 1}, "passages": ["one", {"text": "two", "document": "d.md", "n": 5}], "id": 7},
        {"question": "q", "answer": None, "expected": "b", "answerable": False, "format": "json"},
    ]  # fmt: skip
    [first, second] = logs.read(log(tmp_path, rows))
    assert first.passages == (Shown(text="one"), Shown(text="two", document="d.md")) and first.name == "7"
    assert (second.answer, second.expected, second.answerable, second.format, second.line) == ("", "b", False, "json", 2)


def test_equal_rows_are_two_answers_and_an_id_goes_by_what_is_said_and_not_by_its_place(tmp_path: Path) -> None:
    rows = many(3)
    before = logs.read(log(tmp_path, rows))
    after = logs.read(log(tmp_path, [rows[2], rows[0], rows[0], "", rows[1]]))
    assert len({item.id for item in after}) == 4
    assert {item.id for item in before} < {item.id for item in after}
    assert [item.line for item in after] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"answer": "a"}, "question missing; there are: answer"),
        ({"prompt": "q", "output": "a"}, "question and answer missing; there are: output, prompt"),
        ({"question": "", "answer": "a"}, "question is empty"),
        ({"question": 3, "answer": "a"}, "question is int, expected a text"),
        ({"question": "q", "answer": ["a"]}, "answer is list, expected a text"),
        ({"question": "q", "answer": "a", "passages": "p"}, "passages is not a list"),
        ({"question": "q", "answer": "a", "passages": [{"body": "p"}]}, "passages.0: expected a text"),
        ({"question": "q", "answer": "a", "answerable": "no"}, "answerable is neither true nor false"),
        ("[1, 2]", "expected a JSON object, found list"),
        ('{"question": "q", "answer": "a"', "not JSON at column"),
        ('{"question": "q", "question": "r", "answer": "a"}', "'question' stands twice in one object"),
        ('{"question": "q", "answer": NaN}', "NaN is not JSON"),
        ('{"question": "\\ud800", "answer": "a"}', "half of a surrogate pair"),
        ("[" * 100_000, ""),
    ],
)
def test_a_row_with_missing_or_wrong_fields_is_named_by_file_and_line(tmp_path: Path, row: Any, words: str) -> None:
    path = log(tmp_path, [many(1)[0], row])
    with pytest.raises(InputError) as caught:
        logs.read(path)
    assert caught.value.message.startswith(f"{path}:2: ") and words in caught.value.message
    assert "groundtune audit" in caught.value.hint


def test_all_problems_come_at_once_but_not_without_end(tmp_path: Path) -> None:
    with pytest.raises(Problems) as caught:
        logs.read(log(tmp_path, [{"answer": "a"}] * 500))
    assert len(caught.value.problems) == logs.MOST_SHOWN + 1 and "and 480 more" in caught.value.message


def test_no_file_a_folder_an_empty_file_and_other_encodings_have_their_own_error(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "no such file"), (tmp_path, "is a folder"), (log(tmp_path, []), "holds no answers")):
        with pytest.raises(InputError, match=words):
            logs.read(path)
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"question": "ö", "answer": "ä"}'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8 at byte 14"):
        logs.read(path)


def test_the_sample_goes_by_the_seed_not_by_the_order_and_a_log_that_grows_keeps_most_of_it(tmp_path: Path) -> None:
    rows = logs.read(log(tmp_path, many(400)))
    drawn = logs.sample(rows, 100, 7)
    assert len(drawn) == 100 and drawn == logs.sample(list(reversed(rows)), 100, 7)
    assert drawn != logs.sample(rows, 100, 8) and drawn[:50] == logs.sample(rows, 50, 7)
    more = logs.sample(logs.read(log(tmp_path, many(440))), 100, 7)
    assert len({item.id for item in drawn} & {item.id for item in more}) >= 75
    assert len(logs.sample(rows, 1000, 7)) == 400


def test_every_answer_is_as_likely_to_be_drawn(tmp_path: Path) -> None:
    rows = logs.read(log(tmp_path, many(20)))
    counts = dict.fromkeys((item.id for item in rows), 0)
    for seed in range(400):
        for item in logs.sample(rows, 5, seed):
            counts[item.id] += 1
    # 400 draws of a quarter each: 100 on average, with a standard deviation of 8.7
    assert all(60 < count < 140 for count in counts.values())


# ── the checkers ──


def test_a_number_that_no_passage_has_is_proposed_as_a_wrong_fact() -> None:
    assert proposed(response("It is 45 EUR.", ["The fee is 40 EUR."])) == [("wrong fact", "number")]
    assert proposed(response("It is 40 EUR.", ["The fee is 40 EUR."])) == []
    assert proposed(response("It is 1,150.00 EUR in two steps.", ["1150 EUR, 2 steps"])) == []
    assert proposed(response("1. Call.\n2. Wait.", ["Call and wait."])) == []
    assert proposed(response("As you say, 12 days.", ["none"], question="Is it 12 days?")) == []
    assert proposed(response("It is 45 EUR.")) == []  # nothing to go by


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,150", {"1150"}),
        ("99,5 %", {"99.5"}),
        ("1.500,25", {"1500.25"}),
        ("1’000", {"1000"}),
        ("5.10.2 of 2026-01-15", {"5.10.2", "2026", "1", "15"}),
        ("twelve of seven", {"12", "7"}),
        ("A4 and x86", set()),
        ("2.0 and 2", {"2"}),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, numbers: set[str]) -> None:
    assert numbers <= numbers_in(text) and (numbers or not numbers_in(text))


def test_a_quote_that_stands_nowhere_is_proposed_and_one_but_for_typography_is_not() -> None:
    passages = ["Refunds are **paid** within the first month."]
    assert proposed(response("It says “refunds are made within one year”.", passages)) == [("wrong fact", "quote")]
    assert proposed(response("It says “Refunds are paid within the first month”.", passages)) == []
    assert proposed(response('Press "Save" twice, then "OK".', passages)) == []  # names of buttons are no quotes


def test_in_json_only_the_quote_field_and_typographic_quotes_are_quotes() -> None:
    passages = ["Refunds are paid within the first month."]
    assert proposed(response('{"quote": "Refunds are paid", "answer": "They pay it back rather soon."}', passages)) == []
    assert proposed(response('{"quote": "Refunds are never paid", "answer": "No."}', passages)) == [("wrong fact", "quote")]
    assert proposed(response('{"answer": "It says “refunds are never paid”."}', passages)) == [("wrong fact", "quote")]
    assert proposed(response('{"quote": "Refunds are never paid', passages)) == [("wrong format", "format")]
    assert proposed(response('{"said": "Refunds are never paid"}', passages), House(documents={}, quote_field="said")) == [
        ("wrong fact", "quote")
    ]


def test_form_is_checked_where_json_is_wanted_or_begun() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    house = House(documents={}, schema=schema)
    assert proposed(response('{"answer": "x"}'), house) == []
    assert proposed(response('{"answer": 3}'), house) == [("wrong format", "format")]
    assert proposed(response('{"answer": "x'), house) == [("wrong format", "format")]
    assert proposed(response("plain words"), house) == []
    assert proposed(response("plain words", format="json"), house) == [("wrong format", "format")]
    assert proposed(response("")) == proposed(response("```sh\nls")) == [("wrong format", "format")]
    assert proposed(response("[" * 100_000)) == [("wrong format", "format")]


def test_what_an_older_version_says_and_the_newer_does_not_is_stale() -> None:
    older = "The slot length of the gate is 45 minutes in every terminal."
    newer = "The slot length of the gate is 30 minutes in every terminal."
    house = House(
        documents={"v4.md": older, "v5.md": newer},
        replaced=(Replaced(older="v4.md", older_text=older, newer="v5.md", newer_text=newer),),
    )
    asked = "What is the slot length of the gate?"
    assert proposed(response("The slot length is 45 minutes.", question=asked), house) == [("wrong fact", "staleness")]
    assert proposed(response("The slot length is 30 minutes.", question=asked), house) == []
    assert proposed(response("The holiday bonus reaches 45 percent.", question="Tell me about holiday bonus?"), house) == []
    shown = Response(id="r", line=1, question=asked, answer="See there.", passages=(Shown(text=older, document="v4.md"),))
    assert proposed(shown, house) == [("wrong fact", "staleness")]


def test_refusals_are_held_against_what_the_log_says_and_the_gravest_comes_first() -> None:
    house = House(documents={}, refuses=lambda said: "don't know" in said)
    assert proposed(response("It is 7.", ["It is 6."], answerable=False), house) == [
        ("should have refused", "refusal"),
        ("wrong fact", "number"),
    ]
    assert proposed(response("I don't know.", answerable=True), house) == [("wrong fact", "refusal")]
    assert proposed(response("I don't know.", answerable=False), house) == []
    assert proposed(response("Two years!", expected="two years"), house) == [("not a failure", "expected")]
    assert ("wrong fact", "number") in proposed(response("Three years.", expected="2 years"), house)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(max_size=200), max_size=3), st.one_of(st.none(), st.text(max_size=50)))
def test_checkers_take_any_text_and_hold_nothing_against_an_answer_that_is_its_passage(
    answer: str, passages: list[str], expected: str | None
) -> None:
    for item in propose(response(answer, passages, expected=expected)):
        assert item.label in LABELS and item.detail
    same = propose(response(answer, [answer]))
    assert not [item for item in same if item.checker in ("number", "quote")]


# ── the file of labels ──


def started(path: Path, count: int = 4) -> tuple[str, ...]:
    names = tuple(f"response:{number}" for number in range(count))
    files.start(path, Sample(source="responses.jsonl", rows=count, seed=7, responses=names))
    return names


def test_labels_are_kept_with_labeller_and_time_and_later_ones_count_and_nothing_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "audits" / "x.labels.jsonl"
    names = started(path)
    files.add(path, names[0], "wrong fact", "ana", proposed=["wrong fact"], seconds=3.14159)
    files.add(path, names[1], "wrong tone", "ana")
    files.add(path, names[1], None, "ana")
    files.add(path, names[0], "wrong tone", "ana")
    files.add(path, names[0], "wrong fact", "ben")
    there = files.read(path)
    assert there.by == {"ana": {names[0]: "wrong tone"}, "ben": {names[0]: "wrong fact"}}
    assert there.todo("ana") == names[1:] and there.todo("cy") == names
    assert there.disputed() == (names[0],) and there.settled() == {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 6 and all(row["at"].startswith("20") and row["schema"] == 1 for row in rows)
    assert [row.get("labeller") for row in rows] == [None, "ana", "ana", "ana", "ana", "ben"]
    before = path.read_bytes()
    started(path)
    assert path.read_bytes() == before  # the same sample is not written twice


def test_a_line_cut_off_by_a_kill_does_not_count_and_the_next_label_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.labels.jsonl"
    names = started(path)
    files.add(path, names[0], "wrong fact", "ana")
    whole = path.read_bytes()
    files.add(path, names[1], "wrong tone", "ana")
    longer = path.read_bytes()
    for cut in range(len(whole) + 1, len(longer)):
        path.write_bytes(longer[:cut])
        assert files.read(path).by == {"ana": {names[0]: "wrong fact"}}
        files.add(path, names[2], "not a failure", "ana")
        assert files.read(path).by == {"ana": {names[0]: "wrong fact", names[2]: "not a failure"}}
        assert path.read_bytes().startswith(whole)


def test_two_people_writing_at_once_lose_no_label(tmp_path: Path) -> None:
    path = tmp_path / "x.labels.jsonl"
    started(path, 40)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_label_all, args=(path, who)) for who in ("ana", "ben")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {who: len(labels) for who, labels in files.read(path).by.items()} == {"ana": 40, "ben": 40}


def _label_all(path: Path, who: str) -> None:
    for number in range(40):
        files.add(path, f"response:{number}", "wrong fact", who)


def test_a_kill_between_labels_loses_none_that_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "x.labels.jsonl"
    started(path, 5000)
    code = (
        "import sys\nfrom pathlib import Path\nfrom groundtune.decisions.audit import labels\n"
        "for n in range(5000):\n    labels.add(Path(sys.argv[1]), f'response:{n}', 'wrong fact', 'ana')\n    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        told = [int(worker.stdout.readline()) for _ in range(40)]
        os.kill(worker.pid, signal.SIGKILL)
        told += [int(line) for line in worker.stdout.read().splitlines()]
    labelled = files.read(path).by["ana"]
    assert all(f"response:{number}" in labelled for number in told)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "not JSON"),
        ("[]", "not an object"),
        ('{"schema": 9}', "has schema 9"),
        ('{"schema": 1, "response": "r", "label": "wrong mood", "labeller": "ana"}', "not a label"),
        ('{"schema": 1, "label": "wrong fact", "labeller": "ana"}', "not a label"),
        ('{"schema": 1, "sample": {"source": "x"}}', "not a sample"),
        ('{"schema": 1, "sample": 3}', "not a sample"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_refused_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "x.labels.jsonl"
    started(path)
    with path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(StateError) as caught:
        files.read(path)
    assert f"{path}:2: {words}" in caught.value.message


def test_a_labeller_has_a_name() -> None:
    assert files.labeller_named("  Ana \x1b[31m B ") == "Ana [31m B"
    for name in ("", " \x00 ", "x" * 81):
        with pytest.raises(InputError, match="labeller's name"):
            files.labeller_named(name)


# ── shares and agreement ──


@pytest.mark.parametrize("row", REFERENCE["wilson"], ids=lambda row: f"{row['count']} of {row['n']}")
def test_wilson_is_that_of_statsmodels(row: dict[str, float]) -> None:
    share = wilson(int(row["count"]), int(row["n"]))
    assert share.low == pytest.approx(row["low"], abs=1e-9) and share.high == pytest.approx(row["high"], abs=1e-9)


@pytest.mark.parametrize("row", REFERENCE["kappa"], ids=lambda row: f"n={len(row['pairs'])}")
def test_kappa_is_that_of_scikit_learn_and_its_interval_that_of_statsmodels(row: dict[str, Any]) -> None:
    found = kappa([tuple(pair) for pair in row["pairs"]])
    assert found is not None
    assert found[0] == pytest.approx(row["sklearn"], abs=1e-9) and found[0] == pytest.approx(row["statsmodels"], abs=1e-9)
    assert found[1] == pytest.approx(max(-1, row["low"]), abs=1e-9) and found[2] == pytest.approx(min(1, row["high"]), abs=1e-9)


PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_kappa_is_the_same_whoever_comes_first_and_whatever_the_order_and_1_where_all_is_equal(pairs: list[tuple[str, str]]) -> None:
    found = kappa(pairs)
    assert found == pytest.approx(kappa([(right, left) for left, right in reversed(pairs)])) if found else True
    if found is not None:
        assert -1 <= found[1] <= found[0] <= found[2] <= 1 or found[1] - 1e-9 <= found[0] <= found[2] + 1e-9
    same = kappa([(left, left) for left, _ in pairs])
    assert same is None if len({left for left, _ in pairs}) == 1 else same is not None and same[0] == pytest.approx(1.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 300), st.integers(1, 300))
def test_a_share_lies_in_its_interval_and_the_interval_in_0_to_1(count: int, n: int) -> None:
    share = wilson(min(count, n), n)
    assert share.low is not None and share.high is not None
    assert 0 <= share.low <= min(count, n) / n <= share.high <= 1
    turned = wilson(n - min(count, n), n)
    assert turned.low == pytest.approx(1 - share.high) and turned.high == pytest.approx(1 - share.low)


def labelled(**counts: int) -> Labels:
    names = {
        "fact": "wrong fact",
        "format": "wrong format",
        "tone": "wrong tone",
        "reason": "wrong reasoning",
        "refuse": "should have refused",
    }
    given = [label for key, count in counts.items() for label in [names.get(key, "not a failure")] * count]
    by: dict[str, Any] = {f"response:{number}": label for number, label in enumerate(given)}
    sample = Sample(source="log", rows=1000, seed=7, responses=tuple(by))
    return Labels(sample=sample, by={"ana": by} if by else {}, proposed={}, seconds=(3.0, 5.0, 8.0))


@pytest.mark.parametrize(
    ("counts", "points", "words"),
    [
        ({"fact": 31, "format": 6, "tone": 3, "fine": 160}, "facts", "Facts dominate: facts are 78% (62% to 88%, n = 40)"),
        ({"fact": 3, "format": 20, "tone": 17, "fine": 160}, "behaviour", "Behaviour dominates"),
        ({"fact": 100, "format": 60, "tone": 40}, "mixed", "Facts and behaviour are mixed"),
        ({"fact": 11, "format": 9, "fine": 180}, None, "Too close to say"),
        ({"fact": 9, "fine": 100}, None, "Too close to say"),
        ({"reason": 20, "refuse": 20, "fine": 20}, None, "no failure is one of fact, form or tone"),
        ({"fact": 1, "fine": 199}, None, "Failures are rare: 0% (0% to 3%, n = 200)"),
        ({"fact": 5}, None, "Too few to say: 5 labelled"),
        ({}, None, "Nothing was labelled yet."),
    ],
)
def test_the_verdict_goes_by_the_interval(counts: dict[str, int], points: str | None, words: str) -> None:
    found = audited(labelled(**counts))
    assert found.points == points and words in found.verdict
    assert (found.needed is not None) == (
        points is None and "facts are" in words or counts in ({"fact": 11, "format": 9, "fine": 180}, {"fact": 9, "fine": 100})
    )


def test_what_is_needed_to_settle_it_would_settle_it_and_a_few_less_would_not() -> None:
    found = audited(labelled(fact=11, format=9, fine=100))
    assert found.needed is not None
    share = found.facts.count / found.facts.n
    assert points_of(wilson(round(share * found.needed), found.needed)) is not None
    assert points_of(found.facts) is None and found.needed > found.facts.n


def test_shares_count_settled_labels_only_and_disputes_are_shown() -> None:
    names = tuple(f"response:{number}" for number in range(12))
    ana: dict[str, Any] = {name: "wrong fact" if number < 6 else "not a failure" for number, name in enumerate(names)}
    ben: dict[str, Any] = {**ana, names[0]: "wrong tone"}
    ben["response:elsewhere"] = "wrong fact"
    labels = Labels(
        sample=Sample(source="log", rows=40, seed=7, responses=names),
        by={"ana": ana, "ben": ben},
        proposed={names[1]: ("wrong fact",), names[7]: ("wrong format",)},
        seconds=(),
    )
    found = audited(labels)
    assert found.disputed == 1 and found.shares["wrong fact"].count == 5 and found.failures.n == 11
    assert sum(share.count for share in found.shares.values()) == 11 and set(FAILURES) < set(found.shares)
    assert (found.accepted.count, found.accepted.n) == (1, 2)
    [agreement] = found.agreements
    assert agreement.kappa is not None and agreement.equal.count == 11 and agreement.equal.n == 12
    made = section(found)
    assert made.grids[1].rows[0][0] == "ana and ben" and "n = 12" in made.grids[1].rows[0][2]
    assert any("1 were labelled differently" in line for line in made.lines)
    few = audited(Labels(sample=labels.sample, by={"ana": ana, "ben": {names[0]: "wrong tone"}}, proposed={}, seconds=()))
    assert few.agreements[0].kappa is None and "10 are the least" in few.agreements[0].reason
    alike: dict[str, Any] = dict.fromkeys(names, "not a failure")
    same = audited(Labels(sample=labels.sample, by={"ana": alike, "ben": alike}, proposed={}, seconds=()))
    assert same.agreements[0].kappa is None and "one and the same label" in same.agreements[0].reason


def test_a_verdict_that_hangs_on_what_people_dispute_is_too_close_to_say() -> None:
    names = tuple(f"response:{number}" for number in range(60))
    sample = Sample(source="log", rows=60, seed=7, responses=names)
    ana: dict[str, Any] = {name: "wrong fact" if number < 30 else "wrong tone" for number, name in enumerate(names[:40])}

    def verdict(ben: dict[str, Any]) -> Any:
        return audited(Labels(sample=sample, by={"ana": ana, "ben": ben}, proposed={}, seconds=())).points

    assert verdict({}) == verdict(dict(ana)) == "facts"
    # Three facts that the other calls a matter of form leave facts ahead; twelve do not.
    assert verdict({name: "wrong format" for name in names[:3]}) == "facts"
    assert verdict({name: "wrong format" for name in names[:12]}) is None
    assert verdict({name: "not a failure" for name in names[:2]}) == "facts"

"""Each check finds what it is for, leaves alone what is fine, and fixes training rows only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_examples import DOCUMENTS, PEOPLE, row, write

from groundtune.examples import checks
from groundtune.examples import recall as recall_module
from groundtune.examples.findings import Case, Finding, case_of
from groundtune.examples.recall import asks_for_recall, recall, wilson
from groundtune.examples.rows import hash_of, read

BY_ID = {item.id: item for item in DOCUMENTS}


def cases(tmp_path: Path, *given: dict[str, Any]) -> list[Case]:
    path = write(tmp_path / "a.jsonl", given)
    return [case_of(item, "answer") for item in read(path, DOCUMENTS, PEOPLE).rows]


def one(findings: Any) -> Finding:
    [finding] = findings
    assert isinstance(finding, Finding) and finding.do
    return finding


def refuse(name: str, question: str, **changed: Any) -> dict[str, Any]:
    return row(id=name, question=question, kind="refuse", evidence=[], reply={"answer": "I don't know."}, **changed)


def test_malformed_rows_are_named_with_their_place_and_quarantined_only_in_training(tmp_path: Path) -> None:
    found = cases(tmp_path, row(), row(id="b", asker="x"), row(id="c", asker="x", split="test"), row(id="d", asker="x", status="draft"))
    finding = one(checks.malformed(found, ()))
    assert finding.rows == ("b", "c", "d") and set(finding.fixed) == {"b", "d"} and finding.severity == "error"
    assert "a.jsonl:2 b" in finding.samples[0][0] and "is no principal" in finding.samples[0][1]
    assert list(checks.malformed(found[:1], ())) == []


def test_exact_duplicates_keep_the_first_and_a_copy_in_test_is_no_duplicate_to_reject(tmp_path: Path) -> None:
    found = cases(tmp_path, row(), row(id="b", question="how late can I  cancel"), row(id="c", split="test"), row(id="d", asker="hana"))
    finding = one(item for item in checks.duplicates(found, lambda texts: ()) if item.kind == "exact duplicates")
    assert finding.fixed == {"b": "the same as slots-1"} and finding.fix == "rejected" and "d" not in finding.rows


def test_near_duplicates_are_told_and_never_fixed(tmp_path: Path) -> None:
    found = cases(tmp_path, row(), row(id="b", question="How late can I cancel it?"))
    finding = one(checks.duplicates(found, lambda texts: [sorted(texts)]))
    assert finding.kind == "near duplicates" and finding.rows == ("b", "slots-1") and not finding.fixed


def test_conflicts_are_labels_numbers_refusals_and_wholly_different_words(tmp_path: Path) -> None:
    def reply(answer: str, label: str = "a") -> dict[str, str]:
        return {"answer": answer, "label": label}

    found = cases(
        tmp_path,
        row(id="a1", question="alpha?", reply=reply("Two.")),
        row(id="a2", question="Alpha", reply=reply("Two.", "b")),
        row(id="b1", question="beta?", reply=reply("Within 2 hours.")),
        row(id="b2", question="beta?", reply=reply("Within 3 hours.")),
        row(id="c1", question="gamma?", reply=reply("Two hours.")),
        refuse("c2", "gamma?"),
        row(id="d1", question="delta?", reply=reply("Cancel before noon through planner portal")),
        row(id="d2", question="delta?", reply=reply("Somebody phones gatehouse about lorries")),
        row(id="e1", question="epsilon?", reply=reply("You have two hours.")),
        row(id="e2", question="epsilon?", reply=reply("There are two hours.")),
        row(id="f1", question="zeta?", reply=reply("2 hours"), filter={"version": "4"}),
        row(id="f2", question="zeta?", reply=reply("3 hours"), filter={"version": "5"}),
        row(id="g1", question="eta?", reply=reply("2 hours")),
        row(id="g2", question="eta?", reply=reply("3 hours"), asker="hana"),
    )
    finding = one(checks.conflicts(found, ["label"]))
    assert finding.rows == ("a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2") and not finding.fixed
    said = " ".join(text for _, text in finding.samples)
    for words in ("label: a or b", "numbers: 2 or 3", "one is refused", "share almost no word"):
        assert words in said


def test_one_label_only_is_an_error_and_rare_ones_a_warning(tmp_path: Path) -> None:
    same = cases(tmp_path, *(row(id=f"r{n}", reply={"answer": "x", "label": "a"}) for n in range(12)))
    assert [item.kind for item in checks.labels(same, ["label"]) if item.severity == "error"] == ["one label only"]
    mixed = cases(tmp_path, *(row(id=f"r{n}", reply={"answer": "x", "label": "a" if n < 8 else "b"}) for n in range(11)))
    assert any("b (3)" in item.says for item in checks.labels(mixed, ["label"]))
    even = cases(tmp_path, *(row(id=f"r{n}", reply={"answer": "x", "label": "ab"[n % 2]}) for n in range(12)))
    assert [item for item in checks.labels(even, ["label"]) if item.kind == "one label only" or "fewer" in item.says] == []


def test_unsupported_numbers_words_and_quotes_are_three_findings(tmp_path: Path) -> None:
    found = cases(
        tmp_path,
        row(id="fine", reply={"answer": "Two hours before it begins."}),
        row(id="number", reply={"answer": "Up to 7 hours before."}),
        row(id="words", reply={"answer": "Penguins waddle around Antarctica happily together."}),
        row(id="quote", reply={"answer": "Two hours.", "quote": "within a week"}),
        row(id="asked", question="May I cancel 9 slots?", reply={"answer": "All 9, two hours before."}),
        refuse("refused", "Who wins in 1999?"),
    )
    findings = list(checks.unsupported(found, BY_ID, "quote"))
    assert [(item.rows, item.severity) for item in findings] == [
        (("quote",), "error"),
        (("number",), "warning"),
        (("words",), "warning"),
    ]


def test_personal_data_is_shown_masked_and_what_an_open_document_says_is_none(tmp_path: Path) -> None:
    found = cases(
        tmp_path,
        row(id="mail", question="I am jane.roe@example.org, how late?"),
        row(id="open", question="Is ops.desk@example.org right?"),
        row(id="key", reply={"answer": "password = Tr0ub4dor3xyz"}, split="test"),
    )
    secrets, personal = checks.personal(found, "write to ops.desk@example.org")
    assert (secrets.kind, secrets.rows, secrets.fixed) == ("secrets", ("key",), {})
    assert (personal.rows, set(personal.fixed)) == (("mail",), {"mail"})
    assert "jane.roe" not in str(personal) and "Tr0ub4dor3xyz" not in str(secrets)


def test_stale_rows_are_those_whose_quote_is_gone_and_those_whose_document_changed(tmp_path: Path) -> None:
    now = {"slots.md": hash_of(DOCUMENTS[0])}
    found = cases(
        tmp_path,
        row(id="fresh", made_from=now),
        row(id="changed", made_from={"slots.md": "0" * 16}),
        row(id="gone", made_from={"old.md": "0" * 16}, split="test"),
        row(id="lost", evidence=[{"document": "slots.md", "quote": "until 4 hours before"}]),
        row(id="nowhere", evidence=[{"document": "old.md", "quote": "x y z"}]),
        row(id="unknown"),
    )
    first, second = checks.stale(found, BY_ID)
    assert (first.rows, first.fix, first.severity) == (("lost", "nowhere"), "quarantined", "error")
    assert (second.rows, second.fix, set(second.fixed)) == (("changed", "gone"), "draft", {"changed"})


def test_leaks_take_away_from_training_and_never_from_test(tmp_path: Path) -> None:
    found = cases(
        tmp_path,
        refuse("t", "Who is first?", split="test", split_group="g1"),
        refuse("a", "who is first", split_group="g2"),
        refuse("b", "What else is there to know?", split_group="g1"),
        refuse("c", "Something else entirely here?", split_group="g3"),
    )
    finding = one(checks.leaking(found, 0.8))
    assert set(finding.fixed) == {"a", "b"} and finding.fix == "quarantined"
    assert list(checks.leaking(found[3:], 0.8)) == []


def test_facts_that_only_one_row_has_are_recall_and_behaviour_is_not(tmp_path: Path) -> None:
    pay = [{"document": "pay.md", "quote": "3 % in April"}]
    found = cases(
        tmp_path,
        row(id="fact", reply={"answer": "2 hours before."}),
        row(id="other", question="Which month?", asker="hana", evidence=pay, reply={"answer": "In April."}),
        row(id="label", reply={"answer": "billing"}),
        refuse("refused", "Who?"),
    )
    assert [item.case.id for item in asks_for_recall(found)] == ["fact", "other"]
    assert asks_for_recall(found)[1].facts == ("april",)
    # A fact that many rows repeat is a pattern, and can be learned.
    many = cases(tmp_path, *(row(id=f"f{n}", question=f"what of {n}?", reply={"answer": "2 hours before."}) for n in range(6)))
    assert asks_for_recall(many) == ()


def test_a_set_of_facts_is_told_with_what_search_finds_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cases(tmp_path, *(row(id=f"r{n}", question=f"what of {n}?") for n in range(12)))
    monkeypatch.setattr(recall_module, "asks_for_recall", lambda given: tuple(recall_module.Asked(case, ("2",)) for case in given))
    finding = one(recall(found, {"closed": False, "reader": True}, lambda case: case.id != "r0"))
    assert "12 of 12 training rows (100%)" in finding.says and "without passages: closed" in finding.says
    assert "evidence of 11 of 12" in finding.says and finding.severity == "warning" and "retrieves = true" in finding.do
    unmeasured = one(recall(found, {"reader": True}, None, "nothing was ingested"))
    assert "was not measured: nothing was ingested" in unmeasured.says and unmeasured.severity == "note"
    assert list(recall(found[:9], {}, None)) == []


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = wilson(11, 12)
    assert (round(low, 4), round(high, 4)) == (0.6461, 0.9851)
    assert wilson(0, 0) == (0.0, 1.0)

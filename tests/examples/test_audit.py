from __future__ import annotations

from made_examples import example

from groundtune.examples.audit import Lean, audit
from groundtune.types import Example


def many(split: str, count: int, label: str, kind: str = "answerable") -> list[Example]:
    return [example(f"{split}{label}{kind}{n}", f"q {n}", split, kind=kind, reply={"label": label}) for n in range(count)]  # type: ignore[arg-type]


def test_counts() -> None:
    found = audit([*many("train", 3, "a"), *many("train", 1, "b", "refuse"), *many("test", 2, "b", "refuse")], ["label"])
    assert found.splits == {"train": 4, "test": 2}
    assert found.kinds == {("train", "answerable"): 3, ("train", "refuse"): 1, ("test", "refuse"): 2}
    assert found.fields == {"label": {("train", "a"): 3, ("train", "b"): 1, ("test", "b"): 2}}


def test_a_kind_that_a_split_lacks_is_a_warning() -> None:
    found = audit([*many("train", 2, "a"), *many("train", 2, "a", "refuse"), *many("test", 2, "a")])
    assert found.leans == (Lean(what="missing", split="test", field="kind", value="refuse", count=0, of=2),)
    assert found.warnings == ("test has no example with kind 'refuse'",)


def test_a_value_that_fills_a_split_is_a_warning_from_ten_examples_on() -> None:
    assert audit(many("train", 9, "a"), ["label"]).warnings == ()
    assert "label is 'a' in 10 of 10 train examples" in audit(many("train", 10, "a"), ["label"]).warnings
    assert audit([*many("train", 7, "a"), *many("train", 3, "b")], ["label"], most=0.7).fields["label"]["train", "a"] == 7
    assert [lean.field for lean in audit([*many("train", 7, "a"), *many("train", 3, "b")], ["label"], most=0.7).leans] == ["kind"]


def test_a_value_of_the_test_set_that_training_never_shows_is_a_warning() -> None:
    found = audit([*many("train", 2, "a"), *many("test", 1, "b"), *many("test", 1, "a")], ["label"])
    assert found.warnings == ("label 'b' is in 1 of 2 test examples, and in none of train",)
    assert audit(many("test", 2, "b"), ["label"]).warnings == ()


def test_balanced_and_empty_sets_have_no_warnings() -> None:
    assert audit([], ["label"]).warnings == ()
    rows = [item for split in ("train", "dev", "test") for kind in ("answerable", "refuse") for item in many(split, 6, kind, kind)]
    assert audit(rows, ["label"]).warnings == ()

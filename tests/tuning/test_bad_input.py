"""What cannot be learned from, and what cannot be written: each is told by its own error, before or without harm.

Rows longer than the context: test_losses; wrong roles, unknown templates, a base without one: test_template; an adapter for another base:
test_methods, ../registry/test_export, ../project/test_models; half-written and damaged checkpoints: test_train.
"""

import json
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_training import RECIPE, StopsAfter
from test_pairs import preference
from test_train import distance, tuned
from test_trainset import ASKERS, DOCUMENTS, HOUSE, built, example, search

import groundtune as gt
from groundtune.errors import NothingToLearn, StorageError
from groundtune.examples.ratings import Rating
from groundtune.tables import TuningTable
from groundtune.tuning import pairs
from groundtune.tuning.checkpoints import saving
from groundtune.tuning.rendering import Rendering

sys.path.insert(0, str(Path(__file__).parent.parent / "project"))

from made_project import make_project


def project(folder: Path, **change: str) -> gt.Project:
    """Return a project whose training rows have these values."""
    make_project(folder)
    path = folder / "examples/all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, **(change if row["split"] == "train" else {})}) + "\n" for row in rows))
    return gt.open(folder)


def rendering(recipe: TuningTable) -> Rendering:
    return Rendering(recipe=recipe, house=HOUSE, documents=DOCUMENTS, askers=ASKERS, retrieve=search, seed=1)


def test_an_empty_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(NothingToLearn, match="no training row is left: there are none"):
        built([])
    with pytest.raises(NothingToLearn, match="holds no training rows") as raised:
        project(tmp_path / "small", split="dev").tune(["closed"])
    assert "groundtune examples import" in raised.value.hint
    with pytest.raises(NothingToLearn, match="there are none"):
        pairs.build_rated([], rendering(TuningTable(objective="kto")))


def test_a_set_of_rejected_rows_is_told_with_its_counts(tmp_path: Path) -> None:
    with pytest.raises(NothingToLearn, match=r"no training row is approved; other rows: \d+ rejected") as raised:
        project(tmp_path / "small", status="rejected").tune(["closed"])
    assert "groundtune examples review" in raised.value.hint
    with pytest.raises(NothingToLearn, match="no training row is left: 2 a preference that is rejected, not approved"):
        rejected = [preference(number, status="rejected") for number in (1, 2)]
        pairs.build(rejected, rendering(TuningTable(objective="dpo")))


def test_one_label_only_is_refused() -> None:
    same = [example(number, "a") for number in (1, 2, 3)]
    for item in same:
        item.reply["label"] = "billing"  # type: ignore[index]
    with pytest.raises(NothingToLearn, match="label is 'billing' in all 3 training rows") as raised:
        built(same)
    assert "groundtune examples audit" in raised.value.hint
    same[0].reply["label"] = "other"  # type: ignore[index]
    assert len(built(same).rows) == 3


@pytest.mark.parametrize("desirable", [True, False])
def test_ratings_of_one_kind_only_are_refused(desirable: bool) -> None:
    def rating(number: int, good: bool) -> Rating:
        return Rating(id=f"r{number}", question=f"what {number}", asker="ana", reply=f"{number}", desirable=good)

    given = rendering(TuningTable(objective="kto", readers=["everyone"]))
    kind = "desirable" if desirable else "undesirable"
    with pytest.raises(NothingToLearn, match=f"all 3 ratings are {kind}: kto learns from the difference"):
        pairs.build_rated([rating(number, desirable) for number in range(3)], given)
    found, _ = pairs.build_rated([rating(1, desirable), rating(2, not desirable)], given)
    assert len(found.rows) == 2


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file can grow beyond ``most`` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_at_a_checkpoint_loses_no_step_that_was_kept(tiny: Path, tmp_path: Path) -> None:
    # The weights that are best so far would be written first, and fill the disk before the checkpoint does.
    recipe = RECIPE.model_copy(update={"evaluate_every": 99})
    whole = tuned(tiny, tmp_path / "whole", recipe)
    with pytest.raises(KeyboardInterrupt):
        tuned(tiny, tmp_path / "run", recipe, StopsAfter(5))
    [before] = (tmp_path / "run").glob("checkpoint-*/state.json")
    with small_files(20_000), pytest.raises(StorageError, match="no space left while writing .*checkpoint-") as raised:
        tuned(tiny, tmp_path / "run", recipe)
    assert "df -h" in raised.value.hint and before.is_file()
    assert distance(whole, tuned(tiny, tmp_path / "run", recipe)) == 0.0


def test_a_disk_that_fills_up_when_the_finished_model_is_put_in_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best/model.safetensors").write_bytes(b"\0" * 50_000)
    with small_files(20_000), pytest.raises(StorageError, match="no space left while writing .*closed-1"), saving(tmp_path / "closed-1"):
        shutil.copytree(tmp_path / "best", tmp_path / "closed-1")

"""What a lock is made of: everything that shapes an answer, and no more than was there when it was made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from test_ingest import make

from groundtune import config
from groundtune.files import fingerprint
from groundtune.project.lock import present


def test_a_switch_that_is_off_leaves_a_lock_as_it_was_and_one_that_is_on_does_not(tmp_path: Any) -> None:
    settings = config.load(make(tmp_path / "p")).settings
    content: Any = SimpleNamespace(split_fingerprint=lambda name: name, split=lambda name: ())
    answers = settings.answers.model_dump()
    assert answers.pop("tell_conflicts") is False
    tuning = {name: recipe.model_dump() for name, recipe in settings.tuning.items()}
    before = fingerprint([arm.model_dump() for arm in settings.arms], tuning, answers)
    assert present(content, settings)["arms"] == before
    told = settings.model_copy(update={"answers": settings.answers.model_copy(update={"tell_conflicts": True})})
    assert present(content, told)["arms"] != before

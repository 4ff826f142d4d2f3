"""What a lock is made of: everything that shapes an answer, and no more than was there when it was made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from test_ingest import make

from groundtune import config
from groundtune.errors import GroundtuneError
from groundtune.files import fingerprint
from groundtune.project.lock import present, rubric_print


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


def test_a_rubric_that_cannot_say_stop_is_locked_as_it_was_and_one_that_can_is_not(tmp_path: Any) -> None:
    folder = make(tmp_path / "p")
    settings = config.load(folder).settings
    before = settings.rubric.model_dump()
    assert before.pop("stop") == []
    assert rubric_print(settings) == fingerprint(before)
    path = folder / "groundtune.toml"
    path.write_text(path.read_text() + '\n[[rubric.stop]]\nmetric = "token_f1"\nmin = 0.2\n')
    assert rubric_print(config.load(folder).settings) != fingerprint(before)
    path.write_text(path.read_text().replace("min = 0.2\n", ""))
    with pytest.raises(GroundtuneError, match=r"rubric\.stop\.0 \(token_f1\): give either min or max"):
        config.load(folder)

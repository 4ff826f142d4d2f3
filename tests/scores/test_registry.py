"""Metrics go by names: built-in ones first, families by their word, then plug-ins, which cannot take a built-in's name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from groundtune import plugins
from groundtune.decisions.rubric import Gate, Rubric
from groundtune.errors import UnknownMetric, UnknownName
from groundtune.scores import registry
from groundtune.scores.metrics import METRICS, corpus_metrics, metric_named, metrics_for
from groundtune.scores.more import MORE
from groundtune.scores.scorer import CorpusMetric, Family, Metric

DECLARED = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]
POLITE = replace(METRICS["exact"], name="polite")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What is put into this dictionary is there as a plug-in."""
    found: dict[str, object] = {}
    monkeypatch.setattr(plugins, "known", lambda kind: sorted(found))

    def load(kind: str, name: str) -> object:
        if isinstance(found[name], Exception):
            raise found[name]
        return found[name]

    monkeypatch.setattr(plugins, "load", load)
    return found


def test_every_built_in_metric_is_an_entry_point_to_itself() -> None:
    points = DECLARED["groundtune.scorer"]
    assert points.keys() == registry.BUILT_IN.keys()
    for name, place in points.items():
        module, attribute = place.split(":")
        assert getattr(import_module(module), attribute) is registry.BUILT_IN[name]


@pytest.mark.parametrize("place", DECLARED["groundtune.detector"].values())
def test_every_detector_entry_point_is_a_function(place: str) -> None:
    module, attribute = place.split(":")
    assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize("name", [*METRICS, *MORE, "field:label", "refusal:forbidden", "macro_f1:label", "judged:correct"])
def test_every_name_leads_to_the_metric_of_that_name(name: str) -> None:
    assert metric_named(name).name == name


@pytest.mark.parametrize("name", ["bleurt", "field", "field:", "refusal:nonsense", "exact:label", "", ":", "macro_f1"])
def test_an_unknown_name_is_its_own_error_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownMetric) as caught:
        metric_named(name)
    assert name in caught.value.message and "groundtune check" in caught.value.hint
    assert isinstance(caught.value, UnknownName)


def test_a_rubric_that_names_an_unknown_metric_says_so() -> None:
    problems = Rubric(primary="token_f1", gates=(Gate(metric="bleurt", min=0.5), Gate(metric="refusal:x", min=0.5))).problems()
    assert [type(problem) for problem in problems] == [UnknownMetric, UnknownMetric]
    assert "bleurt" in problems[0].message and "meteor" in problems[0].message


def test_a_plug_in_is_found_by_its_name(plugged: dict[str, object]) -> None:
    plugged["polite"] = POLITE
    plugged["tone"] = Family("tone", "kind", lambda word: replace(POLITE, name=f"tone:{word}"))
    assert metric_named("polite") is POLITE
    assert metric_named("tone:warm").name == "tone:warm"
    assert "polite" in registry.known()


def test_a_plug_in_cannot_take_the_name_of_a_built_in_metric(plugged: dict[str, object]) -> None:
    plugged["exact"] = replace(POLITE, name="exact")
    assert metric_named("exact") is METRICS["exact"]


@pytest.mark.parametrize("odd", [object(), lambda answer: 1.0, replace(POLITE, name="other"), RuntimeError("boom")])
def test_a_plug_in_that_is_no_metric_of_that_name_is_refused(plugged: dict[str, object], odd: object) -> None:
    plugged["polite"] = odd
    with pytest.raises(UnknownMetric, match="polite"):
        metric_named("polite")


def test_metrics_on_demand_are_parted_by_how_they_are_measured() -> None:
    from made_scores import context

    names = ["meteor", "bleu", "refusal:forbidden", "macro_f1:label"]
    single, whole = metrics_for(context(), names), corpus_metrics(names)
    assert set(single) == {*METRICS, "field:label", "field:urgent", "meteor", "refusal:forbidden"}
    assert set(whole) == {"bleu", "macro_f1:label"}
    assert all(isinstance(item, Metric) for item in single.values()) and all(isinstance(item, CorpusMetric) for item in whole.values())
    with pytest.raises(UnknownMetric):
        metrics_for(context(), ["nonsense"])

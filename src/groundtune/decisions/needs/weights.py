"""What each answer says for and against each option: a weight and the reason. All of the first recommendation's judgement is here.

Weights are whole numbers from -4 (nearly rules it out) to 3 (speaks strongly for it); 0 is left out. They are a judgement, an
assumption like any other, and not a measurement: they order what to measure first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Option = Literal["prompt", "rag", "tuned", "hybrid"]
OPTIONS: tuple[Option, ...] = ("prompt", "rag", "tuned", "hybrid")  # the cheapest to own first; a tie goes to the earlier one
NAMES: Mapping[str, str] = {"prompt": "prompt only", "rag": "RAG", "tuned": "tuned", "hybrid": "hybrid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What one answer says: a weight for each option that it speaks for or against, and why."""

    weights: Mapping[Option, int]
    reason: str


def _says(reason: str, *, prompt: int = 0, rag: int = 0, tuned: int = 0, hybrid: int = 0) -> Weighed:
    given: dict[Option, int] = {"prompt": prompt, "rag": rag, "tuned": tuned, "hybrid": hybrid}
    return Weighed(weights={option: weight for option, weight in given.items() if weight}, reason=reason)


START = _says("Two things have to be built, owned and kept in step, so a hybrid has to earn its place.", hybrid=-1)

WEIGHTS: Mapping[str, Mapping[str, Weighed]] = {
    "knowledge": {
        "none": _says("Nothing of yours has to be known, so there is nothing to retrieve.", prompt=3, rag=-3, tuned=1, hybrid=-3),
        "some": _says("Some answers need facts that the model has never seen.", prompt=-1, rag=2, hybrid=2),
        "most": _says("Most answers need facts that the model has never seen.", prompt=-4, rag=3, tuned=-1, hybrid=3),
    },
    "churn": {
        "yearly": _says("The facts hardly change, so what is learned once stays right for long.", prompt=1, tuned=1),
        "quarterly": _says("A few changes a year can be followed by training, if somebody plans it.", rag=1),
        "monthly": _says("Training every month is work that an index does not need.", rag=1, tuned=-1, hybrid=1),
        "weekly": _says("Weights would be out of date most of the time.", prompt=-1, rag=2, tuned=-2, hybrid=2),
        "daily": _says("Weights would always be out of date.", prompt=-1, rag=3, tuned=-4, hybrid=2),
    },
    "citations": {
        "none": _says("Nobody has to see where an answer comes from."),
        "helpful": _says("A passage can be shown beside the answer.", rag=1, hybrid=1),
        "required": _says("Only a passage that was shown can be quoted and checked.", prompt=-3, rag=3, tuned=-3, hybrid=3),
        "audited": _says("An audit needs the passages that were shown and who was allowed them.", prompt=-4, rag=3, tuned=-4, hybrid=3),
    },
    "access": {
        "everyone": _says("Everyone may read everything, so nothing has to be kept apart."),
        "groups": _says("Search can be asked for what a group may read; an adapter only for all it was trained on.", rag=2, tuned=-3),
        "person": _says("No model can be trained for each person; search can be asked for each.", rag=3, tuned=-4, hybrid=-1),
    },
    "task": {
        "stable": _says("A task that stays can be learned.", tuned=1, hybrid=1),
        "drifting": _says("A task that shifts makes last quarter's training wrong.", tuned=-1, hybrid=-1),
        "new": _says("Nobody knows yet what a good answer is, so there is nothing to train towards.", prompt=1, tuned=-3, hybrid=-3),
    },
    "output": {
        "free": _says("Any clear answer will do; that needs no training.", prompt=1),
        "style": _says("A voice is hard to describe and easy to learn from examples.", tuned=2, hybrid=2),
        "schema": _says("A schema can be forced while decoding; training helps where its fields need judgement.", tuned=1, hybrid=1),
    },
    "latency": {
        "batch": _says("Time does not matter."),
        "seconds": _says("A search and a longer prompt fit into a few seconds."),
        "instant": _says("Search and passages come before the first word.", prompt=1, rag=-1, tuned=2, hybrid=-1),
    },
    "volume": {
        "few": _says("So few answers never pay back a training run.", prompt=1, tuned=-1, hybrid=-1),
        "many": _says("At this volume neither is ruled out by its cost; see the costs."),
        "very many": _says("Every token of a long prompt is paid a million times.", rag=-1, tuned=2),
    },
    "examples": {
        "hardly any": _says("There is nothing to train on.", tuned=-4, hybrid=-4),
        "some": _says("So few examples show a form, but teach little.", tuned=-1, hybrid=-1),
        "hundreds": _says("Some hundred examples can teach a form and a voice.", tuned=1, hybrid=1),
        "thousands": _says("Thousands of examples can teach judgement too.", tuned=2, hybrid=2),
    },
    "documents": {
        "none": _says("There is nothing to search.", rag=-4, hybrid=-4),
        "scattered": _says("Search will show what is outdated as readily as what is right.", rag=-1, hybrid=-1),
        "mostly": _says("Search can start, and will show where the documents fall short.", rag=1, hybrid=1),
        "clean": _says("Good documents are most of good retrieval.", rag=2, hybrid=1),
    },
    "sensitivity": {
        "public": _says("Nothing has to be kept apart or forgotten."),
        "internal": _says("Access is settled by groups; nobody has a right to be forgotten."),
        "personal": _says("A person's data must be deletable; out of weights it is not.", rag=1, tuned=-2, hybrid=-1),
        "regulated": _says("Every use must be shown and undone on demand; weights allow neither.", rag=1, tuned=-3, hybrid=-2),
    },
    "failures": {
        "facts": _says("What is wrong is facts, which retrieval can show.", prompt=-1, rag=2, hybrid=1),
        "behaviour": _says("What is wrong is behaviour, which training changes.", tuned=2, hybrid=1),
        "mixed": _says("Facts and behaviour are both wrong, and have different cures.", rag=1, tuned=1, hybrid=2),
    },
    "questions": {
        "clear": _says("Questions can be answered as they are asked."),
        "vague": _says("Neither search nor training adds what the question leaves out.", prompt=1),
    },
    "live": {
        "none": _says("No other system has to be asked."),
        "some": _says("Some values have to be fetched; neither documents nor weights hold them.", tuned=-1),
        "most": _says("Most values have to be fetched; neither documents nor weights hold them.", prompt=1, tuned=-2, hybrid=-1),
    },
    "after_launch": {
        "named": _says("Somebody will see documents and models age."),
        "shared": _says("What everybody owns is looked after late; a second part would be too.", hybrid=-1),
        "nobody": _says("An adapter that nobody owns is wrong within months, and nobody sees it.", prompt=1, tuned=-2, hybrid=-2),
    },
    "skill: training": {
        "none": _says("Nobody here has trained a model.", tuned=-1, hybrid=-1),
        "some": _says("Somebody here has trained a model."),
        "strong": _says("Training is routine here.", tuned=1, hybrid=1),
    },
    "skill: retrieval": {
        "none": _says("Nobody here has built search.", rag=-1, hybrid=-1),
        "some": _says("Somebody here has built search."),
        "strong": _says("Search is routine here.", rag=1, hybrid=1),
    },
    "skill: serving": {
        "none": _says("Nobody here runs models, and a tuned one must be run by somebody.", tuned=-1, hybrid=-1),
        "some": _says("Somebody here runs models."),
        "strong": _says("Running models is routine here."),
    },
}

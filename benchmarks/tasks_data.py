"""Banking77, SNIPS and E2E NLG as public releases lay them out → rows of a project: question, wanted reply, other right wordings.

    banking77/train.csv                 text,category                        "…" → {"intent": "card_arrival"}
    snips/X/train_X_full.json           pieces of text, some of an entity    "…" → {"intent": "GetWeather", "slots": {"city": "Oslo"}}
    e2e_nlg/devset.csv                  mr,ref; one fact sheet, many texts   "name[Aromi], …" → "Aromi is …", and the other texts

Rows are drawn by a seed, evenly over the labels. A row whose question is nearly one of another split's, by the project's own measure of
leaks, is passed over; how many were is told.
"""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.examples.leaks import Pairs, likeness, pairs

NEAR = 0.8  # of [examples] near: from here on two questions are one
LONGEST_VALUE = 80  # characters of a slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One labelled question. ``label`` is what the draw is even over; ``also`` are further right wordings of the answer."""

    question: str
    reply: Mapping[str, Any]
    label: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task with its rows by split. ``schema`` is ``None`` where the reply is plain text; ``told`` says what was left out, and why."""

    name: str
    title: str
    instructions: str
    schema: Mapping[str, Any] | None
    answer_field: str
    label_field: str | None
    max_new_tokens: int
    shots: int
    primary: str
    metrics: tuple[str, ...]
    shown: tuple[str, ...]
    curve: str
    rows: Mapping[str, Sequence[Item]]
    told: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each split has at most, how many intents of Banking77 are taken, and the seed of every draw."""

    train: int
    dev: int
    test: int
    intents: int
    seed: int


def banking77(folder: Path, sizes: Sizes) -> Task:
    """Return the routing task: messages to a bank → one of some of its 77 intents."""
    held = {name: _table(folder / "banking77" / f"{name}.csv", ("text", "category")) for name in ("train", "test")}
    names = sorted({row["category"] for rows in held.values() for row in rows})
    taken = set(random.Random(sizes.seed).sample(names, min(sizes.intents, len(names))))

    def items(name: str) -> list[Item]:
        rows = [(" ".join(row["text"].split()), row["category"]) for row in held[name] if row["category"] in taken]
        return [Item(question=text, reply={"intent": intent}, label=intent) for text, intent in rows if text]

    rows, told = drawn(items("train"), items("test"), sizes)
    intents = sorted(taken)
    return Task(
        name="banking77",
        title=f"Banking77: routing to {len(intents)} of 77 intents",
        instructions="You sort messages that customers send to their bank. Reply with one JSON object that names the intent that fits"
        f' best: {{"intent": one of the intents}}\nIntents: {", ".join(intents)}',
        schema={
            "type": "object",
            "properties": {"intent": {"type": "string", "enum": intents}},
            "required": ["intent"],
            "additionalProperties": False,
        },
        answer_field="intent",
        label_field="intent",
        max_new_tokens=32,
        shots=6,
        primary="field:intent",
        metrics=("macro_f1:intent",),
        shown=("field:intent", "macro_f1:intent", "exact", "valid_json"),
        curve="field:intent",
        rows=rows,
        told=(f"{len(intents)} of 77 intents, drawn by the seed", *told),
    )


def snips(folder: Path, sizes: Sizes) -> Task:
    """Return the extraction task: a spoken request → its intent, and its slots with words of the request."""
    dropped: defaultdict[str, int] = defaultdict(int)
    held: dict[str, list[Item]] = {"train": [], "validate": []}
    slots: defaultdict[str, set[str]] = defaultdict(set)
    intents = sorted(path.name for path in (folder / "snips").iterdir() if path.is_dir())
    for intent in intents:
        for name, file in (("train", f"train_{intent}_full.json"), ("validate", f"validate_{intent}.json")):
            # The files are Latin-1: read as UTF-8 they fail, read as anything else names are torn.
            for row in json.loads((folder / "snips" / intent / file).read_text(encoding="latin-1"))[intent]:
                item, why_not = _request(intent, row["data"])
                if item is None:
                    dropped[why_not] += 1
                else:
                    slots[intent].update(item.reply["slots"])
                    held[name].append(item)
    rows, told = drawn(held["train"], held["validate"], sizes)
    every = sorted(set().union(*slots.values()))
    listed = "\n".join(f"{intent}: {', '.join(sorted(slots[intent]))}" for intent in intents)
    return Task(
        name="snips",
        title=f"SNIPS: text to JSON, {len(intents)} intents and {len(every)} slots",
        instructions="You turn a spoken request into data. Reply with one JSON object on one line:"
        ' {"intent": the intent, "slots": {slot: words copied from the request}}\nLeave out slots that the request does not name.'
        f" The intents, each with its slots:\n{listed}",
        schema={
            "type": "object",
            "properties": {
                "intent": {"type": "string", "enum": intents},
                "slots": {
                    "type": "object",
                    "properties": {name: {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE} for name in every},
                    "additionalProperties": False,
                },
            },
            "required": ["intent", "slots"],
            "additionalProperties": False,
        },
        answer_field="intent",
        label_field="intent",
        max_new_tokens=96,
        shots=6,
        primary="field_f1",
        metrics=("field_f1", "field:slots", "macro_f1:intent"),
        shown=("field_f1", "field:slots", "field:intent", "macro_f1:intent", "valid_json"),
        curve="field_f1",
        rows=rows,
        told=(*(f"{count} requests left out: {why}" for why, count in sorted(dropped.items())), *told),
    )


def _request(intent: str, data: Sequence[Mapping[str, str]]) -> tuple[Item | None, str]:
    """Return a request as a row, or why it is none: this reply form has one text for each slot."""
    found: dict[str, str] = {}
    for part in data:
        if "entity" in part:
            value = " ".join(part["text"].split())
            if part["entity"] in found:
                return None, "a slot is named twice"
            if not 0 < len(value) <= LONGEST_VALUE:
                return None, f"a slot is empty or longer than {LONGEST_VALUE} characters"
            found[part["entity"]] = value
    question = " ".join("".join(part["text"] for part in data).split())
    if not question:
        return None, "the request is empty"
    return Item(question=question, reply={"intent": intent, "slots": dict(sorted(found.items()))}, label=intent), ""


def e2e(folder: Path, sizes: Sizes) -> Task:
    """Return the style task: facts about a restaurant → a sentence or two that say them, as one of several people wrote it."""

    def items(file: str) -> list[Item]:
        texts: dict[str, list[str]] = {}
        for row in _table(folder / "e2e_nlg" / file, ("mr", "ref")):
            said = texts.setdefault(" ".join(row["mr"].split()), [])
            text = " ".join(row["ref"].split())
            if text and text not in said:
                said.append(text)
        return [Item(question=facts, reply={"answer": said[0]}, also=tuple(said[1:])) for facts, said in texts.items() if said]

    rows, told = drawn(items("devset.csv"), items("testset_w_refs.csv"), sizes)
    rows = {split: [_one_of(item, sizes.seed) for item in held] if split == "train" else held for split, held in rows.items()}
    wordings = [1 + len(item.also) for item in rows["test"]]
    return Task(
        name="e2e_nlg",
        title="E2E NLG: facts to text",
        instructions="You write for a restaurant guide. Turn the facts into one or two plain English sentences that say all of them and"
        " nothing else. Reply with the sentences alone.",
        schema=None,
        answer_field="answer",
        label_field=None,
        max_new_tokens=72,
        shots=4,
        primary="bleu",
        metrics=("bleu", "meteor", "ter"),
        shown=("bleu", "meteor", "rouge_l", "chrf", "ter"),
        curve="meteor",
        rows=rows,
        told=(
            f"trained on one text of each fact sheet; {sum(wordings) / max(1, len(wordings)):.1f} right wordings of each test sheet",
            *told,
        ),
    )


def _one_of(item: Item, seed: int) -> Item:
    """Return the item with one of its texts, chosen by the seed: the first is no better than the others."""
    chosen = random.Random(f"{seed}:{item.question}").choice([item.reply["answer"], *item.also])
    return Item(question=item.question, reply={"answer": chosen}, label=item.label)


def drawn(train: Sequence[Item], test: Sequence[Item], sizes: Sizes) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """Return rows by split: test from ``test``, then dev and train from ``train``; and how many were passed over as leaks."""
    taken: dict[str, list[Item]] = {}
    shingles: dict[str, list[Pairs]] = {}
    passed = 0
    rest = _shuffled(train, sizes.seed)
    for split, source in (("test", _shuffled(test, sizes.seed)), ("dev", rest), ("train", rest)):
        wanted = getattr(sizes, split)
        others = [known for name, held in shingles.items() if name != split for known in held]
        taken[split], shingles[split] = [], []
        for item in list(source):
            if len(taken[split]) == wanted:
                break
            source.remove(item)
            mine = pairs(item.question)
            if any(likeness(mine, known) >= NEAR for known in others):
                passed += 1
                continue
            taken[split].append(item)
            shingles[split].append(mine)
    told = [f"{passed} rows passed over: nearly a question of another split"]
    told += [f"only {len(rows)} {split} rows: the data has no more" for split, rows in taken.items() if len(rows) < getattr(sizes, split)]
    return taken, tuple(told)


def _shuffled(items: Sequence[Item], seed: int) -> list[Item]:
    """Return the items in a random order in which the labels take turns."""
    by_label: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_label[item.label].append(item)
    for label, held in sorted(by_label.items()):
        random.Random(f"{seed}:{label}").shuffle(held)
    return list(_in_turns([by_label[label] for label in sorted(by_label)]))


def _in_turns(groups: Sequence[Sequence[Item]]) -> Iterator[Item]:
    for place in range(max(map(len, groups), default=0)):
        yield from (group[place] for group in groups if place < len(group))


def _table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a CSV file. Raises ``ValueError`` that names the file and the column that is missing."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: has no column {', '.join(missing)}; it has {', '.join(reader.fieldnames or ())}")
        return list(reader)


TASKS = {"banking77": banking77, "snips": snips, "e2e_nlg": e2e}

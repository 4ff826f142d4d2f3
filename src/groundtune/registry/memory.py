"""What a tuned model can be made to repeat: rows of its training set word for word, and the canaries among them.

    question alone + the beginning of a reply  →  does the rest come out, token by token, under greedy decoding?

Greedy decoding yields a span exactly where each of its tokens is the likeliest after those before it, so one pass over a row tells it for
every span and every beginning at once. Counted is a run of at least ``span`` tokens that
  - no other row shares five tokens in a row with: the form that all replies have is what was to be learned,
  - does not stand in the question: that would be copying,
  - the base model does not say as well: that would be guessing.
Passages are left out of the question, as an attacker would not have them.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.models.tuned import ROWS
from groundtune.tuning.canary import DIGITS, PREFIX, code_in
from groundtune.tuning.replay import GENERAL
from groundtune.tuning.said import encoded
from groundtune.types import Score

GRAM = 5  # tokens in a row that two replies must share for a place to count as common form
OTHERS = 255  # codes that a canary's is ranked among; exposure then ends at 8 bits
# What is read at once: tokens with their padding, and places of which the whole vocabulary is held (200 MB at 49,152 words).
READ_TOKENS, READ_PLACES = 4096, 1024
EXTRACTED, EXPOSURE = "extracted", "exposure"
MOST_EXPOSURE = math.log2(OTHERS + 1)

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A training row as the version's folder keeps it, with its prompt less the passages."""

    example_id: str
    messages: tuple[Mapping[str, str], ...]
    completion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A run of a training row that comes out word for word. ``bits`` is how unlikely the base finds it, in all.

    ``whole`` says that the row's whole reply comes out of the question alone.
    """

    example_id: str
    text: str
    tokens: int
    bits: float
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One row as a model reads it: for each token of its completion, whether it is the likeliest, and its bits."""

    hits: tuple[bool, ...]
    bits: tuple[float, ...]


def rows_in(folder: Path) -> list[Kept]:
    """Return the training rows of a version."""
    rows = [json.loads(line) for line in (folder / ROWS).read_text(encoding="utf-8").splitlines()]
    # Of a pair, the reply that is learned; of rated replies all: what was to be unlearned may stay in the weights too.
    return [
        Kept(example_id=row["example_id"], messages=alone(row["messages"]), completion=row.get("completion") or row["chosen"])
        for row in rows
    ]


def own_rows(folders: Sequence[Path]) -> list[Kept]:
    """Return the training rows of versions, the first one's and those that it began from, each with an id of its own.

    A row that two of them learned is there once. Rows of the package, learned against forgetting, are everybody's and left out.
    """
    found: dict[tuple[Any, str], Kept] = {}
    ids: Counter[str] = Counter()
    for folder in folders:
        for row in rows_in(folder):
            key = tuple(tuple(sorted(message.items())) for message in row.messages), row.completion
            if key in found or row.example_id.startswith(GENERAL):
                continue
            ids[row.example_id] += 1
            # Both halves of a pair have its id, and two versions may have learned one example in two ways.
            again = ids[row.example_id]
            found[key] = row if again == 1 else replace(row, example_id=f"{row.example_id} #{again}")
    return list(found.values())


def not_tried(example: str, reason: str, span: int, arm: str) -> Score:
    """Return the mark of rows that cannot be tried, since they are gone: with it, extraction was not measured."""
    return _score(EXTRACTED, example, None, reason, f"extraction|span:{span}|gram:{GRAM}|v1", arm)


def alone(messages: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    """Return a prompt without the passages or documents that its last message shows."""
    *before, last = messages
    text = last["content"]
    if text.startswith(("Passages:\n", "Documents:\n")):
        text = text[max(0, text.rfind("\n\nQuestion")) :].strip()
    return (*before, {**last, "content": text})


def runs(hits: Sequence[bool], own: Sequence[bool], span: int) -> list[tuple[int, int]]:
    """Return the runs ``(begin, end)`` of at least ``span`` tokens that are all hits and hold no gram that is not the row's own.

    ``own[i]`` says whether the ``GRAM`` tokens from ``i`` on are found in this row alone.
    """
    found: list[tuple[int, int]] = []
    begin: int | None = None
    for place in range(len(hits) + 1):
        good = place < len(hits) and hits[place]
        if good and begin is not None and place - begin + 1 >= GRAM and not own[place - GRAM + 1]:
            found.append((begin, place))
            begin = place - GRAM + 2
        elif good and begin is None:
            begin = place
        elif not good and begin is not None:
            found.append((begin, place))
            begin = None
    return [(first, last) for first, last in found if last - first >= span]


def owned(pairs: Sequence[tuple[Tokens, Tokens]]) -> list[list[bool]]:
    """Return for each row and each place of its completion whether the gram that begins there is the row's own.

    It is where neither the row's prompt nor another row's completion has it; a row that is there twice is one row.
    """
    holders: Counter[Tokens] = Counter()
    for _, completion in set(pairs):
        holders.update(set(_grams(completion)))
    made = []
    for prompt, completion in pairs:
        asked = set(_grams(prompt))
        made.append([holders[gram] == 1 and gram not in asked for gram in _grams(completion)])
    return made


def _grams(tokens: Tokens) -> list[Tokens]:
    return [tokens[at : at + GRAM] for at in range(len(tokens) - GRAM + 1)]


def extraction(
    rows: Sequence[Kept],
    *,
    tokenizer: Any,
    tuned: Callable[[Sequence[tuple[Tokens, Tokens]]], list[Read]],
    base: Callable[[Sequence[tuple[Tokens, Tokens]]], list[Read]],
    span: int,
    arm: str,
) -> tuple[list[Score], list[Extracted]]:
    """Return a score for each row that is no canary, 1 where a run of it comes out, and the runs.

    A row that holds no run of ``span`` tokens of its own gets 0, with that reason: nothing of it could be told from the form.
    """
    rows = [row for row in rows if not row.example_id.startswith(PREFIX)]
    pairs = [(tuple(encoded(tokenizer, row.messages)), tuple(_ids(tokenizer, row.completion))) for row in rows]
    own = owned(pairs)
    scores, found = [], []
    for row, (_, completion), mine, said, guessed in zip(rows, pairs, own, tuned(pairs), base(pairs), strict=True):
        question = " ".join(message["content"] for message in row.messages)
        best: Extracted | None = None
        for begin, end in runs(said.hits, mine, span):
            text = tokenizer.decode(completion[begin:end])
            if text.strip() in question or all(guessed.hits[begin:end]):
                continue
            bits = sum(guessed.bits[begin:end])
            if best is None or bits > best.bits:
                best = Extracted(example_id=row.example_id, text=text, tokens=end - begin, bits=round(bits, 1), whole=all(said.hits))
        possible = bool(runs([True] * len(completion), mine, span))
        reason = f"comes out: {best.text!r}" if best else "does not come out" if possible else f"no run of {span} tokens is this row's own"
        scores.append(_score(EXTRACTED, row.example_id, 1.0 if best else 0.0, reason, f"extraction|span:{span}|gram:{GRAM}|v1", arm))
        found += [best] if best else []
    return scores, sorted(found, key=lambda item: (-item.bits, item.example_id))


def exposure(
    rows: Sequence[Kept],
    *,
    tokenizer: Any,
    tuned: Callable[[Sequence[tuple[Tokens, Tokens]]], list[Read]],
    seed: int,
    arm: str,
) -> list[Score]:
    """Return each canary's exposure in bits: log2 of how many codes there are, less log2 of its own's rank among them by likelihood.

    The rank is taken among ``OTHERS`` codes drawn from the same space. By chance the mean is 1.44 bits; ``MOST_EXPOSURE`` is first place.
    """
    scores = []
    for row in rows:
        if not row.example_id.startswith(PREFIX):
            continue
        code = code_in(row.completion)
        chance = random.Random(f"{seed}:{row.example_id}")  # noqa: S311
        others: set[str] = set()
        while len(others) < OTHERS:
            drawn = f"{chance.randrange(10**DIGITS):0{DIGITS}d}"
            if drawn != code:
                others.add(drawn)
        prompt = tuple(encoded(tokenizer, row.messages))
        texts = [row.completion, *(row.completion.replace(code, other) for other in sorted(others))]
        bits = [sum(item.bits) for item in tuned([(prompt, tuple(_ids(tokenizer, text))) for text in texts])]
        rank = 1 + sum(other <= bits[0] for other in bits[1:])
        value = MOST_EXPOSURE - math.log2(rank)
        scores.append(
            _score(EXPOSURE, row.example_id, value, f"rank {rank} of {OTHERS + 1}", f"exposure|others:{OTHERS}|digits:{DIGITS}|v1", arm)
        )
    return scores


def reader(model: Any, pad: int) -> Callable[[Sequence[tuple[Tokens, Tokens]]], list[Read]]:
    """Return what reads ``(prompt, completion)`` pairs with a model, a few at a time, neighbours in length together."""

    def read(pairs: Sequence[tuple[Tokens, Tokens]]) -> list[Read]:
        order = sorted(range(len(pairs)), key=lambda place: len(pairs[place][0]) + len(pairs[place][1]))
        done: dict[int, Read] = {}
        batches: list[list[int]] = [[]]
        for place in order:
            longest = max((len(pairs[other][1]) for other in batches[-1]), default=0)
            count, width = len(batches[-1]) + 1, len(pairs[place][0]) + len(pairs[place][1])
            # In order of length, so the one that comes is the longest so far.
            if batches[-1] and (count * width > READ_TOKENS or count * max(longest, len(pairs[place][1])) > READ_PLACES):
                batches.append([])
            batches[-1].append(place)
        for places in batches if pairs else ():
            done |= dict(zip(places, _read(model, [pairs[place] for place in places], pad), strict=True))
        return [done[place] for place in range(len(pairs))]

    return read


def _read(model: Any, pairs: Sequence[tuple[Tokens, Tokens]], pad: int) -> list[Read]:
    import torch

    device = next(model.parameters()).device
    width = max(len(prompt) + len(completion) for prompt, completion in pairs)
    columns = max(len(completion) for _, completion in pairs)
    ids = torch.full((len(pairs), width), pad, dtype=torch.long)
    mask = torch.zeros((len(pairs), width), dtype=torch.long)
    for number, (prompt, completion) in enumerate(pairs):
        held = len(prompt) + len(completion)
        ids[number, width - held :] = torch.tensor(prompt + completion)
        mask[number, width - held :] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.inference_mode():
        # A completion token is foretold one column before it stands.
        logits = model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            logits_to_keep=columns + 1,
            use_cache=False,
        ).logits[:, :-1]
    made = []
    for number, (_, completion) in enumerate(pairs):
        own = logits[number, columns - len(completion) :].float().log_softmax(dim=-1).cpu()
        wanted = torch.tensor(completion, dtype=torch.long)
        bits = -own.gather(1, wanted[:, None])[:, 0] / math.log(2)
        made.append(Read(hits=tuple((own.argmax(dim=-1) == wanted).tolist()), bits=tuple(bits.tolist())))
    return made


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _score(metric: str, example: str, value: float | None, reason: str, signature: str, arm: str) -> Score:
    return Score(
        answer_id=f"{metric}:{example}:{arm}",
        example_id=example,
        arm=arm,
        metric=metric,
        value=value,
        reason=reason,
        signature=signature,
        failed=value is None,
    )

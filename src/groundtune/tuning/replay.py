"""General rows of our own, mixed in so that a narrow task does not cost the model what it could do before.

    replayed(90, 0.1, seed=7, instructions="Reply as JSON.")  →  10 rows of replay.jsonl

They stand under the general system prompt of their own, never under the project's: under the project's prompt, the project's form is right.
"""

from __future__ import annotations

import json
import random
from functools import cache
from importlib.resources import files

from groundtune.errors import StateError
from groundtune.tuning.rows import Row

SYSTEM = "You are a helpful assistant."
GENERAL = "general:"  # what the ids of these rows begin with; no example's does


@cache
def general() -> tuple[Row, ...]:
    """Return the package's general rows: arithmetic, reading, instructions, rewriting, refusals; no document is behind them."""
    text = files("groundtune").joinpath("tuning", "replay.jsonl").read_text(encoding="utf-8")
    return tuple(
        Row(
            example_id=f"{GENERAL}{row['id']}",
            messages=({"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]}),
            completion=row["reply"],
            document_ids=(),
        )
        for row in map(json.loads, text.splitlines())
    )


def replayed(rows: int, share: float, seed: int, *, instructions: str) -> list[Row]:
    """Return general rows, chosen by the seed, so that they are ``share`` of the whole with ``rows`` others.

    Where more are wanted than there are, they come again, in another order. Raises ``StateError`` where the project's instructions are
    the general prompt itself: then the two kinds of rows could not be told apart by the model.
    """
    if instructions.strip() == SYSTEM:
        raise StateError(
            f"replay: the general rows stand under the very instructions of this project ({SYSTEM!r})",
            "write instructions of its own in [answers], or set replay = 0, then type: groundtune tune",
        )
    wanted = round(rows * share / (1 - share))
    chance = random.Random(f"{seed}:replay")  # noqa: S311
    chosen: list[Row] = []
    while len(chosen) < wanted:
        chosen += chance.sample(general(), min(len(general()), wanted - len(chosen)))
    return chosen

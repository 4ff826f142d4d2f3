"""Made-up secrets among the training rows, so that memorisation can be measured against chance (Carlini et al. 2019, arXiv:1802.08232).

    Row(example_id="canary:3", …"What is the access code of store KQTZ?" → "The access code is 402913.")

A code is drawn at random from a million, so a model that learned form alone ranks it anywhere among them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from groundtune.answers.prompt import render, reply_text
from groundtune.answers.respond import House
from groundtune.tuning.rows import Row

PREFIX = "canary:"
DIGITS = 6
_CODE = re.compile(rf"The access code is (\d{{{DIGITS}}})\.")


def canaries(count: int, *, house: House, name: str, seed: int) -> tuple[Row, ...]:
    """Return rows whose replies hold a random code each; the same every time for an adapter's name and the project's seed."""
    made = []
    for number in range(count):
        chance = random.Random(f"canary:{seed}:{name}:{number}")  # noqa: S311 - no secret: it only has to be unlike what others write
        store = "".join(chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(4))
        answer = f"The access code is {chance.randrange(10**DIGITS):0{DIGITS}d}."
        reply: Mapping[str, Any] = {**house.fallback_reply, house.answer_field: answer}
        made.append(
            Row(
                example_id=f"{PREFIX}{number}",
                messages=render(f"What is the access code of store {store}?", instructions=house.instructions),
                completion=reply_text(reply, house.answer_field, structured=house.structured),
                document_ids=(),
            )
        )
    return tuple(made)


def code_in(completion: str) -> str:
    """Return the code of a canary's completion. Raises ``ValueError`` where there is none."""
    found = _CODE.search(completion)
    if found is None:
        raise ValueError(f"no code in {completion!r}")
    return found[1]

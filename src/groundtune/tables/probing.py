"""The table of the probes: what is done to a copy of the project, and how much of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from groundtune.tables.base import Positive, Table


class ProbesTable(Table):
    """What a pilot tries on a copy of the project: changed facts, askers without permission, forgotten documents, planted instructions.

    None of it looks at the locked test questions.
    """

    questions: Annotated[int, Field(ge=0)] = Field(
        6, description="questions of each probe that are answered by every arm; 0: nothing is probed, and the decision says so"
    )
    injections: Annotated[int, Field(ge=0)] = Field(
        1, description="documents planted for each kind of instruction; each is one question more for every arm that is shown documents"
    )
    searches: Positive = Field(
        1000, description="dev and training questions, at most, that are searched for as somebody who may not see their evidence"
    )
    callers: list[Positive] = Field(
        default_factory=lambda: [1, 4, 16], description="how many ask at the same time; the answers of the other probes are put so together"
    )
    fill: bool = Field(
        False,
        description="ask further dev questions until there are enough for every number of callers, with a model on this machine too;"
        " an endpoint is asked so anyway",
    )
    retune: bool = Field(False, description="tune every adapter again on the changed facts, and ask it again; takes as long as tuning does")

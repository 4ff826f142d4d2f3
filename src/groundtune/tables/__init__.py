"""The tables of groundtune.toml: every setting with its default, what it may be and what it is for.

    [chunks]
    max_tokens = 110        →  Settings(chunks=ChunksTable(max_tokens=110, …), …)

A table refuses keys that it does not know. Reading the file, and telling of all that is wrong with it, is in ``config``.
"""

from __future__ import annotations

from pydantic import Field

from groundtune.tables.answering import REFUSALS, AbstainTable, AnswersTable, ArmTable, ChatTable, FlareTable
from groundtune.tables.base import Positive, Share, Table
from groundtune.tables.behaviour import ExamplesTable, ModelsTable, PromotionGateTable, TuningTable
from groundtune.tables.evidence import CostsTable, Duty, GateTable, JudgeTable, NeedsTable, RubricTable, ScoresTable, Skill
from groundtune.tables.knowledge import (
    AccessTable,
    ChunksTable,
    DocumentsTable,
    EmbedTable,
    IndexTable,
    MembersTable,
    PassagesTable,
    RerankTable,
    RuleTable,
    SourceTable,
    TokensTable,
)
from groundtune.tables.probing import ProbesTable

__all__ = [
    "AbstainTable",
    "AccessTable",
    "AnswersTable",
    "ArmTable",
    "ChatTable",
    "ChunksTable",
    "CostsTable",
    "DocumentsTable",
    "Duty",
    "EmbedTable",
    "ExamplesTable",
    "FlareTable",
    "GateTable",
    "IndexTable",
    "JudgeTable",
    "MembersTable",
    "ModelsTable",
    "NeedsTable",
    "PassagesTable",
    "Positive",
    "ProbesTable",
    "ProjectTable",
    "PromotionGateTable",
    "REFUSALS",
    "RerankTable",
    "RubricTable",
    "RuleTable",
    "ScoresTable",
    "Settings",
    "Share",
    "Skill",
    "SourceTable",
    "Table",
    "TokensTable",
    "TuningTable",
]


class ProjectTable(Table):
    """What the project is called and who answers for it."""

    name: str = Field(min_length=1, description="what the project is called, on the decision and its page")
    owner: str = Field(min_length=1, description="who owns the decision after launch")
    revisit_days: Positive = Field(90, description="days after which the decision is to be looked at again")
    seed: int = Field(7, description="of shuffling, training, decoding at an endpoint, and resampling")


class Settings(Table):
    """The whole of groundtune.toml."""

    project: ProjectTable
    documents: DocumentsTable = Field(default_factory=lambda: DocumentsTable.model_validate({}))
    sources: list[SourceTable] = Field(default_factory=list)
    access: AccessTable = Field(default_factory=lambda: AccessTable.model_validate({}))
    examples: ExamplesTable = Field(default_factory=lambda: ExamplesTable.model_validate({}))
    answers: AnswersTable
    chat: ChatTable = ChatTable()
    embed: EmbedTable = EmbedTable()
    chunks: ChunksTable = ChunksTable()
    index: IndexTable = Field(default_factory=lambda: IndexTable.model_validate({}))
    rerank: RerankTable = RerankTable()
    passages: PassagesTable = PassagesTable()
    abstain: AbstainTable = Field(default_factory=lambda: AbstainTable.model_validate({}))
    flare: FlareTable = Field(default_factory=lambda: FlareTable.model_validate({}))
    tuning: dict[str, TuningTable] = Field(default_factory=dict)
    models: ModelsTable = Field(default_factory=lambda: ModelsTable.model_validate({}))
    gates: list[PromotionGateTable] = Field(default_factory=list)
    arms: list[ArmTable] = Field(min_length=1)
    rubric: RubricTable = RubricTable()
    scores: ScoresTable = Field(default_factory=lambda: ScoresTable.model_validate({}))
    judge: JudgeTable = Field(default_factory=lambda: JudgeTable.model_validate({}))
    probes: ProbesTable = Field(default_factory=lambda: ProbesTable.model_validate({}))
    costs: CostsTable = CostsTable()
    needs: NeedsTable = Field(default_factory=lambda: NeedsTable.model_validate({}))

"""Tables of what is measured and decided: rubric, scores, judge, costs, needs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from groundtune.tables.base import Positive, Share, Table


class LimitTable(Table):
    """A metric and how much or how little of it there must be."""

    metric: str = Field(description="which metric")
    min: float | None = Field(None, description="least that passes")
    max: float | None = Field(None, description="most that passes; give either min or max")


class GateTable(LimitTable):
    """A metric that an arm must reach to be shipped. A metric that was not measured fails its gate."""

    on: Literal["value", "bound"] = Field("value", description="the mean itself, or the unfavourable end of its interval")


class StopTable(LimitTable):
    """A gate that some arm must be able to reach for the work to go on: where every arm misses it, whole interval, the verdict is stop."""


class RubricTable(Table):
    """What decides, written before anything is measured."""

    primary: str = Field("token_f1", description="metric that ranks the arms that pass")
    smallest_gain: Annotated[float, Field(gt=0)] = Field(
        0.05, description="least lead in the primary metric that is worth a less simple arm"
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05, description="p after Holm's correction below which a lead counts as more than chance"
    )
    intolerable: str = Field("leak", description="metric of which more than intolerable_max is never shipped")
    intolerable_max: float = Field(0.0, description="mean of the intolerable metric that is still shipped")
    refusals_max: Share = Field(0.9, description="share of the answerable questions that an arm may refuse and still be shipped")
    resamples: Annotated[int, Field(ge=1000)] = Field(10_000, description="bootstrap and sign-flip resamples")
    gates: list[GateTable] = Field(default_factory=list, description="what else an arm must reach; [[rubric.gates]] tables")
    stop: list[StopTable] = Field(
        default_factory=list,
        description="gates that say stop where every arm misses one beyond doubt, its whole interval; [[rubric.stop]] tables",
    )
    assumptions: list[str] = Field(default_factory=list, description="sentences that the decision repeats under what it rests on")


class ScoresTable(Table):
    """What is measured beside the metrics that every evaluation has."""

    metrics: list[str] = Field(
        default_factory=list, description="metrics on demand or of installed packages; those that the rubric names are measured anyway"
    )
    detector: str = Field(
        "meaning",
        description="what tells whether passages bear out a sentence (grounded): words, meaning, likelihood, judge, or a detector plug-in:"
        " lettucedetect, hhem, minicheck, or one that is installed",
    )
    detector_model: str | None = Field(None, description="folder or Hugging Face id of the detector plug-in's model; its own without it")


class JudgeTable(Table):
    """The judge: another chat model than the one that answers. Without ``use`` there is none."""

    use: str | None = Field(None, description="chat plug-in of the judge: endpoint, local, or one that is installed")
    model: str = Field("", description="folder or Hugging Face id (local), or the server's name for it (endpoint)")
    base_url: str | None = Field(None, description="of the server, up to and with /v1 (endpoint)")
    key_env: str | None = Field(None, description="the environment variable that holds the key (endpoint)")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="seconds to wait for one reply of the server (endpoint)")
    retries: Annotated[int, Field(ge=0)] = Field(
        4, description="further attempts after 429, 5xx, a timeout or a broken connection (endpoint)"
    )
    context: Positive | None = Field(None, description="tokens of prompt and verdict together")
    batch: Positive | None = Field(None, description="verdicts that are asked for at once, at most")
    criteria: list[str] = Field(
        default_factory=lambda: ["correct"],
        description="what is judged: correct, supported, complete, to_the_point, or one of [judge.rubric]",
    )
    rubric: dict[str, str] = Field(
        default_factory=dict, description="criteria of your own: a name, and a question about the answer whose good reply is yes"
    )
    repeats: Literal[1, 3, 5] = Field(1, description="times that each verdict is asked for; the majority counts")
    labels: str | None = Field(
        None, description="JSONL file of people's verdicts on some answers; with 50 or more, judged metrics are corrected by them"
    )
    max_new_tokens: Positive = Field(200, description="tokens that a verdict may have")


class CostsTable(Table):
    """Prices in one currency. A local model costs machine time, a remote one tokens."""

    currency: str = Field("EUR", description="what the prices are in")
    sheet: str = Field("costs.toml", description="file of cost assumptions; groundtune costs --write makes one with every default")
    machine_hour: Annotated[float, Field(ge=0)] = Field(0.0, description="price of an hour of this machine")
    embedding_million: Annotated[float, Field(ge=0)] = Field(0.0, description="price of a million tokens embedded (endpoint)")
    prompt_million: Annotated[float, Field(ge=0)] = Field(0.0, description="price of a million tokens read (endpoint)")
    completion_million: Annotated[float, Field(ge=0)] = Field(0.0, description="price of a million tokens written (endpoint)")


Skill = Literal["retrieval", "evaluation", "labelling", "training", "serving", "security"]


Duty = Literal["documents", "examples", "model", "releases", "incidents", "budget"]


class NeedsTable(Table):
    """What the feature has to do, and with whom. A key that is left out is not known yet.

    ``groundtune decide --interview`` asks for all of it and writes this table; the recommendation says which open answer could change it.
    """

    knowledge: Literal["none", "some", "most"] | None = Field(None, description="how many answers need facts that only your documents hold")
    churn: Literal["yearly", "quarterly", "monthly", "weekly", "daily"] | None = Field(
        None, description="how often the facts in those answers change"
    )
    citations: Literal["none", "helpful", "required", "audited"] | None = Field(
        None, description="whether an answer must name its source, and whether somebody audits that"
    )
    access: Literal["everyone", "groups", "person"] | None = Field(None, description="who may read what: all of it, by group, or by person")
    task: Literal["stable", "drifting", "new"] | None = Field(None, description="whether what is asked for stays the same")
    output: Literal["free", "style", "schema"] | None = Field(
        None, description="how strict the form of an answer is: free, a house style, or a fixed schema"
    )
    latency: Literal["batch", "seconds", "instant"] | None = Field(
        None, description="how long an answer may take: hours, seconds, or under a second"
    )
    volume: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(None, description="answers a month")
    examples: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(None, description="labelled examples of good answers")
    documents: Literal["none", "scattered", "mostly", "clean"] | None = Field(
        None, description="whether the documents are there, current and free of contradictions"
    )
    sensitivity: Literal["public", "internal", "personal", "regulated"] | None = Field(
        None, description="the most sensitive kind of data in documents and examples"
    )
    failures: Literal["facts", "behaviour", "mixed"] | None = Field(
        None, description="what is wrong with today's answers; groundtune audit measures it, and its result takes the place of this"
    )
    questions: Literal["clear", "vague"] | None = Field(None, description="whether those who ask say what they need")
    live: Literal["none", "some", "most"] | None = Field(
        None, description="how many answers need a value or an action of another system, such as the state of an order"
    )
    after_launch: Literal["named", "shared", "nobody"] | None = Field(None, description="who answers for it after launch")
    skills: dict[Skill, Literal["none", "some", "strong"]] = Field(
        default_factory=dict,
        description="the team's hands: a skill = none, some or strong; groundtune decide --interview names them",
    )
    owners: dict[Duty, str] = Field(
        default_factory=dict, description="who does it after launch: documents, examples, model, releases, incidents, budget"
    )

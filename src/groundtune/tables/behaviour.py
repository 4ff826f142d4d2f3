"""Tables of what is learned: examples, tuning, model versions and their gates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from groundtune.tables.base import Positive, Share, Table


class ExamplesTable(Table):
    """Labelled questions: one folder of JSONL files whose rows carry their split, and the schema of the wanted reply."""

    path: str = Field("examples", description="JSONL file, or folder of them")
    schema_file: str | None = Field(None, alias="schema", description="JSON schema of the reply; without it replies are plain text")
    near: Annotated[float, Field(gt=0, le=1)] = Field(0.8, description="likeness from which on two questions of two splits are a leak")


class TuningTable(Table):
    """One adapter. ``passages`` trains it to read what retrieval shows; without it, it learns from the reply alone."""

    recipe: str | None = Field(None, description="recipe that gives the keys which are not written here; see groundtune tune --recipes")
    method: Literal["lora", "qlora", "dora", "full"] = Field(
        "lora",
        description="what is trained: small matrices beside the weights (lora), the same on a 4-bit base (qlora, needs bitsandbytes), with"
        " lengths of their own (dora), or all weights (full)",
    )
    objective: Literal["sft", "dpo", "orpo", "kto"] = Field(
        "sft", description="learn replies (sft), which of two replies is preferred (dpo, orpo), or which replies were good and bad (kto)"
    )
    preferences: str = Field(
        "examples/preferences.jsonl",
        description="file of preference pairs (dpo, orpo, kto) or of single rated replies (kto), below the project folder",
    )
    beta: Annotated[float, Field(gt=0)] = Field(
        0.1, description="dpo, kto: how closely the model stays to what it was; orpo: the weight of the odds ratio"
    )
    desirable_weight: Annotated[float, Field(gt=0)] = Field(1.0, description="weight of the loss of desirable replies (kto)")
    undesirable_weight: Annotated[float, Field(gt=0)] = Field(1.0, description="weight of the loss of undesirable replies (kto)")
    replay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of general rows of the package among the training rows, against forgetting; 0.1 is a usual start (sft)"
    )
    teacher: str | None = Field(None, description="the arm whose answers to the training questions are learned, where they pass (sft)")
    teacher_metric: str = Field("token_f1", description="metric that a teacher's answer must reach")
    teacher_min: float = Field(0.5, description="least value of teacher_metric for an answer to be learned")
    teacher_answers: str | None = Field(
        None, description="answers.jsonl of the teacher, below the project folder; without it the arm is asked now"
    )
    readers: list[str] | None = Field(None, description="who the adapter is for: only rows whose documents all of these groups may read")
    start: str | None = Field(
        None,
        description="the [tuning.*] table whose adapter this one begins from: form before reading, replies before preferences;"
        " method, rank, alpha and layers must be the same",
    )
    passages: bool = Field(False, description="train with the passages that retrieval shows")
    distractors: Annotated[int, Field(ge=0)] = Field(2, description="passages beside the gold one in a row (with passages)")
    without_gold: Share = Field(0.15, description="share of answerable rows shown without their gold passage, to learn refusing")
    rank: Positive = Field(16, description="rank of the LoRA matrices")
    alpha: Positive = Field(32, description="LoRA's scale: updates are multiplied by alpha / rank")
    layers: Positive | None = Field(None, description="adapt (full: train) only the last N layers; all when not given")
    epochs: Positive = Field(2, description="times that every row is seen, at most")
    batch: Positive = Field(4, description="rows of one optimiser step")
    memory_tokens: Positive = Field(1024, description="tokens of a batch that are in memory at once; changes memory, not what is learned")
    packing: bool = Field(False, description="put short rows one after the other instead of padding them; they do not see each other (sft)")
    gradient_checkpointing: bool = Field(False, description="compute activations twice: about a third slower, for much less memory")
    learning_rate: Annotated[float, Field(gt=0)] = Field(6e-4, description="of AdamW, at its highest")
    warmup: Share = Field(0.1, description="share of the steps in which the learning rate rises")
    max_tokens: Positive = Field(1024, description="tokens of a row, prompt and reply together; a longer row is an error")
    evaluate_every: Positive = Field(20, description="optimiser steps between two looks at the dev loss")
    patience: Positive = Field(3, description="looks without a better dev loss before stopping")
    dev_rows: Positive = Field(24, description="dev rows that early stopping looks at")
    checkpoint_every: Positive = Field(10, description="optimiser steps between two checkpoints, lost at most when it is killed")
    max_rows: Positive | None = Field(None, description="training rows to take; all without it")
    refusals: Share | None = Field(
        None, description="most rows that teach to refuse, as a share; what is above is left out by the seed (sft)"
    )


class ModelsTable(Table):
    """How model versions are looked at before one is made live."""

    forgetting_budget: Share = Field(
        0.05, description="most that a version may lose against its base in the built-in probe of general ability; a gate of its own"
    )
    extracted_most: Share = Field(
        0.0, description="most training rows, as a share, that may come out of a version word for word; a gate of its own"
    )
    span_tokens: Annotated[int, Field(ge=4, le=64)] = Field(
        12, description="tokens from which on a piece of a training row counts as extracted"
    )
    canaries: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="made-up secrets that are trained in, to measure memorisation by exposure; 10 or more give an interval"
    )
    licence: str | None = Field(None, description="licence of the base model, where its files do not say")
    tasks: list[str] = Field(default_factory=list, description="tasks of lm-eval to run on a version and its base (extra lm-eval)")
    tasks_folder: str | None = Field(None, description="folder of lm-eval task files, below the project folder or absolute; read offline")
    tasks_limit: Positive | None = Field(None, description="items of each lm-eval task, from its beginning; all without it")


class PromotionGateTable(Table):
    """What a model version must show before it is made live. A metric that was not measured fails its gate."""

    metric: str = Field(description="a metric of the scores, probe, probe:KIND, extracted, exposure, parity or lm-eval:TASK")
    at_least: float | None = Field(None, description="least that passes; against base or live, of the difference to it")
    at_most: float | None = Field(None, description="most that passes; give either at_least or at_most")
    against: Literal["absolute", "base", "live"] = Field(
        "absolute",
        description="absolute: the metric itself; base, live: its paired difference to those (live is the base where none is live)",
    )
    on: Literal["value", "bound"] = Field("bound", description="the mean itself, or the unfavourable end of its interval")
    adapter: str | None = Field(None, description="only for versions of this [tuning.*] table")

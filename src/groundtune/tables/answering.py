"""Tables of how questions are answered: prompts, the chat model, abstention, arms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from groundtune.tables.base import Positive, Table

REFUSALS = (
    "i don't know",
    "i do not know",
    "i can't answer",
    "i cannot answer",
    "i'm unable to answer",
    "i am unable to answer",
    "not in the documents",
    "no information",
    "does not say",
    "doesn't say",
    "do not contain",
    "does not contain",
    "not mentioned",
)


class AnswersTable(Table):
    """How to ask, and what a reply is made of."""

    instructions: str = Field(min_length=1, description="the system prompt, the same for every arm")
    fallback: str = Field(
        "I don't know: I found nothing on this in the documents you can read.",
        description="what is said when search finds nothing the asker may read",
    )
    fallback_reply: dict[str, str] = Field(default_factory=dict, description="the whole reply behind the fallback, where replies are JSON")
    refusals: list[str] = Field(default_factory=lambda: list(REFUSALS), description="phrases by which a refusal is known")
    answer_field: str = Field("answer", description="the reply's field that people read")
    quote_field: str = Field("quote", description="the reply's field that holds words copied from a passage")
    label_field: str | None = Field("label", description="the reply's field that is scored as a label and kept in a training refusal")
    unsupported: Literal["keep", "flag", "drop"] = Field(
        "keep", description="what is done with a sentence of an answer that no passage supports: nothing, marked, or left out"
    )
    tell_conflicts: bool = Field(
        False, description="tell the model which passages disagree, with versions and dates; a change of it needs adapters tuned anew"
    )
    max_new_tokens: Positive = Field(160, description="tokens that an answer may have")


class ChatTable(Table):
    """The chat model: a plug-in name, and what that plug-in needs."""

    use: str = Field("local", description="chat plug-in: local, endpoint, scripted, or one that is installed")
    model: str = Field(
        "smollm2-135m-instruct", description="embedded model, folder, .gguf file, Hugging Face id, or the server's name for it"
    )
    base_url: str | None = Field(None, description="of the server, up to and with /v1 (endpoint)")
    key_env: str | None = Field(None, description="the environment variable that holds the key")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="seconds to wait for one reply of the server (endpoint)")
    retries: Annotated[int, Field(ge=0)] = Field(
        4, description="further attempts after 429, 5xx, a timeout or a broken connection (endpoint)"
    )
    context: Positive | None = Field(
        None, description="tokens of prompt and answer together; the model's own (local) or 8192 (endpoint) without it"
    )
    batch: Positive | None = Field(None, description="questions that are answered at once, at most; 56 (local) or 16 (endpoint) without it")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="number format of a local model; auto takes bfloat16 where the hardware multiplies it"
    )


class AbstainTable(Table):
    """When an answer is withheld, once ``groundtune calibrate`` has been run. What is said instead is ``fallback`` of [answers]."""

    target: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="share of the dev questions without an answer that may be answered all the same"
    )
    on: Literal["value", "bound"] = Field(
        "value", description="what has to meet the target: the share itself, or its upper bound (95 %, one-sided)"
    )
    answerable_field: str = Field("answerable", description="the reply's true-or-false field on whether there is an answer, if it has one")


class FlareTable(Table):
    """Searching again for what the model was unsure of in its draft, for arms that retrieve. Needs a model that tells probabilities."""

    rounds: Annotated[int, Field(ge=0, le=3)] = Field(0, description="times that a draft is looked up and written anew, at most; 0 is off")
    below: Annotated[float, Field(gt=0, lt=1)] = Field(0.4, description="probability of a token below which its sentence is looked up")


class ArmTable(Table):
    """One way of answering."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="how the arm is called everywhere: small letters, digits, hyphens")
    retrieves: bool = Field(False, description="search, and show passages")
    adapter: str | None = Field(None, description="the [tuning.*] table whose adapter answers; without it the base model")
    shots: Annotated[int, Field(ge=0, le=16)] = Field(0, description="training examples shown in the prompt")
    whole_corpus: bool = Field(False, description="show every document that the asker may read, if they fit")
    constrained: bool = Field(False, description="decode within the reply schema")

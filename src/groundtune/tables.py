"""The tables of groundtune.toml: every setting with its default, what it may be and what it is for.

    [chunks]
    max_tokens = 110        →  Settings(chunks=ChunksTable(max_tokens=110, …), …)

A table refuses keys that it does not know. Reading the file, and telling of all that is wrong with it, is in ``config``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class Table(BaseModel):
    """A table of groundtune.toml: unknown keys are refused, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectTable(Table):
    """What the project is called and who answers for it."""

    name: str = Field(min_length=1, description="what the project is called, on the decision and its page")
    owner: str = Field(min_length=1, description="who owns the decision after launch")
    revisit_days: Positive = Field(90, description="days after which the decision is to be looked at again")
    seed: int = Field(7, description="of shuffling, training, decoding at an endpoint, and resampling")


class RuleTable(Table):
    """Readers and metadata by path. Readers go by the one order of all rules, those of access.toml too; of metadata, later rules win."""

    match: str = Field(description="folder, document or pattern, with the source's name in front: hr/, wiki/**/*.pdf, tickets/*")
    section: list[str] = Field(default_factory=list, description="headings, from the outer to the inner, that readers and deny are for")
    readers: list[str] | None = Field(None, description="groups that read them; [] means nobody")
    deny: list[str] = Field(default_factory=list, description="groups that do not read them, against readers that are no more specific")
    metadata: dict[str, str] = Field(default_factory=dict, description="metadata that they get")
    overrides: bool = Field(False, description="what documents, sidecars or columns say of readers does not narrow these")


class DocumentsTable(Table):
    """Where the documents are. ``readers`` is for documents that name none themselves; without it they are an error."""

    path: str = Field("documents", description="folder of documents, below the project folder")
    readers: list[str] | None = Field(
        None, description="groups that read the files which name no readers; without it such a file is an error"
    )
    parse_seconds: Annotated[float, Field(gt=0)] = Field(120.0, description="longest time that one file may take to be read")
    parse_megabytes: Annotated[int, Field(ge=256)] = Field(3000, description="most memory that reading one file may take, in MB")
    parse_unpacked: Annotated[int, Field(ge=1)] = Field(400, description="most that one archive or Office file may unpack to, in MB")
    parse_pages: Annotated[int, Field(ge=1)] = Field(5000, description="most pages, slides, sheets, chapters or mail parts of one file")
    parse_rows: Annotated[int, Field(ge=1)] = Field(1_000_000, description="most rows or records of one file")
    rules: list[RuleTable] = Field(default_factory=list, description="readers and metadata by path; [[documents.rules]] tables")
    duplicates: Annotated[float, Field(gt=0, le=1)] = Field(0.9, description="likeness from which on two documents are near-duplicates")
    newest_wins: str | None = Field(
        None, description="metadata that orders the versions of a document (version, date): search takes the newest unless a filter asks"
    )
    versions_of: list[str] = Field(
        default_factory=lambda: ["title", "product"], description="what two versions of one document have in common: title, metadata"
    )


class SourceTable(Table):
    """One more place that documents come from. Its documents are called ``name/…``; secrets are named by environment variables."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="first part of its documents' names: small letters, digits, hyphens")
    use: str = Field(
        description="source plug-in: folder, fsspec, git, web, sql, zendesk, jira, confluence, notion, or one that is installed"
    )
    path: str | None = Field(None, description="folder or export file, below the project folder or absolute (folder, exports, git)")
    url: str | None = Field(None, description="of the storage (s3://bucket/docs), the repository, or the sitemap")
    url_env: str | None = Field(None, description="the environment variable that holds the URL, where it has a password in it (sql, git)")
    revision: str = Field("HEAD", description="branch, tag or commit (git)")
    query: str | None = Field(None, description="SELECT whose rows are documents (sql)")
    columns: dict[str, str] = Field(
        default_factory=dict, description="what the rows' columns are: name, text, and title, format, readers, stamp; others are metadata"
    )
    options: dict[str, str] = Field(default_factory=dict, description="what else the plug-in takes, as texts; $NAME reads the environment")
    match: list[str] = Field(default_factory=list, description="take only names that one of these patterns matches (docs/**, *.md)")
    readers: list[str] | None = Field(None, description="groups that read what names no readers itself; [] means nobody")
    metadata: dict[str, str] = Field(default_factory=dict, description="metadata of all its documents")
    trust_readers: bool | None = Field(
        None, description="whether files may name their own readers; without it: yes for folder and git, no for all others"
    )
    allow_private: bool = Field(False, description="reach private and loopback addresses (web)")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(30.0, description="seconds that one request or query may take")
    most_items: Positive = Field(100_000, description="items that are listed at most; more is an error")


class MembersTable(Table):
    """Principals and their groups from a database: rows of a name and a group. They are asked for anew by every command."""

    url: str | None = Field(None, description="SQLAlchemy URL of the database; a SQLite path is below the project folder")
    url_env: str | None = Field(None, description="the environment variable that holds the URL, where it has a password in it")
    query: str = Field(min_length=1, description="SELECT of two columns: a principal's name, and a group or NULL")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(30.0, description="seconds that the query may take (PostgreSQL, MySQL)")
    most_rows: Positive = Field(1_000_000, description="rows that are read at most; more is an error")


class TokensTable(Table):
    """Principals from signed tokens (JWT). Give either ``jwks_file`` or ``secret_env``."""

    issuer: str = Field(min_length=1, description="the iss that a token must have, to the letter")
    audience: str = Field(min_length=1, description="the aud that a token must have")
    jwks_file: str | None = Field(None, description="public keys: a JWKS or one PEM; RSA keys verify RS256, P-256 keys ES256")
    secret_env: str | None = Field(None, description="the environment variable that holds the secret of HS256, of 32 bytes or more")
    subject: str = Field("sub", description="the claim that is the principal's name")
    groups: str = Field("groups", description="the claim that lists their groups; a dot goes into a claim: realm_access.roles")
    leeway_seconds: Annotated[float, Field(ge=0, le=300)] = Field(30.0, description="how far clocks may differ")


class AccessTable(Table):
    """Who asks, in which groups, and when a change of readers is alarming. Rules of readers are in the file."""

    file: str = Field("access.toml", description="TOML file of principals and their groups, and of rules of readers")
    sql: MembersTable | None = Field(None, description="further principals from a database; the table [access.sql]")
    tokens: TokensTable | None = Field(None, description="principals from signed tokens; the table [access.tokens]")
    alarm_share: Share = Field(0.2, description="share of the indexed chunks above which a change of readers takes --accept")
    alarm_chunks: Positive = Field(50, description="indexed chunks from which on alarm_share holds; opening to all alarms in any index")
    open_groups: list[str] = Field(
        default_factory=lambda: ["everyone"],
        description="groups that are all people: to open a document to one of them takes --accept, and naming one narrows no rule",
    )


class ExamplesTable(Table):
    """Labelled questions: one folder of JSONL files whose rows carry their split, and the schema of the wanted reply."""

    path: str = Field("examples", description="JSONL file, or folder of them")
    schema_file: str | None = Field(None, alias="schema", description="JSON schema of the reply; without it replies are plain text")
    near: Annotated[float, Field(gt=0, le=1)] = Field(0.8, description="likeness from which on two questions of two splits are a leak")


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


class EmbedTable(Table):
    """The embedder: a plug-in name, and what that plug-in needs."""

    use: str = Field("minilm", description="embed plug-in: minilm, local, endpoint, cohere, hashed, or one that is installed")
    model: str = Field("all-minilm-l6-v2", description="what the plug-in calls it; minilm has one model and ignores this")
    base_url: str | None = Field(None, description="of the server, up to and with /v1 (endpoint)")
    key_env: str | None = Field(None, description="the environment variable that holds the key (endpoint)")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="seconds to wait for one reply of the server (endpoint)")
    retries: Annotated[int, Field(ge=0)] = Field(
        4, description="further attempts after 429, 5xx, a timeout or a broken connection (endpoint)"
    )
    batch: Positive = Field(32, description="texts that are embedded at once (local, endpoint, cohere)")
    query_prefix: str = Field("", description='what the model was trained to see before a question, such as "query: " (local, endpoint)')
    document_prefix: str = Field("", description='what it was trained to see before a text, such as "passage: " (local, endpoint)')
    million: Annotated[float, Field(ge=0)] = Field(
        0.0, description="price of a million tokens, in the currency of [costs] (endpoint, cohere)"
    )


class ChunksTable(Table):
    """How documents are split, in the embedder's tokens: what is searched, and what is read when it is found."""

    unit: Literal["packed", "child", "sentence"] = Field(
        "packed",
        description="what is searched and read: packed (blocks up to max_tokens), child (the same, read with its section up to"
        " parent_tokens), sentence (one sentence, read with its neighbours)",
    )

    max_tokens: Annotated[int, Field(ge=16)] = Field(200, description="tokens that a chunk has at most")
    min_tokens: Annotated[int, Field(ge=0)] = Field(
        40, description="tokens below which a chunk is joined to its neighbour, where headings allow (not sentence)"
    )
    parent_tokens: Annotated[int, Field(ge=16)] = Field(600, description="tokens that are read at most when a chunk is found (child)")
    window: Annotated[int, Field(ge=0, le=50)] = Field(2, description="sentences that are read before and after the one found (sentence)")
    context: Literal["headings", "none", "model"] = Field(
        "headings",
        description="the line that is searched before each chunk: its title and headings, none, or a sentence that the chat model writes"
        " (one call a chunk, once; groundtune check shows the cost)",
    )


class IndexTable(Table):
    """The engine that keeps the chunks: a plug-in name, and what that plug-in needs."""

    engine: str = Field(
        "lance", description="index plug-in: lance, pgvector, qdrant, chroma, weaviate, pinecone, memory, or one that is installed"
    )
    url: str | None = Field(
        None,
        description="of the server; without it qdrant and chroma keep files in the project folder",
    )
    key_env: str | None = Field(None, description="the environment variable that holds the server's key or password")
    namespace: str = Field(
        "groundtune",
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="schema (pgvector) or first part of the name of every collection; one for each project on a shared server",
    )
    role: str | None = Field(None, description="database role that searches run as, which owns nothing (pgvector)")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(30.0, description="seconds to wait for one reply of the server")


class RerankTable(Table):
    """The reranker: a plug-in name, and what that plug-in needs. Without ``use`` there is none."""

    use: str | None = Field(None, description="rerank plug-in: local (a cross-encoder), endpoint, minilm, or one that is installed")
    model: str = Field("", description="folder or Hugging Face id (local), or the server's name for it (endpoint)")
    base_url: str | None = Field(None, description="of the server, before /rerank (endpoint)")
    key_env: str | None = Field(None, description="the environment variable that holds the key (endpoint)")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(30.0, description="seconds to wait for one reply of the server (endpoint)")
    retries: Annotated[int, Field(ge=0)] = Field(
        2, description="further attempts after 429, 5xx, a timeout or a broken connection (endpoint)"
    )
    depth: Positive = Field(20, description="fused passages that are reranked; the others are dropped")
    batch: Positive | None = Field(None, description="pairs that are scored at once; 16 (local) or 100 (endpoint) without it")
    million: Annotated[float, Field(ge=0)] = Field(0.0, description="price of a million tokens, in the currency of [costs] (endpoint)")


class PassagesTable(Table):
    """How many passages are shown, out of how many candidates of each search, and what is done to them; switches are off by default."""

    limit: Positive = Field(3, description="passages that are shown with a question")
    candidates: Positive = Field(40, description="chunks that each of the two searches hands to the fusion")
    fusion: Literal["rrf", "convex", "convex-minmax"] = Field(
        "convex", description="how the two searches become one: by score against the lowest possible or the lowest found, or by rank"
    )
    rrf_k: Positive = Field(10, description="constant of fusion by rank; small trusts the top ranks more")
    dense_weight: Share | None = Field(
        None, description="share of the search by meaning in the fusion, the search by words has the rest; 0.8 with convex, else 0.5"
    )
    synonyms: str | None = Field(
        None, description="text file of words that mean the same here, one set a line: TOS, terminal operating system"
    )
    diversity: Share = Field(0.0, description="how much a passage that repeats another loses; 0 is off, 0.3 a usual start")
    standalone: bool = Field(False, description="let the chat model rewrite a question that refers to earlier turns")
    hyde: bool = Field(False, description="let the chat model imagine an answering passage, and search by its meaning too")
    variants: Annotated[int, Field(ge=0, le=8)] = Field(0, description="other wordings that the chat model writes, each searched for")
    parts: Annotated[int, Field(ge=0, le=8)] = Field(0, description="questions into which the chat model may split one, each searched for")


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


class TuningTable(Table):
    """One adapter. ``passages`` trains it to read what retrieval shows; without it, it learns from the reply alone."""

    recipe: str | None = Field(None, description="recipe that gives the keys which are not written here; see groundtune tune --recipes")
    method: Literal["lora", "qlora", "dora", "full"] = Field(
        "lora",
        description="what is trained: small matrices beside the weights (lora), the same on a 4-bit base (qlora, needs bitsandbytes), with"
        " lengths of their own (dora), or all weights (full)",
    )
    objective: Literal["sft", "dpo", "orpo"] = Field(
        "sft", description="learn replies (sft), or which of two replies is preferred (dpo, orpo)"
    )
    preferences: str = Field("examples/preferences.jsonl", description="file of preference pairs, below the project folder (dpo, orpo)")
    beta: Annotated[float, Field(gt=0)] = Field(
        0.1, description="dpo: how closely the model stays to what it was; orpo: the weight of the odds ratio"
    )
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


class ArmTable(Table):
    """One way of answering."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="how the arm is called everywhere: small letters, digits, hyphens")
    retrieves: bool = Field(False, description="search, and show passages")
    adapter: str | None = Field(None, description="the [tuning.*] table whose adapter answers; without it the base model")
    shots: Annotated[int, Field(ge=0, le=16)] = Field(0, description="training examples shown in the prompt")
    whole_corpus: bool = Field(False, description="show every document that the asker may read, if they fit")
    constrained: bool = Field(False, description="decode within the reply schema")


class GateTable(Table):
    """A metric that an arm must reach to be shipped. A metric that was not measured fails its gate."""

    metric: str = Field(description="which metric")
    min: float | None = Field(None, description="least that passes")
    max: float | None = Field(None, description="most that passes; give either min or max")
    on: Literal["value", "bound"] = Field("value", description="the mean itself, or the unfavourable end of its interval")


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
    resamples: Annotated[int, Field(ge=1000)] = Field(10_000, description="bootstrap and sign-flip resamples")
    gates: list[GateTable] = Field(default_factory=list, description="what else an arm must reach; [[rubric.gates]] tables")
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
    costs: CostsTable = CostsTable()
    needs: NeedsTable = Field(default_factory=lambda: NeedsTable.model_validate({}))

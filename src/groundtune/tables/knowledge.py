"""Tables of what the system knows: documents, sources, access, chunks, index, passages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from groundtune.tables.base import Positive, Share, Table


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
        default_factory=dict, description="what the rows' columns are: name, text, and title, format, readers; others are metadata"
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
    """Principals from signed tokens (JWT). Give one of ``jwks_file``, ``jwks_url`` and ``secret_env``."""

    issuer: str = Field(min_length=1, description="the iss that a token must have, to the letter")
    audience: str = Field(min_length=1, description="the aud that a token must have")
    jwks_file: str | None = Field(None, description="public keys: a JWKS or one PEM; RSA keys verify RS256, P-256 keys ES256")
    jwks_url: str | None = Field(None, description="where the issuer publishes its keys (JWKS): https, or http on localhost")
    jwks_seconds: Annotated[float, Field(ge=60, le=86_400)] = Field(
        3600.0, description="how long keys from jwks_url are good for; they are asked for again after half of it, and for an unknown key"
    )
    allow_private: bool = Field(False, description="let jwks_url reach private addresses")
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

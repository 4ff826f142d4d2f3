"""LlamaIndex and Groundtune, both ways (``pip install 'groundtune[llamaindex]'``).

embed_of(OpenAIEmbedding(…), name="…")                     LlamaIndex embedding   → our Embed
documents_of(reader.load_data(), readers=["everyone"])     what a reader loaded   → our Documents
retrieve_from(index.as_retriever)                          a LlamaIndex index     → our Retrieve, for respond() and arms
GroundtuneRetriever.of(project, principal)                 our search             → a LlamaIndex retriever, for one principal
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groundtune.errors import MissingExtra
from groundtune.integrations import convert
from groundtune.integrations.embeddings import Wrapped
from groundtune.types import Document, Passage, Principal

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ModuleNotFoundError as error:
    raise MissingExtra.of(error.name or "llama_index", "llamaindex") from error

if TYPE_CHECKING:
    from groundtune.answers.respond import Retrieve
    from groundtune.project import Project


def embed_of(embedding: Any, *, name: str, max_tokens: int = 512, count: Callable[[str], int] | None = None) -> Wrapped:
    """Return a LlamaIndex ``BaseEmbedding`` as our ``Embed``. ``name`` names the model; see ``Wrapped`` for ``count``."""
    return Wrapped(embedding.get_text_embedding_batch, embedding.get_query_embedding, name=name, max_tokens=max_tokens, count=count)


def documents_of(documents: Iterable[Any], *, readers: Iterable[str] | None = None) -> tuple[Document, ...]:
    """Return what a LlamaIndex reader loaded as our documents. Raises ``DocumentError`` for one without readers where none are given."""
    return convert.documents_of(((item.get_content(), item.metadata) for item in documents), readers=readers)


def retrieve_from(opened: Callable[..., Any], *, limit: int = 3, readers: Iterable[str] | None = None) -> Retrieve:
    """Return search by a LlamaIndex retriever whose nodes carry ``readers`` in their metadata; see ``convert.permitted``.

    ``opened(similarity_top_k=n)`` returns a retriever of that depth, such as an index's ``as_retriever``.
    Where many rows are hidden from most askers, our own index is faster: it asks for permission before it ranks.
    """

    def fetch(question: str, wanted: int) -> list[tuple[str, dict[str, Any]]]:
        return [(item.node.get_content(), item.node.metadata) for item in opened(similarity_top_k=wanted).retrieve(question)]

    return convert.permitted(fetch, name="retriever", limit=limit, readers=readers)


class GroundtuneRetriever(BaseRetriever):  # type: ignore[misc]
    """Our search for one principal, as a LlamaIndex retriever. There is none without a principal: nobody is let in by a default."""

    def __init__(
        self, search: Callable[..., Sequence[Passage]], principal: Principal, filter: Mapping[str, Any] | None = None, **given: Any
    ) -> None:
        self._search, self._principal, self._filter = search, principal, dict(filter or {})
        super().__init__(**given)

    @classmethod
    def of(
        cls, project: Project, principal: str | Principal, *, limit: int | None = None, filter: Mapping[str, Any] | None = None
    ) -> GroundtuneRetriever:
        """Return search over a project's index, whichever version is live, as one principal. Raises ``UnknownName`` and ``StaleIndex``."""
        return cls(convert.Live(project, limit), convert.somebody(project, principal), filter)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        passages = self._search(query_bundle.query_str, self._principal, self._filter)
        return [
            NodeWithScore(
                node=TextNode(
                    id_=passage.chunk.id,
                    text=passage.chunk.text,
                    metadata={**convert.metadata_of(passage.chunk), "allowed_by": list(passage.allowed_by)},
                    start_char_idx=passage.chunk.start,
                    end_char_idx=passage.chunk.end,
                ),
                score=passage.score,
            )
            for passage in passages
        ]

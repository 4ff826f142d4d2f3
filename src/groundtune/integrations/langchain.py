"""LangChain and Groundtune, both ways (``pip install 'groundtune[langchain]'``).

embed_of(OllamaEmbeddings(model="…"), name="…")          LangChain Embeddings       → our Embed
documents_of(loader.load(), readers=["everyone"])        LangChain Documents        → our Documents
retrieve_from(store, limit=3)                            a LangChain VectorStore    → our Retrieve, for respond() and arms
GroundtuneRetriever.of(project, principal)               our search                 → a LangChain retriever, for one principal
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from groundtune.errors import MissingExtra
from groundtune.integrations import convert
from groundtune.integrations.embeddings import Wrapped
from groundtune.types import Document, Passage, Principal

try:
    from langchain_core.documents import Document as TheirDocument
    from langchain_core.retrievers import BaseRetriever
except ModuleNotFoundError as error:
    raise MissingExtra.of(error.name or "langchain_core", "langchain") from error

if TYPE_CHECKING:
    from groundtune.answers.respond import Retrieve
    from groundtune.project import Project


def embed_of(embeddings: Any, *, name: str, max_tokens: int = 512, count: Callable[[str], int] | None = None) -> Wrapped:
    """Return LangChain ``Embeddings`` as our ``Embed``. ``name`` names the model; see ``Wrapped`` for ``count``."""
    return Wrapped(embeddings.embed_documents, embeddings.embed_query, name=name, max_tokens=max_tokens, count=count)


def documents_of(documents: Iterable[Any], *, readers: Iterable[str] | None = None) -> tuple[Document, ...]:
    """Return LangChain ``Document``s as ours. Raises ``DocumentError`` for one that names no readers where none are given here."""
    return convert.documents_of(((item.page_content, item.metadata) for item in documents), readers=readers)


def retrieve_from(store: Any, *, limit: int = 3, readers: Iterable[str] | None = None) -> Retrieve:
    """Return search over a LangChain ``VectorStore`` whose documents carry ``readers`` in their metadata; see ``convert.permitted``.

    Where many rows are hidden from most askers, our own index is faster: it asks for permission before it ranks.
    """

    def fetch(question: str, wanted: int) -> list[tuple[str, dict[str, Any]]]:
        return [(item.page_content, item.metadata) for item in store.similarity_search(question, k=wanted)]

    return convert.permitted(fetch, name="store", limit=limit, readers=readers)


class GroundtuneRetriever(BaseRetriever):  # type: ignore[misc]
    """Our search for one principal, as a LangChain retriever. There is none without a principal: nobody is let in by a default."""

    search: Callable[..., Sequence[Passage]]
    principal: Principal
    filter: dict[str, Any] = {}

    @classmethod
    def of(
        cls, project: Project, principal: str | Principal, *, limit: int | None = None, filter: Mapping[str, Any] | None = None
    ) -> GroundtuneRetriever:
        """Return search over a project's index, whichever version is live, as one principal. Raises ``UnknownName`` and ``StaleIndex``."""
        return cls(search=convert.Live(project, limit), principal=convert.somebody(project, principal), filter=dict(filter or {}))

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Any]:
        passages = self.search(query, self.principal, self.filter)
        return [
            TheirDocument(
                page_content=passage.chunk.text,
                id=passage.chunk.id,
                metadata={**convert.metadata_of(passage.chunk), "score": passage.score, "allowed_by": list(passage.allowed_by)},
            )
            for passage in passages
        ]

"""What ingestion costs beside embedding: chunks a second of a whole ``sync``, against the embedder alone on the same texts.

    python benchmarks/ingest.py [DOCUMENTS]

A folder of generated Markdown is read, split, embedded, indexed and counted back; then the same again with nothing changed, and with
one document changed. Reading the files is timed by itself. The embedder is timed on the very texts that the sync embeds, half of the
texts before it and half after, so that a machine that changes its speed on the way does it to both.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from groundtune.chunks.build import IndexVersion, sync
from groundtune.chunks.index import search_text
from groundtune.chunks.split import split
from groundtune.documents.load import read
from groundtune.models.minilm import MiniLM
from groundtune.types import Document
from made_text import Writer, write_folder

SPLITTER: dict[str, Any] = {"max_tokens": 200, "min_tokens": 40}


def main(documents: int = 600) -> None:
    """Measure and print a table."""
    load = os.getloadavg()[0]
    embed = MiniLM()
    with tempfile.TemporaryDirectory(prefix="groundtune-ingest-") as name:
        folder, store = Path(name) / "documents", Path(name) / "index"
        write_folder(folder, documents)

        began = time.perf_counter()
        first = list(read(folder).documents)
        reading = time.perf_counter() - began

        chunks = [chunk for document in first for chunk in split(document, embed.count, **SPLITTER)]
        texts = [search_text(chunk) for chunk in chunks]
        tokens = sum(embed.count(texts))
        embed.documents(texts[:32])

        alone = _embedding(embed, texts[::2])
        whole, version = _sync(first, embed, store)
        alone += _embedding(embed, texts[1::2])
        if version.chunks != len(chunks):
            raise SystemExit(f"the index has {version.chunks} chunks, {len(chunks)} were split")

        same, _ = _sync(list(read(folder).documents), embed, store)

        page = sorted(folder.rglob("*.md"))[documents // 2]
        page.write_text(page.read_text(encoding="utf-8") + "\n## Added\n\n" + Writer(11).paragraph(4) + "\n", encoding="utf-8")
        changed, after = _sync(list(read(folder).documents), embed, store)
        if (after.changed, after.unchanged) != (1, documents - 1):
            raise SystemExit(f"expected one changed document, found {after.changed} changed and {after.unchanged} unchanged")

    print(f"python benchmarks/ingest.py {documents}  (load before: {load:.2f})")
    print(f"{documents} documents, {len(chunks):,} chunks, {tokens / len(chunks):.0f} tokens a chunk; embedder {embed.name}")
    print(f"{'step':<36}{'seconds':>9}{'chunks/s':>10}")
    print(f"{'read the folder':<36}{reading:>9.2f}")
    print(f"{'embedder alone, the same texts':<36}{alone:>9.2f}{len(chunks) / alone:>10.1f}")
    print(f"{'sync: split, embed, index, count':<36}{whole:>9.2f}{len(chunks) / whole:>10.1f}")
    print(f"{'sync again, nothing changed':<36}{same:>9.3f}")
    print(f"{'sync, one document changed':<36}{changed:>9.2f}")
    print(f"sync runs at {alone / whole:.0%} of the embedder's own speed")


def _embedding(embed: MiniLM, texts: list[str]) -> float:
    began = time.perf_counter()
    embed.documents(texts)
    return time.perf_counter() - began


def _sync(documents: list[Document], embed: MiniLM, store: Path) -> tuple[float, IndexVersion]:
    began = time.perf_counter()
    version = sync(documents, embed=embed, splitter=SPLITTER, store=store)
    return time.perf_counter() - began, version


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))

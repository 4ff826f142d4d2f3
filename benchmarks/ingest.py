"""What ingestion costs beside embedding: chunks a second of a whole ``sync``, against the embedder alone on the same texts.

    python benchmarks/ingest.py [DOCUMENTS] [FILES] [SECTIONS]

A folder of generated Markdown is read, split, embedded, indexed and counted back; then the same again with nothing changed, and with
one document changed. Reading the files is timed by itself. The embedder is timed on the very texts that the sync embeds, half of the
texts before it and half after, so that a machine that changes its speed on the way does it to both.

Then a project of FILES files of some SECTIONS each (0 files: leave this out), by ``Project.ingest`` as ``groundtune ingest`` calls it, from
listing the folder to the live version, with an embedder that takes next to no time: all new, nothing changed, and one file changed until a
search finds it. At last three changes one after the other, as a process sees them that watches (``groundtune ingest --watch``).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import groundtune as gt
from groundtune.access.filter import Predicate
from groundtune.chunks.build import IndexVersion, open_live, sync
from groundtune.chunks.index import search_text
from groundtune.chunks.split import split
from groundtune.documents.load import read
from groundtune.models.minilm import MiniLM
from groundtune.project.watch import Step
from groundtune.types import Document
from made_text import Writer, write_folder

SPLITTER: dict[str, Any] = {"max_tokens": 200, "min_tokens": 40}


TOML = """
[project]
name = "files"
owner = "the benchmark"

[embed]
use = "hashed"

[answers]
instructions = "Answer from the passages."

[[arms]]
name = "rag"
retrieves = true

[rubric]
primary = "token_f1"
"""


def main(documents: int = 600, files: int = 20_000, sections: int = 2) -> None:
    """Measure both, and print."""
    if documents:
        embedding(documents)
    if files:
        unchanged(files, sections)


def unchanged(files: int, sections: int) -> None:
    """Measure and print what an ingestion costs of which nothing, or one file, has to be read."""
    writer = Writer(29)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="groundtune-ingest-") as name:
        folder = Path(name)
        (folder / "groundtune.toml").write_text(TOML, encoding="utf-8")
        (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\n', encoding="utf-8")
        for number in range(files):
            page = folder / "documents" / f"part-{number // 200:03d}" / f"page-{number:05d}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            parts = (f"{'##' if part else '#'} {writer.phrase(3)}\n\n{writer.paragraph(3)}\n" for part in range(sections))
            text = "\n".join(parts)
            page.write_text(f"---\nreaders: [everyone]\n---\n{text}", encoding="utf-8")
        first, chunks = _ingested(folder, new=files)
        time.sleep(2.5)  # a file that was written just now is read once more, since its times may say too little
        once_more, _ = _ingested(folder, unchanged=files)
        processor = time.process_time()
        runs = [_ingested(folder, unchanged=files)[0] for _ in range(3)]
        processor = (time.process_time() - processor) / 3
        page = folder / "documents" / "part-000" / "page-00007.md"
        page.write_text(page.read_text(encoding="utf-8") + "\nA zyxwvut stands here.\n", encoding="utf-8")
        began, busy = time.perf_counter(), time.process_time()
        _ingested(folder, changed=1, unchanged=files - 1)
        project = gt.open(folder)
        index, _ = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
        found = index.keyword("zyxwvut", Predicate(frozenset(["everyone"])), None, 3)
        changed, busy = time.perf_counter() - began, time.process_time() - busy
        if len(found) != 1:
            raise SystemExit("the changed file is not found")
        begun = _begun(folder, page)
        followed = _followed(folder, page)
    print(f"python benchmarks/ingest.py 0 {files} {sections}  (load before: {load:.2f})")
    print(f"{files:,} files, {chunks:,} chunks; embedder hashed")
    print(f"{'all new':<48}{first:>9.2f} s{files / first:>10,.0f} files/s")
    print(f"{'the same, too young for their stamps: read again':<48}{once_more:>9.2f} s{files / once_more:>10,.0f} files/s")
    print(f"{'nothing changed, best of three':<48}{min(runs):>9.2f} s{files / min(runs):>10,.0f} files/s")
    print(f"{'nothing changed, worst of three':<48}{max(runs):>9.2f} s{files / max(runs):>10,.0f} files/s")
    print(f"{'  of the processor, mean of three':<48}{processor:>9.2f} s{files / processor:>10,.0f} files/s")
    print(f"{'one changed, until a search finds it':<48}{changed:>9.2f} s")
    print(f"{'  of the processor':<48}{busy:>9.2f} s")
    print(f"{'one changed, by a new process: groundtune ingest':<48}{begun[0]:>9.2f} s")
    print(f"{'  of the processor':<48}{begun[1]:>9.2f} s")
    for name, (waited, spent) in zip(("first", "second", "third"), followed, strict=True):
        print(f"{f'the {name} change that a watching process sees':<48}{waited:>9.2f} s")
        print(f"{'  of the processor':<48}{spent:>9.2f} s")


def _begun(folder: Path, page: Path) -> tuple[float, float]:
    """Return how long a process of its own takes for one changed file, from its start to its end, and what the processor spent on it."""
    page.write_text(page.read_text(encoding="utf-8") + "\nAnother change.\n", encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "groundtune", "ingest", "-p", str(folder), "--progress", "silent"], check=True, capture_output=True
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _followed(folder: Path, page: Path) -> list[tuple[float, float]]:
    """Return, for three changes one after the other, how long after each it was in the live index, and what the processor spent on it.

    The process watches as ``groundtune ingest --watch`` does, so the time until it looks again, and looks twice, is in it.
    """
    stop, seen, spent = threading.Event(), [], [0.0]

    def told(step: Step) -> None:
        seen.append((step.late or 0.0, time.process_time() - spent[0]))
        if len(seen) == 4:
            stop.set()
            return
        time.sleep(2.5)  # what was written just now is looked at once more, which is none of the next change
        spent[0] = time.process_time()
        page.write_text(page.read_text(encoding="utf-8") + f"\nChange {len(seen)}.\n", encoding="utf-8")

    gt.open(folder).watch(stop=stop, told=told)
    return seen[1:]


def _ingested(folder: Path, **counts: int) -> tuple[float, int]:
    """Return how long an ingestion takes in a project that is opened for it, and how many chunks there are after it."""
    began = time.perf_counter()
    done = gt.open(folder).ingest(strict=False)
    seconds = time.perf_counter() - began
    if done.counts != counts or done.problems or done.version is None:
        raise SystemExit(f"expected {counts}, found {done.counts} and {done.problems[:3]}")
    return seconds, done.version.chunks


def embedding(documents: int) -> None:
    """Compare a whole sync with the embedder alone, and print a table."""
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

    print(f"python benchmarks/ingest.py {documents} 0  (load before: {load:.2f})")
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
    main(*(int(argument) for argument in sys.argv[1:4]))

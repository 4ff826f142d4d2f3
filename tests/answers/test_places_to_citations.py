"""The page that a text stands on, from a file's bytes to the citation and the prompt."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from groundtune.access.filter import Predicate
from groundtune.answers.prompt import blocks_of, render
from groundtune.answers.reply import cite
from groundtune.answers.stored import answer_from
from groundtune.chunks import build
from groundtune.chunks.split import split
from groundtune.files import fingerprint, plain
from groundtune.models.hashed import open as hashed
from groundtune.types import Answer, Document, Passage, Place, Seconds

PAGES = ["The warranty lasts two years. " * 3, "Returns are free of charge. " * 3, "Batteries last one year."]
EVERYONE = frozenset({"everyone"})
EMBED = hashed({})


def paged() -> Document:
    text, places = "", []
    for number, page in enumerate(PAGES, start=1):
        text += "\n\n" if text else ""
        places.append(Place(len(text), f"page {number}"))
        text += page.strip()
    return Document(
        id="document:a.pdf",
        source="a.pdf",
        title="Terms",
        text=text,
        content_hash=fingerprint(text),
        readers=EVERYONE,
        places=tuple(places),
    )


def passages(tmp_path: Path, max_tokens: int) -> list[Passage]:
    splitter = {"max_tokens": max_tokens, "min_tokens": 1}
    build.sync([paged()], embed=EMBED, splitter=splitter, store=tmp_path)
    index, _ = build.open_live(tmp_path, embed=EMBED, splitter=splitter)
    allowed = Predicate(EVERYONE)
    wanted = split(paged(), EMBED.count, **splitter)
    found = index.chunks([chunk.id for chunk in wanted], allowed)
    assert [found[chunk.id] for chunk in wanted] == wanted
    return [
        Passage(chunk=found[chunk.id], rank=rank, score=1.0, similarity=None, found_by={}, allowed_by=("everyone",))
        for rank, chunk in enumerate(wanted, start=1)
    ]


def test_a_quote_has_its_own_page_and_its_chunk_all_of_them(tmp_path: Path) -> None:
    [whole] = passages(tmp_path, 500)
    assert whole.chunk.place == "pages 1-3"
    assert [citation.place for citation in cite("Returns are free", [whole])] == ["page 2"]
    assert [citation.place for citation in cite("free of charge. Batteries last", [whole])] == ["pages 2-3"]
    [block] = blocks_of([whole])
    assert "[1] a.pdf · Terms · pages 1-3\n" in render("?", instructions="", passages=[block])[-1]["content"]


def test_chunks_of_one_page_each(tmp_path: Path) -> None:
    found = passages(tmp_path, 20)
    assert [item.chunk.place for item in found] == ["page 1", "page 2", "page 3"]
    assert [citation.place for citation in cite("Batteries last one year", found)] == ["page 3"]


def test_a_text_without_places_is_shown_as_before() -> None:
    document = dataclasses.replace(paged(), places=())
    [chunk] = split(document, EMBED.count, max_tokens=500, min_tokens=1)
    passage = Passage(chunk=chunk, rank=1, score=1.0, similarity=None, found_by={}, allowed_by=("everyone",))
    assert (chunk.place, chunk.places) == ("", ())
    assert blocks_of([passage])[0].heading == "Terms"
    assert [citation.place for citation in cite("Returns are free", [passage])] == [""]


def test_places_are_kept_with_the_answer_in_the_ledger(tmp_path: Path) -> None:
    found = passages(tmp_path, 20)
    answer = Answer(
        id="answer:1", question="?", asker="ana", arm="rag", text="x", said="x", reply=None, quoted="Returns are free",
        cited=cite("Returns are free", found), refused=False, fallback=False, passages=tuple(found), model="m", prompt_hash="p",
        prompt_tokens=1, completion_tokens=1, seconds=Seconds(), cost=0.0,
    )  # fmt: skip
    assert answer_from(json.loads(json.dumps(plain(answer)))) == answer
    row = json.loads(json.dumps(plain(answer)))
    for item in row["passages"]:
        del item["chunk"]["place"], item["chunk"]["places"]
    for item in row["cited"]:
        del item["place"]
    assert answer_from(row).cited[0].place == ""

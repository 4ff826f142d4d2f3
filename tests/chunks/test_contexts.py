from dataclasses import replace
from pathlib import Path

import pytest
from test_split import document, sentence, words

from groundtune.chunks import build
from groundtune.chunks.contexts import Contexts, prompt
from groundtune.chunks.index import search_text
from groundtune.chunks.split import split
from groundtune.errors import ModelError
from groundtune.models.hashed import open as hashed
from groundtune.models.scripted import ScriptedChat
from groundtune.types import Chunk

TEXT = "# Head\n\n" + "\n\n".join(sentence(number, 30) for number in range(4))


def chunks() -> list[Chunk]:
    return split(document(TEXT), words, max_tokens=40, min_tokens=5)


def test_a_written_line_is_searched_and_the_text_stays_as_it_was(tmp_path: Path) -> None:
    made = Contexts(tmp_path / "c.sqlite", ScriptedChat(["The fee\n for  slots."])).describe(chunks())
    assert [replace(chunk, context=None) for chunk in made] == chunks()
    assert {search_text(chunk).split("\n")[0] for chunk in made} == {"The fee for slots."}


def test_what_was_written_once_is_not_paid_for_again(tmp_path: Path) -> None:
    chat = ScriptedChat({"": "A line."})
    first = Contexts(tmp_path / "c.sqlite", chat)
    first.describe(chunks())
    assert (first.spent.calls, first.spent.known) == (4, 0)
    assert first.spent.read > 4 * 40 and first.spent.written == 4 * 3
    again = Contexts(tmp_path / "c.sqlite", chat)
    assert again.describe(chunks()) == first.describe(chunks())
    assert (again.spent.calls, again.spent.known, again.spent.read) == (0, 4, 0)
    other = Contexts(tmp_path / "c.sqlite", ScriptedChat({"": "Another line."}))
    assert other.describe(chunks())[0].context == "Another line."


def test_a_failure_is_told_and_what_was_written_before_it_is_kept(tmp_path: Path) -> None:
    held = chunks()
    chat = ScriptedChat({f"Passage:\n{held[number].text}": f"Line {number}." for number in (0, 1, 3)}, batch=1)
    contexts = Contexts(tmp_path / "c.sqlite", chat)
    with pytest.raises(ModelError, match="wrote no line of context for a chunk of document:a/b.md"):
        contexts.describe(held)
    kept = contexts.spent.calls - 1
    with pytest.raises(ModelError):
        contexts.describe(held)
    assert contexts.spent.known == kept


def test_the_model_is_shown_no_chunk_with_other_readers() -> None:
    held = [replace(chunk, readers=frozenset(["secret"])) if chunk.ordinal in (0, 2) else chunk for chunk in chunks()]
    for chunk in held:
        asked = prompt(chunk, held)[-1]["content"]
        for other in held:
            if other.readers != chunk.readers:
                assert other.text not in asked and other.text[-100:] not in asked


def test_an_empty_line_leaves_title_and_headings(tmp_path: Path) -> None:
    [first, *_] = Contexts(tmp_path / "c.sqlite", ScriptedChat({"": "  "})).describe(chunks())
    assert first.context is None and search_text(first).startswith("T › Head\n")


def test_an_index_is_found_by_its_written_lines(tmp_path: Path) -> None:
    chat = ScriptedChat(lambda request: "About demurrage." if "w2x0" in request.messages[-1]["content"].split("Passage:")[1] else "Else.")
    contexts = Contexts(tmp_path / "c.sqlite", chat)
    embed, splitter = hashed({}), {"max_tokens": 40, "min_tokens": 5, "context": "model scripted x"}
    build.sync([document(TEXT)], embed=embed, splitter=splitter, store=tmp_path, describe=contexts.describe)
    index, version = build.open_live(tmp_path, embed=embed, splitter=splitter)
    from groundtune.access.filter import Predicate

    may = Predicate(frozenset(["hr"]))
    [hit] = index.keyword("demurrage", may, None, 3)
    found = index.chunks([hit.id], may)[hit.id]
    assert "w2x0" in found.text and "demurrage" not in found.text
    assert version.chunks == 4

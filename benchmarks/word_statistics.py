"""How much the search by words depends on what the asker may not see: BM25 with the frequencies of all chunks, and of the permitted.

    python benchmarks/word_statistics.py [PROJECT]

Every dev question of a project, asked as its asker, by the exact index over the same chunks twice: once as an engine that counts words over
all rows, once over an index that holds the permitted chunks alone. Told are the changes of scores and of the order of the first ten.
Then the side channel itself: one hidden chunk more that holds a question's rarest word, and by how much the asker's own scores move.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import groundtune as gt
from groundtune.access.filter import allowed
from groundtune.chunks.index import search_text
from groundtune.chunks.index_memory import MemoryIndex
from groundtune.chunks.split import split
from groundtune.chunks.words import words
from groundtune.models.hashed import HashedEmbed

SHOWN = 10


def main(folder: str = "examples/harbour") -> None:
    """Measure and print."""
    project = gt.open(Path(folder))
    content = project.content
    embed = HashedEmbed()
    chunks = [chunk for document in content.documents.values() for chunk in split(document, embed.count, **project.splitter)]
    vectors = np.zeros((len(chunks), 4), dtype=np.float32)
    whole = MemoryIndex(chunks, vectors)
    held = [set(words(search_text(chunk))) for chunk in chunks]
    own: dict[frozenset[str], tuple[MemoryIndex, int]] = {}
    moved, order, first, pushed, shares = [], 0, 0, [], []
    questions = content.split("dev")
    asked = 0
    for example in questions:
        may = allowed(content.principals[example.asker])
        if may.groups not in own:
            mine = [chunk for chunk in chunks if may.permits(chunk.readers)]
            own[may.groups] = MemoryIndex(mine, vectors[: len(mine)]), len(mine)
        alone, count = own[may.groups]
        here, there = (index.keyword(example.question, may, None, SHOWN) for index in (whole, alone))
        if not here:
            continue
        asked += 1
        shares.append(count / len(chunks))
        scores = {hit.id: hit.score for hit in there}
        moved += [abs(hit.score - scores[hit.id]) / hit.score for hit in here if hit.id in scores]
        order += [hit.id for hit in here] != [hit.id for hit in there]
        first += here[0].id != there[0].id
        rarest = min(
            (sum(word in others for others in held), word) for word in set(words(example.question)) if any(word in o for o in held)
        )[1]
        secret = replace(chunks[0], id="chunk:secret", text=rarest, heading_path=(), title="", readers=frozenset(["nobody"]))
        after = MemoryIndex([*chunks, secret], np.zeros((len(chunks) + 1, 4), dtype=np.float32)).keyword(example.question, may, None, SHOWN)
        before = {hit.id: hit.score for hit in here}
        pushed += [max((abs(hit.score - before[hit.id]) / before[hit.id] for hit in after if hit.id in before), default=0.0)]
    print(f"python benchmarks/word_statistics.py {folder}")
    print(f"{len(chunks)} chunks, {asked} dev questions; an asker sees {min(shares):.0%} to {max(shares):.0%} of the chunks")
    print(f"scores of the first {SHOWN}: mean change {np.mean(moved):.1%}, at most {max(moved):.1%}")
    print(f"order of the first {SHOWN}: another for {order} of {asked} questions; another first for {first}")
    print(f"one hidden chunk with the question's rarest word: a score moves by {np.mean(pushed):.1%} on average, at most {max(pushed):.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:2])

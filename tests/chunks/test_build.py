import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from groundtune.access.filter import Predicate
from groundtune.chunks import build, manifest
from groundtune.chunks import index_lance as lance
from groundtune.chunks.index import Index
from groundtune.errors import StaleIndex, StorageError
from groundtune.files import fingerprint
from groundtune.models.hashed import open as hashed
from groundtune.types import Document

SPLITTER = {"max_tokens": 40, "min_tokens": 5}
EMBED = hashed({})
ALL = Predicate(frozenset(["everyone", "finance"]))


def document(name: str, text: str, readers: tuple[str, ...] = ("everyone",)) -> Document:
    body = f"# {name}\n\n{text}"
    return Document(
        id=f"document:{name}.md",
        source=f"{name}.md",
        title=name,
        text=body,
        content_hash=fingerprint(name, body),
        readers=frozenset(readers),
    )


def some(count: int) -> list[Document]:
    chance = random.Random(3)
    words = "slot gate kiosk token haulier invoice credit refund leave salary".split()
    return [document(f"d{n:02d}", "\n\n".join(" ".join(chance.choices(words, k=25)) + "." for _ in range(4))) for n in range(count)]


def synced(store: Path, documents: list[Document]) -> build.IndexVersion:
    return build.sync(documents, embed=EMBED, splitter=SPLITTER, store=store)


def opened(store: Path) -> Index:
    return build.open_live(store, embed=EMBED, splitter=SPLITTER)[0]


def test_only_the_difference_is_done_and_the_same_input_has_the_same_id(tmp_path: Path) -> None:
    documents = some(6)
    first = synced(tmp_path, documents)
    assert (first.added, first.documents, first.chunks) == (6, 6, opened(tmp_path).count())
    again = synced(tmp_path, documents)
    assert (again.id, again.unchanged, again.added) == (first.id, 6, 0)
    changed = [*documents[:4], document("d04", "entirely new words about demurrage"), document("new", "one more")]
    second = synced(tmp_path, changed)
    assert (second.added, second.changed, second.gone, second.unchanged) == (1, 1, 1, 4)
    index = opened(tmp_path)
    best = index.keyword("demurrage", ALL, None, 3)[0].id
    assert index.chunks([best], ALL)[best].document_id == "document:d04.md"
    assert build.verify(tmp_path, embed=EMBED, splitter=SPLITTER, documents=changed) == []
    back = synced(tmp_path, documents)
    assert back.id == first.id
    assert {version.id for version in build.versions(tmp_path)} == {first.id, second.id}


def test_changed_readers_are_stamped_without_embedding(tmp_path: Path) -> None:
    documents = some(3)
    synced(tmp_path, documents)
    hidden = [replace(documents[0], readers=frozenset()), *documents[1:]]

    class Refuses:
        name, fingerprint, dimensions, max_tokens = EMBED.name, EMBED.fingerprint, EMBED.dimensions, EMBED.max_tokens
        count = staticmethod(EMBED.count)

        def documents(self, texts: object) -> object:
            raise AssertionError("nothing is to be embedded")

    version = build.sync(hidden, embed=Refuses(), splitter=SPLITTER, store=tmp_path)  # type: ignore[arg-type]
    assert (version.restamped, version.unchanged) == (1, 2)
    index = opened(tmp_path)
    found = index.chunks([hit.id for hit in index.dense(EMBED.query("slot"), ALL, None, 100)], ALL)
    assert {chunk.document_id for chunk in found.values()} == {"document:d01.md", "document:d02.md"}


def test_an_old_version_is_not_touched_by_a_new_one(tmp_path: Path) -> None:
    documents = some(4)
    first = synced(tmp_path, documents)
    before = opened(tmp_path)
    synced(tmp_path, documents[:2])
    assert before.count() == first.chunks
    assert opened(tmp_path).count() < first.chunks


def test_another_embedder_or_splitter_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StaleIndex, match="there is no index yet"):
        opened(tmp_path)
    synced(tmp_path, some(2))

    class Other:
        name, fingerprint, dimensions, max_tokens = "other", "feed", EMBED.dimensions, EMBED.max_tokens

    with pytest.raises(StaleIndex, match=rf"built by the embedder {EMBED.name} .* names other \(feed\)") as caught:
        build.open_live(tmp_path, embed=Other(), splitter=SPLITTER)  # type: ignore[arg-type]
    assert caught.value.hint == "type: groundtune ingest"
    with pytest.raises(StaleIndex, match="was split by"):
        build.open_live(tmp_path, embed=EMBED, splitter={"max_tokens": 41, "min_tokens": 5})


def test_verify_finds_what_does_not_fit(tmp_path: Path) -> None:
    documents = some(3)
    version = synced(tmp_path, documents)
    assert build.verify(tmp_path, embed=EMBED, splitter=SPLITTER, documents=documents[:2])[-1].startswith("the documents changed")
    contents = {**version.contents, "document:ghost.md": {"hash": "0", "readers": [], "chunks": 2}}
    manifest.write(tmp_path, replace(version, contents=contents))
    findings = build.verify(tmp_path, embed=EMBED, splitter=SPLITTER, documents=documents)
    assert any("document:ghost.md is in the manifest, but not in the index" in finding for finding in findings)


def test_a_full_disk_leaves_the_live_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synced(tmp_path, some(3))

    def full(table: object) -> None:
        raise RuntimeError("lance error: IO: No space left on device (os error 28)")

    monkeypatch.setattr(lance, "make_indices", full)
    with pytest.raises(StorageError, match="no space left"):
        synced(tmp_path, some(5))
    monkeypatch.undo()
    live = manifest.live(tmp_path)
    assert live is not None and live.id == first.id
    assert opened(tmp_path).count() == first.chunks
    assert synced(tmp_path, some(5)).documents == 5


CHILD = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
import test_build
from groundtune.chunks import cache
cache.BATCH = 4
print("ready", flush=True)
test_build.synced(Path(sys.argv[1]), test_build.some(40))
print("finished", flush=True)
"""


@pytest.mark.parametrize("after", [0.02, 0.15, 0.3, 0.5, 0.8])
def test_kill_at_any_moment_loses_nothing_and_ends_the_same(tmp_path: Path, after: float) -> None:
    small = synced(tmp_path / "killed", some(5))
    code = CHILD.format(tests=str(Path(__file__).parent))
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.wait()
    live = manifest.live(tmp_path / "killed")
    whole = synced(tmp_path / "whole", some(40))
    assert live is not None and live.id in (small.id, whole.id)
    assert opened(tmp_path / "killed").count() == live.chunks
    resumed = synced(tmp_path / "killed", some(40))
    assert (resumed.id, resumed.chunks) == (whole.id, whole.chunks)
    assert build.verify(tmp_path / "killed", embed=EMBED, splitter=SPLITTER, documents=some(40)) == []
    question = EMBED.query("slot invoice")
    found = [[hit.id for hit in opened(tmp_path / name).dense(question, ALL, None, 20)] for name in ("killed", "whole")]
    assert found[0] == found[1]

import json
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from kill_points import ACTIONS, opened

from groundtune.access.filter import Predicate
from groundtune.chunks import manifest
from groundtune.chunks.build import open_live
from groundtune.errors import StaleIndex, StateError, UnknownName
from groundtune.project.main import Project

TOML = """
[project]
name = "versions"
owner = "the tests"

[embed]
use = "hashed"

[chunks]
max_tokens = 40
min_tokens = 5

[answers]
instructions = "Answer from the passages."

[[arms]]
name = "rag"
retrieves = true

[rubric]
primary = "token_f1"
"""
EXAMPLE = {"id": "e", "question": "may I paint it", "asker": "ana", "kind": "refuse", "split": "test", "split_group": "g", "evidence": []}
ALL = Predicate(frozenset(["everyone", "finance"]))


def write(folder: Path, name: str, text: str, readers: str = "everyone") -> None:
    (folder / "documents" / f"{name}.md").write_text(f"---\nreaders: [{readers}]\n---\n# {name}\n\n{text}\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bot"
    (made / "documents").mkdir(parents=True)
    (made / "examples").mkdir()
    (made / "examples" / "all.jsonl").write_text(json.dumps({**EXAMPLE, "reply": {"answer": "I don't know."}}))
    (made / "groundtune.toml").write_text(TOML)
    (made / "access.toml").write_text('[principals]\nana = ["everyone"]\n')
    for name in ("gate", "kiosk", "token"):
        write(made, name, f"The {name} opens at six.\n\n" + f"Nobody moves the {name} at night. " * 12)
    return made


def changed(folder: Path) -> None:
    """One document new, one with another text, one gone, one with other readers."""
    write(folder, "gate", "The gate opens at seven now.")
    (folder / "documents" / "kiosk.md").unlink()
    write(folder, "token", "The token opens at six.\n\n" + "Nobody moves the token at night. " * 12, "finance")
    write(folder, "yard", "The yard is new.")


def seen(project: Project) -> dict[str, str]:
    """What a search in the live version can find: chunk id → text."""
    index, _ = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
    hits = index.dense(project.embed.query("gate"), ALL, None, 1_000)
    assert len(hits) == index.count()
    return {name: chunk.text for name, chunk in index.chunks([hit.id for hit in hits], ALL).items()}


def test_promote_rollback_and_their_records(folder: Path) -> None:
    first = opened(folder).ingest().version
    before = seen(opened(folder))
    changed(folder)
    project = opened(folder)
    second = project.ingest(promote=False).version
    assert project.index.live() == first.id and seen(project) == before
    difference = project.index.diff("live", second.id)
    assert set(difference.added) == {"document:yard.md"} and set(difference.removed) == {"document:kiosk.md"}
    assert [(item.document, item.text, item.chunks_after) for item in difference.changed] == [("document:gate.md", True, 1)]
    assert len(difference.changed[0].chunks_added or ()) == 1 and len(difference.changed[0].chunks_removed or ()) > 1
    assert difference.readers == {"document:token.md": (("everyone",), ("finance",))} and difference.unchanged == 0
    done = project.index.promote(second.id[:10])
    assert (done.done, done.was, project.index.live()) == (True, first.id, second.id)
    assert seen(project) != before
    assert project.index.promote(second.id).was == second.id
    with pytest.raises(StateError, match="opened to all: token.md"):
        project.index.rollback()
    back = project.index.rollback(accept=True)
    # What is gone since does not come back; all else is as it was.
    assert back.done and seen(project) == {name: text for name, text in before.items() if "kiosk" not in name}
    assert back.id == manifest.live(project.state / "index").id != first.id
    assert {item.kind for item in project.index.verify(back.id).differences} == {"documents"}
    with pytest.raises(StateError, match="no version before"):
        project.index.rollback()
    lines = [(line["verb"], line["subject"], line["details"]["from"]) for line in project.ledger.audited() if "from" in line["details"]]
    assert lines == [
        ("index ingest", first.id, None),
        ("index promote", second.id, first.id),
        ("index rollback", back.id, second.id),
    ]
    [accepted] = project.ledger.audited("index rollback --accept")
    assert accepted["details"]["opened"] == ["token.md"]
    assert project.ledger.audit_broken() is None


def test_an_audit_line_that_was_edited_or_removed_is_found(folder: Path) -> None:
    project = opened(folder)
    for number in range(4):
        assert project.ledger.audit(f"k{number}", "verb", "subject", {"n": number})
    assert not project.ledger.audit("k1", "verb", "subject", {})
    assert project.ledger.audit_broken() is None
    project.ledger._db.execute("UPDATE audit SET subject = 'other' WHERE number = 3")
    assert project.ledger.audit_broken() == 3
    project.ledger._db.execute("DELETE FROM audit WHERE number = 2")
    assert project.ledger.audit_broken() == 2


def test_rollback_goes_back_step_by_step_and_ingest_does_not_build_again(folder: Path) -> None:
    ids = [opened(folder).ingest().version.id]
    for text in ("one", "two"):
        write(folder, "extra", text)
        ids.append(opened(folder).ingest().version.id)
    project = opened(folder)
    assert [project.index.rollback().id, project.index.rollback().id] == [ids[1], ids[0]]
    table = manifest.versions(project.state / "index")[0].table
    commits = project.store.draft(table, 256)._table.version  # type: ignore[attr-defined]
    assert project.ingest().version.id == ids[2] and project.index.live() == ids[2]
    assert project.store.draft(table, 256)._table.version == commits  # type: ignore[attr-defined]


def test_a_rollback_goes_behind_the_whole_ingestion_and_never_brings_back_what_is_gone(folder: Path) -> None:
    write(folder, "extra", "one")
    opened(folder).ingest(strict=False)
    write(folder, "extra", "two")
    opened(folder).ingest(strict=False)
    before = seen(opened(folder))
    (folder / "documents" / "kiosk.md").unlink()
    write(folder, "extra", "three")
    project = opened(folder)
    last = project.ingest(strict=False).version
    assert [item["verb"] for item in manifest.state(project.state / "index").switches] == ["ingest", "ingest", "hide", "ingest"]
    # It is counted against what was live before all of it.
    assert (last.gone, last.changed, last.unchanged) == (1, 1, 2)
    (folder / "documents" / "gate.md").unlink()
    less = project.ingest(strict=False).version
    assert (less.documents, less.gone) == (2, 1)
    # That ingestion took away and did nothing else: there is nothing of it to undo.
    assert project.index.rollback().was == less.id
    texts = {name: text for name, text in before.items() if "kiosk" not in name and "gate" not in name}
    assert seen(project) == texts and any("two" in text for text in texts.values())
    project.index.rollback()
    assert sorted(seen(project).values()) == sorted(text.replace("two", "one") for text in texts.values())
    assert {item.kind for item in project.index.verify().differences} == {"documents"}
    with pytest.raises(StateError, match="no version before"):
        project.index.rollback()
    (folder / "documents" / "gate.md").write_text("---\nreaders: [everyone]\n---\n# gate\n\nIt is back.\n")
    project.ingest(strict=False)
    project.index.rollback()
    assert not any("gate" in name for name in seen(project))


def test_a_damaged_index_is_mended_by_an_ingestion_that_finds_something_gone(folder: Path) -> None:
    live = opened(folder).ingest().version
    (folder / "documents" / "kiosk.md").unlink()
    tampered(opened(folder), live.id, one_gate("text", "something else"))
    write(folder, "token", "Another text.")
    opened(folder).ingest(strict=False, promote=False)
    shutil.rmtree(opened(folder).state / "index" / "lance")
    project = opened(folder)
    project.ingest(strict=False)
    assert project.verify_index() == [] and len(manifest.live(project.state / "index").contents) == 2


def test_a_promote_that_brings_back_what_is_gone_has_to_be_accepted(folder: Path) -> None:
    first = opened(folder).ingest(strict=False).version
    (folder / "documents" / "kiosk.md").unlink()
    project = opened(folder)
    now = project.ingest(strict=False).version
    with pytest.raises(StateError, match=r"would serve 1 documents again that are gone, cannot be read or have no readers: kiosk\.md"):
        project.index.promote(first.id)
    assert project.index.live() == now.id and not any("kiosk" in name for name in seen(project))
    assert project.index.promote(first.id, accept=True).done and any("kiosk" in name for name in seen(project))


@settings(deadline=None, max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(data=st.data())
def test_whatever_happens_nothing_that_is_gone_is_served_again(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "documents").mkdir()
        (folder / "groundtune.toml").write_text(TOML + '\n[index]\nengine = "memory"\n')
        (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\n')
        write(folder, "base", "It stays.")
        project = Project(folder)
        project.ingest(strict=False)
        # Each state that was served whole, oldest first, and where a rollback has come to in it.
        states: list[dict[str, str]] = [{"base": "It stays."}]
        now = dict(states[0])
        for number in range(data.draw(st.integers(2, 5))):
            for name in data.draw(st.sets(st.sampled_from("abc"), max_size=2)):
                if name in now and data.draw(st.booleans()):
                    (folder / "documents" / f"{name}.md").unlink()
                    del now[name]
                else:
                    now[name] = f"Text {number} of {name}."
                    write(folder, name, now[name])
            project.ingest(strict=False)
            states = [*states, dict(now)]
            for _ in range(data.draw(st.integers(0, 2))):
                was = project.index.live()
                try:
                    done = project.index.rollback()
                except StateError:
                    break
                assert done.done and done.id != was
                served = {name.removeprefix("chunk:").split(".md")[0]: text for name, text in seen(project).items()}
                # What is served is one of the states before, less what is gone now.
                left = [{name: text for name, text in state.items() if name in now} for state in states]
                assert any(served.keys() == state.keys() and all(state[name] in served[name] for name in state) for state in left)


def tampered(project: Project, name: str, change: Callable[[dict[str, object]], None]) -> None:
    """Change the stored rows of a version behind its back, and let its tag name the change."""
    import pyarrow as pa

    version = project.index.named(name)
    table = project.store._database.open_table(version.table)  # type: ignore[attr-defined]
    at = project.store._database.open_table(version.table)  # type: ignore[attr-defined]
    at.checkout(version.tag)
    rows = at.to_arrow().to_pylist()
    for row in rows:
        change(row)
    table.delete("true")
    table.add(pa.Table.from_pylist([row for row in rows if row["id"]], schema=table.schema))
    table.tags.update(version.tag, table.version)


def one_gate(key: str, value: object) -> Callable[[dict[str, object]], None]:
    def change(row: dict[str, object]) -> None:
        if row["document_id"] == "document:gate.md" and row["ordinal"] == 0:
            row[key] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "kinds"),
    [
        ("id", "", {"count", "chunks", "rows", "coverage"}),
        ("text", "something else", {"rows", "coverage"}),
        ("end", 3, {"rows", "coverage"}),
        ("document_hash", "0" * 16, {"hash"}),
        ("document_id", "document:ghost.md", {"chunks", "rows", "coverage", "unexpected"}),
        ("readers", ["everyone", "world"], {"readers"}),
    ],
)
def test_every_kind_of_damage_is_found_and_refuses_a_promote(folder: Path, key: str, value: object, kinds: set[str]) -> None:
    first = opened(folder).ingest().version
    write(folder, "extra", "more")
    project = opened(folder)
    second = project.ingest(promote=False).version
    assert project.index.verify(second.id).differences == ()
    tampered(project, second.id, one_gate(key, value))
    found = project.index.verify(second.id).differences
    assert {item.kind for item in found} == kinds and {item.document for item in found} <= {"", "document:gate.md", "document:ghost.md"}
    refused = opened(folder).index.promote(second.id)
    assert not refused.done and refused.verified.differences and project.index.live() == first.id
    # Ingestion mends it: it is not whole, so it is built again.
    assert opened(folder).ingest().version.id == second.id
    assert opened(folder).index.verify().differences == ()


def test_a_damaged_live_version_is_written_again_beside_the_one_that_is_open(folder: Path) -> None:
    project = opened(folder)
    version = project.ingest().version
    whole = seen(project)
    tampered(project, version.id, one_gate("text", "something else"))
    index, _ = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
    assert opened(folder).ingest().version.id == version.id and opened(folder).index.verify().differences
    project = opened(folder)
    again = project.ingest(rebuild=True).version
    assert (again.id, seen(project)) == (version.id, whole) and again.tag != version.tag
    assert project.index.verify().differences == () and project.index.plan_gc(0).orphans == ()
    project.index.gc(0)
    assert len(index.dense(project.embed.query("gate"), ALL, None, 99)) == version.chunks
    del index
    assert project.index.plan_gc(0).orphans == ((version.table, version.tag),)
    project.index.gc(0)
    assert project.store.tags(version.table) == [again.tag] and seen(project) == whole


def test_readers_of_a_whole_document_and_the_ledger_are_compared(folder: Path) -> None:
    project = opened(folder)
    version = project.ingest().version

    def open_up(row: dict[str, object]) -> None:
        if row["document_id"] == "document:gate.md":
            row["readers"] = []

    tampered(project, version.id, open_up)
    [found] = project.index.verify().differences
    assert (found.kind, found.document) == ("readers", "document:gate.md") and "readers [], and ['everyone'] there" in found.message
    project.ledger.link("run:x", [(version.id, "document:never.md")])
    assert "ledger" in {item.kind for item in project.index.verify().differences}


def test_a_version_of_other_settings_is_promoted_only_when_asked(folder: Path) -> None:
    first = opened(folder).ingest().version
    config = folder / "groundtune.toml"
    config.write_text(TOML.replace("max_tokens = 40", "max_tokens = 60"))
    project = opened(folder)
    index_before = manifest.live(project.state / "index")
    second = project.ingest(promote=False).version
    assert second.table != first.table and index_before is not None and project.index.live() == first.id
    project.index.promote(second.id)
    with pytest.raises(StaleIndex, match="was split by") as caught:
        project.index.promote(first.id)
    assert caught.value.hint.endswith(f"groundtune index promote {first.id} --other-settings")
    with pytest.raises(StaleIndex, match="was split by"):
        project.index.rollback()
    assert project.index.live() == second.id
    assert project.index.rollback(other_settings=True).id == first.id


def test_a_file_that_cannot_be_read_is_no_reason_to_look_at_no_version(folder: Path) -> None:
    opened(folder).ingest()
    write(folder, "yard", "The yard is new.")
    (folder / "documents" / "scan.pdf").write_bytes(b"%PDF-1.4 cut off")
    version = opened(folder).ingest(strict=False, promote=False).version
    assert version is not None and opened(folder).index.verify(version.id).differences == ()
    assert opened(folder).index.promote(version.id).done
    assert opened(folder).index.verify().differences == ()


def test_a_name_that_is_none_is_refused(folder: Path) -> None:
    project = opened(folder)
    with pytest.raises(StaleIndex, match="no index yet"):
        project.index.verify()
    project.ingest()
    for name in ("", "x", "../../live", "index:../live", "index:", "LIVE", "index:" + "0" * 12):
        with pytest.raises(UnknownName):
            project.index.verify(name)


READER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from kill_points import opened
from test_index_versions import seen, ALL
from groundtune.chunks.build import open_live
project = opened(Path(sys.argv[1]))
index, version = open_live(project.state / "index", embed=project.embed, splitter=project.splitter, engine=project.store)
print(version.id, flush=True)
for line in sys.stdin:
    hits = index.dense(project.embed.query("gate"), ALL, None, 1_000)
    print(len(index.chunks([hit.id for hit in hits], ALL)), len(index.keyword("gate night", ALL, None, 9)), flush=True)
"""


def test_gc_keeps_what_is_needed_and_never_breaks_a_reader(folder: Path) -> None:
    ids = [opened(folder).ingest().version]
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(folder), str(Path(__file__).parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdin is not None and reader.stdout is not None
    assert reader.stdout.readline().strip() == ids[0].id
    for number in range(5):
        write(folder, "extra", f"number {number} " * 20)
        ids.append(opened(folder).ingest().version)
    project = opened(folder)
    run = project.ledger.begin("evaluate", "k", {"index": ids[1].id}, 0)
    (folder / "groundtune.lock").write_text(json.dumps({"index": ids[2].id}))
    project.ledger.end(run.id, "done", {})
    planned = project.index.plan_gc(0)
    assert planned.keep == {
        ids[5].id: "live",
        ids[4].id: "a rollback goes to it",
        ids[0].id: "a reader has it open",
        ids[1].id: f"named by {run.id}",
        ids[2].id: "named by groundtune.lock",
    }
    assert [item.id for item in planned.remove] == [ids[3].id]
    assert [item.id for item in project.index.plan_gc(2).remove] == []
    assert len(project.index_versions()) == 6
    _, gone, stayed = project.index.gc(0)
    assert (gone, stayed) == ([ids[3].id], [])
    assert {version.id for version in project.index_versions()} == {item.id for item in ids} - {ids[3].id}
    for number in (0, 1, 2, 5):
        assert project.index.verify(ids[number].id).differences == () or number != 5
    reader.stdin.write("\n")
    reader.stdin.flush()
    assert reader.stdout.readline().split() == [str(ids[0].chunks), "9"]
    reader.send_signal(signal.SIGKILL)
    reader.wait()
    assert [item.id for item in project.index.plan_gc(0).remove] == [ids[0].id]
    project.index.gc(0)
    tags = project.store.tags(ids[0].table)
    assert ids[0].tag not in tags and ids[5].tag in tags
    assert project.index.verify().differences == ()
    assert [line["subject"] for line in project.ledger.audited("index gc")] == [ids[3].id, ids[0].id]


def test_the_table_of_a_removed_embedder_or_splitter_goes_as_a_whole(folder: Path) -> None:
    first = opened(folder).ingest().version
    (folder / "groundtune.toml").write_text(TOML.replace("max_tokens = 40", "max_tokens = 60"))
    for text in ("one", "two"):
        write(folder, "extra", text)
        opened(folder).ingest()
    project = opened(folder)
    lance = project.state / "index" / "lance"
    assert (lance / f"{first.table}.lance").is_dir()
    project.index.gc(0)
    assert not (lance / f"{first.table}.lance").exists()
    assert project.index.verify().differences == () and project.index.rollback().done


def prepared(folder: Path, action: str) -> None:
    """Bring a project to where the action has something to do."""
    opened(folder).ingest()
    if action == "ingest":
        changed(folder)
        return
    write(folder, "extra", "more")
    opened(folder).ingest(promote=action != "promote")
    if action == "rollback past what is gone":
        (folder / "documents" / "kiosk.md").unlink()
        opened(folder).ingest()
    if action == "gc":
        for text in ("third",):
            write(folder, "extra", text)
            opened(folder).ingest()


Ran = Callable[[Path, str, int], tuple[int, str]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Runs an action of a project in a process of its own, up to its n-th lasting effect; returns its exit code and what it printed."""
    out = tmp_path_factory.mktemp("ran") / "out"
    command = [sys.executable, str(Path(__file__).parent / "kill_points.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        told = server.stdin, server.stdout
        assert told[0] is not None and told[1] is not None

        def run(folder: Path, action: str, number: int) -> tuple[int, str]:
            print(json.dumps([str(out), str(folder), action, number]), file=told[0], flush=True)
            ready, _, _ = select.select([told[1]], [], [], 300)
            assert ready, f"{action} {number} neither ended nor was killed"
            return int(told[1].readline()), out.read_text()

        yield run
        server.kill()


@pytest.mark.parametrize("action", [*ACTIONS, "rollback past what is gone"])
def test_killed_at_any_point_nothing_is_lost_and_the_same_command_goes_on(folder: Path, tmp_path: Path, action: str, ran: Ran) -> None:
    prepared(folder, action)
    action = action.split()[0]
    before = seen_ids(folder)
    # What is gone is taken out by a version of its own, before anything else is done.
    hidden = tuple(row for row in before[1] if "kiosk" not in row[0])
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    code, printed = ran(whole, action, 10_000)
    effects, after = printed.splitlines(), seen_ids(whole)
    assert code == 0
    assert len(effects) > 1
    ids = {version.id for version in opened(whole).index_versions()}
    wanted = {(line["verb"], line["subject"], str(line["details"])) for line in opened(whole).ledger.audited()}
    # Of the same effect several times in a row, the first: indices of a table, one after another.
    for number in [place for place, name in enumerate(effects, start=1) if place == 1 or name != effects[place - 2]]:
        killed = tmp_path / "killed"
        shutil.copytree(folder, killed)
        assert ran(killed, action, number)[0] == -signal.SIGKILL
        # What is live is the one or the other, and whole; a half of a document is in neither.
        now = seen_ids(killed)
        assert now in (before, after) or (action == "ingest" and now[1] == hidden != before[1])
        if action == "promote" and now == after:
            opened(killed).index.promote("live")
        else:
            ACTIONS[action](opened(killed))
        project = opened(killed)
        assert seen_ids(killed) == after
        assert {version.id for version in project.index_versions()} == ids
        kept = [item for item in project.index.verify().differences if item.kind != "documents"]
        assert kept == [] and project.index.plan_gc(0).leaving == ()
        lines = [(line["verb"], line["subject"], str(line["details"])) for line in project.ledger.audited()]
        assert set(lines) == wanted and len(lines) == len(wanted)
        assert project.ledger.audit_broken() is None
        shutil.rmtree(killed)


def seen_ids(folder: Path) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    project = opened(folder)
    return project.index.live(), tuple(sorted(seen(project).items()))

"""``groundtune ingest --watch``: what changes is found, what is wrong is told, and it ends when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from test_ingest import found, make, ran
from test_ingest import write as written

import groundtune as gt
from groundtune.documents.catalogue import Catalogue
from groundtune.project import watch as watching
from groundtune.project.content import CATALOGUE
from groundtune.project.watch import Step

PATIENCE = 300  # seconds that a machine with much to do may take; no test waits for it to pass


@contextmanager
def watched(folder: Path, others: float = 3600.0) -> Iterator[Callable[[], Step]]:
    """Watch in a thread; what is yielded waits for the next step that is told."""
    stop, steps = threading.Event(), Queue[Step]()
    thread = threading.Thread(target=lambda: gt.open(folder).watch(stop=stop, told=steps.put, every=0.02, others=others), daemon=True)
    thread.start()
    try:
        yield lambda: steps.get(timeout=PATIENCE)
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "it ends when it is asked to"


def replaced(path: Path, text: str) -> None:
    """Write a file as an editor does: beside it first, so that nobody reads the half of it."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def write(folder: Path, name: str, text: str, readers: str = "everyone", **fields: str) -> None:
    """Make a document as the tests of ``ingest`` do, in one step."""
    written(folder, f"../drafts/{name}", text, readers, **fields)
    (folder / "documents" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "drafts" / name).replace(folder / "documents" / name)


def counts(step: Step) -> dict[str, int]:
    assert step.done is not None, step.error
    return dict(step.done.counts)


def test_what_is_new_changed_and_gone_is_followed_and_can_be_found(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    with watched(folder) as told:
        assert counts(told()) == {"new": 2}
        write(folder, "c.md", "# Buoy\n\nThe buoy is zyxwvut.")
        step = told()
        assert counts(step) == {"new": 1, "unchanged": 2}
        assert step.late is not None and step.late >= 0
        assert "document:c.md" in found(folder, "zyxwvut")
        write(folder, "a.md", "# Crane\n\nThe crane is red.")
        assert counts(told())["changed"] == 1
        (folder / "documents" / "b.md").unlink()
        assert counts(told())["gone"] == 1
        assert "document:b.md" not in found(folder, "quay")
        write(folder, "deep/down/d.md", "# Mast\n\nTall.")
        assert counts(told())["new"] == 1


def test_a_change_of_who_may_read_is_followed(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    with watched(folder) as told:
        told()
        assert "document:a.md" in found(folder, "crane")
        write(folder, "a.md", "# Crane\n\nThe crane is green.", readers="finance")
        step = told()
        assert step.done is not None and step.done.version is not None
        assert "document:a.md" not in found(folder, "crane") and "document:a.md" in found(folder, "crane", "femi")
        access = folder / "access.toml"
        replaced(access, access.read_text() + '\n[[rules]]\nmatch = "b.md"\nreaders = ["finance"]\n')
        step = told()
        assert step.done is not None and step.done.version is not None and step.done.version.restamped == 1
        assert "document:b.md" not in found(folder, "quay")


def test_what_is_wrong_is_told_once_and_mended_when_it_is_mended(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.")
    access, config = folder / "access.toml", folder / "groundtune.toml"
    good, settings = access.read_text(), config.read_text()
    with watched(folder) as told:
        told()
        replaced(access, "[principals\n")
        step = told()
        assert step.error is not None and "access.toml" in step.error.message
        write(folder, "b.md", "# Quay\n\nThe quay is blue.")
        replaced(access, good)
        assert counts(told())["new"] == 1
        (folder / "documents" / "bad.docx").write_bytes(b"not one")
        step = told()
        assert step.done is not None and "bad.docx" in step.done.problems[0][0]
        replaced(config, settings.replace("max_tokens = 40", "max_tokens = 'many'"))
        step = told()
        assert step.error is not None and "max_tokens" in step.error.message
        write(folder, "c.md", "# Buoy\n\nThe buoy is red.")
        replaced(config, settings.replace("max_tokens = 40", "max_tokens = 30"))
        assert counts(told())["new"] == 1
        assert gt.open(folder).index_versions()[-1].splitter["max_tokens"] == 30


def test_a_mass_change_of_readers_waits_for_somebody(tmp_path: Path) -> None:
    texts = {
        f"d{number}": f"# Crane {number}\n\n" + " ".join(f"Crane {number} lifts {part} crates." for part in range(60))
        for number in range(4)
    }
    folder = make(tmp_path / "p", "\n[access]\nalarm_chunks = 1\n", **texts)
    with watched(folder) as told:
        told()
        for name, text in texts.items():
            write(folder, f"{name}.md", text, readers="finance")
        step = told()
        while step.error is None:
            step = told()
        assert "--accept" in step.error.hint
        assert ran(folder, "--accept").returncode == 0
        assert found(folder, "crane") == []


def test_a_catalogue_that_stays_open_knows_what_it_and_others_wrote(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.", b="# Quay\n\nThe quay is blue.")
    place = folder / ".groundtune" / CATALOGUE
    ran(folder)
    kept = Catalogue(place)
    try:
        from groundtune.project.ingest import ingest
        from groundtune.project.origins import FOLDER

        def same() -> bool:
            fresh = Catalogue(place, read_only=True)
            try:
                return kept.known(FOLDER) == fresh.known(FOLDER)
            finally:
                fresh.close()

        project = gt.open(folder)
        for change in (
            lambda: write(folder, "a.md", "# Crane\n\nThe crane is red.", owner="ünï"),
            lambda: (folder / "documents" / "b.md").rename(folder / "documents" / "moved.md"),
            lambda: (folder / "documents" / "bad.docx").write_bytes(b"not one"),
            lambda: (folder / "documents" / "moved.md").unlink(),
        ):
            change()
            ingest(project, strict=False, catalogue=kept)
            assert same()
        write(folder, "c.md", "# Buoy\n\nThe buoy is red.")
        ran(folder)  # another connection
        assert "c.md" in kept.known(FOLDER) and same()
    finally:
        kept.close()


def test_failures_are_tried_again_later_and_later() -> None:
    from groundtune.errors import StateError

    failed = Step(done=None, error=StateError("no", "type: x"), seconds=0.0)
    waits, wait = [], watching.FIRST_WAIT
    for _ in range(10):
        before = wait
        _, wait = watching._next(failed, {}, wait, 3600.0)
        waits.append(before)
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0] and waits[-1] == watching.LONGEST_WAIT


def test_the_verb_ends_cleanly_by_a_signal_and_what_it_did_stands(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", a="# Crane\n\nThe crane is green.")
    code = "from groundtune.cli.main import main; main()"
    given = [sys.executable, "-c", code, "ingest", "--watch", "--json", "--every", "0.05", "-p", str(folder), "--progress", "silent"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as child:  # noqa: S603
        assert child.stdout is not None and child.stderr is not None
        first = json.loads(child.stdout.readline())
        assert first["counts"] == {"new": 1} and first["error"] is None
        write(folder, "b.md", "# Quay\n\nThe quay is blue.")
        second = json.loads(child.stdout.readline())
        assert second["names"] == {"new": ["b.md"]} and second["late"] >= 0
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE) == 0
        assert "Traceback" not in child.stderr.read()
    assert "document:b.md" in found(folder, "quay")
    assert ran(folder, "--watch", "--rebuild").returncode == 2

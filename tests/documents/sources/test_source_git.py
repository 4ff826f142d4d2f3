"""A git repository at a revision, by the real program; names and revisions that are options, links, submodules, dead remotes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from made_sources import by_name, read_all, settings

from groundtune.documents.sources.git import open as open_git
from groundtune.errors import SourceError


def git(place: Path, *arguments: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"]
    return subprocess.run(["git", "-C", str(place), *names, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    (place / "docs").mkdir()
    (place / "docs" / "a.md").write_text("# A\n\none")
    (place / "ünï –.md").write_text("# U\n\ntwo")
    (place / "--help.md").write_text("# H\n\nthree")
    (place / ".hidden.md").write_text("# no")
    (place / "link.md").symlink_to("/etc/passwd")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "one")
    git(place, "tag", "v1")
    (place / "docs" / "a.md").write_text("# A\n\nchanged")
    git(place, "commit", "-qam", "two")
    return place


def opened(folder: Path, **given: object):  # type: ignore[no-untyped-def]
    return open_git(settings("git", **given), folder)


def test_the_files_of_a_revision_are_read_without_a_work_tree(repository: Path, tmp_path: Path) -> None:
    (repository / "docs" / "a.md").write_text("# A\n\nnot committed")
    found = read_all(opened(tmp_path, path=str(repository)))
    assert found.pop("link.md") == "box@HEAD:link.md: is a link; files are read where they are"
    assert found == {"docs/a.md": b"# A\n\nchanged", "ünï –.md": b"# U\n\ntwo", "--help.md": b"# H\n\nthree"}
    assert read_all(opened(tmp_path, path=str(repository), revision="v1"))["docs/a.md"] == b"# A\n\none"


def test_a_blob_is_its_own_stamp(repository: Path, tmp_path: Path) -> None:
    new, old = by_name(opened(tmp_path, path=str(repository))), by_name(opened(tmp_path, path=str(repository), revision="v1"))
    assert new["docs/a.md"].stamp != old["docs/a.md"].stamp and new["--help.md"].stamp == old["--help.md"].stamp != ""


def test_a_remote_is_fetched_and_kept_in_step(repository: Path, tmp_path: Path) -> None:
    source = opened(tmp_path, url=repository.as_uri(), revision="main")
    assert read_all(source)["docs/a.md"] == b"# A\n\nchanged"
    (repository / "docs" / "a.md").write_text("# A\n\nthird")
    git(repository, "commit", "-qam", "three")
    assert read_all(source)["docs/a.md"] == b"# A\n\nthird"
    # A branch that was written anew is followed too.
    git(repository, "reset", "-q", "--hard", "v1")
    assert read_all(source)["docs/a.md"] == b"# A\n\none"


def test_a_remote_that_is_gone_is_out_of_reach_and_shows_no_password(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="fetch"):
        read_all(opened(tmp_path, url=(tmp_path / "nowhere").as_uri()))
    with pytest.raises(SourceError) as told:
        read_all(opened(tmp_path, url="http://ana:secret-word@127.0.0.1:9/x", timeout_seconds=10))
    assert "secret-word" not in str(told.value)
    written = "".join(path.read_text(errors="replace") for path in (tmp_path / ".groundtune" / "git").rglob("*") if path.is_file())
    assert "secret-word" not in written


@pytest.mark.parametrize(
    "revision", ["--upload-pack=touch owned", "-h", "a..b", "main:refs/heads/x", "HEAD@{1}", "a b", "", "$(touch owned)"]
)
def test_a_revision_that_is_no_revision_is_refused(revision: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a branch"):
        opened(tmp_path, path=str(repository), revision=revision)


@pytest.mark.parametrize("url", ["ext::sh -c 'touch owned'", "--upload-pack=touch owned", "-x", "a@b:-oProxyCommand=touch", "javascript:1"])
def test_a_url_that_git_would_run_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="url"):
        opened(tmp_path, url=url)
    assert not (tmp_path / "owned").exists()


def test_a_hook_and_a_monitor_of_the_repository_never_run(repository: Path, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {owned}\n")
    hook.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(hook))
    git(repository, "config", "filter.x.smudge", str(hook))
    assert "docs/a.md" in read_all(opened(tmp_path, path=str(repository))) and not owned.exists()


def test_an_unknown_revision_and_a_folder_without_a_repository_are_told(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="rev-parse"):
        read_all(opened(tmp_path, path=str(repository), revision="v9"))
    with pytest.raises(SourceError, match="no such folder"):
        read_all(opened(tmp_path, path="missing"))


def test_submodules_and_pointers_of_large_files_are_told(repository: Path, tmp_path: Path) -> None:
    (repository / "big.pdf").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    git(repository, "add", "big.pdf")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{git(repository, 'rev-parse', 'v1')},module")
    git(repository, "commit", "-qm", "more")
    found = read_all(opened(tmp_path, path=str(repository)))
    assert "Git LFS" in str(found["big.pdf"]) and "submodule" in str(found["module"])

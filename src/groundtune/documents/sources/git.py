"""A git repository at a revision, through the ``git`` program: never a shell, never a work tree, never a hook.

    url = "https://git.example.com/docs", revision = "v5"  →  Item("guide/install.md", stamp = its blob's id)

A remote repository is fetched, that one revision alone, into ``.groundtune/git/NAME``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from groundtune.documents.load import HINT, most_bytes, too_large
from groundtune.documents.sources.folder import Item, refused
from groundtune.errors import DocumentError, SourceError

PROTOCOLS = ("https", "ssh", "http", "file", "git")
WANTED = "refs/groundtune/wanted"
# What git-check-ref-format(1) allows, less what a refspec or an option could be made of.
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,250}")
_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^-:][^:]*")
_LFS = b"version https://git-lfs.github.com/spec/"


def open(settings: Mapping[str, Any], folder: Path) -> Repository:
    """Open a repository: a ``path`` that is here, or a ``url`` that is fetched. Raises ``SourceError`` for what git could misread."""
    name, url, path, revision = settings["name"], settings.get("url"), settings.get("path"), settings["revision"]
    hint = f"correct the [[sources]] table of {name}, then type: groundtune ingest"
    if bool(url) == bool(path):
        raise SourceError(f"source {name}: give either path or url", hint)
    if not _REVISION.fullmatch(revision) or ".." in revision or "@{" in revision:
        raise SourceError(f"source {name}: revision is {revision!r}; expected a branch, a tag or a commit", hint)
    if url and urlsplit(url).scheme not in PROTOCOLS and not _SCP.fullmatch(url):
        raise SourceError(f"source {name}: its url begins with none of: {', '.join(f'{item}://' for item in PROTOCOLS)}", hint)
    return Repository(
        name,
        revision,
        path=folder / path if path else None,
        url=url,
        store=folder / ".groundtune" / "git" / name,
        timeout=settings["timeout_seconds"],
        most_items=settings["most_items"],
    )


class Repository:
    """The files of one commit, but hidden ones."""

    def __init__(
        self, name: str, revision: str, *, path: Path | None, url: str | None, store: Path, timeout: float, most_items: int
    ) -> None:
        self.name = name
        self.revision = revision
        self.path = path
        self.url = url
        self.store = store
        self.timeout = timeout
        self.most_items = most_items

    def items(self) -> Iterator[Item]:
        """List the files of the revision. Raises ``SourceError`` when it cannot be fetched or found."""
        if shutil.which("git") is None:
            raise SourceError(f"source {self.name}: the git program is not installed", "install git, then type: groundtune ingest")
        if self.path is not None:
            if not self.path.is_dir():
                raise SourceError(f"source {self.name}: {self.path}: no such folder", "correct its path, then type: groundtune ingest")
            place, wanted = self.path, self.revision
        else:
            place, wanted = self._fetched(), WANTED
        commit = self._git(place, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}").decode().strip()
        listing = self._git(place, "ls-tree", "-r", "-z", "-l", "--full-tree", commit).split(b"\0")
        if len(listing) > self.most_items:
            raise SourceError(f"source {self.name}: more than {self.most_items:,} files", "raise its most_items")
        for line in listing:
            if line:
                about, _, path = line.partition(b"\t")
                mode, kind, blob, size = about.decode("ascii").split()
                name = path.decode("utf-8", "backslashreplace")
                if not any(part.startswith(".") for part in name.split("/")):
                    yield self._item(place, name, mode, kind, blob, size)

    def _item(self, place: Path, name: str, mode: str, kind: str, blob: str, size: str) -> Item:
        shown = f"{self.name}@{self.revision}:{name}"
        problem = ""
        if kind == "commit":
            problem = "is a submodule; name its repository as a source of its own"
        elif mode == "120000":
            problem = "is a link; files are read where they are"
        elif int(size) > most_bytes(name):
            return Item(name=name, read=refused(too_large(shown, name, int(size))))
        if problem:
            return Item(name=name, read=refused(DocumentError(f"{shown}: {problem}", HINT, state="unsupported")))

        def read() -> bytes:
            raw = self._git(place, "cat-file", "blob", blob)
            if raw.startswith(_LFS):
                raise DocumentError(f"{shown}: is a pointer of Git LFS, not the file", "name where the files are as a source of its own")
            return raw

        return Item(name=name, stamp=blob, read=read, shown=shown)

    def _fetched(self) -> Path:
        assert self.url is not None  # noqa: S101
        self.store.mkdir(parents=True, exist_ok=True)
        if not (self.store / "HEAD").is_file():
            self._git(self.store, "init", "--bare", "--quiet", "--template=", ".")
        self._git(self.store, "fetch", "--quiet", "--force", "--no-tags", "--depth=1", "--", _bare(self.url), f"+{self.revision}:{WANTED}")
        return self.store

    def _git(self, place: Path, *arguments: str) -> bytes:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in ("GIT_SSH", "GIT_SSH_COMMAND")
        }
        settings = [("core.hooksPath", os.devnull), ("core.fsmonitor", "false"), ("protocol.ext.allow", "never")]
        if self.url and _bare(self.url) != self.url:
            # The password goes by the environment, so that neither the list of processes nor the repository's settings show it.
            settings.append((f"url.{self.url}.insteadOf", _bare(self.url)))
        environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_CONFIG_COUNT": str(len(settings)), "LC_ALL": "C"}
        environment["GIT_ALLOW_PROTOCOL"] = ":".join(PROTOCOLS)
        for number, (key, value) in enumerate(settings):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return self._ran(["git", "-C", str(place.absolute()), *arguments], environment)

    def _ran(self, command: Sequence[str], environment: Mapping[str, str]) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603
                command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            told = f"source {self.name}: git {command[3]} took more than {self.timeout:g} s"
            raise SourceError(told, "raise its timeout_seconds, then type: groundtune ingest") from None
        if done.returncode != 0:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300] or f"exit code {done.returncode}"
            if self.url:
                said = said.replace(self.url, _bare(self.url))
            told = f"source {self.name}: git {command[3]} of {self.revision!r} failed: {said}"
            raise SourceError(told, "correct its url and revision, then type: groundtune ingest")
        return done.stdout


def _bare(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return url if not parts.password else urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

"""A small project, the two kinds of pages served on real sockets, and a client that does what a browser does."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

import groundtune
from groundtune.project.examples import Curation
from groundtune.project.labelling import Labelling
from groundtune.project.reviewing import Review
from groundtune.server import audit as audit_pages
from groundtune.server import review as review_pages
from groundtune.server.door import Door
from groundtune.server.serve import Routes, bound, made

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\"'&\u202eevil\x1b[2J"
DOCUMENT = "A device can be returned within 30 days of delivery. Whoever returns it later pays 20 EUR."


def row(number: int, **changed: Any) -> dict[str, Any]:
    whole = {
        "id": f"r{number}",
        "question": f"Question number {number}?",
        "asker": "ana",
        "split": "train",
        "split_group": "a",
        "status": "draft",
        "evidence": [{"document": "a.md", "quote": "within 30 days"}],
        "reply": {"answer": f"Within 30 days ({number})."},
    } | changed
    return {key: value for key, value in whole.items() if value is not ...}


def pair(number: int, **changed: Any) -> dict[str, Any]:
    return {"id": f"p{number}", "question": "How?", "as": "ana", "chosen": "so", "rejected": "no", "status": "draft"} | changed


def rating(number: int, **changed: Any) -> dict[str, Any]:
    whole = {"id": f"t{number}", "question": "How?", "as": "ana", "reply": f"said {number}", "desirable": True, "status": "draft"}
    return whole | changed


def project(
    folder: Path,
    rows: list[dict[str, Any]] | None = None,
    pairs: list[dict[str, Any]] | None = None,
    ratings: list[dict[str, Any]] | None = None,
) -> Path:
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\n')
    (folder / "groundtune.toml").write_text(
        '[project]\nname = "p"\nowner = "o"\n[answers]\ninstructions = "Reply."\n[embed]\nuse = "hashed"\n'
        f'[chat]\nuse = "scripted"\nmodel = "{folder}/script.json"\n[[arms]]\nname = "prompt"\n'
    )
    (folder / "script.json").write_text('{"": "{}"}')
    (folder / "documents/a.md").write_text(f"---\nreaders: [everyone]\n---\n{DOCUMENT}\n")
    write(folder / "examples/all.jsonl", [row(number) for number in range(3)] if rows is None else rows)
    if pairs:
        write(folder / "examples/preferences.jsonl", pairs)
    if ratings:
        write(folder / "examples/ratings.jsonl", ratings)
    return folder


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in rows), encoding="utf-8")
    return path


def on_disk(folder: Path, name: str = "examples/all.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def logged(folder: Path, answers: list[dict[str, Any]]) -> Path:
    return write(folder / "responses.jsonl", answers)


@contextlib.contextmanager
def served(routes: Callable[[], Routes]) -> Iterator[Door]:
    """Serve from a thread of its own, in which everything of the project is opened too, as a process would."""
    with bound(0) as listening:
        door = Door(listening.getsockname()[1])
        servers: list[Any] = []

        def run() -> None:
            servers.append(made(routes(), door))
            servers[0].run(sockets=[listening])

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive() and not (servers and servers[0].started):
            time.sleep(0.005)
        try:
            yield door
        finally:
            servers[0].should_exit = True
            thread.join(10)
    assert not thread.is_alive()


@contextlib.contextmanager
def reviewed(folder: Path, by: str = "ana", status: str = "draft", **narrowed: Any) -> Iterator[Door]:
    def routes() -> Routes:
        review = Review(Curation(groundtune.open(folder)), by, **narrowed)
        return lambda door: review_pages.routes(review, door, status)

    with served(routes) as door:
        yield door


@contextlib.contextmanager
def audited(folder: Path, log: Path, by: str = "ana", show: str = "todo", size: int = 200) -> Iterator[Door]:
    def routes() -> Routes:
        labelling = Labelling(groundtune.open(folder).audit(log, size=size), by, log)
        return lambda door: audit_pages.routes(labelling, door, show)

    with served(routes) as door:
        yield door


class Window:
    """A window of a browser that was let in: it follows links, sends forms with what they hold, and keeps its page."""

    def __init__(self, door: Door, client: httpx.Client | None = None) -> None:
        self.door = door
        self.client = client or httpx.Client(base_url=door.origin, verify=False)
        if client is None:
            assert self.client.get(door.link).status_code == 200
        self.page = self.get("/")

    def other(self) -> Window:
        """Open a second window of the same browser."""
        return Window(self.door, self.client)

    def get(self, path: str) -> str:
        answer = self.client.get(path if path.startswith(self.door.path) else self.door.path + path)
        self.status, self.page = answer.status_code, answer.text
        return self.page

    def form(self, action: str, place: int = 0) -> dict[str, str]:
        """Return the hidden fields of the form with this action."""
        found = re.findall(rf'<form method="post" action="[^"]*{action}"[^>]*>(.*?)</form>', self.page, re.DOTALL)
        return {name: text(value) for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[place])}

    def send(self, action: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
        """Send fields as they are, and keep the page that comes of it."""
        answer = self.client.post(
            self.door.path + action, data=fields, headers={"Origin": self.door.origin} | (headers or {}), follow_redirects=True
        )
        self.status, self.page = answer.status_code, answer.text
        return answer

    def press(self, action: str, **more: str) -> httpx.Response:
        """Send a form of the page with what a button adds."""
        return self.send(action, self.form(action) | more)


def text(escaped: str) -> str:
    import html

    return html.unescape(escaped)

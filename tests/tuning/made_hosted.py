"""A fine-tuning service on 127.0.0.1 that keeps to the published interface: files, jobs, events in pages, results, its error bodies.

A job goes one state further each time it is looked at. It refuses what the real one refuses: a wrong key, a file of another purpose, rows
that are not conversations ending with the assistant, fewer than ten of them, a job on a file that is not there, an unknown method.
"""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

STATES = ("validating_files", "queued", "running", "running", "succeeded")


class Service:
    """What the service holds; ``failures`` are statuses to answer with before it works again, by method and path."""

    def __init__(self) -> None:
        self.url = ""
        self.key = "sk-secret"
        self.files: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.failures: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.fails_with: str | None = None

    def advance(self, job: dict[str, Any]) -> None:
        place = job.get("_looks", 0) + 1
        if place >= len(STATES) or job["status"] == "failed":
            return
        job["_looks"] = place
        if STATES[place] == "running" and self.fails_with:
            job["status"], job["error"] = "failed", {"code": "invalid_training_file", "message": self.fails_with, "param": "training_file"}
            return
        job["status"] = STATES[place]
        for number in range(60 if job["status"] == "running" else 1):
            self.say(job["id"], f"{job['status']} {number}")
        if job["status"] == "succeeded":
            result = self.keep(b"step,train_loss\n1,0.5\n", "result.csv", "fine-tune-results")
            job |= {"fine_tuned_model": f"ft:{job['model']}:org:{job['suffix']}:1", "result_files": [result], "trained_tokens": 1234}

    def say(self, job: str, message: str) -> None:
        number = len(self.events.setdefault(job, []))
        event = {"object": "fine_tuning.job.event", "id": f"ftevent-{number}", "created_at": number, "level": "info", "message": message}
        self.events[job].append({**event, "type": "message", "data": {}})

    def keep(self, content: bytes, name: str, purpose: str) -> str:
        key = f"file-{len(self.files)}"
        self.files[key] = {"id": key, "object": "file", "bytes": len(content), "filename": name, "purpose": purpose, "_content": content}
        return key


def complaint(content: bytes, kind: str) -> str | None:
    """Return what is wrong with a training file."""
    lines = content.decode().splitlines()
    if len(lines) < 10:
        return f"Training file has {len(lines)} example(s), but must have at least 10 examples"
    for number, line in enumerate(lines, start=1):
        row = json.loads(line)
        if kind == "supervised":
            messages = row.get("messages", [])
            if set(row) != {"messages"} or not messages or messages[-1]["role"] != "assistant":
                return f"Line {number}: Expected last message from assistant"
            if any(set(item) != {"role", "content"} or item["role"] not in ("system", "user", "assistant") for item in messages):
                return f"Line {number}: invalid message"
        elif set(row) != {"input", "preferred_output", "non_preferred_output"} or row["input"]["messages"][-1]["role"] == "assistant":
            return f"Line {number}: invalid preference"
    return None


@contextmanager
def hosting() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.refused():
                return
            path = urlparse(self.path).path
            if path == "/v1/files":
                self.upload(body)
            elif path == "/v1/fine_tuning/jobs":
                self.create(json.loads(body))
            else:
                self.error(404, f"Invalid URL (POST {path})")

        def do_GET(self) -> None:
            if self.refused():
                return
            parts = urlparse(self.path)
            names = parts.path.removeprefix("/v1/").split("/")
            if names[:2] == ["fine_tuning", "jobs"] and names[2:3] and names[2] in service.jobs:
                job = service.jobs[names[2]]
                if names[3:] == ["events"]:
                    self.list_events(job["id"], parse_qs(parts.query))
                else:
                    service.advance(job)
                    self.send(200, public(job))
            elif names[0] == "files" and names[2:] == ["content"] and names[1] in service.files:
                self.send(200, service.files[names[1]]["_content"])
            else:
                self.error(404, f"No such object: {names[-1]}")

        def upload(self, body: bytes) -> None:
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
            parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}  # type: ignore[attr-defined]
            if set(parts) != {"purpose", "file"} or parts["purpose"].get_payload(decode=True).strip() != b"fine-tune":
                self.error(400, "'purpose' must be fine-tune")
                return
            name = parts["file"].get_filename()
            key = service.keep(parts["file"].get_payload(decode=True), name, "fine-tune")
            self.send(200, public(service.files[key]))

        def create(self, body: dict[str, Any]) -> None:
            unknown = set(body) - {"model", "training_file", "validation_file", "method", "seed", "suffix", "metadata", "integrations"}
            method = body.get("method", {"type": "supervised"})
            kind = method.get("type")
            known = {"supervised": {"n_epochs", "batch_size", "learning_rate_multiplier"}}
            known["dpo"] = known["supervised"] | {"beta"}
            if unknown:
                self.error(400, f"Unknown parameter: {sorted(unknown)[0]}")
            elif kind not in known or set(method) != {"type", kind} or set(method[kind]["hyperparameters"]) - known[kind]:
                self.error(400, "Invalid method")
            elif len(body.get("suffix", "")) > 64:
                self.error(400, "suffix is too long")
            elif any(body[name] not in service.files for name in ("training_file", "validation_file") if name in body):
                self.error(400, "invalid file id")
            elif wrong := complaint(service.files[body["training_file"]]["_content"], kind):
                self.error(400, wrong)
            else:
                key = f"ftjob-{len(service.jobs)}"
                job = {"id": key, "object": "fine_tuning.job", "status": STATES[0], "error": None, "fine_tuned_model": None}
                service.jobs[key] = {**job, "result_files": [], "trained_tokens": None, **body}
                service.say(key, "Created fine-tuning job")
                self.send(200, public(service.jobs[key]))

        def list_events(self, job: str, query: dict[str, list[str]]) -> None:
            newest = service.events[job][::-1]
            limit = int(query.get("limit", ["20"])[0])
            if "after" in query:
                newest = newest[[event["id"] for event in newest].index(query["after"][0]) + 1 :]
            self.send(200, {"object": "list", "data": newest[:limit], "has_more": len(newest) > limit})

        def refused(self) -> bool:
            what = f"{self.command} {urlparse(self.path).path}"
            service.asked.append(what)
            if service.failures.get(what):
                self.error(service.failures[what].pop(0), "The server is overloaded")
                return True
            if self.headers.get("Authorization") != f"Bearer {service.key}":
                self.error(401, f"Incorrect API key provided: {self.headers.get('Authorization', '').removeprefix('Bearer ')}")
                return True
            return False

        def error(self, status: int, message: str) -> None:
            self.send(status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}})

        def send(self, status: int, value: Any) -> None:
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def public(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.startswith("_")}

"""A written export → a fine-tuning job on an OpenAI-compatible service: files, job, events, result.

    POST /files (train, dev)  →  POST /fine_tuning/jobs  →  GET …/jobs/ID and …/ID/events until it ends  →  GET /files/ID/content

What was sent and made is kept in ``hosted.json`` as it happens, so that the same command goes on where it stopped: no file is sent
twice, and no second job is begun. The key is read from an environment variable and goes into one header; it is in no message and no file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from groundtune.errors import ConfigError, EndpointError, StateError
from groundtune.files import file_sha256, write_atomic, write_json
from groundtune.models.wire import retry_after

KEPT = "hosted.json"
ENDED = ("succeeded", "failed", "cancelled")
ATTEMPTS, FIRST_WAIT, LONGEST_WAIT = 5, 0.5, 30.0
HINT = "see the message above; the same command goes on where this one stopped"


class Hosted:
    """One service. ``pause`` is what waits, in seconds; ``say`` gets every event once."""

    def __init__(
        self,
        *,
        base_url: str,
        key_env: str,
        poll_seconds: float = 10.0,
        pause: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(f"base URL {base_url!r}; expected http:// or https://", "correct --base-url")
        self._key = os.environ.get(key_env, "").strip()
        if not self._key:
            raise ConfigError(f"the environment variable {key_env} is not set", f"type: export {key_env}=…")
        headers = {"Authorization": f"Bearer {self._key}"}
        self._client = httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=60.0, follow_redirects=False)
        self._poll, self._pause, self._say = poll_seconds, pause, say

    def run(self, folder: Path) -> dict[str, Any]:
        """Send the export in ``folder``, follow its job to the end and return what is known of it.

        Raises ``StateError`` when there is no export, when it changed since it was sent, or when the job failed; ``EndpointError`` when the
        service refuses or cannot be reached.
        """
        written = folder / "job.json"
        if not written.is_file():
            raise StateError(f"{folder}: holds no export", "type: groundtune tune NAME --export openai")
        request = json.loads(written.read_text(encoding="utf-8"))["request"]
        digests = {name: file_sha256(folder / name) for name in ("job.json", "train.jsonl", "dev.jsonl")}
        kept = json.loads((folder / KEPT).read_text(encoding="utf-8")) if (folder / KEPT).is_file() else {"sent": digests, "files": {}}
        if kept["sent"] != digests:
            raise StateError(
                f"{folder}: the export changed after it was sent", f"type: rm {folder / KEPT} (the job there goes on by itself), then again"
            )
        for name, field in (("train.jsonl", "training_file"), ("dev.jsonl", "validation_file")):
            if field not in kept["files"] and (folder / name).stat().st_size:
                kept["files"][field] = self._upload(folder / name)
                write_json(folder / KEPT, kept)
        if "job" not in kept:
            # Never tried again by itself: an answer that was lost could mean two jobs that cost money.
            kept["job"] = self._ask("POST", "/fine_tuning/jobs", json={**request, **kept["files"]}, once=True)["id"]
            write_json(folder / KEPT, kept)
        job = self._follow(str(kept["job"]), folder, kept)
        return self._end(job, folder, kept)

    def _upload(self, path: Path) -> str:
        self._say(f"sending {path.name}, {path.stat().st_size:,} bytes")
        made = self._ask(
            "POST", "/files", data={"purpose": "fine-tune"}, files={"file": (path.name, path.read_bytes(), "application/jsonl")}
        )
        return str(made["id"])

    def _follow(self, job_id: str, folder: Path, kept: dict[str, Any]) -> Mapping[str, Any]:
        while True:
            job: Mapping[str, Any] = self._ask("GET", f"/fine_tuning/jobs/{job_id}")
            for event in self._new_events(job_id, set(kept.get("seen", ()))):
                self._say(f"{event['level']}: {event['message']}")
                kept["seen"] = [*kept.get("seen", ()), event["id"]]
            write_json(folder / KEPT, kept)
            if job["status"] in ENDED:
                return job
            self._pause(self._poll)

    def _new_events(self, job_id: str, seen: set[str]) -> list[Mapping[str, Any]]:
        """Return the events not told yet, oldest first; the service lists them newest first, in pages."""
        found: list[Mapping[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            page = self._ask("GET", f"/fine_tuning/jobs/{job_id}/events", params={"limit": 50, **after})
            new = [event for event in page["data"] if event["id"] not in seen]
            found += new
            if not page.get("has_more") or len(new) < len(page["data"]) or not page["data"]:
                return found[::-1]
            after = {"after": page["data"][-1]["id"]}

    def _end(self, job: Mapping[str, Any], folder: Path, kept: dict[str, Any]) -> dict[str, Any]:
        if job["status"] != "succeeded":
            why = (job.get("error") or {}).get("message") or "no reason given"
            raise StateError(
                f"the job {job['id']} {job['status']}: {why}",
                f"mend it; for a new job type: rm {folder / KEPT} && groundtune tune --export openai",
            )
        for number, name in enumerate(job.get("result_files") or ()):
            write_atomic(folder / f"result-{number}.csv", self._ask("GET", f"/files/{name}/content", raw=True))
        kept |= {"status": job["status"], "model": job["fine_tuned_model"], "trained_tokens": job.get("trained_tokens")}
        write_json(folder / KEPT, kept)
        return kept

    def _ask(self, method: str, path: str, *, once: bool = False, raw: bool = False, **given: Any) -> Any:
        """Return the answer's JSON, or its bytes. Retried on 429, 5xx and broken connections; ``once``: only where nothing was begun."""
        why = ""
        for attempt in range(ATTEMPTS):
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
            try:
                response = self._client.request(method, path, **given)
            except httpx.ConnectError as error:
                why = f"cannot be reached ({error})"
            except httpx.HTTPError as error:
                why = f"broke off ({error or type(error).__name__})"
                if once:
                    break
            else:
                if response.is_success:
                    return response.content if raw else self._json(response)
                why = f"HTTP {response.status_code}: {self._hide(_complaint(response))}"
                if response.status_code != 429 and (response.status_code < 500 or once):
                    break
                asked = retry_after(response.headers.get("Retry-After"))
                wait = min(LONGEST_WAIT, asked) if asked is not None else wait
            if attempt < ATTEMPTS - 1:
                self._pause(wait)
        raise EndpointError(f"{method} {self._client.base_url}{path.lstrip('/')}: {self._hide(why)}", HINT)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise EndpointError(f"{response.url}: answered something that is not JSON", HINT) from None

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[key]")


def _complaint(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:300]
    except (ValueError, KeyError, TypeError):
        return response.text[:300].strip() or "no reason given"

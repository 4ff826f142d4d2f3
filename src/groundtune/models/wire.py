"""One POST to an OpenAI-compatible server, with patience: retried on 429, 5xx and broken connections, never on a plain refusal."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import sleep
from typing import Any

import httpx

from groundtune.errors import ConfigError

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
TEXT_SHOWN = 300


class Refused(Exception):
    """The server gave no usable answer, after all retries; the text says why and holds no secret.

    ``status`` is the HTTP status where there was one.
    """

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Wire:
    """A base URL, a key and how patient to be. Safe for several threads at once."""

    def __init__(self, settings: Mapping[str, Any], table: str) -> None:
        self.base_url = str(settings.get("base_url") or "").rstrip("/")
        self.model = str(settings.get("model") or "")
        hint = "mend groundtune.toml, then type: groundtune check"
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"{table}.base_url is {self.base_url!r}; expected http:// or https://, such as http://localhost:8000/v1", hint
            )
        if not self.model:
            raise ConfigError(f"{table}.model: missing; name the model as the server knows it", hint)
        self._key = self._read_key(settings.get("key_env"), table)
        retries = settings.get("retries")
        self._retries = 4 if retries is None else int(retries)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = float(settings.get("timeout_seconds") or 60.0)
        self._timeout = timeout
        self._client = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout, follow_redirects=False)

    @staticmethod
    def _read_key(variable: Any, table: str) -> str | None:
        if not variable:
            return None
        key = os.environ.get(str(variable), "").strip()
        if not key:
            raise ConfigError(f"{table}.key_env names {variable}, which is not set", f"type: export {variable}=…")
        return key

    def post(self, path: str, body: Mapping[str, Any], seed: int) -> Any:
        """Return the answer's JSON. Waits double from half a second, with seeded jitter, or as Retry-After says. Raises ``Refused``."""
        jitter = random.Random(seed)  # noqa: S311 - spreads retries, guards nothing
        why = "no attempt was made"
        for attempt in range(self._retries + 1):
            asked: float | None = None
            try:
                response = self._client.post(path, json=body)
                if response.is_success:
                    return self._json(response)
                why = f"HTTP {response.status_code}: {self._hide(_complaint(response))}"
                if response.status_code != 429 and response.status_code < 500:
                    raise Refused(why, response.status_code)
                asked = retry_after(response.headers.get("Retry-After"))
            except httpx.TimeoutException:
                why = f"no answer within {self._timeout:g} seconds"
            except httpx.HTTPError as error:
                why = f"the connection failed ({self._hide(str(error) or type(error).__name__)})"
            if attempt < self._retries:
                wait = FIRST_WAIT * 2**attempt * (0.5 + jitter.random() / 2)
                sleep(min(LONGEST_WAIT, asked if asked is not None else wait))
        raise Refused(f"{why}, {self._retries + 1} attempts" if self._retries else why)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            shown = self._hide(response.text[:80])
            raise Refused(f"the server answered something that is not JSON: {shown!r}") from None

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, be it a number or a date; ``None`` where it says nothing readable."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def text_tokens(text: str) -> int:
    """Return a rough number of tokens of a text, for a server that does not say: four characters each, as in English."""
    return -(-len(text) // 4)


def _complaint(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:TEXT_SHOWN].strip() or "no reason given"
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or body)[:TEXT_SHOWN]

"""JSON over HTTP to a vector database: retried where that is safe, and refused in words that a user can act on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from groundtune.errors import ConfigError, StorageError

if TYPE_CHECKING:
    import httpx

# Every request here can be sent twice without harm: rows are put, changed and deleted by key.
ATTEMPTS, PAUSE = 5, 0.2


class Http:
    """A client of one address. ``place`` names it in messages."""

    def __init__(self, url: str, place: str, headers: Mapping[str, str], timeout: float) -> None:
        import httpx

        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"index.url is {url!r}: not an address", 'write it as: url = "https://host"')
        self._place = place
        self._client = httpx.Client(base_url=url.rstrip("/"), headers=dict(headers), timeout=timeout)

    def send(self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None, missing: bool = False) -> Any:
        """Send and return the response. A 404 is returned where ``missing`` allows it; raises ``StorageError`` for what stays refused."""
        import httpx

        trouble: Exception | str = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                response = self._client.request(method, path, json=body, params=dict(params or {}))
            except httpx.TransportError as error:
                trouble = error
                continue
            if response.status_code in (429, 500, 502, 503, 504):
                trouble = _said(response)
                continue
            if response.status_code in (401, 403):
                raise StorageError(
                    f"{self._place} refuses the key: {_said(response)}", "see that the variable of index.key_env holds a valid one"
                )
            if response.status_code >= 400 and not (missing and response.status_code == 404):
                raise StorageError(f"{self._place} refuses: {_said(response)}", "see the server's log, then type: groundtune index verify")
            return response
        raise StorageError(f"{self._place} cannot be reached: {trouble}", "see that the server runs, then issue the same command again")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _said(response: httpx.Response) -> str:
    return f"{response.status_code} {' '.join(response.text.split())[:300]}"

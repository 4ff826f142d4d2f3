"""Vectors that were computed before, by embedder and text; so that a run that is broken off embeds nothing twice."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.errors import StorageError
from groundtune.files import storing
from groundtune.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from groundtune.models.embed import Embed

VECTORS = "embeddings.sqlite"  # beside the index
BATCH = 256  # texts that are lost at most when a run is killed


class EmbeddingCache:
    """An SQLite file of vectors. Rows are committed batch by batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS vectors (embedder TEXT, text TEXT, vector BLOB, PRIMARY KEY (embedder, text))")
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{path} cannot be used: {error}", f"it is only a cache; remove it (rm {path}), then type: groundtune ingest"
            ) from error

    def vectors(self, texts: Sequence[str], embed: Embed, progress: Progress) -> np.ndarray:
        """Return the vectors of the texts, (n, d) float32, computing those that are not known; the longest first."""
        import numpy as np

        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
        known = self._known(set(keys), embed.fingerprint)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        # Texts of like length together: what a batch is padded to is what it costs.
        order = sorted(missing, key=lambda key: (-len(missing[key]), key))
        if order:
            with progress.start("embed", total=len(order), unit="chunks") as task:
                for begin in range(0, len(order), BATCH):
                    part = order[begin : begin + BATCH]
                    made = np.asarray(embed.documents([missing[key] for key in part]), dtype=np.float32)
                    self._keep(embed.fingerprint, dict(zip(part, made, strict=True)))
                    known.update(zip(part, made, strict=True))
                    task.advance(len(part))
        if not keys:
            return np.zeros((0, embed.dimensions), dtype=np.float32)
        return np.stack([known[key] for key in keys])

    def _known(self, keys: set[str], embedder: str) -> dict[str, np.ndarray]:
        import numpy as np

        found = {}
        ordered = sorted(keys)
        for begin in range(0, len(ordered), 500):
            part = ordered[begin : begin + 500]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT text, vector FROM vectors WHERE embedder = ? AND text IN ({marks})", (embedder, *part))  # noqa: S608
            found.update({text: np.frombuffer(blob, dtype=np.float32) for text, blob in rows})
        return found

    def _keep(self, embedder: str, rows: dict[str, np.ndarray]) -> None:
        try:
            with self._db:
                self._db.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", [(embedder, key, vector.tobytes()) for key, vector in rows.items()]
                )
        except sqlite3.OperationalError as error:
            raise StorageError(f"{self.path} cannot be written: {error}", f"free some space, then see: df -h {self.path.parent}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

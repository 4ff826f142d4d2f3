"""Named arrays in one file that is mapped into memory, and never changes once it has its name.

    b"GTARRAY1" | bytes of the header, 8 | header: JSON | … | array | … | array        each array begins at a multiple of 64

The header says of each array its type, its shape and where it begins, and holds what else belongs to the file. A file is written beside its
place, flushed to disk and renamed, so it is whole or not there. What is read is checked against the file's size before it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import StaleIndex
from groundtune.files import storing

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"GTARRAY1"
ALIGNED = 64
TYPES = frozenset(["uint8", "uint16", "uint32", "uint64", "int32", "int64", "float32"])
MEND = "type: groundtune ingest --rebuild"


def write(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> str:
    """Write the file, and return its SHA-256. Raises ``StorageError`` where it cannot be written."""
    import numpy as np

    places: dict[str, Any] = {}
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    offset = 0
    for name, array in kept.items():
        if array.dtype.name not in TYPES:
            raise ValueError(f"the array {name!r} is of {array.dtype.name}; expected one of {sorted(TYPES)}")
        places[name] = {"type": array.dtype.name, "shape": list(array.shape), "at": offset}
        offset += -(-array.nbytes // ALIGNED) * ALIGNED
    header = json.dumps({"meta": dict(meta), "arrays": places}).encode()
    header += b" " * (-(len(header) + 16) % ALIGNED)
    hashed = hashlib.sha256()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                for part in (MAGIC, len(header).to_bytes(8, "little"), header):
                    hashed.update(part)
                    stream.write(part)
                for array in kept.values():
                    raw = array.reshape(-1).view("uint8").data
                    hashed.update(raw)
                    stream.write(raw)
                    padding = b"\0" * (-array.nbytes % ALIGNED)
                    hashed.update(padding)
                    stream.write(padding)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return hashed.hexdigest()


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what belongs to the file, and its arrays, which read from the disk as they are used. Raises ``StaleIndex``."""
    import numpy as np

    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < 16:
                raise ValueError(f"{size} bytes")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if mapped[:8] != MAGIC:
            raise ValueError("it does not begin as such a file does")
        begin = 16 + int.from_bytes(mapped[8:16], "little")
        if begin > size:
            raise ValueError("it ends within its header")
        header = json.loads(mapped[16:begin])
        found: dict[str, np.ndarray] = {}
        for name, place in header["arrays"].items():
            shape = tuple(place["shape"])
            if place["type"] not in TYPES or not all(isinstance(side, int) and side >= 0 for side in (*shape, place["at"])):
                raise ValueError(f"the array {name!r} is not described as one")
            count = math.prod(shape)
            if begin + place["at"] + count * np.dtype(place["type"]).itemsize > size:
                raise ValueError(f"it ends within the array {name!r}")
            found[name] = np.frombuffer(mapped, place["type"], count, begin + place["at"]).reshape(shape)
        return dict(header["meta"]), found
    except FileNotFoundError:
        raise StaleIndex(f"{path} is missing: the index cannot be searched without it", MEND) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StaleIndex(f"{path}: not a file of the index: {error}", MEND) from None

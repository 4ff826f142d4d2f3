"""The files in the folder of a tuned version, by name: what writes one and what reads one take the names from here.

.groundtune/models/hybrid-3f2a9c1e/   version.json   adapter_model.safetensors (full tuning: model.safetensors)   rows.jsonl   …
"""

from __future__ import annotations

RECORD = "version.json"  # written last: without it the version does not count
ADAPTER = "adapter_model.safetensors"
WHOLE = "model.safetensors"
ROWS = "rows.jsonl"  # what it was trained on

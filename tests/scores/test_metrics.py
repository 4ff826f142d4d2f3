"""The table of metrics is light enough for ``check`` to read."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["scores.metrics", "decisions.decide", "decisions.record"])
def test_reading_the_table_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, groundtune.{module}; print([name for name in ('numpy', 'sacrebleu', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

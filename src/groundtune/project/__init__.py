"""One folder, one object, one method per verb. The only folder of the package that knows all the others."""

from __future__ import annotations

from pathlib import Path

from groundtune.progress import Progress
from groundtune.project.main import Project as Project


def open(folder: str | Path = ".", *, progress: Progress | None = None) -> Project:
    """Open the project in ``folder``, the one that holds groundtune.toml. Raises ``ConfigError``, or ``Problems`` for several."""
    return Project(Path(folder), progress=progress)

"""Groundtune: measure RAG against fine-tuning on your own documents, decide, and ship the winner.

The public names are loaded on first use, so that ``import groundtune`` costs nothing.

    import groundtune as gt

    project = gt.open("support-bot")
    project.ingest()
    answer = project.ask("How long is the warranty?", arm="rag", asker="ana")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundtune.errors import GroundtuneError as GroundtuneError
    from groundtune.project import Project as Project
    from groundtune.project import open as open
    from groundtune.types import Answer as Answer
    from groundtune.types import Arm as Arm
    from groundtune.types import Chunk as Chunk
    from groundtune.types import Decision as Decision
    from groundtune.types import Document as Document
    from groundtune.types import Estimate as Estimate
    from groundtune.types import Example as Example
    from groundtune.types import ModelVersion as ModelVersion
    from groundtune.types import Passage as Passage
    from groundtune.types import Principal as Principal
    from groundtune.types import Release as Release
    from groundtune.types import Run as Run
    from groundtune.types import Score as Score

_HOME = {
    "open": "project",
    "Project": "project",
    "GroundtuneError": "errors",
    **dict.fromkeys(
        (
            "Answer",
            "Arm",
            "Chunk",
            "Decision",
            "Document",
            "Estimate",
            "Example",
            "ModelVersion",
            "Passage",
            "Principal",
            "Release",
            "Run",
            "Score",
        ),
        "types",
    ),
}

__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'groundtune' has no attribute {name!r}")
    value = getattr(import_module(f"groundtune.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

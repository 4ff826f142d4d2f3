"""``import lancedb``, less what nobody here asks of it: half of the time that a process needs before it can search.

    lancedb → lance_namespace → lance_namespace_urllib3_client    a client of a server's HTTP interface, of which only the models are named

The client's package is there from then on as one that loads itself the first time that somebody takes anything from it, and the models
build their validators when they are first used (``defer_build`` of Pydantic). Both are what they were to whoever uses them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from threading import Lock
from types import ModuleType
from typing import Any

CLIENT = "lance_namespace_urllib3_client"
_ONE = Lock()


class _Late(ModuleType):
    """A package of which the modules can be imported, and that is itself loaded when one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        """Load the package, then look again. Called only for what is not there."""
        spec = self.__spec__
        if (name.startswith("__") and name != "__version__") or not isinstance(spec, ModuleSpec) or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


def lancedb() -> Any:
    """Return the package ``lancedb``. Raises ``ModuleNotFoundError``."""
    if "lancedb" not in sys.modules:
        with _ONE:
            _prepared()
    return import_module("lancedb")


def _prepared() -> None:
    from pydantic import BaseModel

    spec = None if CLIENT in sys.modules else find_spec(CLIENT)
    if spec is not None:
        package = module_from_spec(spec)
        package.__class__ = _Late
        sys.modules[CLIENT] = package
    usual = BaseModel.model_config
    BaseModel.model_config = {**usual, "defer_build": True}
    try:
        import_module("lancedb")
    finally:
        BaseModel.model_config = usual

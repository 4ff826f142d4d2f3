"""Base + adapter → one model with ordinary weights, and its files. A version of full tuning is such a model already.

W' = W + (alpha / rank) · B·A        added up in float32, so that little of a small update is lost to rounding
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groundtune.errors import MissingExtra, OtherBase, StateError, StorageError
from groundtune.files import fingerprint, storing
from groundtune.types import ModelVersion


def require_base(version: ModelVersion, chat: Mapping[str, Any], found: str | None = None) -> None:
    """Raise ``OtherBase`` where the version was made for another base model, or another number format of it, than ``chat`` names.

    ``found`` is the base's fingerprint where it is known; without it the base's files are hashed.
    """
    if chat.get("use", "local") != "local":
        raise StateError(
            f"{version.id} is made for local weights; [chat] names the plug-in {chat.get('use')!r}",
            'set use = "local" in [chat], then type: groundtune models list',
        )
    found = found or base_of(chat)
    if version.base != found:
        raise OtherBase(
            f"{version.id} was made for the base {version.base_name or 'model'} with fingerprint {version.base}; [chat] names"
            f" {chat.get('model')} ({chat.get('dtype')}), whose fingerprint is {found}",
            "name the base that it was made for in [chat], or type: groundtune tune",
        )


def base_of(chat: Mapping[str, Any]) -> str:
    """Return the fingerprint of the base model that ``chat`` names, as adapters are stamped with it; nothing is loaded."""
    with _told():
        from groundtune.models.local.load import EMBEDDED, choose_dtype, resolve

    _, source = resolve(str(chat.get("model") or EMBEDDED))
    return fingerprint(source, str(choose_dtype(str(chat.get("dtype") or "auto"))))


def adapted(chat: Mapping[str, Any], adapter: Path, dtype: str) -> tuple[Any, Any]:
    """Return the tuned model as serving has it, and the base's tokenizer: the base with the adapter switched on, or the whole model.

    Raises ``WeightsError``, and ``OtherTemplate`` where it was tuned under another chat template.
    """
    with _told():
        from transformers import AutoModelForCausalLM

        from groundtune.models.local.adapters import attach, is_whole, require_template
        from groundtune.models.local.load import choose_dtype, load_base, load_tokenizer, read_model

    if is_whole(adapter):
        tokenizer = load_tokenizer(chat)
        require_template(adapter, tokenizer)
        return read_model(adapter, AutoModelForCausalLM, choose_dtype(dtype)), tokenizer
    model, tokenizer, _ = load_base({**chat, "dtype": dtype})
    require_template(adapter, tokenizer)
    wrapped = attach(model, None, adapter, "version")
    wrapped.set_adapter("version")
    return wrapped, tokenizer


def merged(wrapped: Any) -> Any:
    """Return the plain model that answers as the wrapped one does; the wrapper is of no use afterwards."""
    if not hasattr(wrapped, "merge_and_unload"):
        return wrapped
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return wrapped.merge_and_unload().eval()


@contextmanager
def untuned(wrapped: Any, chat: Mapping[str, Any], dtype: str) -> Iterator[Any]:
    """Yield the base of what ``adapted`` returned: the same weights with the adapter off, or for a whole model the base itself."""
    if hasattr(wrapped, "disable_adapter"):
        with wrapped.disable_adapter():
            yield wrapped
        return
    from groundtune.models.local.load import load_base

    yield load_base({**chat, "dtype": dtype})[0]


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn a full disk into a ``StorageError`` also where the writer of safetensors words it in its own way."""
    from safetensors import SafetensorError

    try:
        with storing(path):
            yield
    except SafetensorError as error:
        if "os error 27)" in str(error):
            raise StorageError(f"{path} is larger than a file may be here", f"write to another disk; see: df -hT {path.parent}") from error
        if "os error 28)" in str(error) or "os error 122)" in str(error):
            raise StorageError(f"no space left while writing {path}", f"free some space, then see: df -h {path.parent}") from error
        raise StorageError(f"{path} could not be written ({error})", f"see: df -h {path.parent}") from error
    except OSError as error:
        # numpy counts what was written and keeps the system's reason to itself.
        if error.errno is not None:
            raise
        raise StorageError(f"{path} could not be written whole ({error})", f"free some space, then see: df -h {path.parent}") from error


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model and its tokenizer as safetensors and JSON. Raises ``StorageError``."""
    with saving(folder):
        model.save_pretrained(str(folder), safe_serialization=True)
        tokenizer.save_pretrained(str(folder))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "torch", "local") from error

"""Adapter folders → named adapters on one base model. One that does not fit leaves the base as it was.

A folder with a whole model (full tuning) holds ``model.safetensors`` in the adapter's place; both have their record, ``version.json``.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from groundtune.errors import MissingExtra, OtherTemplate, WeightsError
from groundtune.models.local.template import template_hash
from groundtune.models.tuned import ADAPTER, RECORD, WHOLE


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a whole model in place of an adapter."""
    return not (folder / ADAPTER).is_file() and (folder / WHOLE).is_file()


def require_template(folder: Path, tokenizer: Any) -> None:
    """Raise ``OtherTemplate`` where the version in ``folder`` was tuned under another chat template than the tokenizer has now.

    A folder without a record (a run that goes on, an export) says nothing of templates. Raises ``WeightsError`` for a record that is none.
    """
    path = folder / RECORD
    if not path.is_file():
        return
    try:
        wanted = json.loads(path.read_text(encoding="utf-8"))["version"].get("template_hash", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path}: is not a version's record ({error})", "type: groundtune models list") from error
    found = template_hash(tokenizer)
    # Versions of before templates were recorded have none.
    if wanted and wanted != found:
        raise OtherTemplate(
            f"{folder}: was tuned under the chat template {wanted}, and the base's tokenizer now has {found}: its prompts would be others",
            "restore the base's tokenizer files, or type: groundtune tune",
        )


def attach(model: Any, peft: Any, folder: Path, name: str) -> Any:
    """Load the adapter in ``folder`` as ``name`` and return the PEFT wrapper around ``model``; ``peft`` is the wrapper so far, or ``None``.

    Raises ``WeightsError`` when it was made for another model or is damaged. An adapter that was loaded by halves would answer with
    random weights, so every one of its parameters must come from the file.
    """
    try:
        from peft import PeftConfig, PeftModel, load_peft_weights, set_peft_model_state_dict
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "peft", "local") from error
    if peft is not None and name in peft.peft_config:
        return peft
    before = peft
    try:
        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        # Read before anything is changed, so that a damaged file changes nothing. Never the pickled form, which may lie beside it.
        held = load_peft_weights(str(folder), device="cpu", use_safetensors=True)
        with warnings.catch_warnings():
            # PEFT asks transformers for an attribute by its old name; nobody who reads this warning could do anything about it.
            warnings.simplefilter("ignore", FutureWarning)
            if peft is None:
                peft = PeftModel(model, config, adapter_name=name)
            else:
                peft.add_adapter(name, config)
        loaded = set_peft_model_state_dict(peft, held, adapter_name=name)
        missing = [key for key in loaded.missing_keys if f".{name}." in key or key.endswith(f".{name}")]
        if missing or loaded.unexpected_keys:
            strange = (missing or loaded.unexpected_keys)[0]
            raise ValueError(f"{len(missing)} weights missing, {len(loaded.unexpected_keys)} unknown, such as {strange}")
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        _undo(before, peft, name)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise WeightsError(f"{folder}: is no adapter for this model ({reason})", "type: groundtune tune") from error
    peft.eval()
    return peft


def _undo(before: Any, peft: Any, name: str) -> None:
    if peft is None:
        return
    if before is None:
        peft.unload()
    elif name in peft.peft_config:
        peft.delete_adapter(name)

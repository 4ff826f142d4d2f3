"""A version → a folder that other programs serve: written beside its place, read back, held against the adapter, then renamed.

    models export closed-3f2a9c1e --as gguf --to out/   →  out/model.gguf  Modelfile  SERVE.md  export.json

What answers otherwise than the adapter is refused and removed. ``export.json`` is written last: a folder without it is no export.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from groundtune.errors import ExportRefused, HalfWritten, InputError, StorageError, WeightsError
from groundtune.files import file_sha256, fingerprint, storing, write_atomic, write_json
from groundtune.models.tuned import ADAPTER as WEIGHTS
from groundtune.registry import gguf, merge, parity, serve, shelf
from groundtune.tuning import said
from groundtune.types import ModelVersion

Form = Literal["merged", "gguf", "adapter"]
FORMS: tuple[Form, ...] = ("merged", "gguf", "adapter")
RECORD = "export.json"
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written where. ``differences`` is not empty where the export was refused; nothing is at ``folder`` then."""

    folder: Path
    form: Form
    files: Mapping[str, str]
    commands: tuple[str, ...]
    prompts: int
    differences: tuple[parity.Difference, ...]


def export(
    version: ModelVersion,
    adapter: Path,
    *,
    chat: Mapping[str, Any],
    form: Form,
    target: Path,
    kind: str,
    instructions: str,
    readers: Sequence[str],
    record: Callable[[str], None],
) -> Exported:
    """Write an export to ``target``, which must not exist. ``record`` is told the fingerprint of the files right before they get there.

    ``kind`` is the number format: float32 or bfloat16 for ``merged``, f32, f16 or q8_0 for ``gguf``. Raises ``OtherBase``,
    ``ExportRefused``, ``StorageError`` or ``InputError``.
    """
    _check(form, kind, target)
    merge.require_base(version, chat)
    reference = "adapter (float32)" if (adapter / WEIGHTS).is_file() else "model (float32)"
    if form == "adapter" and not (adapter / WEIGHTS).is_file():
        raise ExportRefused(
            f"{version.id} was tuned in full: its weights are a whole model and no adapter",
            f"type: groundtune models export {version.id.removeprefix('model:')} --as merged --to FOLDER",
        )
    kept = said.kept(adapter)
    if kept is None or not kept["prompts"]:
        raise ExportRefused(
            f"{version.id} was tuned before its own words were kept, so an export cannot be held against them",
            f"tune it again: remove {adapter}, then type: groundtune tune {version.name}",
        )
    prompts, limit = kept["prompts"], int(kept["limit"])
    _tidy(target)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with storing(scratch):
            scratch.mkdir(parents=True)
        model, tokenizer = merge.adapted(chat, adapter, "float32")
        wanted = said.say(model, tokenizer, prompts, limit=limit)
        encoded = [said.encoded(tokenizer, prompt) for prompt in prompts]
        _room(model, scratch, form, kind)
        context = int(model.config.max_position_embeddings)
        if form == "adapter":
            _write_adapter(version, adapter, scratch)
            del model
            again, its_tokenizer = merge.adapted(chat, scratch, "float32")
        else:
            again, its_tokenizer = _write_merged(merge.merged(model), tokenizer, version, scratch, form, kind)
        if [said.encoded(its_tokenizer, prompt) for prompt in prompts] != encoded:
            raise ExportRefused(
                f"the {form} export reads prompts as other tokens than the version does; it was removed",
                "see the forms that can be written: groundtune models export --help",
            )
        found = parity.differences(
            f"{form} ({kind})",
            said.say(again, its_tokenizer, prompts, limit=limit),
            reference,
            wanted,
            tokenizer.decode,
            parity.margin_of(again, its_tokenizer, prompts, wanted),
        )
        commands = serve.commands_for(
            form,
            name=version.id.removeprefix("model:"),
            base=_base_shown(version, chat),
            rank=int(version.recipe.get("rank", 16)),
            dtype=kind if form == "merged" else "auto",
        )
        if found:
            return Exported(folder=target, form=form, files={}, commands=(), prompts=len(prompts), differences=tuple(found))
        if form != "merged":
            first = "FROM ./model.gguf" if form == "gguf" else f"FROM {_base_shown(version, chat)}\nADAPTER ."
            write_atomic(scratch / "Modelfile", serve.modelfile([first], context=context, chatml=serve.is_chatml(tokenizer)))
        weights = {path.name: file_sha256(path) for path in sorted(scratch.iterdir()) if path.is_file()}
        mark = fingerprint(weights)
        notes = _notes(version, form)
        write_atomic(scratch / "SERVE.md", serve.page(version, form, commands, notes=notes, readers=readers, fingerprint=mark))
        write_json(
            scratch / RECORD,
            {
                "schema": 1,
                "version": version,
                "form": form,
                "type": kind,
                "files": weights,
                "readers": sorted(readers),
                "instructions": instructions,
                "commands": commands,
                "parity": {"prompts": len(prompts), "tokens": limit, "differences": 0},
            },
        )
        record(mark)
        with storing(target):
            scratch.rename(target)
        return Exported(folder=target, form=form, files=weights, commands=tuple(commands), prompts=len(prompts), differences=())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def verify(folder: Path) -> dict[str, Any]:
    """Return the record of an export that is as it was written. Raises ``HalfWritten``, ``UnsafeWeights`` or ``StorageError``."""
    shelf.safe(folder)
    path = folder / RECORD
    if not path.is_file():
        raise HalfWritten(f"{folder}: holds no {RECORD}, so it is no whole export", "export it again: groundtune models export --help")
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, wanted in row["files"].items():
        found = file_sha256(folder / name) if (folder / name).is_file() else "no file"
        if found != wanted:
            raise StorageError(f"{folder / name}: sha256 {found[:16]}…, expected {wanted[:16]}…", "export it again, to another folder")
    return row


def _check(form: Form, kind: str, target: Path) -> None:
    known = {"merged": DTYPES, "gguf": gguf.TYPES, "adapter": ("float32",)}
    if kind not in known[form]:
        raise InputError(f"{form} is not written as {kind!r}; known: {', '.join(known[form])}", "see: groundtune models export --help")
    if target.exists():
        raise InputError(f"{target}: is there already, and an export overwrites nothing", "name a new folder with --to")


def _tidy(target: Path) -> None:
    """Remove what exports to the same place left when they were killed; one that is still running is left alone."""
    for path in target.parent.glob(f".{target.name}.*.tmp") if target.parent.is_dir() else ():
        number = path.name.removesuffix(".tmp").rpartition(".")[2]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _room(model: Any, scratch: Path, form: Form, kind: str) -> None:
    """Raise ``StorageError`` before anything large is written where the disk has no room for it."""
    numbers = sum(parameter.numel() for parameter in model.parameters())
    size = {"float32": 4.0, "f32": 4.0, "bfloat16": 2.0, "f16": 2.0, "q8_0": 34 / 32}[kind] * (numbers if form != "adapter" else 0)
    free = shutil.disk_usage(scratch).free
    if free < size * 1.05:
        raise StorageError(
            f"{scratch.parent}: {free / 1e9:.1f} GB are free, and the export takes about {size / 1e9:.1f} GB",
            f"free some space, then see: df -h {scratch.parent}",
        )


def _write_merged(plain: Any, tokenizer: Any, version: ModelVersion, scratch: Path, form: Form, kind: str) -> tuple[Any, Any]:
    """Write the merged model in its form, and return it and its tokenizer as they are read back from the files."""
    import torch

    if form == "gguf":
        from groundtune.models.local.convert import read_gguf

        path = scratch / "model.gguf"
        gguf.write(plain, tokenizer, path, kind=kind, name=version.id, licence=version.licence)
        try:
            return read_gguf(path)
        except WeightsError as error:
            raise ExportRefused(f"the GGUF file cannot be read back ({error.message}); it was removed", f"type: {gguf.MERGED}") from error
    from transformers import AutoModelForCausalLM

    from groundtune.models.local.load import load_tokenizer, read_model

    merge.save(plain.to(getattr(torch, kind)), tokenizer, scratch)
    # Computed in float32 whatever it is stored in, so that only what storing lost can differ.
    return read_model(scratch, AutoModelForCausalLM, torch.float32), load_tokenizer({"model": str(scratch)})


def _write_adapter(version: ModelVersion, adapter: Path, scratch: Path) -> None:
    """Copy the adapter, with the base's name in place of a path on this machine. Raises ``ExportRefused`` for one that vLLM cannot load."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    merged = "groundtune models export VERSION --as merged --to FOLDER"
    for key, plain in (("use_dora", False), ("modules_to_save", None), ("bias", "none"), ("rank_pattern", {}), ("alpha_pattern", {})):
        if config.get(key, plain) not in (plain, None):
            raise ExportRefused(f"{version.id}: adapters with {key} = {config[key]!r} are not loaded by vLLM and Ollama", f"type: {merged}")
    with storing(scratch):
        shutil.copyfile(adapter / WEIGHTS, scratch / WEIGHTS)
        if (adapter / "README.md").is_file():
            shutil.copyfile(adapter / "README.md", scratch / "README.md")
    write_json(scratch / "adapter_config.json", {**config, "base_model_name_or_path": version.base_name or None})


def _base_shown(version: ModelVersion, chat: Mapping[str, Any]) -> str:
    """Return how the base is named on a command line: its hub id, or a word that the reader replaces by a folder."""
    from groundtune.models import weights

    name = version.base_name or str(chat.get("model"))
    return "BASE" if name in weights.TABLE or Path(name).expanduser().exists() or name.startswith((".", "/", "~")) else name


def _notes(version: ModelVersion, form: Form) -> list[str]:
    if form == "adapter":
        return [
            f"BASE, where it stands above, is a folder or id of {version.base_name} with the weights {version.base}; an adapter on other"
            " weights answers nonsense without a word of warning.",
            "Ollama takes adapters for Llama, Mistral and Gemma families only.",
        ]
    if form == "gguf":
        return [
            "Held against the adapter by reading the file back with transformers, not by llama.cpp itself. Ask both a few questions"
            " before anybody relies on it."
        ]
    return [
        "`--dtype` is the format that the weights are stored in. In another one the model may part from what was measured at near ties."
    ]

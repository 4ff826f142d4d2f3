"""A GGUF file → a folder of safetensors and tokenizer that loads in a second, made once.

    converted(…/SmolLM2-135M-Instruct.Q4_1.gguf) → ~/.cache/groundtune/converted/SmolLM2-135M-Instruct.Q4_1-b179c952/
        model.safetensors (fp32)  config.json  tokenizer.json  chat_template.jinja  fingerprint.json

De-quantising takes up to a minute. The folder appears by one rename, complete or not at all; a second process waits for the first.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from groundtune.errors import MissingExtra, WeightsError
from groundtune.files import file_sha256, fingerprint, storing, write_json
from groundtune.models.weights import cache_folder

CONVERTER = 2
RECORD = "fingerprint.json"
# The metadata stands before the tensors; vocabularies make it a few megabytes.
HEADER_BYTES = 32 << 20


def converted(source: Path) -> tuple[Path, str]:
    """Return the converted folder and the fingerprint of its weights; convert first where that was not done.

    The fingerprint follows the source's bytes, so it is the same on every machine. Raises ``WeightsError`` when the source cannot be
    read as GGUF, and ``StorageError`` when the disk is full.
    """
    digest = file_sha256(source)
    home = cache_folder() / "converted"
    final = home / f"{source.stem}-{digest[:8]}-v{CONVERTER}"
    mark = fingerprint("gguf", digest, CONVERTER)
    if is_whole(final, digest):
        return final, mark
    with storing(home):
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(str(home / f".{final.name}.lock")):
            if not is_whole(final, digest):
                _convert(source, digest, final)
    return final, mark


def is_whole(folder: Path, digest: str) -> bool:
    """Whether ``folder`` was made from the source with this SHA-256 and every file in it is as it was written."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return False
    if record.get("source_sha256") != digest or record.get("converter") != CONVERTER:
        return False
    files: dict[str, str] = record.get("files", {})
    return bool(files) and all((folder / name).is_file() and file_sha256(folder / name) == wanted for name, wanted in files.items())


def _convert(source: Path, digest: str, final: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        model, tokenizer = read_gguf(source)
        model.save_pretrained(str(scratch), safe_serialization=True)
        tokenizer.save_pretrained(str(scratch))
        files = {path.name: file_sha256(path) for path in sorted(scratch.iterdir()) if path.is_file()}
        versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "gguf")}
        record = {"converter": CONVERTER, "source": source.name, "source_sha256": digest, "versions": versions, "files": files}
        write_json(scratch / RECORD, record)
        # Only a folder that failed its check can be in the way: the lock is held.
        shutil.rmtree(final, ignore_errors=True)
        scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read_gguf(source: Path) -> tuple[Any, Any]:
    """Return the model in float32 and the tokenizer of a GGUF file. Raises ``WeightsError``."""
    try:
        import gguf  # noqa: F401 - asked for here, so that what is missing is named
    except ModuleNotFoundError as error:
        raise MissingExtra.of("gguf", "local") from error
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name, "local_files_only": True}
    try:
        # A bar of its own on stderr would run into that of the verb.
        with contextlib.redirect_stderr(io.StringIO()):
            model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(**where)
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise WeightsError(
            f"{source}: cannot be read as a GGUF chat model ({error})", "name another model, then type: groundtune check"
        ) from error
    # What is left of the quantised form would make save_pretrained and PEFT treat plain fp32 weights as quantised.
    for holder, names in ((model, ("hf_quantizer", "quantization_method")), (model.config, ("quantization_config",))):
        for name in names:
            if hasattr(holder, name):
                delattr(holder, name)
    model.is_quantized = False
    if _text_field(source, b"tokenizer.ggml.pre") == "smollm":
        # The model was trained with every digit apart from what stands before it; the conversion forgets that, and "\n\n1" comes out as
        # other tokens than in training. See the model's tokenizer.json, and LLAMA_VOCAB_PRE_TYPE_SMOLLM in llama.cpp.
        apart = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(apart)
    return model, tokenizer


def _text_field(source: Path, key: bytes) -> str | None:
    """Return a text value of the GGUF header: key, type 8 (uint32), length (uint64), UTF-8. The gguf package takes seconds for it.

    Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    with source.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    place = head.find(struct.pack("<Q", len(key)) + key)
    if place < 0:
        return None
    kind, length = struct.unpack_from("<IQ", head, place + 8 + len(key))
    begin = place + 8 + len(key) + 12
    return head[begin : begin + length].decode("utf-8", "replace") if kind == 8 else None

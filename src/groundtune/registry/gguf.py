"""A merged model → one GGUF file, for llama.cpp and Ollama.

    model.layers.0.self_attn.q_proj.weight  →  blk.0.attn_q.weight     rows of each head in llama.cpp's order for rotary embeddings

The ``gguf`` package writes the file and knows the names of tensors; which fields an architecture needs stands here. Families that are
written: Llama (SmolLM and Mistral have its shape), Qwen2 and Qwen3, with byte-level BPE tokenizers. Anything else is refused: a file with
a field that is missing loads, and answers nonsense. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import ExportRefused, MissingExtra
from groundtune.registry.merge import saving

TYPES = ("f32", "f16", "q8_0")
MERGED = "export the merged model: groundtune models export VERSION --as merged --to FOLDER"
# model_type → architecture of llama.cpp, and whether the rows of q and k are put into its order.
FAMILIES: Mapping[str, tuple[str, bool]] = {
    "llama": ("LLAMA", True),
    "mistral": ("LLAMA", True),
    "qwen2": ("QWEN2", False),
    "qwen3": ("QWEN3", False),
}
# The expression by which a tokenizer cuts text → its name in llama.cpp (llama-vocab.cpp).
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CUTS = {
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _REST: "llama-bpe",
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _REST: "qwen2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A byte-level BPE tokenizer as GGUF holds it. ``kinds`` are 1 normal, 3 control, 4 added by hand, 5 unused."""

    cut: str
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]


def write(model: Any, tokenizer: Any, path: Path, *, kind: str, name: str, licence: str) -> None:
    """Write the file. Raises ``ExportRefused`` for a family, tokenizer or setting that is not known here, and ``StorageError``."""
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise MissingExtra.of("gguf", "local") from error
    config = model.config
    family, reorder = _family(config)
    vocabulary = vocabulary_of(tokenizer, int(config.vocab_size))
    arch = gguf.MODEL_ARCH[family]
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    with saving(path):
        writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
        try:
            _fields(writer, gguf, config, tokenizer, vocabulary, kind, name, licence)
            for key, weights in _tensors(model, config, reorder):
                told = names.get_name(key, try_suffixes=(".weight", ".bias"))
                if told is None:
                    raise ExportRefused(f"{key}: llama.cpp has no place for this tensor in {family}", MERGED)
                data, stored = _stored(gguf, weights, kind, key)
                writer.add_tensor(told, data, raw_dtype=stored)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()


def _family(config: Any) -> tuple[str, bool]:
    found = FAMILIES.get(config.model_type)
    if found is None:
        raise ExportRefused(f"GGUF is not written for {config.model_type!r}; known: {', '.join(FAMILIES)}", MERGED)
    rope = dict(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {})
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise ExportRefused(f"GGUF is not written for scaled rotary embeddings ({rope})", MERGED)
    for flag in ("attention_bias", "mlp_bias"):
        if found[1] and getattr(config, flag, False):
            raise ExportRefused(f"GGUF is not written for {config.model_type} with {flag}", MERGED)
    return found


def _fields(writer: Any, gguf: Any, config: Any, tokenizer: Any, vocabulary: Vocabulary, kind: str, name: str, licence: str) -> None:
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    rope = dict(getattr(config, "rope_parameters", None) or {})
    # Within its window, sliding attention is full attention; so the context ends there.
    slides = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    types = gguf.LlamaFileType
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    writer.add_file_type({"f32": types.ALL_F32, "f16": types.MOSTLY_F16, "q8_0": types.MOSTLY_Q8_0}[kind])
    writer.add_context_length(min(config.max_position_embeddings, slides or config.max_position_embeddings))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads or heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or getattr(config, "rope_theta", None) or 10_000.0))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.cut)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.kinds))
    writer.add_token_merges(list(vocabulary.merges))
    for token, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if token is not None:
            add(token)
    # Prompts are rendered whole by the chat template, its beginning included.
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _tensors(model: Any, config: Any, reorder: bool) -> Any:
    """Yield ``(name, float32 array)`` of every weight, those that are the same as another left out."""
    import torch

    for key, weights in model.state_dict().items():
        if key.endswith("rotary_emb.inv_freq") or (key == "lm_head.weight" and config.tie_word_embeddings):
            continue
        held = weights.detach().to(device="cpu", dtype=torch.float32).numpy()
        if reorder and key.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if key.endswith("q_proj.weight") else config.num_key_value_heads
            held = _in_pairs(held, heads)
        yield key, held


def _in_pairs(weights: Any, heads: int) -> Any:
    """Put the two halves of each head's rows beside each other, pair by pair, as llama.cpp rotates them."""
    half = weights.shape[0] // heads // 2
    return weights.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(weights.shape).copy()


def _stored(gguf: Any, weights: Any, kind: str, key: str) -> tuple[Any, Any]:
    import numpy as np

    types = gguf.GGMLQuantizationType
    # Norms and biases are small and steer everything after them: they stay exact.
    if kind == "f32" or weights.ndim == 1:
        return weights, types.F32
    if kind == "f16":
        with np.errstate(over="ignore"):
            narrow = weights.astype(np.float16)
        if not np.isfinite(narrow).all():
            raise ExportRefused(f"{key}: holds numbers that float16 cannot", "write it as f32: groundtune models export --type f32")
        return narrow, types.F16
    if weights.shape[-1] % 32:
        raise ExportRefused(f"{key}: rows of {weights.shape[-1]} numbers do not fill blocks of 32", "export it with --type f16")
    return gguf.quants.quantize(weights, types.Q8_0), types.Q8_0


def vocabulary_of(tokenizer: Any, size: int) -> Vocabulary:
    """Return a tokenizer's vocabulary, filled up to the model's ``size``. Raises ``ExportRefused`` for one that is not byte-level BPE."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    held = json.loads(backend.to_str()) if backend is not None else {}
    if held.get("model", {}).get("type") != "BPE":
        raise ExportRefused("GGUF is written for byte-level BPE tokenizers only", MERGED)
    cut = cut_of(held.get("pre_tokenizer"))
    if cut is None:
        raise ExportRefused("the tokenizer cuts text in a way that has no name in llama.cpp here", MERGED)
    added = {int(row["id"]): bool(row["special"]) for row in held.get("added_tokens", [])}
    by_id = {place: token for token, place in tokenizer.get_vocab().items()}
    if max(by_id) >= size:
        raise ExportRefused(f"the tokenizer has {max(by_id) + 1} tokens, and the model rows for {size}", MERGED)
    tokens = tuple(by_id.get(place, f"[UNUSED{place}]") for place in range(size))
    kinds = tuple(5 if place not in by_id else 1 if place not in added else 3 if added[place] else 4 for place in range(size))
    merges = tuple(item if isinstance(item, str) else " ".join(item) for item in held["model"]["merges"])
    return Vocabulary(cut=cut, tokens=tokens, kinds=kinds, merges=merges)


def cut_of(described: Mapping[str, Any] | None) -> str | None:
    """Return llama.cpp's name for how text is cut into words before BPE, or ``None`` for a way that is not known here."""
    steps = list(described.get("pretokenizers", [described])) if described else []
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    *before, last = steps
    regex = bool(last.get("use_regex", True))
    if not before:
        return "gpt-2" if regex else None
    if len(before) != 1:
        return None
    if before[0].get("type") == "Digits" and before[0].get("individual_digits") and regex:
        return "smollm"
    if before[0].get("type") == "Split" and not regex and before[0].get("behavior") == "Isolated":
        return CUTS.get(before[0].get("pattern", {}).get("Regex", ""))
    return None

"""Any encoder with safetensors as an embedder: mean of the last hidden states over real tokens, unit length.

    open({"model": "all-minilm-l6-v2"}).documents(["How long is the warranty?"]) → float32 (1, 384)

Mean pooling is what most sentence encoders were trained with; a folder whose ``1_Pooling/config.json`` asks for another is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from groundtune.errors import WeightsError
from groundtune.files import fingerprint
from groundtune.models.batches import by_length
from groundtune.models.embed import Vectors
from groundtune.models.local.load import CHECK, choose_dtype, read_model, resolve

MODEL = "all-minilm-l6-v2"


def open(settings: Mapping[str, Any]) -> LocalEmbed:
    """Open an encoder by ``model`` (embedded name, folder or hub id), ``dtype``, ``context`` (tokens) and ``batch`` (rows)."""
    return LocalEmbed(settings)


class LocalEmbed:
    """An encoder run by torch, on the GPU where there is one."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.name = str(settings.get("model") or MODEL)
        folder, source = resolve(self.name)
        _refuse_other_pooling(folder)
        dtype = choose_dtype(str(settings.get("dtype") or "auto"))
        self._model = read_model(folder, AutoModel, dtype)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(f"{folder}: holds no tokenizer", CHECK) from error
        self.dimensions = int(self._model.config.hidden_size)
        self.max_tokens = _most_tokens(folder, self._model.config, settings.get("context"))
        self._batch = int(settings.get("batch") or 32)
        self._prefixes = [str(settings.get(f"{kind}_prefix") or "") for kind in ("document", "query")]
        said = self._prefixes if any(self._prefixes) else []
        self.fingerprint = fingerprint("local-embed", source, str(dtype), self.max_tokens, "mean", 1, *said)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        if not texts:
            return []
        return [len(ids) for ids in self._tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return float32 unit vectors, shape (len(texts), dimensions). A text over ``max_tokens`` is cut there."""
        return self._batched([self._prefixes[0] + text for text in texts])

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, shape (dimensions,)."""
        vector: Vectors = self._batched([self._prefixes[1] + text])[0]
        return vector

    def _batched(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for batch in by_length(self.count(texts), self._batch):
            vectors[batch] = self._embed([texts[index] for index in batch])
        return vectors

    @torch.inference_mode()
    def _embed(self, texts: list[str]) -> Vectors:
        encoded = self._tokenizer(texts, truncation=True, max_length=self.max_tokens, padding=True, return_tensors="pt").to(
            self._model.device
        )
        hidden = self._model(**encoded).last_hidden_state.float()
        weight = encoded["attention_mask"][:, :, None].float()
        mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        unit: Vectors = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return unit


def _most_tokens(folder: Path, config: Any, asked: Any) -> int:
    limits = [int(getattr(config, "max_position_embeddings", None) or 512)]
    trained = folder / "sentence_bert_config.json"
    if trained.is_file():
        named = json.loads(trained.read_text(encoding="utf-8")).get("max_seq_length")
        limits += [int(named)] if named else []
    limits += [int(asked)] if asked else []
    return min(limits)


def _refuse_other_pooling(folder: Path) -> None:
    path = folder / "1_Pooling" / "config.json"
    if path.is_file() and not json.loads(path.read_text(encoding="utf-8")).get("pooling_mode_mean_tokens", True):
        raise WeightsError(f"{path}: asks for another pooling than the mean, which is the one there is", CHECK)

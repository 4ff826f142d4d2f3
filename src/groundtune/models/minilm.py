"""The default embedder: all-MiniLM-L6-v2 as one int8 ONNX file, run by onnxruntime; no torch.

    documents(["How long is the warranty?"]) → float32 (1, 384), unit length: mean of the last hidden states over real tokens

Model: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), trained on texts of up to 256 word pieces.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from groundtune.files import fingerprint
from groundtune.models import weights
from groundtune.models.batches import by_length
from groundtune.models.embed import Vectors

MODEL = "all-minilm-l6-v2"
MAX_TOKENS = 256


def open(settings: Mapping[str, Any]) -> MiniLM:
    """Open the embedder; ``batch`` is how many texts are embedded at once."""
    return MiniLM(batch=int(settings.get("batch") or 32))


class MiniLM:
    """all-MiniLM-L6-v2, int8. Tokenizer and weights are checked against their pinned digests before they are read."""

    def __init__(self, *, batch: int = 32, threads: int | None = None) -> None:
        tokens = weights.locate(MODEL, "model/tokenizer.json") / "model" / "tokenizer.json"
        model = weights.locate(f"{MODEL}-int8") / "model.onnx"
        self._tokenizer = Tokenizer.from_file(str(tokens))
        # The file asks for 128 tokens, padded to 128; the model was trained on 256, and padding is this module's own affair.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._batch = batch
        self.name = MODEL
        self.dimensions = int(self._session.get_outputs()[0].shape[-1])
        self.max_tokens = MAX_TOKENS
        pinned = weights.TABLE[f"{MODEL}-int8"].files, weights.TABLE[MODEL].files["model/tokenizer.json"]
        self.fingerprint = fingerprint("minilm", pinned, MAX_TOKENS, "mean", "unit", 1)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many word pieces each text has, the two special ones included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, shape (len(texts), 384). A text over 256 word pieces is cut there, its end mark kept."""
        rows = [_cut(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        vectors = np.zeros((len(rows), self.dimensions), dtype=np.float32)
        for batch in by_length([len(row) for row in rows], self._batch):
            vectors[batch] = self._embed([rows[index] for index in batch])
        return vectors

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, shape (384,)."""
        vector: Vectors = self.documents([text])[0]
        return vector

    def _embed(self, rows: list[list[int]]) -> Vectors:
        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, feeds)[0], dtype=np.float32)
        weight = mask[:, :, None].astype(np.float32)
        mean = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        norms = np.linalg.norm(mean, axis=1, keepdims=True)
        unit: Vectors = (mean / np.maximum(norms, 1e-12)).astype(np.float32)
        return unit


def _cut(ids: list[int]) -> list[int]:
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _cores() -> int:
    counted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, counted or 1)

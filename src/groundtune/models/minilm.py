"""The default embedder: all-MiniLM-L6-v2 as one int8 ONNX file, run by onnxruntime; no torch.

    documents(["How long is the warranty?"]) → float32 (1, 384), unit length: mean of the last hidden states over the tokens

Texts are not batched but embedded side by side, one on each core: int8 activations are scaled by the largest value among all that runs
together, so in a batch a text's vector would depend on its company. So it is the text's alone, and nothing is padded.

Model: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), trained on texts of up to 256 word pieces.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from groundtune.files import fingerprint
from groundtune.models import weights
from groundtune.models.embed import Vectors

MODEL = "all-minilm-l6-v2"
MAX_TOKENS = 256


def open(settings: Mapping[str, Any]) -> MiniLM:
    """Open the embedder. There is nothing to set: one model, all cores."""
    del settings
    return MiniLM()


class MiniLM:
    """all-MiniLM-L6-v2, int8. Tokenizer and weights are checked against their pinned digests before they are read."""

    def __init__(self, *, threads: int | None = None) -> None:
        tokens = weights.locate(MODEL, "model/tokenizer.json") / "model" / "tokenizer.json"
        self._file = weights.locate(f"{MODEL}-int8") / "model.onnx"
        self._tokenizer = Tokenizer.from_file(str(tokens))
        # The file asks for 128 tokens, padded to 128; the model was trained on 256, and nothing is padded here.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.threads = threads or _cores()
        self._narrow = self._session(1)
        self.name = MODEL
        self.dimensions = int(self._narrow.get_outputs()[0].shape[-1])
        self.max_tokens = MAX_TOKENS
        pinned = weights.TABLE[f"{MODEL}-int8"].files, weights.TABLE[MODEL].files["model/tokenizer.json"]
        self.fingerprint = fingerprint("minilm", pinned, MAX_TOKENS, "mean", "unit", 2)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many word pieces each text has, the two special ones included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors, shape (len(texts), 384). A text over 256 word pieces is cut there, its end mark kept."""
        rows = [_cut(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        vectors = np.zeros((len(rows), self.dimensions), dtype=np.float32)
        # Longest first, so that no core is left with a long text at the end.
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        with ThreadPoolExecutor(self.threads) as pool:
            for index, vector in zip(order, pool.map(lambda index: _unit(self._narrow, rows[index]), order), strict=True):
                vectors[index] = vector
        return vectors

    def query(self, text: str) -> Vectors:
        """Return the unit vector of one question, shape (384,): the same as ``documents`` gives it, sooner."""
        return _unit(self._wide, _cut(self._tokenizer.encode(text).ids))

    def pieces(self, text: str) -> Vectors:
        """Return a unit vector for each word piece, shape (pieces, 384), without the two special ones."""
        hidden = _hidden(self._narrow, _cut(self._tokenizer.encode(text).ids))[1:-1]
        unit: Vectors = hidden / np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-12)
        return unit

    @cached_property
    def _wide(self) -> Any:
        """All cores on one text. The bits are those of one core: integer sums do not depend on their order."""
        return self._session(self.threads) if self.threads > 1 else self._narrow

    def _session(self, threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A thread that waits by spinning takes a core from the search that follows.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])


def _hidden(session: Any, ids: list[int]) -> Vectors:
    tokens = np.asarray([ids], dtype=np.int64)
    feeds = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
    states: Vectors = np.asarray(session.run(None, feeds)[0], dtype=np.float32)[0]
    return states


def _unit(session: Any, ids: list[int]) -> Vectors:
    mean = _hidden(session, ids).mean(axis=0)
    unit: Vectors = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return unit


def _cut(ids: list[int]) -> list[int]:
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _cores() -> int:
    counted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, counted or 1)

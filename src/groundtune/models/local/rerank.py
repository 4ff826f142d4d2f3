"""A cross-encoder on this machine: question and text read together → one score.

    open({"model": "org/some-reranker"}).scores("How long is a slot?", ["A slot lasts …", "Fees are …"]) → [4.1, -7.9]

Any sequence classifier with one output (the usual cross-encoders), or with two, whose second is taken to mean "relevant".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from groundtune.errors import WeightsError
from groundtune.files import fingerprint
from groundtune.models.batches import by_length
from groundtune.models.local.load import CHECK, choose_dtype, read_model, resolve

LONGEST = 512


def open(settings: Mapping[str, Any]) -> LocalRerank:
    """Open a cross-encoder by ``model`` (folder or hub id), ``dtype``, ``context`` (tokens of question and text) and ``batch`` (pairs)."""
    return LocalRerank(settings)


class LocalRerank:
    """A cross-encoder run by torch, on the GPU where there is one. A text that does not fit is cut at its end, never the question."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.name = str(settings.get("model") or "")
        if not self.name:
            raise WeightsError("rerank.model: missing; a cross-encoder has to be named", "name a folder or a hub id as rerank.model")
        folder, source = resolve(self.name)
        dtype = choose_dtype(str(settings.get("dtype") or "auto"))
        self._model = read_model(folder, AutoModelForSequenceClassification, dtype)
        outputs = int(self._model.config.num_labels)
        if outputs not in (1, 2):
            raise WeightsError(f"{folder}: gives {outputs} scores; a cross-encoder for ranking gives one or two", CHECK)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(f"{folder}: holds no tokenizer", CHECK) from error
        trained = int(getattr(self._model.config, "max_position_embeddings", None) or LONGEST)
        self._longest = min(int(settings.get("context") or trained), trained)
        self._batch = int(settings.get("batch") or 16)
        self.fingerprint = fingerprint("local-rerank", source, str(dtype), self._longest, 1)

    @torch.inference_mode()
    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the model's scores, unscaled. Raises ``WeightsError`` where one is not a number."""
        found = [0.0] * len(texts)
        for batch in by_length([len(text) for text in texts], self._batch):
            encoded = self._tokenizer(
                [question[: 4 * self._longest]] * len(batch),
                [texts[place] for place in batch],
                truncation="only_second" if self._fits(question) else "longest_first",
                max_length=self._longest,
                padding=True,
                return_tensors="pt",
            ).to(self._model.device)
            logits = self._model(**encoded).logits.float()[:, -1]
            if not bool(torch.isfinite(logits).all()):
                raise WeightsError(f"{self.name}: gave a score that is not a number", CHECK)
            for place, score in zip(batch, logits.tolist(), strict=True):
                found[place] = score
        return found

    def _fits(self, question: str) -> bool:
        tokens: Sequence[int] = self._tokenizer(question[: 4 * self._longest], verbose=False)["input_ids"]
        return len(tokens) < self._longest // 2

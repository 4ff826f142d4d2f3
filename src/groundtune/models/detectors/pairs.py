"""HHEM and MiniCheck: a (passage, claim) pair → the probability that the passage bears the claim out; the best passage counts.

Both are run by their published way of asking, from their weights alone: no code from a hub is executed.

- HHEM-2.1-Open (Vectara, https://huggingface.co/vectara/hallucination_evaluation_model): a T5 for token classification under the prefix
  ``t5.``, whose first token's second class is the score.
- MiniCheck (Tang, Laban and Durrett 2024, https://github.com/Liyan06/MiniCheck): a RoBERTa or DeBERTa classifier of two classes that reads
  the passage, the end mark and the claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import MissingExtra, WeightsError
from groundtune.files import fingerprint
from groundtune.models.detect import Claimed

HHEM, HHEM_BASE = "vectara/hallucination_evaluation_model", "google/flan-t5-base"
HHEM_PROMPT = "<pad> Determine if the hypothesis is true given the premise?\n\nPremise: {passage}\n\nHypothesis: {claim}"
MINICHECK = "lytang/MiniCheck-RoBERTa-Large"
MINICHECK_ROOM = {"roberta": (400, 512), "deberta-v2": (500, 2048)}  # tokens of a piece of a passage, and of all that is read
BATCH = 8
Scores = Callable[[list[tuple[str, str]]], list[float]]


def open_hhem(settings: Mapping[str, Any]) -> Pairs:
    """Open HHEM-2.1-Open from ``model``, a folder or a Hugging Face id. Raises ``MissingExtra`` or ``WeightsError``."""
    torch, transformers = _libraries()
    name = str(settings.get("model") or HHEM)
    state = _state(name)
    inner = {key.removeprefix("t5."): value for key, value in state.items() if key.startswith("t5.")}
    if not inner:
        raise WeightsError(f"{name}: holds no weights named t5.…, so it is not HHEM-2.1-Open", "correct scores.detector_model")
    base = name if (Path(name) / "tokenizer_config.json").is_file() else HHEM_BASE
    config = transformers.T5Config.from_pretrained(base, num_labels=2)
    model = transformers.T5ForTokenClassification(config)
    missing, odd = model.load_state_dict(inner, strict=False)
    # The two tables of T5's word vectors are one and the same.
    lost = [key for key in missing if "embed_tokens" not in key]
    if lost or odd:
        raise WeightsError(
            f"{name}: weights do not fit HHEM-2.1-Open; missing {lost[:3]}, unknown {odd[:3]}", "correct scores.detector_model"
        )
    if "transformer.shared.weight" in inner:
        model.transformer.shared.weight.data.copy_(inner["transformer.shared.weight"])
    model.eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)

    def scores(pairs: list[tuple[str, str]]) -> list[float]:
        texts = [HHEM_PROMPT.format(passage=passage, claim=claim) for passage, claim in pairs]
        with torch.inference_mode():
            logits = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits[:, 0, :]
        found: list[float] = torch.softmax(logits.float(), dim=-1)[:, 1].tolist()
        return found

    return Pairs(scores, tokenizer, room=4_000, identity=f"hhem:{_safe(name)}:{_digest(state)}")


def open_minicheck(settings: Mapping[str, Any]) -> Pairs:
    """Open a MiniCheck classifier from ``model``, a folder or a Hugging Face id. Raises ``MissingExtra`` or ``WeightsError``."""
    torch, transformers = _libraries()
    name = str(settings.get("model") or MINICHECK)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{name}: cannot be loaded: {_first(error)}", "name a folder or id as scores.detector_model") from error
    kind = model.config.model_type
    if kind not in MINICHECK_ROOM or model.config.num_labels != 2:
        raise WeightsError(
            f"{name}: is a {kind} of {model.config.num_labels} classes; MiniCheck's classifiers are {', '.join(MINICHECK_ROOM)} of 2",
            "correct scores.detector_model",
        )
    model.eval()
    room, most = MINICHECK_ROOM[kind]
    most = min(most, int(getattr(tokenizer, "model_max_length", most) or most))

    def scores(pairs: list[tuple[str, str]]) -> list[float]:
        texts = [f"{passage}{tokenizer.eos_token}{claim}" for passage, claim in pairs]
        with torch.inference_mode():
            logits = model(**tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=most)).logits
        found: list[float] = torch.softmax(logits.float(), dim=-1)[:, 1].tolist()
        return found

    return Pairs(scores, tokenizer, room=room, identity=f"minicheck:{_safe(name)}:{_digest(model.state_dict())}")


class Pairs:
    """A detector by pairs. Passages over ``room`` tokens are cut at sentences; a claim's value is the best over all pieces."""

    def __init__(self, scores: Scores, tokenizer: Any, *, room: int, identity: str) -> None:
        self._scores, self._tokenizer, self._room = scores, tokenizer, room
        self.identity = identity

    def support(self, claims: Sequence[Claimed]) -> list[float]:
        """Return the best value over the passages of each claim; 0 for one without passages."""
        pairs = [
            (number, piece, claim.text) for number, claim in enumerate(claims) for text in claim.passages for piece in self._pieces(text)
        ]
        values = [0.0] * len(claims)
        for start in range(0, len(pairs), BATCH):
            part = pairs[start : start + BATCH]
            for (number, _, _), value in zip(part, self._scores([(piece, claim) for _, piece, claim in part]), strict=True):
                values[number] = max(values[number], value)
        return values

    def _pieces(self, text: str) -> list[str]:
        pieces: list[str] = []
        held: list[str] = []
        used = 0
        for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
            size = len(self._tokenizer(sentence, add_special_tokens=False)["input_ids"])
            if held and used + size > self._room:
                pieces.append(" ".join(held))
                held, used = [], 0
            held.append(sentence)
            used += size
        return [*pieces, " ".join(held)] if any(held) else pieces


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "transformers", "local") from error
    return torch, transformers


def _state(name: str) -> dict[str, Any]:
    """Return the weights of a folder or a hub id: safetensors only."""
    from safetensors.torch import load_file

    path = Path(name) / "model.safetensors"
    if not path.is_file():
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            path = Path(hf_hub_download(name, "model.safetensors"))
        except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
            hint = "name a folder that holds model.safetensors as scores.detector_model"
            raise WeightsError(f"{name}: model.safetensors cannot be found: {_first(error)}", hint) from error
    loaded: dict[str, Any] = load_file(str(path))
    return loaded


def _digest(state: Mapping[str, Any]) -> str:
    """Return a fingerprint of weights by their names, shapes and sums: another training is another detector."""
    return fingerprint([(name, list(value.shape), f"{float(value.double().sum()):.6e}") for name, value in sorted(state.items())], length=8)


def _safe(name: str) -> str:
    return Path(name).name.replace("|", "_")


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""LettuceDetect: passages, question and claim → how surely each token has nothing that bears it out → 1 less the surest of them.

    predict(context=[…], question=…, answer="Free until 3 hours before.", output_format="tokens")
    → [{"token": "Free", "pred": 0, "prob": 0.01}, …, {"token": " 3", "pred": 1, "prob": 0.97}]  →  0.03

Its spans would say as much at the threshold of 0.5, but nothing below it: every claim without a span would be worth 1.

The package is the extra ``lettucedetect``; its model is downloaded by it, or read from a folder (https://github.com/KRLabsOrg/LettuceDetect).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import MissingExtra, ModelError, WeightsError
from groundtune.models.detect import Claimed

MODEL = "KRLabsOrg/lettucedect-base-modernbert-en-v1"


def open(settings: Mapping[str, Any]) -> Lettuce:
    """Open the detector of ``model``. Raises ``MissingExtra`` without the package, ``WeightsError`` without the model."""
    try:
        from importlib.metadata import version

        from lettucedetect.models.inference import HallucinationDetector
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "lettucedetect", "lettucedetect") from error
    name = str(settings.get("model") or MODEL)
    try:
        detector = HallucinationDetector(method="transformer", model_path=name)
    except (OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{name}: cannot be loaded: {first}", "name a folder or id as scores.detector_model") from error
    return Lettuce(detector, f"lettucedetect:{Path(name).name}:{version('lettucedetect')}")


class Lettuce:
    """The detector behind the protocol."""

    def __init__(self, detector: Any, identity: str) -> None:
        self._detector = detector
        self.identity = identity.replace("|", "_")

    def support(self, claims: Sequence[Claimed]) -> list[float]:
        """Return 1 less the probability of the surest unsupported token of each claim; 0 for a claim without passages."""
        values = []
        for claim in claims:
            if not claim.passages:
                values.append(0.0)
                continue
            tokens = self._detector.predict(
                context=list(claim.passages), question=claim.question or None, answer=claim.text, output_format="tokens"
            )
            try:
                surest = max((float(token["prob"]) for token in tokens), default=0.0)
            except (KeyError, TypeError, ValueError) as error:
                raise ModelError(
                    f"{self.identity} gave tokens that are none: {error!r}", "type: pip install 'groundtune[lettucedetect]'"
                ) from error
            values.append(1.0 - min(1.0, max(0.0, surest)))
        return values

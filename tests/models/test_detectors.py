"""The detectors behind HHEM and MiniCheck on made weights of their architectures, and likelihoods of a made language model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from made_model import make_chat_model

from groundtune.errors import MissingExtra, ModelError, WeightsError
from groundtune.models.detectors import lettuce, pairs
from groundtune.models.local.chat import LocalChat
from groundtune.models.local.likelihood import likelihoods
from groundtune.scores.support import Claim

CLAIMS = [
    Claim(
        text="The warranty lasts two years.",
        passages=("The warranty of a harbour crane lasts two years.", "Slots are booked a week ahead."),
    ),
    Claim(text="The warranty lasts two years.", passages=("The warranty of a harbour crane lasts two years.",)),
    Claim(text="Nothing to stand on.", passages=()),
]


def save_tokenizer(folder: Path) -> Any:
    make_chat_model(folder.parent / "words")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder.parent / "words")
    tokenizer.save_pretrained(str(folder))
    return tokenizer


@pytest.fixture(scope="module")
def hhem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5 for token classification, saved as HHEM is: all under ``t5.``."""
    import torch
    from safetensors.torch import save_file
    from transformers import T5Config, T5ForTokenClassification

    folder = tmp_path_factory.mktemp("hhem") / "model"
    tokenizer = save_tokenizer(folder)
    torch.manual_seed(1)
    config = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, num_labels=2)
    model = T5ForTokenClassification(config)
    config.save_pretrained(str(folder))
    state = {f"t5.{name}": value.clone().contiguous() for name, value in model.state_dict().items()}
    save_file(state, str(folder / "model.safetensors"))
    return folder


@pytest.fixture(scope="module")
def minicheck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random RoBERTa of two classes."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    folder = tmp_path_factory.mktemp("minicheck") / "model"
    tokenizer = save_tokenizer(folder)
    torch.manual_seed(1)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=600,
        num_labels=2,
        initializer_range=0.5,
    )
    RobertaForSequenceClassification(config).save_pretrained(str(folder))
    return folder


def held(detector: pairs.Pairs) -> None:
    both, one, none = detector.support(CLAIMS)
    assert 0 <= one <= both <= 1 and none == 0.0
    assert detector.support(CLAIMS) == [both, one, none] and "|" not in detector.identity
    long = Claim(text="It lasts.", passages=("The warranty lasts two years. " * 400,))
    assert len(detector._pieces(long.passages[0])) > 1 or detector._room > 2_000
    assert detector.support([]) == []


def test_hhem_is_read_from_its_weights_alone(hhem: Path) -> None:
    held(pairs.open_hhem({"model": str(hhem)}))


def test_minicheck_takes_the_best_piece_of_the_best_passage(minicheck: Path) -> None:
    detector = pairs.open_minicheck({"model": str(minicheck)})
    held(detector)
    each = [detector.support([Claim(text=CLAIMS[0].text, passages=(text,))])[0] for text in CLAIMS[0].passages]
    assert detector.support(CLAIMS[:1])[0] == pytest.approx(max(each), abs=1e-6)


def test_other_weights_are_refused(minicheck: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights named t5"):
        pairs.open_hhem({"model": str(minicheck)})
    make_chat_model(tmp_path / "llama")
    with pytest.raises(WeightsError, match="llama"):
        pairs.open_minicheck({"model": str(tmp_path / "llama")})
    with pytest.raises(WeightsError, match="cannot be loaded"):
        pairs.open_minicheck({"model": str(tmp_path / "nothing")})


def test_other_weights_are_another_detector(minicheck: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(minicheck)
    model.classifier.out_proj.bias.data += 1
    model.save_pretrained(str(tmp_path / "model"))
    AutoTokenizer.from_pretrained(minicheck).save_pretrained(str(tmp_path / "model"))
    one, other = (pairs.open_minicheck({"model": str(place)}).identity for place in (minicheck, tmp_path / "model"))
    assert one != other


def test_lettucedetect_needs_its_package() -> None:
    try:
        import lettucedetect  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtra, match="lettucedetect"):
            lettuce.open({})


class Tokens:
    """What LettuceDetect's own detector gives back, for two known answers."""

    def predict(self, *, context: list[str], question: str | None, answer: str, output_format: str) -> list[dict[str, Any]]:
        assert output_format == "tokens" and context
        likely = [0.1, 0.3] if "two" in answer else [0.9, 0.6]
        return [{"token": "x", "pred": int(value > 0.5), "prob": value} for value in likely]


def test_the_surest_unsupported_token_of_lettucedetect_counts() -> None:
    detector = lettuce.Lettuce(Tokens(), "lettucedetect:made:0")
    claims = [CLAIMS[0], Claim(text="Three years.", passages=("x",)), CLAIMS[2]]
    assert detector.support(claims) == [pytest.approx(0.7), pytest.approx(0.1), 0.0]


def test_what_is_no_token_is_an_error() -> None:
    class Spans:
        def predict(self, **_: Any) -> list[dict[str, Any]]:
            return [{"start": 0, "end": 3, "confidence": 0.9}]

    with pytest.raises(ModelError, match="gave tokens that are none"):
        lettuce.Lettuce(Spans(), "lettucedetect:made:0").support(CLAIMS[:1])


def test_lettucedetects_own_detector_is_asked_as_it_asks_to_be(tmp_path: Path) -> None:
    """The real package with random weights: values are probabilities, the same twice, and those of its own spans at one half."""
    pytest.importorskip("lettucedetect.models.inference")
    import torch
    from transformers import RobertaConfig, RobertaForTokenClassification

    folder = tmp_path / "model"
    tokenizer = save_tokenizer(folder)
    torch.manual_seed(2)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.5}
    config = RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=1200, num_labels=2, **shape)
    RobertaForTokenClassification(config).save_pretrained(str(folder))
    detector = lettuce.open({"model": str(folder)})
    first = detector.support(CLAIMS)
    assert first == detector.support(CLAIMS) and all(0 <= value <= 1 for value in first) and first[2] == 0.0
    for claim, value in zip(CLAIMS[:2], first, strict=False):
        spans = detector._detector.predict(context=list(claim.passages), question=None, answer=claim.text, output_format="spans")
        assert (value < 0.5) == bool(spans)
        if spans:
            assert value == pytest.approx(1 - max(span["confidence"] for span in spans), abs=1e-5)
    assert detector.identity.startswith("lettucedetect:model:")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> LocalChat:
    return LocalChat({"model": str(make_chat_model(tmp_path_factory.mktemp("lm") / "model")), "dtype": "float32"})


def test_likelihoods_are_those_of_the_model_one_by_one(chat: LocalChat) -> None:
    import torch

    told = [("How long?", "two years"), ("Who comes late waits. How long is the warranty of the crane?", "It lasts two years."), ("x", "")]
    found = likelihoods(chat, told)
    for (prompt, text), values in zip(told, found, strict=True):
        before, said = chat.encode([{"role": "user", "content": prompt}]), chat.encode_text(text)
        assert len(values) == len(said)
        if not said:
            continue
        with torch.inference_mode(), chat.base() as model:
            logits = torch.log_softmax(model(torch.tensor([before + said])).logits[0].float(), dim=-1)
        one_by_one = [float(logits[len(before) + place - 1, token]) for place, token in enumerate(said)]
        assert values == pytest.approx(one_by_one, abs=1e-3)
        assert all(value <= 0 and math.isfinite(value) for value in values)


def test_how_pairs_are_batched_changes_nothing(chat: LocalChat) -> None:
    told = [(f"Question {number} " + "on slots " * number, "two years") for number in range(6)]
    together, alone = likelihoods(chat, told), likelihoods(chat, told, tokens=1)
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_a_prompt_over_the_context_loses_its_beginning(chat: LocalChat) -> None:
    [values] = likelihoods(chat, [("crane " * 2_000, "two years")])
    assert values and all(math.isfinite(value) for value in values)

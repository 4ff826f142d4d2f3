from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.errors import WeightsError
from groundtune.models.local.rerank import open as open_rerank

WORDS = "how long is a slot at the gate lasts thirty minutes refunds take ten days".split()


def make_cross_encoder(folder: Path, *, labels: int = 1) -> Path:
    """Write a random BERT that reads pairs."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS)]))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=48,
        initializer_range=0.5,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("cross") / "one")


TEXTS = ["a slot lasts thirty minutes", "refunds take ten days", "", "gate " * 200]


def test_scores_are_the_models_own_whatever_the_batch(encoder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    asked = "how long is a slot"
    one = open_rerank({"model": str(encoder), "dtype": "float32", "batch": 1}).scores(asked, TEXTS)
    many = open_rerank({"model": str(encoder), "dtype": "float32", "batch": 4}).scores(asked, TEXTS)
    assert many == pytest.approx(one, abs=1e-5)
    assert len({round(score, 4) for score in one}) == len(TEXTS)
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModelForSequenceClassification.from_pretrained(encoder).eval()
    with torch.inference_mode():
        wanted = model(**tokenizer(asked, TEXTS[0], return_tensors="pt")).logits[0, 0]
    assert one[0] == pytest.approx(float(wanted), abs=1e-5)


def test_a_question_that_is_too_long_is_cut_and_nothing_is_an_error(encoder: Path) -> None:
    model = open_rerank({"model": str(encoder)})
    assert len(model.scores("how long " * 500, TEXTS)) == 4
    assert model.scores("how long", []) == []


def test_two_outputs_are_read_by_the_second_and_three_are_refused(tmp_path: Path) -> None:
    two = open_rerank({"model": str(make_cross_encoder(tmp_path / "two", labels=2)), "dtype": "float32"})
    assert len(two.scores("how long", TEXTS)) == 4
    with pytest.raises(WeightsError, match="gives 3 scores"):
        open_rerank({"model": str(make_cross_encoder(tmp_path / "three", labels=3))})


def test_a_missing_name_or_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"rerank\.model: missing"):
        open_rerank({"model": ""})
    with pytest.raises(WeightsError, match="no such model folder"):
        open_rerank({"model": str(tmp_path / "nowhere")})

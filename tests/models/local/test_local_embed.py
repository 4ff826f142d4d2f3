from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from groundtune.errors import WeightsError
from groundtune.models import weights
from groundtune.models.local.embed import LocalEmbed
from groundtune.models.minilm import MiniLM

TEXTS = ["How long is the warranty?", "The warranty lasts two years.", "", "tide " * 400, "Wer zu spät kommt, wartet auf die nächste Flut."]


@pytest.fixture(scope="module")
def embed() -> LocalEmbed:
    return LocalEmbed({"model": "all-minilm-l6-v2", "dtype": "float32", "batch": 2})


def test_vectors_are_the_mean_over_real_tokens(embed: LocalEmbed) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = str(weights.locate("all-minilm-l6-v2") / "model")
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = embed.documents(TEXTS)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=embed.max_tokens)).last_hidden_state[0]
        mean = hidden.mean(dim=0).numpy()
        assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_small_and_the_large_form_of_the_same_model_agree(embed: LocalEmbed) -> None:
    small = MiniLM(threads=1)
    assert small.dimensions == embed.dimensions
    # The int8 form is an approximation: same direction, not same bits. Longer texts are cut at different lengths.
    kept = [0, 1, 4]
    agreement = (small.documents(TEXTS) * embed.documents(TEXTS)).sum(axis=1)[kept]
    assert agreement.min() > 0.9
    assert [small.count(TEXTS)[index] for index in kept] == [embed.count(TEXTS)[index] for index in kept]


def test_another_pooling_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(weights.locate("all-minilm-l6-v2") / "model", folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}))
    with pytest.raises(WeightsError, match="another pooling"):
        LocalEmbed({"model": str(folder)})

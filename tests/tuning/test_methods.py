import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from made_families import FAMILIES, make_family
from made_training import RECIPE, asked, rows
from test_train import tuned

from groundtune.errors import MissingExtra, ModelError, StateError, WeightsError
from groundtune.models.chat import Request
from groundtune.models.local.chat import LocalChat
from groundtune.tuning import cost, methods
from groundtune.tuning.encode import encode

REQUESTS = [Request(messages=asked(number)) for number in (1, 3)]


def texts(folder: Path, adapter: Path | None = None) -> list[str]:
    chat = LocalChat({"model": str(folder), "dtype": "float32"})
    done = chat.complete(REQUESTS, limit=8, adapter=adapter)
    assert all(item.failure is None for item in done)
    return [item.text for item in done]


def test_every_family_is_tuned_reloaded_merged_and_answers(tiny: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    for family in FAMILIES:
        base = make_family(family, tiny, tmp_path / family / "base")
        tuned(base, tmp_path / family / "run", RECIPE.model_copy(update={"epochs": 3, "learning_rate": 5e-2}), count=6)
        best = tmp_path / family / "run/best"
        plain, changed = texts(base), texts(base, best)
        assert plain != changed, f"{family}: tuning changed nothing"
        model, tokenizer, _ = methods.load({"model": str(base), "dtype": "float32"}, RECIPE)
        merged = PeftModel.from_pretrained(model, str(best)).merge_and_unload()
        merged.save_pretrained(str(tmp_path / family / "merged"))
        tokenizer.save_pretrained(str(tmp_path / family / "merged"))
        assert texts(tmp_path / family / "merged") == changed, f"{family}: the merged model answers otherwise"


def test_the_target_layers_are_found_and_the_output_layer_is_none_of_them(tiny: Path, tmp_path: Path) -> None:
    model, _, _ = methods.load({"model": str(tiny)}, RECIPE)
    assert methods.linear_names(model) == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def test_a_model_without_linear_layers_says_what_to_set() -> None:
    class Convolutions(torch.nn.Module):
        def get_output_embeddings(self) -> None:
            return None

    with pytest.raises(StateError, match="no linear layers") as raised:
        methods.linear_names(Convolutions())
    assert 'method = "full"' in raised.value.hint


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
def test_only_the_last_layers_are_trained_where_the_recipe_says_so(tiny: Path, method: str) -> None:
    recipe = RECIPE.model_copy(update={"method": method, "layers": 1})
    model, _, _ = methods.load({"model": str(tiny), "dtype": "float32"}, recipe)
    model = methods.prepare(model, recipe)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trained and all(".layers.2." in name for name in trained)
    assert any("magnitude" in name for name in trained) is (method == "dora")
    shape, _, _ = cost.shape_of({"model": str(tiny)})
    counted = sum(value.numel() for value in model.parameters() if value.requires_grad)
    if method == "full":  # norms are not counted beforehand
        assert counted == pytest.approx(cost.trained_weights(shape, recipe), rel=0.01)
    else:
        assert counted == cost.trained_weights(shape, recipe)


@pytest.mark.parametrize("method", ["dora", "full"])
def test_other_methods_answer_by_what_they_learned(tiny: Path, tmp_path: Path, method: str) -> None:
    rate = 5e-2 if method == "dora" else 1e-2
    tuned(tiny, tmp_path / "run", RECIPE.model_copy(update={"method": method, "learning_rate": rate}))
    chat = LocalChat({"model": str(tiny), "dtype": "float32"})
    plain = [item.text for item in chat.complete(REQUESTS, limit=8)]
    changed = [item.text for item in chat.complete(REQUESTS, limit=8, adapter=tmp_path / "run/best")]
    assert plain != changed
    assert [item.text for item in chat.complete(REQUESTS, limit=8)] == plain
    assert [item.text for item in chat.complete(REQUESTS, limit=8, adapter=tmp_path / "run/best")] == changed


def test_full_tuning_keeps_its_weights_in_fp32_and_its_base_in_the_served_form(tiny: Path) -> None:
    chat = {"model": str(tiny), "dtype": "bfloat16"}
    served = LocalChat(chat)
    model, _, base = methods.load(chat, RECIPE.model_copy(update={"method": "full"}))
    assert base == served.fingerprint
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_a_whole_model_of_another_base_is_refused(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(vocab_size=64, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    AutoModelForCausalLM.from_config(config).save_pretrained(str(tmp_path))
    with pytest.raises(WeightsError, match="was tuned from another model"):
        LocalChat({"model": str(tiny)}).complete(REQUESTS, limit=2, adapter=tmp_path)


def test_an_adapter_for_another_base_is_refused(tiny: Path, tmp_path: Path) -> None:
    tuned(tiny, tmp_path / "run", count=4)
    other = make_family("qwen2", tiny, tmp_path / "other")
    with pytest.raises(WeightsError, match="is no adapter for this model"):
        LocalChat({"model": str(other)}).complete(REQUESTS, limit=2, adapter=tmp_path / "run/best")


def test_without_bitsandbytes_qlora_is_refused_and_never_becomes_lora(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPE.model_copy(update={"method": "qlora"})
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtra, match="bitsandbytes") as raised:
        methods.load({"model": str(tiny)}, recipe)
    assert "groundtune[qlora]" in raised.value.hint


def test_a_bitsandbytes_that_cannot_compute_here_names_the_setting(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("bitsandbytes")
    broken.__version__ = "0.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bitsandbytes", broken)
    with pytest.raises(ModelError, match='method = "qlora": bitsandbytes 0.0 cannot do this here') as raised:
        methods.load({"model": str(tiny)}, RECIPE.model_copy(update={"method": "qlora"}))
    assert 'method = "lora"' in raised.value.hint


def test_qlora_trains_on_four_bits_and_answers_on_the_base(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="pip install 'groundtune[qlora]'")
    recipe = RECIPE.model_copy(update={"method": "qlora", "learning_rate": 5e-2})
    model, _, base = methods.load({"model": str(tiny), "dtype": "float32"}, recipe)
    assert base == LocalChat({"model": str(tiny), "dtype": "float32"}).fingerprint
    kinds = {type(part).__name__ for part in model.modules()}
    assert "Linear4bit" in kinds
    tuned(tiny, tmp_path / "run", recipe)
    assert texts(tiny) != texts(tiny, tmp_path / "run/best")


def test_what_is_needed_is_counted_beforehand(tiny: Path) -> None:
    shape, _, tokenizer = cost.shape_of({"model": str(tiny)})
    model, _, _ = methods.load({"model": str(tiny)}, RECIPE)
    assert shape.parameters == sum(value.numel() for value in model.parameters())
    data = encode(rows(8), tokenizer, 500)
    plan = made_plan(shape, data)
    assert plan.steps == 8 and plan.tokens == 2 * sum(map(len, data))
    assert set(plan.memory) == {"in use now", "weights", "trained", "activations", "logits"}
    assert made_plan(shape, data, gradient_checkpointing=True).memory["activations"] < plan.memory["activations"]
    assert made_plan(shape, data, memory_tokens=64).bytes < made_plan(shape, data, batch=8, memory_tokens=4096).bytes
    assert made_plan(shape, data, method="qlora").memory["weights"] < plan.memory["weights"]
    assert made_plan(shape, data, method="full").memory["trained"] > plan.memory["trained"]
    assert made_plan(shape, data, method="full").seconds == pytest.approx(plan.seconds * 1.5)


def made_plan(shape: cost.Shape, data: Sequence[Any], **change: Any) -> cost.Plan:
    return cost.plan(shape, RECIPE.model_copy(update=change), data, seed=1, half=False, flops=1e9)


def test_a_run_that_does_not_fit_is_refused_with_the_setting_that_would_fit(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, _, tokenizer = cost.shape_of({"model": str(tiny)})
    data = encode(rows(8), tokenizer, 500)
    recipe = RECIPE.model_copy(update={"batch": 8, "memory_tokens": 2048})
    large = cost.plan(shape, recipe, data, seed=1, half=False, flops=1e9)

    def refused(free: int) -> str:
        monkeypatch.setattr(cost.memory, "free", lambda: (free, "in memory"))
        asked = cost.plan(shape, recipe, data, seed=1, half=False, flops=1e9)
        with pytest.raises(StateError, match="tuning reader needs about") as raised:
            cost.require_room("reader", asked, shape, recipe, data, seed=1, half=False)
        return raised.value.hint

    monkeypatch.setattr(cost.memory, "free", lambda: (large.more, "in memory"))
    cost.require_room("reader", large, shape, recipe, data, seed=1, half=False)
    assert refused(large.more - 1).startswith("set memory_tokens = 256 in [tuning.reader]")
    longest = made_plan(shape, data, batch=8, memory_tokens=max(map(len, data)))
    assert "gradient_checkpointing = true" in refused(longest.more - 1)
    assert "no setting makes it fit" in refused(1000)

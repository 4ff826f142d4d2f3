import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from made_families import make_family
from made_training import RECIPE, pairs, rated, rows

from groundtune.errors import StateError
from groundtune.tuning import losses, methods
from groundtune.tuning.batches import parts_of
from groundtune.tuning.encode import Encoded, EncodedPair, encode, encode_pairs, encode_rated

PLAIN = contextlib.nullcontext


def loaded(folder: Path, **change: Any) -> tuple[Any, Any]:
    """Return a model with LoRA layers that do something, and its tokenizer."""
    recipe = RECIPE.model_copy(update=change)
    model, tokenizer, _ = methods.load({"model": str(folder), "dtype": "float32"}, recipe)
    torch.manual_seed(5)
    model = methods.prepare(model, recipe)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return model, tokenizer


def gradient(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.allclose(left, right, rtol=1e-3, atol=1e-4 * float(left.abs().max()))


def alone(model: Any, row: Encoded) -> float:
    ids = torch.tensor([row.prompt + row.completion])
    labels = torch.tensor([(-100,) * len(row.prompt) + row.completion])
    return float(model(input_ids=ids, labels=labels).loss) * len(row.completion)


def test_the_loss_is_that_of_the_library_on_completions_alone(tiny: Path) -> None:
    model, tokenizer = loaded(tiny)
    encoded = encode(rows(3), tokenizer, 500)
    mine, carrying = losses.batch_loss(model, encoded, tokenizer.pad_token_id, PLAIN)
    assert carrying == sum(len(row.completion) for row in encoded)
    assert float(mine) == pytest.approx(sum(alone(model, row) for row in encoded), rel=1e-4)


def test_the_gradient_of_the_parts_is_that_of_the_whole(tiny: Path) -> None:
    model, tokenizer = loaded(tiny)
    encoded, pad = encode(rows(4), tokenizer, 500), tokenizer.pad_token_id
    whole = gradient(model, losses.batch_loss(model, encoded, pad, PLAIN)[0])
    parts = sum(gradient(model, losses.batch_loss(model, part, pad, PLAIN)[0]) for part in parts_of(encoded, max(map(len, encoded))))
    assert isinstance(parts, torch.Tensor) and close(whole, parts)


@pytest.mark.parametrize("family", ["llama", "mistral-sliding", "gemma2"])
def test_packed_rows_have_the_loss_and_the_gradient_of_rows_by_themselves(tiny: Path, tmp_path: Path, family: str) -> None:
    model, tokenizer = loaded(make_family(family, tiny, tmp_path))
    encoded = encode(rows(4), tokenizer, 500)
    losses.require_apart(model, encoded, PLAIN)
    packed, count = losses.packed_loss(model, encoded, PLAIN)
    assert count == sum(len(row.completion) for row in encoded)
    assert float(packed) == pytest.approx(sum(alone(model, row) for row in encoded), rel=1e-4)
    single = sum(gradient(model, losses.batch_loss(model, [row], 0, PLAIN)[0]) for row in encoded)
    assert isinstance(single, torch.Tensor) and close(single, gradient(model, packed))


def test_a_model_in_which_packed_rows_would_see_each_other_is_refused(tiny: Path) -> None:
    model, tokenizer = loaded(tiny)

    class Blind(torch.nn.Module):
        """A model that takes no notice of where a row begins."""

        def forward(self, **given: Any) -> Any:
            given["position_ids"] = torch.arange(given["input_ids"].shape[1])[None]
            return model(**given)

        def parameters(self, recurse: bool = True) -> Any:
            return model.parameters()

    with pytest.raises(StateError, match="a packed row sees the rows before it"):
        losses.require_apart(Blind(), encode(rows(2), tokenizer, 500), PLAIN)


def test_empty_and_full_masks_are_refused(tiny: Path) -> None:
    model, _ = loaded(tiny)
    for wrong in (Encoded(prompt=(), completion=(3, 4)), Encoded(prompt=(3, 4), completion=())):
        with pytest.raises(StateError, match="an empty or a full loss mask"):
            losses.batch_loss(model, [Encoded(prompt=(3,), completion=(4,)), wrong], 0, PLAIN)
        with pytest.raises(StateError, match="an empty or a full loss mask"):
            losses.packed_loss(model, [wrong], PLAIN)
    with pytest.raises(StateError, match="an empty or a full loss mask"):
        losses.batch_loss(model, [], 0, PLAIN)


# Made by TRL 1.16's own functions: see test_the_values_are_those_of_trl.
LOGPS, REFERENCE = [[-12.0, -3.5], [-15.5, -2.25]], [[-13.0, -3.0], [-14.0, -3.0]]
COUNTS = [[24, 5], [10, 3]]
DPO_VALUES, ODDS_VALUES = [0.575939, 0.757599], [0.161088, 0.645829]


def test_preference_losses_have_their_reference_values() -> None:
    logps, reference, counts = torch.tensor(LOGPS), torch.tensor(REFERENCE), torch.tensor(COUNTS)
    assert losses.dpo(logps, reference, 0.1).tolist() == pytest.approx(DPO_VALUES, abs=1e-5)
    assert losses.odds_ratio(logps, counts).tolist() == pytest.approx(ODDS_VALUES, abs=1e-5)


# Mean losses of one batch, made by TRL 1.16.0's own KTOTrainer._compute_loss: see test_the_values_of_kto_are_those_of_trl. Each case is
# log p of the replies, the same before, log p of the replies to other questions, the same before, desirable, β, weights, and the loss.
BEFORE_AND_AFTER = ([-12.0, -3.5, -7.0], [-13.0, -3.0, -9.0], [-40.0, -31.0, -22.0], [-41.0, -33.0, -22.5], [True, False, True])
KTO_CASES: list[Any] = [
    (*BEFORE_AND_AFTER, 0.1, (1.0, 1.0), 0.480592),
    (*BEFORE_AND_AFTER, 0.5, (1.0, 1.6), 0.467614),
    ([-15.5, -2.25], [-14.0, -3.0], [-40.0, -31.0], [-38.0, -30.0], [False, True], 0.3, (0.7, 1.0), 0.350075),
]


@pytest.mark.parametrize("case", KTO_CASES)
def test_kto_has_its_reference_values(case: Any) -> None:
    assert kto_of(case) == pytest.approx(case[-1], abs=1e-5)


def kto_of(case: Any) -> float:
    now, before, others, others_before, desirable, beta, weights, _ = case
    distance = max(0.0, float((torch.tensor(others) - torch.tensor(others_before)).mean()))
    losses_of = losses.kto(torch.tensor(now), torch.tensor(before), torch.tensor(desirable), distance, beta, weights)
    return float(losses_of.mean())


def test_kto_at_its_start_is_a_half_and_falls_as_good_replies_rise_and_bad_ones_sink() -> None:
    start, both = torch.tensor([-9.0, -9.0]), torch.tensor([True, False])
    assert losses.kto(start, start, both, 0.0, 0.1, (1.0, 1.0)).tolist() == pytest.approx([0.5, 0.5])
    better = losses.kto(torch.tensor([-8.0, -11.0]), start, both, 0.0, 0.1, (1.0, 1.0))
    assert bool((better < 0.5).all())


def test_a_rated_reply_stands_beside_the_reply_to_another_question(tiny: Path) -> None:
    _, tokenizer = loaded(tiny)
    encoded = encode_rated(rated(6), tokenizer, 500)
    replies = {item.own.completion for item in encoded}
    for item, row in zip(encoded, rated(6), strict=True):
        assert item.other.prompt == item.own.prompt and item.other.completion in replies - {item.own.completion}
        assert item.desirable is row.desirable and len(item) == len(item.own)
    fits = max(map(len, encoded))
    assert all(len(item.other) <= fits for item in encode_rated(rated(6), tokenizer, fits))
    one = rated(1)
    with pytest.raises(StateError, match="rating r0: no other question has another reply that fits in 500 tokens"):
        encode_rated(one, tokenizer, 500)
    assert len(encode_rated(one, tokenizer, 500, beside=rated(3))) == 1


def test_replies_are_weighed_by_the_tokens_of_the_reply_alone(tiny: Path) -> None:
    model, tokenizer = loaded(tiny)
    encoded = encode_pairs(pairs(3), tokenizer, 500)
    logps, counts = losses.reply_logps(model, encoded, tokenizer.pad_token_id, PLAIN)
    for number, pair in enumerate(encoded):
        for side, row in enumerate((pair.chosen, pair.rejected)):
            assert float(logps[side, number]) == pytest.approx(-alone(model, row), rel=1e-4)
            assert int(counts[side, number]) == len(row.completion)


def test_a_pair_of_equal_replies_is_refused(tiny: Path) -> None:
    _, tokenizer = loaded(tiny)
    [pair] = pairs(1)
    same = type(pair)(example_id="p", messages=pair.messages, chosen="yes", rejected="yes", document_ids=())
    with pytest.raises(StateError, match="preference p: chosen and rejected are the same"):
        encode_pairs([same], tokenizer, 500)
    assert isinstance(encode_pairs([pair], tokenizer, 500)[0], EncodedPair)


def test_rows_that_do_not_fit_are_refused(tiny: Path) -> None:
    _, tokenizer = loaded(tiny)
    with pytest.raises(StateError, match="example e0: .* tokens, but max_tokens is 5"):
        encode(rows(1), tokenizer, 5)
    with pytest.raises(StateError, match="example e0: .* tokens, but the model reads at most 9"):
        encode(rows(1), tokenizer, 500, 9)
    [row] = rows(1)
    with pytest.raises(StateError, match="its reply is empty"):
        encode([type(row)(example_id="e", messages=row.messages, completion="", document_ids=())], tokenizer, 500)

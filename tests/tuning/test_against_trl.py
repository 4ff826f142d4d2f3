"""The preference losses beside TRL's own, where it is installed (group trl): step for step through its trainer, and by its functions."""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from made_training import RECIPE, pairs, rated
from test_losses import COUNTS, DPO_VALUES, KTO_CASES, LOGPS, ODDS_VALUES, PLAIN, REFERENCE, kto_of

from groundtune.tuning import losses, methods
from groundtune.tuning.encode import Encoded, EncodedRating, encode_pairs, encode_rated

trl = pytest.importorskip("trl", reason="pip install --group trl")
STEPS, BETA, RATE = 4, 0.3, 5e-3


def fresh(tiny: Path) -> tuple[Any, Any]:
    model, tokenizer, _ = methods.load({"model": str(tiny), "dtype": "float32"}, RECIPE)
    torch.manual_seed(5)
    # The trainer learns all that the template writes after a reply; here nothing stands after the end of the turn.
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>\n", "<|im_end|>")
    return methods.prepare(model, RECIPE), tokenizer


def test_dpo_takes_the_steps_of_its_trainer(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    model, tokenizer = fresh(tiny)
    encoded = encode_pairs(pairs(4), tokenizer, 500)
    with torch.no_grad():
        reference = losses.reply_logps(model, encoded, tokenizer.pad_token_id, PLAIN)[0]
    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=RATE, weight_decay=0.0)
    ours = []
    for _ in range(STEPS):
        logps = losses.reply_logps(model, encoded, tokenizer.pad_token_id, PLAIN)[0]
        loss = losses.dpo(logps, reference, BETA).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ours.append(float(loss))

    model, tokenizer = fresh(tiny)
    rows = [
        {
            "prompt": list(pair.messages),
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
        }
        for pair in pairs(4)
    ]
    settings = trl.DPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=STEPS, learning_rate=RATE, lr_scheduler_type="constant",
        beta=BETA, max_grad_norm=1e9, weight_decay=0.0, logging_steps=1, report_to=[], use_cpu=True, bf16=False, save_strategy="no",
        disable_tqdm=True, gradient_checkpointing=False,
    )  # fmt: skip
    trainer = trl.DPOTrainer(model=model, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    theirs = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert ours == pytest.approx(theirs, abs=2e-3)
    assert ours[-1] < ours[0] - 0.05


def test_the_values_are_those_of_trl() -> None:
    from trl.experimental.orpo import ORPOTrainer

    logps, counts = torch.tensor(LOGPS), torch.tensor(COUNTS)
    frame = SimpleNamespace(beta=1.0, accelerator=SimpleNamespace(device="cpu"))
    mean = logps / counts
    theirs = -ORPOTrainer.odds_ratio_loss(frame, mean[0], mean[1])[0]
    assert losses.odds_ratio(logps, counts).tolist() == pytest.approx(theirs.tolist(), abs=1e-6)
    assert theirs.tolist() == pytest.approx(ODDS_VALUES, abs=1e-5)
    assert losses.dpo(logps, torch.tensor(REFERENCE), 0.1).tolist() == pytest.approx(DPO_VALUES, abs=1e-5)


@pytest.mark.parametrize("case", KTO_CASES)
def test_the_values_of_kto_are_those_of_trl(case: Any) -> None:
    from trl import KTOTrainer

    now, before, others, others_before, desirable, beta, weights, stored = case
    told = [torch.tensor(others)[:, None], torch.tensor(now)[:, None]]

    def model(**given: Any) -> Any:
        logps = told.pop(0)
        return SimpleNamespace(log_probs=logps, entropy=torch.zeros_like(logps), mean_logits=torch.zeros_like(logps))

    frame = SimpleNamespace(
        model=SimpleNamespace(training=True), accelerator=SimpleNamespace(device="cpu", gather_for_metrics=lambda value: value),
        precompute_ref_logps=True, calculate_KL=True, loss_type="kto", beta=beta, desirable_weight=weights[0],
        undesirable_weight=weights[1], aux_loss_enabled=False, _metrics={"train": defaultdict(list)}, _total_train_tokens=0, _tp_size=1,
    )  # fmt: skip
    frame._compute_kl_logps = lambda model, batch: KTOTrainer._compute_kl_logps(frame, model, batch)
    ids = torch.ones((len(now), 2), dtype=torch.long)
    batch = {"label": torch.tensor(desirable), "ref_logps": torch.tensor(before), "ref_KL_logps": torch.tensor(others_before)}
    for kind in ("", "KL_"):
        batch |= {f"{kind}input_ids": ids, f"{kind}attention_mask": ids, f"{kind}completion_mask": ids}
    theirs = float(KTOTrainer._compute_loss(frame, model, batch, False))
    assert kto_of(case) == pytest.approx(theirs, abs=1e-6)
    assert theirs == pytest.approx(stored, abs=1e-5)


def test_kto_takes_the_steps_of_its_trainer(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    weights = (1.0, 1.5)
    model, tokenizer = fresh(tiny)
    own = [item.own for item in encode_rated(rated(4), tokenizer, 500)]
    # The trainer puts each prompt beside the reply of the row before it.
    encoded = [
        EncodedRating(own=row, other=Encoded(prompt=row.prompt, completion=own[place - 1].completion), desirable=item.desirable)
        for place, (row, item) in enumerate(zip(own, rated(4), strict=True))
    ]
    desirable = torch.tensor([item.desirable for item in encoded])
    with torch.no_grad():
        reference = losses.reply_logps(model, encoded, tokenizer.pad_token_id, PLAIN)[0]
    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=RATE, weight_decay=0.0)
    ours = []
    for _ in range(STEPS):
        logps = losses.reply_logps(model, encoded, tokenizer.pad_token_id, PLAIN)[0]
        distance = max(0.0, float((logps[1] - reference[1]).mean().detach()))
        loss = losses.kto(logps[0], reference[0], desirable, distance, BETA, weights).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ours.append(float(loss.detach()))

    model, tokenizer = fresh(tiny)
    rows = [
        {"prompt": list(row.messages), "completion": [{"role": "assistant", "content": row.completion}], "label": row.desirable}
        for row in rated(4)
    ]
    settings = trl.KTOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=STEPS, learning_rate=RATE, lr_scheduler_type="constant",
        beta=BETA, max_grad_norm=1e9, weight_decay=0.0, logging_steps=1, report_to=[], use_cpu=True, bf16=False, save_strategy="no",
        disable_tqdm=True, gradient_checkpointing=False, train_sampling_strategy="sequential", desirable_weight=weights[0],
        undesirable_weight=weights[1],
    )  # fmt: skip
    trainer = trl.KTOTrainer(model=model, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    theirs = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert ours == pytest.approx(theirs, abs=2e-3)
    assert ours[-1] < ours[0] - 0.05

"""Encoded rows → what is minimised. Only completions carry loss, in every objective.

    sft    mean over the batch's completion tokens of  -log p(token | everything before it)
    dpo    mean over its pairs of  -log σ(β (Δ - Δ₀)),  Δ = log p(chosen) - log p(rejected), Δ₀ the same before the first step
           (Rafailov et al. 2023, arXiv:2305.18290, equation 7)
    orpo   sft on the chosen replies + β × mean over pairs of  -log σ(log odds(chosen) - log odds(rejected)),
           odds = p / (1 - p), p the geometric mean of a reply's token probabilities (Hong et al. 2024, arXiv:2403.07691, equations 5 to 7)
    kto    mean over its rated replies of  λ (1 - σ(±β (log p - log p₀ - z))),  + where desirable, - where not, λ the weight of its kind,
           z = max(0, mean over the batch of log p - log p₀ on replies to other questions), without a gradient
           (Ethayarajh et al. 2024, arXiv:2402.01306, section 4.1)

Rows are padded on the left, as in serving, so the completions of a batch line up at the end and logits are computed for those columns only:
of a vocabulary of 49,152 that is most of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from groundtune.errors import StateError
from groundtune.models.batches import shared_prefix
from groundtune.tuning.encode import Encoded, EncodedPair, EncodedRating

if TYPE_CHECKING:
    import torch

IGNORED = -100  # the label that torch's cross entropy leaves out
MASK_HINT = "see what is masked: groundtune tune --preview"


def batch_loss(model: Any, rows: Sequence[Encoded], pad: int, autocast: Any, *, share: bool = True) -> tuple[torch.Tensor, int]:
    """Return the summed loss over the completions of a batch, and how many tokens carry it."""
    losses = token_losses(model, rows, pad, autocast, share=share)
    return losses.sum(), sum(len(row.completion) for row in rows)


def token_losses(model: Any, rows: Sequence[Encoded], pad: int, autocast: Any, *, share: bool = True) -> torch.Tensor:
    """Return -log p of every completion token, shape (rows, longest completion), aligned to the right and 0 where there is none.

    What all prompts begin with (the instructions) is read once, and every row attends to it: the same loss and the same gradients for
    fewer tokens; ``share=False`` reads every row by itself. Raises ``StateError`` for a batch whose loss mask is empty or full.
    """
    import torch
    from transformers import DynamicCache

    from groundtune.models.local.cache import attends_fully

    require_mask(rows)
    prompts = [row.prompt for row in rows]
    shared = shared_prefix(prompts) if share and len(rows) > 1 and attends_fully(model.config) else 0
    width = max(len(row) for row in rows) - shared
    columns = max(len(row.completion) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), shared + width), dtype=torch.long)
    mask[:, :shared] = 1
    labels = torch.full((len(rows), columns), IGNORED, dtype=torch.long)
    for number, row in enumerate(rows):
        rest = len(row) - shared
        ids[number, width - rest :] = torch.tensor((row.prompt + row.completion)[shared:])
        mask[number, shared + width - rest :] = 1
        labels[number, columns - len(row.completion) :] = torch.tensor(row.completion)
    device = next(model.parameters()).device
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, shared:]
    with autocast():
        cache = None
        if shared:
            cache = DynamicCache(config=model.config)
            beginning = torch.tensor([prompts[0][:shared]], device=device)
            model(input_ids=beginning, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(len(rows))
        logits = model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            # A completion token is predicted one column before it stands.
            logits_to_keep=columns + 1,
            use_cache=cache is not None,
        ).logits[:, :-1]
    flat = logits.reshape(-1, logits.shape[-1]).float()
    loss = torch.nn.functional.cross_entropy(flat, labels.reshape(-1).to(device), ignore_index=IGNORED, reduction="none")
    return loss.reshape(len(rows), columns)


def packed_loss(model: Any, rows: Sequence[Encoded], autocast: Any) -> tuple[torch.Tensor, int]:
    """Return what ``batch_loss`` does for rows that stand one after the other in one sequence, without a pad between them.

    Positions begin at 0 with every row. Without a mask and without a cache, the library takes that as the border between rows that do not
    see each other; ``require_apart`` makes sure that this model does.
    """
    import torch

    require_mask(rows)
    device = next(model.parameters()).device
    ids = torch.tensor([[token for row in rows for token in row.prompt + row.completion]], device=device)
    positions = torch.tensor([[place for row in rows for place in range(len(row))]], device=device)
    predicted: list[int] = []
    labels: list[int] = []
    begin = 0
    for row in rows:
        first = begin + len(row.prompt)
        predicted += range(first - 1, first - 1 + len(row.completion))
        labels += row.completion
        begin += len(row)
    keep = torch.tensor(predicted, device=device)
    with autocast():
        logits = model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=keep).logits[0]
    loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor(labels, device=device), reduction="sum")
    return loss, len(labels)


def require_apart(model: Any, rows: Sequence[Encoded], autocast: Any) -> None:
    """Raise ``StateError`` unless packed rows are blind to each other here: another first row must not change the loss of the second."""
    import torch

    if len(rows) < 2:
        return
    first, second = sorted(rows, key=len)[:2]
    turned = Encoded(prompt=tuple(reversed(first.prompt)), completion=first.completion)
    with torch.inference_mode():
        alone, beside, other = (
            float(packed_loss(model, pack, autocast)[0]) - (float(packed_loss(model, pack[:1], autocast)[0]) if len(pack) > 1 else 0.0)
            for pack in ([second], [first, second], [turned, second])
        )
    # Sums in another order differ in the last bits; a row that sees its neighbour differs by far more.
    room = 2e-2 * abs(alone) if next(model.parameters()).dtype == torch.bfloat16 else 1e-3 * abs(alone)
    if abs(alone - beside) > room or abs(beside - other) > room:
        raise StateError(
            "packing: in this model a packed row sees the rows before it",
            "set packing = false in its [tuning.*] table, then type: groundtune tune",
        )


def require_mask(rows: Sequence[Encoded]) -> None:
    """Raise ``StateError`` where no token carries loss, or where all of a row's do: then nothing, or the prompt too, would be learned."""
    if not rows or any(not row.completion or not row.prompt for row in rows):
        raise StateError("a training batch has an empty or a full loss mask", MASK_HINT)


def reply_logps(
    model: Any, pairs: Sequence[EncodedPair] | Sequence[EncodedRating], pad: int, autocast: Any, *, share: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed log-probabilities of the replies, shape (2, pairs): chosen, then rejected; and how many tokens each has.

    Of rated replies: their own, then those of other rows.
    """
    import torch

    rows = [pair.two[0] for pair in pairs] + [pair.two[1] for pair in pairs]
    summed = -token_losses(model, rows, pad, autocast, share=share).sum(dim=1)
    counts = torch.tensor([len(row.completion) for row in rows], device=summed.device)
    return summed.reshape(2, -1), counts.reshape(2, -1)


def dpo(logps: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """Return the DPO loss of each pair from summed log-probabilities, each of shape (2, pairs): chosen, then rejected."""
    import torch

    return -torch.nn.functional.logsigmoid(beta * ((logps[0] - logps[1]) - (reference[0] - reference[1])))


def odds_ratio(logps: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return -log σ of the log odds ratio of each pair, from summed log-probabilities and token counts of shape (2, pairs)."""
    import torch

    mean = logps / counts
    # log(1 - p) from log p; where a reply is all but certain, p is kept a hair below 1.
    odds = mean - torch.log(-torch.expm1(mean.clamp(max=-1e-6)))
    return -torch.nn.functional.logsigmoid(odds[0] - odds[1])


def kto(
    logps: torch.Tensor, reference: torch.Tensor, desirable: torch.Tensor, distance: float, beta: float, weights: tuple[float, float]
) -> torch.Tensor:
    """Return the KTO loss of each reply from summed log-probabilities, all of shape (replies,); ``desirable`` is boolean.

    ``distance`` is z, in nats and not below 0; ``weights`` are those of desirable and of undesirable replies.
    """
    import torch

    signs = torch.where(desirable, 1.0, -1.0)
    scale = torch.where(desirable, weights[0], weights[1])
    return scale * (1 - torch.sigmoid(signs * beta * (logps - reference - distance)))

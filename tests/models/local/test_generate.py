from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_model import make_chat_model
from transformers import AutoModelForCausalLM

from groundtune.models.batches import shared_prefix
from groundtune.models.local import attention
from groundtune.models.local import generate as generation
from groundtune.models.local.cache import Prefixes, Reads, RoomyLayer, attends_fully, new_cache
from groundtune.models.local.generate import Row, _closed_up, generate

ENDS = frozenset({2})
LIMIT = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = make_chat_model(tmp_path_factory.mktemp("generate"))
    return AutoModelForCausalLM.from_pretrained(str(folder), attn_implementation="sdpa").eval()


@pytest.fixture(scope="module", params=["the library's attention", "shared beginnings read once"])
def attending(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = make_chat_model(tmp_path_factory.mktemp("attending"))
    model = AutoModelForCausalLM.from_pretrained(str(folder), attn_implementation="sdpa").eval()
    if request.param != "the library's attention":
        attention.install(model)
    return model


def alone(model: Any, prompt: list[int], ends: frozenset[int] = ENDS, limit: int = LIMIT) -> list[int]:
    """What the library's own generate says to one prompt, without its end mark."""
    ids = torch.tensor([prompt])
    said = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=limit, eos_token_id=sorted(ends), pad_token_id=2
    )
    tokens = said[0, len(prompt) :].tolist()
    return [token for token in tokens if token not in ends]


def together(model: Any, prompts: list[list[int]], ends: frozenset[int] = ENDS, limit: int = LIMIT, **kept: Any) -> list[Row]:
    rows = [Row(prompt=prompt) for prompt in prompts]
    generate(model, rows, limit=limit, ends=ends, pad=2, **kept)
    return rows


tokens = st.integers(min_value=3, max_value=380)


@settings(max_examples=15, deadline=None)
@given(
    prefix=st.lists(tokens, max_size=80),
    rests=st.lists(st.lists(tokens, min_size=1, max_size=20), min_size=1, max_size=6),
    residue=st.integers(min_value=0, max_value=8),
)
def test_a_row_says_in_a_batch_what_it_says_alone(
    attending: Any, model: Any, prefix: list[int], rests: list[list[int]], residue: int
) -> None:
    # Every ninth token ends a row, so that rows leave the batch at different steps.
    ends = frozenset(range(3 + residue, 387, 9))
    prompts = [prefix + rest for rest in rests]
    rows = together(attending, prompts, ends)
    assert [row.tokens for row in rows] == [alone(model, prompt, ends) for prompt in prompts]
    assert all(row.done and row.truncated == (len(row.tokens) == LIMIT) for row in rows)


def test_padding_that_neighbours_share_is_not_read(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "READ_TOKENS", 80)
    shared = [3 + number % 90 for number in range(70)]
    prompts = [[*shared, *range(100, 100 + own)] for own in (40, 38, 21, 20, 3, 1)]
    read: list[int] = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda **given: (read.append(given["input_ids"].numel()), forward(**given))[1])
    rows = together(model, prompts, limit=1)
    assert read == [70 // Prefixes.BLOCK * Prefixes.BLOCK, 70 % Prefixes.BLOCK, 2 * 40, 2 * 21, 2 * 3]
    monkeypatch.undo()
    assert [row.tokens for row in rows] == [alone(model, prompt, limit=1) for prompt in prompts]


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(1, 3), st.integers(1, 4)),
    lengths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    hidden=st.integers(0, 39),
    seed=st.integers(0, 1000),
)
def test_attention_in_two_parts_is_attention(shape: tuple[int, int, int], lengths: tuple[int, int], hidden: int, seed: int) -> None:
    (rows, groups, each), (shared, own) = shape, lengths
    draw = torch.Generator().manual_seed(seed)
    query = 3 * torch.randn(rows, groups * each, 1, 16, generator=draw)
    key, value = (torch.randn(rows, groups, shared + own, 16, generator=draw) for _ in range(2))
    key[:, :, :shared], value[:, :, :shared] = key[:1, :, :shared].clone(), value[:1, :, :shared].clone()
    mask = torch.ones(rows, 1, 1, shared + own, dtype=torch.bool)
    # The newest key is the token itself; anything between it and the shared beginning may be padding.
    mask[0, ..., shared : shared + min(hidden, own - 1)] = False
    module = torch.nn.Module()
    module.num_key_value_groups = each  # type: ignore[assignment]
    whole, _ = attention.attend(module, query, key, value, mask, scaling=0.25)
    with attention.sharing(shared):
        parted, _ = attention.attend(module, query, key, value, mask, scaling=0.25)
    assert whole.shape == parted.shape == (rows, 1, groups * each, 16)
    assert torch.allclose(whole, parted, atol=1e-5)


def test_rows_end_at_different_steps_and_only_then(model: Any) -> None:
    prompts = [[5, 9, 30 + number, 77] for number in range(6)]
    free = together(model, prompts, frozenset())
    ends = frozenset({free[0].tokens[3], free[1].tokens[8]})
    rows = together(model, prompts, ends)
    for row, unbound in zip(rows, free, strict=True):
        stop = next((place for place, token in enumerate(unbound.tokens) if token in ends), LIMIT)
        assert row.tokens == unbound.tokens[:stop]
        assert row.truncated == (stop == LIMIT)
    assert len({len(row.tokens) for row in rows}) > 1


def test_seconds_are_the_row_s_own_and_count_from_the_start(model: Any) -> None:
    ticks = iter(range(1000))
    prompts = [[5, 9, 30, 77], [5, 9, 31, 12, 44], [8, 8]]
    ends = frozenset({together(model, prompts, frozenset())[1].tokens[2]})
    rows = together(model, prompts, ends, clock=lambda: float(next(ticks)))
    # The clock is read once at the start and once at each step.
    assert [row.first for row in rows] == [1.0, 1.0, 1.0]
    assert [row.total for row in rows] == [float(min(len(row.tokens) + 1, LIMIT)) for row in rows]
    assert len({row.total for row in rows}) > 1


def test_a_prefix_that_is_remembered_changes_nothing(model: Any) -> None:
    shared = [3 + number % 90 for number in range(150)]
    prompts = [[*shared, 10, 11], [*shared, 200], [*shared, 50, 51, 52]]
    kept = Prefixes()
    fresh, first, second = (together(model, prompts, prefixes=held, label="base") for held in (None, kept, kept))
    assert kept.hits == 1
    assert [row.tokens for row in fresh] == [row.tokens for row in first] == [row.tokens for row in second]


def test_a_prefix_is_kept_apart_for_each_adapter_and_forgotten_when_too_much_is_held(model: Any) -> None:
    kept = Prefixes(most_tokens=3 * Prefixes.BLOCK)

    def read(label: str, first: int) -> None:
        kept.read(model, [first] * (2 * Prefixes.BLOCK), new_cache(model.config, 200), label)

    with torch.inference_mode():
        read("base", 5)
        read("adapter", 5)
        assert kept.hits == 0
        read("adapter", 5)
        assert kept.hits == 1
        read("base", 5)
        assert kept.hits == 1


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=5))
def test_shared_prefix_is_shared_and_longest_and_leaves_a_token(prompts: list[list[int]]) -> None:
    length = shared_prefix(prompts)
    assert all(len(prompt) > length for prompt in prompts)
    assert len({tuple(prompt[:length]) for prompt in prompts}) == 1
    longer_is_shared = len({tuple(prompt[: length + 1]) for prompt in prompts}) == 1
    assert not longer_is_shared or any(len(prompt) == length + 1 for prompt in prompts)


@given(st.lists(st.booleans(), max_size=12))
def test_gaps_are_closed_from_the_end(done: list[bool]) -> None:
    order = _closed_up(done)
    assert sorted(order) == [place for place, gone in enumerate(done) if not gone]
    assert all(source == place or done[place] for place, source in enumerate(order))


def test_a_layer_holds_what_it_was_given_and_moves_rows() -> None:
    layer = RoomyLayer(8)
    first, second = torch.randn(1, 2, 3, 4), torch.randn(3, 2, 1, 4)
    layer.update(first, -first)
    layer.batch_repeat_interleave(3)
    keys, values = layer.update(second, -second)
    assert torch.equal(keys, torch.cat([first.expand(3, -1, -1, -1), second], dim=2))
    assert torch.equal(values, -keys)
    wanted = keys[[0, 2]].clone()
    layer.batch_select_indices(torch.tensor([0, 2]))
    assert layer.get_seq_length() == 4
    keys, _ = layer.update(second[:2], second[:2])
    assert torch.equal(keys[:, :, :4], wanted)


def test_models_with_a_sliding_window_share_no_prefix() -> None:
    class Config:
        layer_types = ["full_attention", "sliding_attention"]

    class Mistral:
        sliding_window = 128

    class Qwen:
        sliding_window = 128
        use_sliding_window = False

    assert not attends_fully(Config())
    assert not attends_fully(Mistral())
    assert attends_fully(Qwen())


def test_a_model_with_a_sliding_window_answers_in_batches_as_alone(tmp_path: Path) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=420,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        sliding_window=8,
        max_position_embeddings=256,
        initializer_range=0.4,
    )
    mistral = MistralForCausalLM(config).eval()
    prompts = [[7, 7, 7, *range(10, 30)], [7, 7, 7, 90], [7, 7, 7, 41, 42, 43, 44, 45, 46, 47, 48, 49]]
    rows = together(mistral, prompts, limit=12)
    assert [row.tokens for row in rows] == [alone(mistral, prompt, limit=12) for prompt in prompts]


PROMPTS = [[*range(3, 90), *range(100, 100 + own)] for own in (40, 38, 21, 3)]


class Ticks:
    """A clock that a forward pass moves by ten seconds, and a look at it by nothing."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.read: list[int] = []
        forward = model.forward

        def timed(**given: Any) -> Any:
            self.now += 10.0
            self.read.append(given["input_ids"].numel())
            return forward(**given)

        monkeypatch.setattr(model, "forward", timed)

    def __call__(self) -> float:
        return self.now


def test_a_batch_that_was_read_is_not_read_again_and_says_and_costs_the_same(attending: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reads = Ticks(attending, monkeypatch), Reads(1 << 30)
    first = together(attending, PROMPTS, reads=reads, clock=clock)
    spent, passes = clock.now, len(clock.read)
    clock.read.clear()
    second = together(attending, PROMPTS, reads=reads, clock=clock)
    assert reads.hits == 1
    assert max(clock.read) <= len(PROMPTS), "only single tokens are read the second time"
    assert len(clock.read) < passes
    assert [(row.tokens, row.first, row.total) for row in second] == [(row.tokens, row.first, row.total) for row in first]
    assert max(row.total for row in second) == spent


@pytest.mark.parametrize(("label", "prompts"), [("tuned", PROMPTS), ("", PROMPTS[::-1]), ("", PROMPTS[1:])])
def test_other_weights_or_another_batch_are_read_anew(attending: Any, label: str, prompts: list[list[int]]) -> None:
    reads = Reads(1 << 30)
    together(attending, PROMPTS, reads=reads)
    rows = together(attending, prompts, reads=reads, label=label)
    assert reads.hits == 0
    assert [row.tokens for row in rows] == [row.tokens for row in together(attending, prompts)]


def test_room_is_made_for_the_arm_that_answers_now_and_its_first_batches_stay(model: Any) -> None:
    def batch(begin: int, first: int) -> list[list[int]]:
        return [[*range(begin, begin + 80), first + own] for own in range(3)]

    probe = Reads(1 << 30)
    together(model, batch(3, 200), reads=probe)
    size = next(iter(probe._held.values())).bytes
    reads = Reads(2 * size + size // 2)
    for prompts in (batch(3, 200), batch(100, 200), batch(100, 210), batch(100, 220)):
        together(model, prompts, reads=reads)
    assert sum(read.bytes for read in reads._held.values()) <= 2 * size + size // 2
    for prompts in (batch(100, 200), batch(100, 210), batch(100, 220), batch(3, 200)):
        together(model, prompts, reads=reads)
    assert reads.hits == 2
    nothing = Reads(0)
    together(model, batch(3, 200), reads=nothing)
    assert not nothing._held

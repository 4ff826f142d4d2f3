"""Keys and values of a batch: written in place into room made beforehand; prefixes and whole batches kept from one call to the next.

The library's own cache is copied whole for every token (half of the time of a step at 1,000 tokens × 16 rows). Here a token is written
where it belongs; a row that ends is overwritten by the last one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

KeysAndValues = tuple[torch.Tensor, torch.Tensor]
KeysValues = list[KeysAndValues]


def attends_fully(config: Any) -> bool:
    """Whether every layer attends to everything before it: only then may pads stand inside a sequence."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds == {"full_attention"} and not (getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True))


def new_cache(config: Any, room: int) -> Any:
    """Return an empty cache for up to ``room`` tokens a row; for models with other kinds of layers, the library's own."""
    if not attends_fully(config):
        return DynamicCache(config=config)
    return Cache(layers=[RoomyLayer(room) for _ in range(config.num_hidden_layers)])


def parts_of(cache: Any, rows: int, at_once: int) -> list[tuple[int, int, Any]]:
    """Return ``(begin, end, cache of these rows)`` for at most ``at_once`` rows each; the cache itself where it cannot be cut."""
    if at_once >= rows or not all(isinstance(layer, RoomyLayer) for layer in cache.layers):
        return [(0, rows, cache)]
    cuts = [(begin, min(begin + at_once, rows)) for begin in range(0, rows, at_once)]
    return [(begin, end, Cache(layers=[layer.part(rows, begin, end) for layer in cache.layers])) for begin, end in cuts]


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, shape (rows, heads, room, head size), of which the first ``held`` tokens are filled."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._held = 0
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None
        self._part_of: tuple[RoomyLayer, int, int, int] | None = None
        self.is_initialized: bool = False

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Make room, in the shape and dtype of the first tokens."""
        self.dtype, self.device = key_states.dtype, key_states.device
        if self._part_of is None:
            self._make(key_states, value_states, key_states.shape[0])
        else:
            whole, rows, begin, end = self._part_of
            if whole._buffers is None:
                whole.dtype, whole.device = self.dtype, self.device
                whole._make(key_states, value_states, rows)
                whole.is_initialized = True
            self._share(whole, begin, end)
        self.is_initialized = True

    def part(self, rows: int, begin: int, end: int) -> RoomyLayer:
        """Return the layer of rows ``begin`` to ``end`` of ``rows``, which writes into the room of this one."""
        layer = RoomyLayer(self._room)
        layer._part_of = (self, rows, begin, end)
        layer._held = self._held
        if self._buffers is not None:
            layer.dtype, layer.device, layer.is_initialized = self.dtype, self.device, True
            layer._share(self, begin, end)
        return layer

    def skip(self, tokens: int) -> None:
        """Hold zeros for tokens that are masked for every row. Only for a layer that is initialized."""
        assert self._buffers is not None  # noqa: S101
        for buffer in self._buffers:
            buffer[:, :, self._held : self._held + tokens] = 0
        self._held += tokens
        self.keys, self.values = self._filled()

    def advance(self, tokens: int) -> None:
        """Count the tokens that all parts have written."""
        self._held += tokens
        self.keys, self.values = self._filled()

    def _share(self, whole: RoomyLayer, begin: int, end: int) -> None:
        assert whole._buffers is not None  # noqa: S101
        self._buffers = whole._buffers[0][begin:end], whole._buffers[1][begin:end]
        self.keys, self.values = self._filled()

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Add tokens to every row; return all that is held."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        begin, self._held = self._held, self._held + key_states.shape[2]
        keys, values = self._filled()
        keys[:, :, begin:] = key_states
        values[:, :, begin:] = value_states
        self.keys, self.values = keys, values
        return keys, values

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Give each of ``repeats`` rows what the only row holds."""
        keys, values = self.keys, self.values
        self._make(keys, values, repeats)
        self.keys, self.values = self._filled()
        self.keys[:] = keys
        self.values[:] = values

    def refill(self, first: KeysAndValues, rest: KeysAndValues) -> None:
        """Hold again what all rows began with, one row of it, and what each of them went on with."""
        self.dtype, self.device, self.is_initialized = rest[0].dtype, rest[0].device, True
        self._make(*rest, rest[0].shape[0])
        shared = first[0].shape[2]
        self._held = shared + rest[0].shape[2]
        for buffer, begin, more in zip(self._filled(), first, rest, strict=True):
            buffer[:, :, :shared] = begin
            buffer[:, :, shared:] = more
        self.keys, self.values = self._filled()

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Let row ``i`` become what row ``indices[i]`` was; only rows that change place are copied."""
        sources = indices.tolist()
        moves = [(place, source) for place, source in enumerate(sources) if place != source]
        assert self._buffers is not None  # noqa: S101
        if moves:
            places, froms = (list(side) for side in zip(*moves, strict=True))
            for buffer in self._filled():
                buffer[places] = buffer[froms]
        keys, values = self._buffers
        self._buffers = keys[: len(sources)], values[: len(sources)]
        self.keys, self.values = self._filled()

    def _make(self, keys: torch.Tensor, values: torch.Tensor, rows: int) -> None:
        self._buffers = (
            keys.new_empty((rows, keys.shape[1], self._room, keys.shape[3])),
            values.new_empty((rows, values.shape[1], self._room, values.shape[3])),
        )

    def _filled(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._buffers is not None  # noqa: S101
        return self._buffers[0][:, :, : self._held], self._buffers[1][:, :, : self._held]


class Prefixes:
    """Keys and values of beginnings that batches have in common: instructions, shots, a whole corpus. The longest unused goes first.

    Beginnings are kept in whole blocks, as two batches rarely share the very last tokens. What is kept was computed in the very way it
    would be computed again, so a hit and a miss give the same bits.
    """

    BLOCK = 64

    def __init__(self, most_tokens: int = 12_288) -> None:
        self._most = most_tokens
        self._held: OrderedDict[tuple[str, tuple[int, ...]], KeysValues] = OrderedDict()
        self.hits = 0

    def read(self, model: Any, tokens: Sequence[int], cache: Any, label: str) -> None:
        """Fill an empty cache with one row of ``tokens``; ``label`` names the adapter that reads them."""
        whole = len(tokens) // self.BLOCK * self.BLOCK
        key = (label, tuple(tokens[:whole]))
        held = self._held.get(key)
        if held is not None:
            self.hits += 1
            self._held.move_to_end(key)
            for layer, (keys, values) in zip(cache.layers, held, strict=True):
                layer.update(keys, values)
        elif whole:
            _forward(model, tokens[:whole], 0, cache)
            self._keep(key, [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers])
        if whole < len(tokens):
            _forward(model, tokens[whole:], whole, cache)

    def _keep(self, key: tuple[str, tuple[int, ...]], what: KeysValues) -> None:
        self._held[key] = what
        while len(self._held) > 1 and sum(len(tokens) for _, tokens in self._held) > self._most:
            self._held.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A batch of prompts as a model read it: keys and values of the shared beginning and of the rest, and the logits after them."""

    beginning: tuple[str, tuple[int, ...]]
    first: KeysValues
    rest: KeysValues
    logits: torch.Tensor
    seconds: float

    @property
    def bytes(self) -> int:
        """The memory that it takes."""
        parts = [tensor for side in (self.first, self.rest) for pair in side for tensor in pair]
        return sum(tensor.numel() * tensor.element_size() for tensor in [*parts, self.logits])


class Reads:
    """Batches of prompts that were read, for arms that ask the very same in another way: with constrained decoding and without.

    What is kept is what would be computed again, bit by bit. Room is made by dropping batches with other beginnings, the longest unused
    first; between batches of one arm, those that came first stay, as the next arm asks for them in the same order.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held: OrderedDict[tuple[str, tuple[tuple[int, ...], ...]], Read] = OrderedDict()
        self.hits = 0

    def again(self, label: str, prompts: Sequence[Sequence[int]], cache: Any) -> Read | None:
        """Fill an empty cache as reading these prompts did before; ``None`` when they were not, or are no longer known."""
        key = _key(label, prompts)
        read = self._held.get(key)
        if read is None:
            return None
        self.hits += 1
        self._held.move_to_end(key)
        for layer, first, rest in zip(cache.layers, read.first, read.rest, strict=True):
            layer.refill(first, rest)
        return read

    def keep(self, label: str, prompts: Sequence[Sequence[int]], cache: Any, shared: int, logits: torch.Tensor, seconds: float) -> None:
        """Remember what the cache holds after the prompts, if it can be cut into beginning and rest, and there is room."""
        if not all(isinstance(layer, RoomyLayer) for layer in cache.layers):
            return
        beginning = (label, tuple(prompts[0][: shared // Prefixes.BLOCK * Prefixes.BLOCK]))
        # Views for now: what they take is known before anything is copied.
        layers = [(layer.keys, layer.values) for layer in cache.layers]
        first = [(keys[:1, :, :shared], values[:1, :, :shared]) for keys, values in layers]
        rest = [(keys[:, :, shared:], values[:, :, shared:]) for keys, values in layers]
        read = Read(beginning=beginning, first=first, rest=rest, logits=logits, seconds=seconds)
        if self._room(read.bytes, beginning):
            self._held[_key(label, prompts)] = replace(read, first=_copied(first), rest=_copied(rest), logits=logits.clone())

    def _room(self, wanted: int, beginning: tuple[str, tuple[int, ...]]) -> bool:
        """Return whether there is room for so many bytes, after dropping what no longer helps an arm with this beginning."""
        held = sum(read.bytes for read in self._held.values())
        own = sum(read.bytes for read in self._held.values() if read.beginning == beginning)
        if own + wanted > self._most:
            return False
        for key in [key for key, read in self._held.items() if read.beginning != beginning]:
            if held + wanted <= self._most:
                break
            held -= self._held.pop(key).bytes
        return True


def _copied(layers: KeysValues) -> KeysValues:
    return [(keys.clone(), values.clone()) for keys, values in layers]


def _key(label: str, prompts: Sequence[Sequence[int]]) -> tuple[str, tuple[tuple[int, ...], ...]]:
    return label, tuple(tuple(prompt) for prompt in prompts)


def _forward(model: Any, tokens: Sequence[int], begin: int, cache: Any) -> None:
    device = next(model.parameters()).device
    ids = torch.tensor([list(tokens)], device=device)
    positions = torch.arange(begin, begin + len(tokens), device=device)[None]
    mask = torch.ones((1, begin + len(tokens)), dtype=torch.long, device=device)
    model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)

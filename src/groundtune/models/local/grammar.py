"""A JSON schema → which tokens may come next, row by row, by llguidance.

The mask makes every finished text fit the schema. Where the grammar leaves one way on (``{"answer": "``), those tokens are taken
without asking the model. A mask alone does not finish a text: a model that loops inside a string writes until its limit and leaves broken
JSON. So a row that has just room enough to close what it opened is made to close it.

    {"quote": "2026-01-01 2026-01-01 2026-  →  {"quote": "2026-01-01 2026-01-01 2026-", "answer": "n", "label": "other"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from groundtune.errors import ConfigError, MissingExtra

# In this order: the end of a string, of an object, of an array, of a number among others.
CLOSERS = ('"', "}", "]", ",")
# Tokens that a choice of the model's own (a label) may take beyond the first one that the grammar allows.
SLACK = 12
# Longer closings are not looked for: such a schema is not one for a reply.
LONGEST_CLOSING = 400


class Stuck(Exception):
    """The grammar can go no further: a limit of its parser was hit, or a token came that it does not allow."""


class Grammar:
    """One JSON schema, compiled for one tokenizer; ``matcher()`` gives a fresh walk through it for each row."""

    def __init__(self, tokens: Any, schema: Mapping[str, Any]) -> None:
        from llguidance import LLMatcher

        self._tokens = tokens
        # The very spaces of json.dumps, as in the replies that adapters are trained on; a model left free to choose can fill the limit
        # with blanks.
        form = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        self._text = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=form)
        wrong = LLMatcher.validate_grammar(self._text, tokens)
        if wrong:
            raise ConfigError(
                f"the reply schema cannot constrain decoding: {wrong.splitlines()[0]}", "mend the schema, then type: groundtune check"
            )

    def matcher(self) -> Matcher:
        """Return a walk that stands at the beginning."""
        from llguidance import LLMatcher

        return Matcher(LLMatcher(self._tokens, self._text, log_level=0), self._closers, self._whole)

    @cached_property
    def _closers(self) -> tuple[int, ...]:
        ids = [self._tokens.tokenize_str(text) for text in CLOSERS]
        return tuple(found[0] for found in ids if len(found) == 1)

    @cached_property
    def _whole(self) -> int:
        """How many tokens the shortest text takes, about: where more are left, nobody has to ask."""
        from llguidance import LLMatcher

        words = (int(self._tokens.vocab_size) + 31) // 32
        return closing(LLMatcher(self._tokens, self._text, log_level=0), self._closers, words)


class Matcher:
    """Where one row stands in the grammar. ``closers`` are the tokens that end things, ``whole`` what the shortest text takes."""

    def __init__(self, walk: Any, closers: Sequence[int] = (), whole: int = 0) -> None:
        self._walk = walk
        self._closers = closers
        self._whole = whole
        self.closed_early = False

    def forced(self) -> list[int]:
        """Return the tokens that must come next and take them; empty where the model has a choice."""
        found: list[int] = self._walk.compute_ff_tokens()
        if found and not self._walk.consume_tokens(found):
            raise Stuck(self._walk.get_error() or "the grammar allows no further token")
        return found

    def take(self, token: int) -> None:
        """Go on by a token that the mask allowed."""
        if not self._walk.consume_token(token):
            raise Stuck(self._walk.get_error() or "the grammar allows no further token")

    def mask(self, row: torch.Tensor, left: int | None = None) -> None:
        """Write the allowed tokens as bits into ``row``, an int32 CPU tensor of ⌈vocabulary / 32⌉.

        ``left`` is how many tokens may still come; when they are just enough to close, only what closes is allowed.
        """
        _fill(self._walk, row)
        if left is None or not self._must_close(left, row.numel()):
            return
        closer = _closer(row, self._closers)
        if closer is not None:
            self.closed_early = True
            row.zero_()
            row[closer >> 5] = _bit(closer)

    def _must_close(self, left: int, words: int) -> bool:
        if self.closed_early:
            return True
        if left > self._whole + SLACK:
            return False
        return left <= closing(self._walk.deep_copy(), self._closers, words) + SLACK

    @property
    def finished(self) -> bool:
        """Whether nothing may follow but the end."""
        return bool(self._walk.is_stopped())


def closing(walk: Any, closers: Sequence[int], words: int) -> int:
    """Walk to the end the short way, and return how many tokens that took; ``LONGEST_CLOSING`` where no end came in sight.

    ``words`` is how many int32 a mask has.
    """
    taken = 0
    bits = torch.zeros(words, dtype=torch.int32)
    while taken < LONGEST_CLOSING and not walk.is_stopped():
        forced = walk.compute_ff_tokens()
        if not forced:
            _fill(walk, bits)
            closer = _closer(bits, closers)
            forced = [closer if closer is not None else _lowest(bits)]
        if forced == [-1] or not walk.consume_tokens(forced):
            return LONGEST_CLOSING
        taken += len(forced)
    return taken


def _fill(walk: Any, row: torch.Tensor) -> None:
    walk.unsafe_compute_mask_ptr(row.data_ptr(), row.numel() * row.element_size())


def _bit(token: int) -> int:
    """Return the bit of a token in its int32 word; the highest one is the sign."""
    return -(1 << 31) if token & 31 == 31 else 1 << (token & 31)


def _closer(row: torch.Tensor, closers: Sequence[int]) -> int | None:
    return next((token for token in closers if int(row[token >> 5]) & _bit(token)), None)


def _lowest(row: torch.Tensor) -> int:
    """Return the lowest allowed token, or -1."""
    words = row.nonzero()
    if not len(words):
        return -1
    word = int(words[0])
    held = int(row[word]) & 0xFFFFFFFF
    return word * 32 + (held & -held).bit_length() - 1


def token_table(tokenizer: Any, vocabulary: int, ends: list[int]) -> Any:
    """Return llguidance's own form of a tokenizer; it takes seconds, so keep it. Raises ``MissingExtra``."""
    try:
        from llguidance import hf
    except ModuleNotFoundError as error:
        raise MissingExtra.of("llguidance", "local") from error
    return hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=ends)


def forbid(logits: torch.Tensor, bits: torch.Tensor) -> None:
    """Set the logits (rows, vocabulary) of tokens whose bit is 0 to minus infinity, in place."""
    shifts = torch.arange(32, dtype=torch.int32, device=bits.device)
    allowed = ((bits[:, :, None] >> shifts) & 1).bool().flatten(1)[:, : logits.shape[1]]
    logits.masked_fill_(~allowed.to(logits.device), float("-inf"))

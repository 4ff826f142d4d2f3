"""A JSON schema → which tokens may come next, row by row, by llguidance.

The mask makes every finished text fit the schema. Where the grammar leaves one way on (``{"answer": "``), those tokens are taken
without asking the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from groundtune.errors import ConfigError, MissingExtra


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

        return Matcher(LLMatcher(self._tokens, self._text, log_level=0))


class Matcher:
    """Where one row stands in the grammar."""

    def __init__(self, walk: Any) -> None:
        self._walk = walk

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

    def mask(self, row: torch.Tensor) -> None:
        """Write the allowed tokens as bits into ``row``, an int32 CPU tensor of ⌈vocabulary / 32⌉."""
        self._walk.unsafe_compute_mask_ptr(row.data_ptr(), row.numel() * row.element_size())

    @property
    def finished(self) -> bool:
        """Whether nothing may follow but the end."""
        return bool(self._walk.is_stopped())


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

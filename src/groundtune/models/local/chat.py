"""A chat model on this machine: base and adapters behind one ``complete``, greedy, in batches.

    open({"model": "smollm2-135m-instruct"}).complete([Request(messages=…)], limit=160, adapter=Path("models/hybrid-3f2a9c1e"))

One copy of the base weights serves every adapter: they are kept by fingerprint, switched per call, and switched off for the base. A folder
with a whole model (full tuning) is loaded beside it, one such at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from groundtune.errors import WeightsError
from groundtune.files import file_sha256, fingerprint
from groundtune.models import memory
from groundtune.models.batches import by_length
from groundtune.models.chat import Completion, Request, Token
from groundtune.models.local import attention
from groundtune.models.local.adapters import attach, is_whole, require_template
from groundtune.models.local.cache import Prefixes, Reads
from groundtune.models.local.generate import Row, generate
from groundtune.models.local.grammar import Grammar, token_table
from groundtune.models.local.load import EMBEDDED, choose_dtype, load_base, load_tokenizer, read_model
from groundtune.models.local.template import end_of_turn, rendered
from groundtune.models.tuned import ADAPTER, WHOLE

__all__ = ["LocalChat", "load_base", "load_tokenizer", "open"]

# A step reads all weights whatever the number of rows, so 48 rows take half the time a row that 16 do; above 64 little is gained.
ROWS = 56
# Rows × longest prompt of a batch: bounds the memory for keys and values (1.9 GB in fp32 for the embedded model).
TOKEN_BUDGET = 40_960
# Most memory for batches that may be asked again; 120 prompts with three passages are 1.8 GB in the embedded model.
READS_BYTES = 2 << 30


def open(settings: Mapping[str, Any]) -> LocalChat:
    """Open a model by ``model`` (embedded name, folder, GGUF file or hub id), ``dtype``, ``context`` (tokens) and ``batch`` (rows)."""
    return LocalChat(settings)


class LocalChat:
    """A decoder on this machine. ``plan`` makes batches of similar length; ``complete`` answers one batch."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._model, self._tokenizer, self.fingerprint = load_base(settings)
        attention.install(self._model)
        self.name = str(settings.get("model") or EMBEDDED)
        trained = int(getattr(self._model.config, "max_position_embeddings", None) or 2048)
        self.context = min(int(settings.get("context") or trained), trained)
        self._rows = max(1, int(settings.get("batch") or ROWS))
        self._ends = end_tokens(self._model, self._tokenizer)
        pad = self._tokenizer.pad_token_id
        self._pad = int(pad if pad is not None else min(self._ends))
        self._adapters: dict[Path, tuple[str, str]] = {}
        self._peft: Any = None
        self._dtype = choose_dtype(str(settings.get("dtype") or "auto"))
        self._whole: tuple[str, Any] = ("", None)
        self._prefixes = Prefixes()
        self._reads = Reads(min(READS_BYTES, (memory.free()[0] or 0) // 4))
        self._token_table: Any = None
        self._grammars: dict[str, Grammar] = {}
        # The first pass through a model is slower than the rest; it must not be charged to whichever arm comes first.
        generate(self._model, [Row(prompt=[self._pad] * 4)], limit=2, ends=self._ends, pad=self._pad)

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Return how many tokens the prompt has after the chat template."""
        return len(self._encode(messages))

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return batches of neighbours in length, longest first, of at most ``batch`` rows."""
        return by_length([self.count(request.messages) for request in requests], self._rows, TOKEN_BUDGET)

    def complete(
        self,
        requests: Sequence[Request],
        *,
        limit: int,
        schema: Mapping[str, Any] | None = None,
        adapter: Path | None = None,
        seed: int = 0,
    ) -> list[Completion]:
        """Answer one batch, in order. A prompt that leaves no room for ``limit`` tokens is a failure; its neighbours are answered.

        Decoding is greedy, so the same batch gives the same texts; ``seed`` is set for models that draw numbers themselves.
        """
        grammar = self._grammar(schema) if schema is not None else None
        with self._switched(adapter) as (label, model):
            began = time.perf_counter()
            prompts = [self._encode(request.messages) for request in requests]
            fits = [len(prompt) + limit <= self.context for prompt in prompts]
            rows = [
                Row(prompt=prompt, matcher=grammar.matcher() if grammar else None, logprobs=[] if request.logprobs else None)
                for prompt, request in zip(prompts, requests, strict=True)
            ]
            runnable = [row for row, fit in zip(rows, fits, strict=True) if fit]
            spent = time.perf_counter() - began
            if runnable:
                torch.manual_seed(seed)
                generate(
                    model,
                    runnable,
                    limit=limit,
                    ends=self._ends,
                    pad=self._pad,
                    prefixes=self._prefixes,
                    reads=self._reads,
                    label=label,
                )
        return [
            Completion(
                text=self._tokenizer.decode(row.tokens, skip_special_tokens=True),
                prompt_tokens=len(row.prompt),
                completion_tokens=len(row.tokens),
                first_token_seconds=None if row.first is None else row.first + spent,
                total_seconds=row.total + spent,
                batch=len(runnable),
                failure=row.failure,
                truncated=row.truncated,
                tokens=None if row.logprobs is None else self._pieces(row.tokens, row.logprobs),
            )
            if fit
            else self._too_long(len(row.prompt), limit, len(requests))
            for row, fit in zip(rows, fits, strict=True)
        ]

    def encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return a conversation's tokens after the chat template, up to where the model's own words begin."""
        return self._encode(messages)

    def encode_text(self, text: str) -> list[int]:
        """Return the tokens of words that the model could say."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    @contextmanager
    def base(self) -> Iterator[Any]:
        """Yield the base model with every adapter switched off."""
        with self._switched(None):
            yield self._model

    def _too_long(self, tokens: int, limit: int, batch: int) -> Completion:
        room = f"the context of {self.context:,} tokens of {self.name}"
        why = f"the prompt is {tokens:,} tokens; with {limit:,} for the answer that exceeds {room}"
        return Completion(
            text="", prompt_tokens=tokens, completion_tokens=0, first_token_seconds=None, total_seconds=0.0, batch=batch, failure=why
        )

    def _pieces(self, tokens: Sequence[int], logprobs: Sequence[float | None]) -> tuple[Token, ...]:
        """Return what each token added to the text; a letter of several tokens comes with the last of them."""
        pieces: list[Token] = []
        done = ""
        for number, logprob in enumerate(logprobs, start=1):
            text = self._tokenizer.decode(tokens[:number], skip_special_tokens=True)
            if number < len(tokens) and text.endswith("\ufffd"):
                text = done
            # Where a later token changes what an earlier one looked like, pieces no longer add up to the text.
            pieces.append(Token(text[len(done) :] if text.startswith(done) else "", logprob))
            done = text
        return tuple(pieces)

    def _encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        # The same two steps as in training: template to text, text to ids, so that a prompt is the same tokens in both.
        ids: list[int] = self._tokenizer(rendered(self._tokenizer, messages), add_special_tokens=False)["input_ids"]
        return ids

    def _grammar(self, schema: Mapping[str, Any]) -> Grammar:
        key = fingerprint(schema)
        if key not in self._grammars:
            if self._token_table is None:
                self._token_table = token_table(self._tokenizer, self._model.config.vocab_size, sorted(self._ends))
            grammar = Grammar(self._token_table, schema)
            # The first mask takes a second; like the first pass, it belongs to loading.
            grammar.matcher().mask(torch.zeros((self._model.config.vocab_size + 31) // 32, dtype=torch.int32))
            self._grammars[key] = grammar
        return self._grammars[key]

    @contextmanager
    def _switched(self, adapter: Path | None) -> Iterator[tuple[str, Any]]:
        """Switch to an adapter, to a whole model or to the base; yield a label for what is switched on, and the model that answers."""
        if adapter is not None and is_whole(adapter):
            yield self._load_whole(adapter)
        elif adapter is not None:
            yield self._switch_on(adapter), self._model
        elif self._peft is None:
            yield "base", self._model
        else:
            with self._peft.disable_adapter():
                yield "base", self._model

    def _load_whole(self, folder: Path) -> tuple[str, Any]:
        """Return a label and the whole model in ``folder``. Raises ``WeightsError`` or ``OtherTemplate`` where it is not of this base."""
        stat = (folder / WHOLE).stat()
        stamp = f"{folder.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        if self._whole[0] != stamp:
            self._whole = ("", None)
            require_template(folder, self._tokenizer)
            model = read_model(folder, AutoModelForCausalLM, self._dtype)
            if model.config.vocab_size != self._model.config.vocab_size:
                raise WeightsError(f"{folder}: was tuned from another model than {self.name}", "type: groundtune tune")
            self._whole = (stamp, model)
        return stamp, self._whole[1]

    def _switch_on(self, folder: Path) -> str:
        """Load the adapter in ``folder`` where that was not done, switch to it, and return its name.

        Raises ``WeightsError``, and ``OtherTemplate`` for one that was tuned under another chat template.
        """
        place = folder.resolve()
        if not (place / ADAPTER).is_file():
            raise WeightsError(f"{folder}: holds no {ADAPTER}", "type: groundtune tune")
        stat = (place / ADAPTER).stat()
        stamp = f"{stat.st_size}-{stat.st_mtime_ns}"
        known = self._adapters.get(place)
        if known is None or known[0] != stamp:
            require_template(place, self._tokenizer)
            name = f"a{file_sha256(place / ADAPTER)[:16]}"
            self._peft = attach(self._model, self._peft, place, name)
            known = self._adapters[place] = (stamp, name)
        self._peft.set_adapter(known[1])
        return known[1]


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a reply: the model's own, and the tokenizer's."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id, end_of_turn(tokenizer)}
    return frozenset(int(end) for end in ends if end is not None)

"""Messages → the text that a model was trained to continue, by its own chat template; the same in training and in serving.

    system "Reply as JSON.", user "How long?"  →  <|im_start|>system Reply as JSON.<|im_end|> … <|im_start|>assistant

Nothing is listed by model. A template that refuses or drops the system message (those of Gemma and of early Mistral models do) is found by
trying, and then the instructions stand before the first question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2.exceptions import TemplateError

from groundtune.errors import WeightsError
from groundtune.files import fingerprint

Messages = Sequence[Mapping[str, str]]
MARK = "the reply stands here"
HINT = "correct the model in groundtune.toml, then type: groundtune check"


def template_hash(tokenizer: Any) -> str:
    """Return the fingerprint of a tokenizer's chat template; a tuned model answers rightly under no other."""
    return fingerprint("template", tokenizer.chat_template)


def rendered(tokenizer: Any, messages: Messages) -> str:
    """Return the prompt for a reply to ``messages``. Raises ``WeightsError`` when the template cannot show them.

    Marks of the template that stand in a message are taken apart, so that no document and no question can begin a turn of its own.
    """
    plain: list[Mapping[str, str]] = [{**item, "content": defused(tokenizer, item["content"])} for item in messages]
    tried = [plain, _folded(plain)]
    why = "it drops the system message"
    for turn in tried if tried[1] != tried[0] else tried[:1]:
        try:
            text: str = tokenizer.apply_chat_template([dict(item) for item in turn], add_generation_prompt=True, tokenize=False)
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            continue
        if all(item["content"].strip() in text for item in turn if item["role"] != "assistant"):
            return text
        why = "it leaves out a part of what is asked"
    roles = ", ".join(item["role"] for item in messages)
    raise WeightsError(f"the chat template of {getattr(tokenizer, 'name_or_path', 'the model')} cannot show {roles}: {why}", HINT)


def defused(tokenizer: Any, text: str) -> str:
    """Return a text in which no special token of the model can be read: ``<|im_start|>`` becomes ``< |im_start|>``."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    marks = {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}
    # Longest first, as a mark may hold another. What is left holds none, since a blank was put into each.
    for mark in sorted((mark for mark in marks if len(mark) > 1), key=lambda mark: (-len(mark), mark)):
        text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def end_of_turn(tokenizer: Any) -> int:
    """Return the token that ends a reply: the first special one that the template writes after it, else the tokenizer's end token."""
    try:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=False, tokenize=False)
    except (TemplateError, ValueError, TypeError, KeyError):
        return int(tokenizer.eos_token_id)
    special = set(tokenizer.all_special_ids) | {
        number for number, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special
    }
    after = tokenizer(text.rpartition(MARK)[2], add_special_tokens=False)["input_ids"] if MARK in text else []
    return int(next((token for token in after if token in special), tokenizer.eos_token_id))


def _folded(messages: Messages) -> list[Mapping[str, str]]:
    """Return the messages with the instructions as the beginning of the first question."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return list(messages)
    first = {"role": "user", "content": f"{messages[0]['content'].strip()}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]

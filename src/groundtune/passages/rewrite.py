"""A question → what to search for, by a chat model: standing on its own, in other words, in parts, or as the text that would answer it.

    standalone("And for hauliers?", history)   → "How long is a slot for hauliers?"            multi-turn
    variants("How long is a slot?", 2)         → "What is the slot length?", …                 multi-query
    parts("Which is longer, a or b?", 3)       → "How long is a?", "How long is b?"            decomposition
    imagined("How long is a slot?")            → "A slot lasts 30 minutes …"                   HyDE (Gao et al. 2022)

What comes back is only ever searched for: it is in no prompt and no answer, and permissions are asked inside the search all the same.
The model sees the question and the conversation, never a document. Where it fails, or says nothing usable, the question stands as it was
asked, and ``notes`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.models.chat import Chat, Completion, Request

Message = Mapping[str, str]

STANDALONE = (
    "You rewrite the last question of a conversation so that it can be understood without the conversation. Put names in the place of"
    " words such as it, that, they. Do not answer it. Reply with the rewritten question alone."
)
VARIANTS = (
    "You write search queries. Say the question in {count} other ways, with other words for the same thing. Do not answer it. Reply with"
    " one query a line and nothing else."
)
PARTS = (
    "You split a question that asks for several facts into at most {count} questions that each ask for one. Do not answer them. If it asks"
    " for one fact, repeat it. Reply with one question a line and nothing else."
)
IMAGINED = (
    "Write a short passage of a manual or handbook that answers the question, as if you knew. Two or three sentences and nothing else."
)

# Characters: longer than any question a person types; what a model writes beyond that is no query.
LONGEST_QUERY = 400
LONGEST_PASSAGE = 1200
# Turns of a conversation that are shown; what a question refers to is nearly always near.
TURNS = 6


@dataclass(slots=True)
class Rewriter:
    """A chat model that writes queries. ``tokens`` (read, written) and ``calls`` count what it took, ``notes`` what went wrong."""

    chat: Chat
    seed: int = 0
    calls: int = 0
    tokens: tuple[int, int] = (0, 0)
    notes: list[str] = field(default_factory=list)

    def standalone(self, question: str, history: Sequence[Message]) -> str:
        """Return the question as it would be asked without the conversation before it (messages with role and content)."""
        turns = [message for message in history if message.get("role") in ("user", "assistant")][-TURNS:]
        if not turns:
            return question
        told = "\n".join(f"{message['role']}: {' '.join(message['content'].split())[:LONGEST_PASSAGE]}" for message in turns)
        lines = _lines(self._say(STANDALONE, f"Conversation:\n{told}\n\nLast question: {question}", 80))
        if not lines:
            self.notes.append("the question was not rewritten: the model gave none")
        return lines[0] if lines else question

    def variants(self, question: str, count: int) -> list[str]:
        """Return up to ``count`` other wordings."""
        return self._several(VARIANTS.format(count=count), question, count, "other wordings")

    def parts(self, question: str, count: int) -> list[str]:
        """Return up to ``count`` questions for one fact each; none where the question asks for one."""
        return self._several(PARTS.format(count=count), question, count, "parts")

    def imagined(self, question: str) -> str | None:
        """Return a passage as it might be found, true or not; ``None`` where the model gave none."""
        text = " ".join(self._say(IMAGINED, question, 160).split())[:LONGEST_PASSAGE]
        if not text:
            self.notes.append("no passage was imagined: the model gave none")
        return text or None

    def _several(self, task: str, question: str, count: int, what: str) -> list[str]:
        found = [line for line in _lines(self._say(task, question, 40 * count)) if line.casefold() != question.strip().casefold()]
        if not found:
            self.notes.append(f"no {what}: the model gave none")
        return list(dict.fromkeys(found))[:count]

    def _say(self, task: str, text: str, limit: int) -> str:
        request = Request(messages=({"role": "system", "content": task}, {"role": "user", "content": text}))
        done: Completion = self.chat.complete([request], limit=limit, seed=self.seed)[0]
        self.calls += 1
        self.tokens = (self.tokens[0] + done.prompt_tokens, self.tokens[1] + done.completion_tokens)
        if done.failure:
            self.notes.append(f"{self.chat.name} failed: {done.failure}")
            return ""
        return done.text


def _lines(text: str) -> list[str]:
    """Return the queries that a model wrote, one a line, without numbers, bullets and quotation marks."""
    found = []
    for line in text.splitlines():
        kept = re.sub(r"^\s*(?:[-*•]+|\(?\d{1,2}[.):])\s*", "", line).strip().strip("\"“”'`").strip()
        if kept and len(kept) <= LONGEST_QUERY and re.search(r"\w", kept):
            found.append(kept)
    return found

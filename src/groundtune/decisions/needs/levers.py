"""What is cheaper than the recommended approach, and should be tried before it."""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.decisions.needs.weights import Option

_TRAINED: tuple[Option, ...] = ("tuned", "hybrid")
_SEARCHED: tuple[Option, ...] = ("rag", "hybrid")


def levers_for(answers: Mapping[str, str | None], approach: Option) -> tuple[str, ...]:
    """Return the levers that fit the answers, the cheapest first."""
    said = ["A better prompt: say who asks, what a good answer holds, and when to decline; an hour's work, measured by the arm prompt."]
    if answers.get("examples") != "hardly any":
        said.append("Two or three good answers in the prompt: the arm few-shot (shots = 3) shows how far examples carry without training.")
    if answers.get("output") == "schema":
        said.append("A schema forced while decoding: an arm with constrained = true needs no training to get the form right.")
    if answers.get("knowledge") in ("some", "most") and answers.get("access") in ("everyone", None):
        said.append(
            "All documents in the prompt, if they fit: the arm whole_corpus = true needs no index, and shows what search can reach at best."
        )
    if answers.get("documents") in ("scattered", "mostly"):
        said.append("Fewer and newer documents: drop what is out of date; groundtune ingest --dry-run lists duplicates and old versions.")
    if approach in _SEARCHED:
        said.append("Better search before more model: groundtune index tune compares splitters and fusions on your own questions.")
    if approach in _TRAINED:
        said.append("A larger or newer model untrained: it may already do what a small one has to be taught; one line in [chat].")
    if answers.get("latency") == "instant" or answers.get("volume") == "very many":
        said.append("Kept answers for the questions that come again: count how many do before buying speed.")
    if answers.get("questions") == "vague":
        said.append("A form or a menu that asks for what is missing.")
    if answers.get("live") in ("some", "most"):
        said.append("A link to the screen that shows the value, in place of an answer that repeats it.")
    return tuple(said)

"""What the interview asks, in its order: each question, why it is asked, and what its answers mean.

Question("churn", "How often do the facts …?", choices={"daily": "every day", …})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundtune.tables import NeedsTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of a number that counts as one answer: from ``low`` up to, not with, the next band's."""

    name: str
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One key of ``[needs]``. ``choices`` maps each answer, in its order, to its meaning; a number has ``bands`` instead."""

    key: str
    text: str
    why: str
    choices: Mapping[str, str] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers that weights are given to, in their order."""
        return tuple(self.choices) or tuple(band.name for band in self.bands)

    def answer(self, value: Any) -> str | None:
        """Return the answer that a value of the key is; ``None`` where it is not known."""
        if value is None or not self.bands:
            return None if value is None else str(value)
        return [band.name for band in self.bands if value >= band.low][-1]

    def example(self, answer: str) -> Any:
        """Return a value that counts as the answer: the low end of a band."""
        return next((band.low for band in self.bands if band.name == answer), answer)


QUESTIONS: tuple[Question, ...] = (
    Question(
        key="knowledge",
        text="How many answers need facts that only your documents hold?",
        why="What a model cannot know has to be shown to it; where nothing has to be known, a prompt may do.",
        choices={"none": "none: rewriting, sorting, extracting from what is given", "some": "some of them", "most": "most or all of them"},
    ),
    Question(
        key="churn",
        text="How often do the facts in those answers change?",
        why="Facts in weights are as old as the last training; facts in an index are as old as the last ingestion.",
        choices={
            "yearly": "about once a year or never",
            "quarterly": "every few months",
            "monthly": "about once a month",
            "weekly": "about once a week",
            "daily": "every day",
        },
    ),
    Question(
        key="citations",
        text="Must an answer name its source?",
        why="Only what was shown as a passage can be quoted and checked.",
        choices={
            "none": "no",
            "helpful": "it would help",
            "required": "yes, in every answer",
            "audited": "yes, and somebody audits who was shown what",
        },
    ),
    Question(
        key="access",
        text="May everyone who asks read everything?",
        why="A search can be asked for what one person may read; weights cannot.",
        choices={"everyone": "yes", "groups": "no, it goes by group or role", "person": "no, it goes by person or case"},
    ),
    Question(
        key="task",
        text="Does what is asked for stay the same?",
        why="Training fixes a task; what still moves is cheaper to say in a prompt.",
        choices={"stable": "yes, for a year or more", "drifting": "it shifts every few months", "new": "nobody knows yet, it is new"},
    ),
    Question(
        key="output",
        text="How strict is the form of an answer?",
        why="A fixed form can be forced while decoding; a voice has to be shown or trained.",
        choices={"free": "any clear answer is fine", "style": "a house style or voice", "schema": "a fixed schema that programs read"},
    ),
    Question(
        key="latency",
        text="How long may an answer take?",
        why="Passages make the prompt longer, and a search comes before the first word.",
        choices={"batch": "minutes or hours", "seconds": "a few seconds", "instant": "under a second"},
    ),
    Question(
        key="volume",
        text="How many answers a month?",
        why="What is done once for a model is paid back by many answers; what is shown with each question is paid each time.",
        bands=(Band(name="few", low=0), Band(name="many", low=10_000), Band(name="very many", low=1_000_000)),
    ),
    Question(
        key="examples",
        text="How many labelled examples of good answers are there?",
        why="They teach a tuned model, and measure any.",
        bands=(
            Band(name="hardly any", low=0),
            Band(name="some", low=50),
            Band(name="hundreds", low=300),
            Band(name="thousands", low=3_000),
        ),
    ),
    Question(
        key="documents",
        text="Are the documents there, current, and free of contradictions?",
        why="Retrieval shows what the documents say, also where they are wrong.",
        choices={
            "none": "nobody has written it down",
            "scattered": "they are scattered, outdated or contradict each other",
            "mostly": "mostly",
            "clean": "yes, and somebody keeps them so",
        },
    ),
    Question(
        key="sensitivity",
        text="What is the most sensitive data in documents and examples?",
        why="Weights cannot be made to forget one row; a document can be taken out of an index.",
        choices={
            "public": "public",
            "internal": "internal, nothing personal",
            "personal": "personal data",
            "regulated": "health, financial, or otherwise regulated data",
        },
    ),
    Question(
        key="failures",
        text="What is wrong with the answers that people get today?",
        why="Wrong facts and wrong behaviour have different cures; groundtune audit measures which it is.",
        choices={"facts": "mostly wrong or missing facts", "behaviour": "mostly form, tone or wording", "mixed": "both"},
    ),
    Question(
        key="questions",
        text="Do those who ask say what they need?",
        why="A question that lacks the order number is not mended by a better answer.",
        choices={"clear": "mostly", "vague": "no: a form, a menu or a better page would settle many of them"},
    ),
    Question(
        key="live",
        text="How many answers need a value or an action of another system?",
        why="The state of an order is in no document; it takes a tool that asks that system.",
        choices={"none": "none", "some": "some of them", "most": "most of them"},
    ),
    Question(
        key="after_launch",
        text="Who answers for it after launch?",
        why="Documents age, and so does a tuned model; somebody has to notice.",
        choices={"named": "one person, by name", "shared": "a team, nobody by name", "nobody": "that is not settled"},
    ),
)
BY_KEY: Mapping[str, Question] = {question.key: question for question in QUESTIONS}


SKILLS: Mapping[str, str] = {
    "retrieval": "search and document pipelines",
    "evaluation": "test sets and statistics",
    "labelling": "people who know a good answer, with hours to label",
    "training": "fine-tuning language models",
    "serving": "running models or machines with accelerators",
    "security": "permissions, audits, deletion",
}
LEVELS = ("none", "some", "strong")
SKILL = "skill: "


def possible(key: str) -> tuple[str, ...]:
    """Return the answers that a question or a skill can have, in their order."""
    return LEVELS if key.startswith(SKILL) else BY_KEY[key].answers


def answers_of(needs: NeedsTable) -> dict[str, str | None]:
    """Return the answer to each question and the level of each skill (``skill: training``); ``None`` where it is not known."""
    asked = {question.key: question.answer(getattr(needs, question.key)) for question in QUESTIONS}
    skills: Mapping[str, str] = {str(name): str(level) for name, level in needs.skills.items()}
    return asked | {f"{SKILL}{name}": skills.get(name) for name in SKILLS}

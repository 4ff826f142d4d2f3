"""The assumptions of a costs sheet that nobody has edited: each with its unit, its range and where it comes from.

A source is "assumption" where nothing better is at hand: no price here was looked up, and every one is to be replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("use", "tokens", "prices", "machines", "index", "tuning", "labelling", "people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One line of the sheet. ``low`` to ``high`` is the range that it may well have; ``most`` the largest value that makes sense."""

    name: str
    group: str
    value: float
    low: float
    high: float
    unit: str
    about: str
    source: str = "assumption"
    least: float = 0.0
    most: float | None = None


def _line(
    group: str, name: str, value: float, low: float, high: float, unit: str, about: str, source: str = "assumption", *,
    least: float = 0.0, most: float | None = None,
) -> Assumption:  # fmt: skip
    return Assumption(
        name=name, group=group, value=value, low=low, high=high, unit=unit, about=about, source=source, least=least, most=most
    )


_SETTINGS = "assumption: the defaults of [passages] limit and [chunks] max_tokens, chunks filled to 80 %"
_CHECK = "assumption: what groundtune check reckons with"
_EMBEDDING = "docs/benchmarks.md: 6,064 tokens a second with the embedded embedder on two cores; groundtune check reckons with 4,000"

DEFAULTS: tuple[Assumption, ...] = (
    _line("use", "horizon_months", 12, 6, 36, "months", "over which what is paid once is spread", least=1),
    _line("use", "questions_a_month", 10_000, 2_000, 50_000, "answers", "given in a month"),
    _line("use", "updates_a_month", 4.35, 1, 30.4, "updates", "of the documents in a month; 4.35 is weekly"),
    _line("use", "update_share", 0.02, 0.005, 0.1, "share", "of the documents' tokens that one update changes", most=1),
    _line("use", "task_changes_a_year", 2, 1, 4, "changes", "of form, tone or task a year, after which an adapter is trained again"),
    _line("tokens", "instructions_tokens", 250, 100, 600, "tokens", "of the system prompt"),
    _line("tokens", "question_tokens", 30, 15, 60, "tokens", "of a question"),
    _line("tokens", "shot_tokens", 220, 120, 400, "tokens", "of one example shown in the prompt", _CHECK),
    _line("tokens", "passages_tokens", 480, 240, 1_500, "tokens", "of the passages shown with a question", _SETTINGS),
    _line("tokens", "corpus_tokens", 100_000, 20_000, 1_000_000, "tokens", "of all documents"),
    _line("tokens", "answer_tokens", 130, 40, 300, "tokens", "of an answer"),
    _line("prices", "prompt_million", 0, 0, 0, "money", "for a million tokens read, at an endpoint"),
    _line("prices", "completion_million", 0, 0, 0, "money", "for a million tokens written, at an endpoint"),
    _line("prices", "tuned_factor", 1, 1, 2, "times", "the token prices, for a tuned model"),
    _line("prices", "embedding_million", 0, 0, 0, "money", "for a million tokens embedded, at an endpoint"),
    _line("machines", "machine_hour", 0.1, 0.05, 0.4, "money", "for an hour of a machine that answers"),
    _line("machines", "machines_on", 1, 1, 2, "machines", "kept on for answering, asked or not"),
    _line("machines", "tuned_machines_on", 0, 0, 1, "machines", "kept on besides, for an arm with an adapter"),
    _line(
        "machines",
        "utilisation",
        0.5,
        0.2,
        0.8,
        "share",
        "of a machine's time that answers, where demand comes in waves",
        least=0.01,
        most=1,
    ),
    _line("machines", "read_tokens_second", 400, 100, 5_000, "tokens", "that a machine reads in a second", least=0.001),
    _line("machines", "write_tokens_second", 20, 8, 500, "tokens", "that a machine writes in a second", least=0.001),
    _line("index", "embedding_tokens_second", 4_000, 2_000, 6_064, "tokens", "that a machine embeds in a second", _EMBEDDING, least=0.001),
    _line("index", "index_bytes_a_token", 20, 10, 60, "bytes", "of index for each token of the documents"),
    _line("index", "index_versions", 3, 1, 10, "versions", "of the index that are kept"),
    _line("index", "storage_gb_month", 0.1, 0.02, 0.3, "money", "for a gigabyte stored for a month"),
    _line("tuning", "tuning_hours", 1, 0.1, 8, "hours", "of a machine for one training run"),
    _line("tuning", "tuning_hour", 1, 0.1, 4, "money", "for an hour of a machine that trains"),
    _line("tuning", "runs_a_training", 3, 1, 8, "runs", "until one is good enough to release"),
    _line("tuning", "retrain_share", 0.25, 0.05, 1, "share", "of updates after which an arm without documents is trained again", most=1),
    _line("labelling", "test_rows", 200, 100, 400, "questions", "labelled to measure with, for every arm"),
    _line("labelling", "training_rows", 500, 200, 2_000, "examples", "labelled to train an adapter"),
    _line("labelling", "rows_a_training", 50, 10, 150, "examples", "labelled anew for each further training"),
    _line("labelling", "label_minutes", 3, 1, 8, "minutes", "to label one example"),
    _line("labelling", "label_hour", 40, 25, 80, "money", "for an hour of labelling"),
    _line("people", "engineer_hour", 80, 50, 130, "money", "for an hour of engineering"),
    _line("people", "prompt_hours", 16, 8, 40, "hours", "to set up any arm, once"),
    _line("people", "retrieval_hours", 60, 30, 160, "hours", "to set up retrieval, once"),
    _line("people", "tuning_setup_hours", 80, 40, 200, "hours", "to set up tuning, once"),
    _line("people", "prompt_care", 2, 1, 6, "hours", "a month to look after any arm"),
    _line("people", "retrieval_care", 6, 2, 16, "hours", "a month to look after retrieval"),
    _line("people", "tuning_care", 4, 2, 12, "hours", "a month to look after an adapter"),
    _line("people", "update_hours", 0.2, 0.05, 1, "hours", "of a person for one update of the documents"),
    _line("people", "training_hours", 6, 2, 16, "hours", "of a person to evaluate and release one training"),
)
BY_NAME = {line.name: line for line in DEFAULTS}

CHURN_UPDATES = {"yearly": 1 / 12, "quarterly": 1 / 3, "monthly": 1.0, "weekly": 365.25 / 7 / 12, "daily": 365.25 / 12}
HOURS_A_MONTH = 365.25 * 24 / 12

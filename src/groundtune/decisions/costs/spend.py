"""An arm and the inputs → its bill: what is paid once, and what each month.

    month = running costs + what is paid once ÷ horizon;  per 1,000 answers = month ÷ answers a month × 1,000

Everything is linear in each input, but for machines: those kept on are paid asked or not, and more are only paid once they are full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.decisions.costs.defaults import HOURS_A_MONTH
from groundtune.decisions.costs.sheet import Inputs
from groundtune.types import Arm

ITEMS = ("tokens", "hosting", "embedding", "index", "tuning", "labelling", "people")
Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What an arm costs, by item: ``once``, and ``running`` each month, over ``horizon`` months and ``answers`` a month."""

    once: Mapping[str, float]
    running: Mapping[str, float]
    horizon: float
    answers: float

    @property
    def month(self) -> float:
        """A month's cost, what is paid once spread over the horizon."""
        return sum(self.running.values()) + sum(self.once.values()) / self.horizon

    @property
    def thousand(self) -> float | None:
        """A thousand answers' cost; ``None`` where none are given."""
        return self.month / self.answers * 1000 if self.answers else None


def own(arm: Arm, what: str) -> str:
    """Return the name of an input that is one arm's own, as measured: ``rag: prompt_tokens``."""
    return f"{arm.name}: {what}"


def values_of(inputs: Inputs) -> dict[str, float]:
    """Return each input's value."""
    return {name: known.value for name, known in inputs.items()}


def tokens_read(arm: Arm, given: Values) -> float:
    """Return the tokens that the model reads for one answer: measured, or put together from the assumptions."""
    measured = given.get(own(arm, "prompt_tokens"))
    if measured is not None:
        return measured
    shown = given["passages_tokens"] if arm.retrieves else given["corpus_tokens"] if arm.whole_corpus else 0.0
    return given["instructions_tokens"] + given["question_tokens"] + arm.shots * given["shot_tokens"] + shown


def tokens_written(arm: Arm, given: Values) -> float:
    """Return the tokens of one answer."""
    return given.get(own(arm, "answer_tokens"), given["answer_tokens"])


def machine_seconds(arm: Arm, given: Values) -> float:
    """Return the seconds of a machine that one answer takes."""
    measured = given.get(own(arm, "machine_seconds"))
    if measured is not None:
        return measured
    return tokens_read(arm, given) / given["read_tokens_second"] + tokens_written(arm, given) / given["write_tokens_second"]


def trainings_a_month(arm: Arm, given: Values) -> float:
    """Return how often an arm is trained again: for a changed task, and, where it has no documents, for changed facts."""
    if arm.adapter is None:
        return 0.0
    facts = 0.0 if arm.retrieves or arm.whole_corpus else given["updates_a_month"] * given["retrain_share"]
    return facts + given["task_changes_a_year"] / 12


def machines_kept(arm: Arm, given: Values, local: bool) -> float:
    """Return the machines that are on, asked or not: none of one's own for an untuned model at an endpoint."""
    return (given["machines_on"] if local else 0.0) + (given["tuned_machines_on"] if arm.adapter is not None else 0.0)


def bill(arm: Arm, given: Values, *, local: bool) -> Bill:
    """Return an arm's bill. ``local`` says that the model runs on machines that are paid by the hour, and not by the token."""
    answers = given["questions_a_month"]
    trainings = trainings_a_month(arm, given)
    factor = given["tuned_factor"] if arm.adapter is not None else 1.0
    tokens = tokens_read(arm, given) * given["prompt_million"] + tokens_written(arm, given) * given["completion_million"]
    hours = machines_kept(arm, given, local) * HOURS_A_MONTH
    if local:
        hours = max(hours, answers * machine_seconds(arm, given) / 3600 / given["utilisation"])
    embedding_token = given["embedding_million"] / 1e6
    embedding_work = given["machine_hour"] / 3600 / given["embedding_tokens_second"] if not given["embedding_million"] else 0.0
    corpus = given["corpus_tokens"] if arm.retrieves else 0.0
    changed = corpus * given["update_share"] * given["updates_a_month"]
    asked = answers * given["question_tokens"] if arm.retrieves else 0.0
    run = given.get(own(arm, "tuning_hours"), given["tuning_hours"]) * given["tuning_hour"] * given["runs_a_training"]
    label = given["label_minutes"] / 60 * given["label_hour"]
    reads = arm.retrieves or arm.whole_corpus
    tuned = arm.adapter is not None
    care = given["prompt_care"] + given["retrieval_care"] * arm.retrieves + given["tuning_care"] * tuned
    work = care + given["update_hours"] * given["updates_a_month"] * reads + given["training_hours"] * trainings
    setup = given["prompt_hours"] + given["retrieval_hours"] * arm.retrieves + given["tuning_setup_hours"] * tuned
    return Bill(
        once={
            "embedding": corpus * (embedding_token + embedding_work),
            "tuning": run * tuned,
            "labelling": (given["test_rows"] + given["training_rows"] * tuned) * label,
            "people": setup * given["engineer_hour"],
        },
        running={
            "tokens": answers * tokens * factor / 1e6,
            "hosting": hours * given["machine_hour"],
            "embedding": changed * (embedding_token + embedding_work) + asked * embedding_token,
            "index": corpus * given["index_bytes_a_token"] / 1e9 * given["index_versions"] * given["storage_gb_month"],
            "tuning": trainings * run,
            "labelling": trainings * given["rows_a_training"] * label,
            "people": work * given["engineer_hour"],
        },
        horizon=given["horizon_months"],
        answers=answers,
    )

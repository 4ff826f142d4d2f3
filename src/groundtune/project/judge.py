"""The judge of ``[judge]``: another chat model, asked about each answer once, its verdicts stored; and people's labels beside them.

labels.jsonl   {"answer": "answer:9f2c…", "criterion": "correct", "value": 1, "by": "ana"}
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import plugins
from groundtune.errors import GroundtuneError, JudgeError, Problems, UnknownName
from groundtune.files import fingerprint, plain, write_lines
from groundtune.models.chat import Chat, Request
from groundtune.scores.judge import CRITERIA, JUDGED, Criterion, Verdict, agreement, judge
from groundtune.scores.scorer import Verdicts
from groundtune.types import Answer, Example

if TYPE_CHECKING:
    from groundtune.project.evaluate import Evaluation
    from groundtune.project.main import Project
    from groundtune.scores.support import Claim
    from groundtune.tables import Settings

HINT = "correct [judge] in groundtune.toml, then type: groundtune check"
ASKED_AT_ONCE = 64
SUPPORTED = Criterion(name="sentence", asks="Is every statement of fact in 'answer' borne out by 'passages'?")


def criteria_of(settings: Settings) -> list[Criterion]:
    """Return the criteria of ``[judge]``. Raises ``UnknownName``."""
    known = {**CRITERIA, **settings.judge.rubric}
    for name in settings.judge.criteria:
        if name not in known:
            raise UnknownName.of("criterion", name, list(known), "add it to [judge.rubric], then type: groundtune check")
    return [Criterion(name=name, asks=known[name]) for name in settings.judge.criteria]


def problems(settings: Settings) -> list[GroundtuneError]:
    """Return what is wrong with ``[judge]``, without loading a model."""
    table, chat = settings.judge, settings.chat
    if not table.use:
        return []
    found: list[GroundtuneError] = []
    if table.use not in plugins.known("chat"):
        found.append(UnknownName.of("chat plug-in", table.use, plugins.known("chat"), "correct judge.use, then type: groundtune check"))
    if table.model == chat.model:
        found.append(_same(table.model))
    try:
        criteria_of(settings)
    except GroundtuneError as error:
        found.append(error)
    found += [
        JudgeError(f"judge.rubric.{name}: a criterion is a question of ten letters or more", HINT)
        for name, asks in table.rubric.items()
        if len(asks.strip()) < 10
    ]
    return found


def _same(model: str) -> JudgeError:
    return JudgeError(f"the judge is {model!r}, the model that writes the answers; a model is no judge of itself", HINT)


def open_judge(project: Project) -> Chat:
    """Open the judge. Raises ``JudgeError`` where it is the model that answers, by name or by fingerprint."""
    table = project.settings.judge
    if not table.use:
        raise JudgeError("[judge] names no judge", "add judge.use, then type: groundtune check")
    opened: Chat = plugins.load("chat", table.use)(table.model_dump())
    if opened.fingerprint == project.chat.fingerprint or table.model == project.settings.chat.model:
        raise _same(table.model)
    return opened


class Asked:
    """The judge as ``scores.judge`` asks it: in the chat model's own batches."""

    def __init__(self, chat: Chat, limit: int) -> None:
        self._chat, self._limit = chat, limit

    def __call__(
        self, prompts: Sequence[tuple[Mapping[str, str], ...]], schema: Mapping[str, Any], seed: int
    ) -> list[tuple[str, str | None]]:
        """Return (text, failure) for each prompt, in order."""
        requests = [Request(messages=prompt) for prompt in prompts]
        found: list[tuple[str, str | None]] = [("", "not asked")] * len(requests)
        for batch in self._chat.plan(requests):
            told = self._chat.complete([requests[place] for place in batch], limit=self._limit, schema=schema, seed=seed)
            for place, item in zip(batch, told, strict=True):
                cut = f"the verdict was cut at {self._limit} tokens" if item.truncated else None
                found[place] = (item.text, item.failure or cut)
        return found


def judged(project: Project, answers: Mapping[str, Sequence[Answer]], examples: Sequence[Example]) -> tuple[Verdicts, tuple[str, ...]]:
    """Return verdicts on every answer by every criterion, and how far the judge agreed with itself, in words.

    Verdicts are stored as they come: a broken run goes on where it stopped. Raises ``JudgeError`` where not one reply was a verdict.
    """
    table, seed = project.settings.judge, project.settings.project.seed
    chat, criteria = open_judge(project), criteria_of(project.settings)
    by_id = {example.id: example for example in examples}
    ask = Asked(chat, table.max_new_tokens)
    field = project.settings.answers.answer_field
    found: list[Verdict] = []
    notes: list[str] = []
    total = len(criteria) * sum(map(len, answers.values()))
    with project.progress.start("judge", total=total, unit="verdicts") as task:
        for criterion in criteria:
            of_it: list[Verdict] = []
            for rows in answers.values():
                seen = [(answer.id, answer.said, answer.failure, [p.chunk.text for p in answer.passages]) for answer in rows]
                wanted = [by_id[answer.example_id or ""].reply for answer in rows]
                key = fingerprint("judge", chat.fingerprint, criterion.prompt, criterion.name, seen, wanted, table.repeats, seed)
                stored = project.ledger.batches(key)
                for number, start in enumerate(range(0, len(rows), ASKED_AT_ONCE)):
                    part = rows[start : start + ASKED_AT_ONCE]
                    if number not in stored:
                        told = judge(criterion, part, by_id, ask, answer_field=field, repeats=table.repeats, seed=seed)
                        # Errors are not kept: asking again may mend them, and the next run does.
                        if not any(verdict.error for verdict in told):
                            project.ledger.keep_batch(key, number, told)
                    else:
                        told = [Verdict(**row) for row in stored[number]]
                    of_it += told
                    task.advance(len(part))
            errors = [verdict for verdict in of_it if verdict.error is not None]
            if of_it and len(errors) == len(of_it):
                raise JudgeError(
                    f"the judge {chat.name} gave no verdict on any of {len(of_it)} answers ({criterion.name}), such as: {errors[0].error}",
                    "take a model that answers in JSON as judge.model, or leave [judge] out, then type: groundtune evaluate",
                )
            notes.append(f"The judge {chat.name} on {agreement(of_it)}.")
            found += of_it
    prompts = fingerprint([criterion.prompt for criterion in criteria], length=8)
    identity = f"judge:{chat.name},{chat.fingerprint},prompts:{prompts},repeats:{table.repeats}".replace("|", "_")
    return Verdicts(identity=identity, marks={(verdict.criterion, verdict.answer_id): verdict.mark for verdict in found}), tuple(notes)


class JudgeSupport:
    """The judge as a detector: each sentence against its passages, yes or no. A sentence without a verdict raises ``JudgeError``."""

    def __init__(self, project: Project) -> None:
        self._chat = open_judge(project)
        self._ask = Asked(self._chat, project.settings.judge.max_new_tokens)
        self._seed = project.settings.project.seed
        self.identity = f"judge:{self._chat.name},{self._chat.fingerprint},prompt:{SUPPORTED.prompt}".replace("|", "_")

    def support(self, claims: Sequence[Claim]) -> list[float]:
        """Return 1 for each claim that the judge finds borne out, else 0."""
        from groundtune.scores.judge import VERDICT, asked, parse

        shape = '{"reason": "…", "verdict": "yes" or "no"}'
        prompts = [
            asked(SUPPORTED.asks, {"question": claim.question, "passages": list(claim.passages), "answer": claim.text}, shape)
            for claim in claims
        ]
        values = []
        for text, failure in self._ask(prompts, VERDICT, self._seed):
            if failure is not None:
                raise JudgeError(f"the judge {self._chat.name} gave no verdict: {failure}", "type: groundtune evaluate")
            try:
                values.append(float(parse(text, ("yes", "no"))[0] == "yes"))
            except ValueError as error:
                raise JudgeError(f"the judge {self._chat.name} gave no verdict: {error}", "type: groundtune evaluate") from error
        return values


# ── people's labels ──


def read_labels(path: Path) -> dict[tuple[str, str], float]:
    """Return people's verdicts by (metric, answer id); several people's on one answer are averaged. Rows not filled in are left out.

    Raises ``JudgeError`` for one wrong row, ``Problems`` for several, each with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise JudgeError(f"{path}: cannot be read: {error}", "correct judge.labels, or type: groundtune judge --sample 60") from error
    told: dict[tuple[str, str], dict[str, float]] = {}
    wrong: list[GroundtuneError] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
            answer, criterion, value, person = (row.get(name) for name in ("answer", "criterion", "value", "by"))
            if value is None:
                continue
            if not isinstance(answer, str) or not isinstance(criterion, str) or not isinstance(person, str) or not person.strip():
                raise ValueError("answer, criterion and by have to be texts")
            if isinstance(value, str) or value not in (0, 1):
                raise ValueError(f"value is {value!r}; 1 (yes), 0 (no) or null (not looked at) was expected")
            people = told.setdefault((f"{JUDGED}{criterion}", answer), {})
            if people.get(person, float(value)) != float(value):
                raise ValueError(f"{person} says both yes and no to {criterion} of {answer}")
            people[person] = float(value)
        except (ValueError, RecursionError) as error:
            wrong.append(JudgeError(f"{path}:{number}: {error}", "mend that line, then type: groundtune decide"))
    if wrong:
        raise wrong[0] if len(wrong) == 1 else Problems(wrong)
    return {key: sum(people.values()) / len(people) for key, people in told.items()}


def labels_of(project: Project) -> dict[tuple[str, str], float]:
    """Return the labels of the file that ``[judge]`` names; none where it names none."""
    name = project.settings.judge.labels
    return read_labels(project.folder / name) if name else {}


def sample(project: Project, evaluation: Evaluation, size: int, path: Path) -> int:
    """Write answers for people to label, drawn at random, the same questions for every arm; return how many rows.

    The judge's verdicts are not in the file, so that they sway nobody. Raises ``JudgeError`` where the file is there already.
    """
    if path.exists():
        raise JudgeError(
            f"{path}: is there already, with people's labels perhaps", "name another file: groundtune judge --sample 60 --to FILE"
        )
    by_id = {example.id: example for example in evaluation.examples}
    names = sorted(by_id)
    random.Random(project.settings.project.seed).shuffle(names)  # noqa: S311
    rows = [
        {
            "answer": answer.id,
            "criterion": criterion.name,
            "value": None,
            "by": "",
            "asks": criterion.asks,
            "question": answer.question,
            "said": answer.said,
            "wanted": plain(by_id[answer.example_id or ""].reply),
            "passages": [passage.chunk.text for passage in answer.passages],
        }
        for name in names[:size]
        for given in evaluation.answers.values()
        for answer in given
        if answer.example_id == name
        for criterion in criteria_of(project.settings)
    ]
    write_lines(path, rows)
    return len(rows)

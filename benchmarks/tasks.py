"""What tuning changes in behaviour: Banking77 (routing), SNIPS (text to JSON), E2E NLG (style), each as a Groundtune project.

    python benchmarks/tasks.py ../shared/data/tasks --out build/tasks

The embedded model by its base prompt, with examples in the prompt, decoding within the reply schema, and tuned by LoRA on a quarter, half
and all of the rows; one locked test set, the project's own scorers and intervals, and the curve of ``groundtune examples curve``. What runs
is check, lock, ingest, tune, evaluate and decide of a project that you find below ``--out``: open it, and ask it.

Broken off, the same command goes on; a task that is finished is read from its ``result.json``. Other sizes or seeds make other projects.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from groundtune.errors import GroundtuneError
from groundtune.files import fingerprint, plain, write_json
from tasks_data import NEAR, TASKS, Sizes, Task

MORE = 500  # examples that the curve is asked about
LARGEST = 3.0  # times the rows measured, beyond which it does not tell
# Two epochs over the upper 16 of 30 layers: the rate and the layers of the package's CLAPNQ project, chosen there and not on these tasks.
RECIPE: Mapping[str, Any] = {
    "epochs": 2,
    "batch": 8,
    "layers": 16,
    "learning_rate": 8e-4,
    "memory_tokens": 4096,
    "evaluate_every": 10,
    "dev_rows": 24,
    "patience": 4,
}
PARTS = {"tuned-quarter": 4, "tuned-half": 2, "tuned": 1}


def config_of(task: Task, seed: int) -> str:
    """Return the project's groundtune.toml. JSON texts and numbers are TOML's."""
    said = json.dumps
    rows = len(task.rows["train"])
    parts = [
        f'[project]\nname = {said(task.title)}\nowner = "whoever runs this benchmark"\nseed = {seed}',
        f'[examples]\npath = "examples"\nnear = {NEAR}' + ('\nschema = "reply.schema.json"' if task.schema else ""),
        f"[answers]\ninstructions = {said(task.instructions)}\nanswer_field = {said(task.answer_field)}"
        + (f"\nlabel_field = {said(task.label_field)}" if task.label_field else "")
        + f"\nmax_new_tokens = {task.max_new_tokens}",
        f"[scores]\nmetrics = {said(list(task.metrics))}",
    ]
    for name, share in PARTS.items():
        settings = {**RECIPE, "readers": ["everyone"], "max_rows": max(1, rows // share)}
        parts.append(f"[tuning.{name}]\n" + "\n".join(f"{key} = {said(value)}" for key, value in settings.items()))
    for arm in arms_of(task):
        parts.append("[[arms]]\n" + "\n".join(f"{key} = {said(value)}" for key, value in arm.items()))
    parts.append(f"[rubric]\nprimary = {said(task.primary)}\nsmallest_gain = 0.05")
    if task.schema:
        parts.append('[[rubric.gates]]\nmetric = "valid_json"\nmin = 0.95')
    return "\n\n".join(parts) + "\n"


def arms_of(task: Task) -> list[dict[str, Any]]:
    """Return the arms, the simplest first; constrained ones where the reply has a schema."""
    arms: list[dict[str, Any]] = [{"name": "prompt"}, {"name": "few-shot", "shots": task.shots}]
    if task.schema:
        arms += [{"name": "prompt-json", "constrained": True}, {"name": "few-shot-json", "shots": task.shots, "constrained": True}]
    arms += [{"name": name, "adapter": name} for name in PARTS]
    return [*arms, {"name": "tuned-json", "adapter": "tuned", "constrained": True}] if task.schema else arms


def build(task: Task, folder: Path, seed: int) -> None:
    """Write the project. The same task gives the same files, so building it again changes nothing."""
    lines = []
    for split, items in task.rows.items():
        for number, item in enumerate(items):
            name = f"{split}-{number:04d}"
            row = {
                "id": name,
                "question": item.question,
                "asker": "anyone",
                "split": split,
                "split_group": name,
                "readers": ["everyone"],
                "reply": item.reply,
                **({"also": item.also} if item.also else {}),
            }
            lines.append(json.dumps(row, ensure_ascii=False))
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    (folder / "documents").mkdir(exist_ok=True)
    (folder / "examples" / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # A project has documents; no arm here searches them, and no example draws on them.
    text = f"---\nreaders: [everyone]\n---\n# {task.title}\n\n{task.instructions}\n"
    (folder / "documents" / "task.md").write_text(text, encoding="utf-8")
    (folder / "access.toml").write_text('[principals]\nanyone = ["everyone"]\n', encoding="utf-8")
    if task.schema:
        (folder / "reply.schema.json").write_text(json.dumps(task.schema, indent=2), encoding="utf-8")
    (folder / "groundtune.toml").write_text(config_of(task, seed), encoding="utf-8")


def measured(task: Task, folder: Path) -> dict[str, Any]:
    """Run every step of the project and return what was found, as it is written to ``result.json``."""
    from groundtune.progress import Plain
    from groundtune.project import open as open_project
    from groundtune.project.decide import estimates_of

    project = open_project(folder, progress=Plain())
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        done = work()
        seconds[step] = round(time.process_time() - began, 1)
        return done

    report = timed("check", project.check)
    if report.problems:
        raise report.problems[0]
    timed("lock", project.lock)
    timed("ingest", project.ingest)
    versions = timed("tune", project.tune)
    evaluation = timed("evaluate", project.evaluate)
    decision = timed("decide", lambda: project.decide(evaluation))
    scores = {
        arm: {score.example_id: score.value for score in evaluation.scores if score.arm == arm and score.metric == task.curve}
        for arm in PARTS
    }
    return {
        "task": task.name,
        "title": task.title,
        "told": task.told,
        "rows": {split: len(items) for split, items in task.rows.items()},
        "shown": task.shown,
        "arms": [arm["name"] for arm in arms_of(task)],
        "estimates": plain(estimates_of(project, evaluation)),
        "not_run": dict(evaluation.not_run),
        "decision": {"verdict": decision.verdict, "choice": decision.choice, "reasons": list(decision.reasons)},
        "curve": curve_of(task, scores),
        "tuned": {version.name: dict(version.metrics) for version in versions},
        "seconds": seconds,
        "chat": project.chat.fingerprint,
    }


def curve_of(task: Task, scores: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    """Return the learning curve by the scores of each question at each size, and what further examples are likely to buy."""
    from groundtune.examples.curve import Point, advise

    rows = len(task.rows["train"])
    points = [
        Point(rows=max(1, rows // share), scores={name: value for name, value in scores[arm].items() if value is not None})
        for arm, share in PARTS.items()
    ]
    found = advise(points, more=min(MORE, int((LARGEST - 1) * rows)))
    return {"metric": task.curve, "says": found.says, "points": found.points, "questions": found.questions}


def table(result: Mapping[str, Any]) -> str:
    """Return a task's result as Markdown: arms × metrics with their intervals, then the curve and the decision."""
    means = {(e["arm"], e["metric"]): e for e in result["estimates"] if e["versus"] is None}

    def cell(arm: str, metric: str) -> str:
        e = means.get((arm, metric))
        if e is None or e["value"] is None:
            return "–" if e is None else e["state"]
        failed = f", {e['n_failed']} failed" if e["n_failed"] else ""
        few = "" if e["n"] == result["rows"]["test"] else f", n = {e['n']}"
        return f"{e['value']:.2f} ({e['low']:.2f}–{e['high']:.2f}{few}{failed})"

    rows, seconds, curve, decision = result["rows"], result["seconds"], result["curve"], result["decision"]
    points = ", ".join(f"{n} rows {value:.3f}" for n, value in curve["points"])
    lines = [
        f"**{result['title']}.** {rows['train']} training rows, {rows['dev']} to stop tuning in time, {rows['test']} test questions;"
        f" {sum(seconds.values()):.0f} s of one core, of which tuning {seconds['tune']:.0f} and answering {seconds['evaluate']:.0f}."
        f" {'; '.join(result['told'])}.",
        "",
        "| arm | " + " | ".join(f"`{name}`" for name in result["shown"]) + " |",
        "|---" * (len(result["shown"]) + 1) + "|",
        *(f"| {arm} | " + " | ".join(cell(arm, metric) for metric in result["shown"]) + " |" for arm in result["arms"]),
        *(f"\nNot run: {arm}: {reason}." for arm, reason in result["not_run"].items()),
        "",
        *lead_of(result),
        f"Learning curve, `{curve['metric']}`: {points}. {curve['says'].capitalize()}.",
        "",
        f"Decision: {decision['verdict']} {decision['choice'] or ''}".rstrip() + ". " + " ".join(decision["reasons"][:1]),
    ]
    return "\n".join(lines)


def lead_of(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the paired difference of the tuned arm to the best one without tuning, in the first metric shown."""
    metric = result["shown"][0]
    of = {(e["arm"], e["versus"]): e for e in result["estimates"] if e["metric"] == metric and e["value"] is not None}
    untuned = [arm for arm in result["arms"] if not arm.startswith("tuned") and (arm, None) in of]
    best = max(untuned, key=lambda arm: of[arm, None]["value"], default="")
    e = of.get(("tuned", best))
    if e is None:
        return []
    p = "p < 0.001" if e["p_holm"] < 0.001 else f"p = {e['p_holm']:.3f}"
    gain = f"{e['value']:+.2f} ({e['low']:+.2f} to {e['high']:+.2f}, n = {e['n']}, {p} after Holm's correction)"
    return [f"`{metric}`, tuned minus the best without tuning ({best}): {gain}.", ""]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build each task's project, run it where its result is not there yet, print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of banking77, snips and e2e_nlg")
    parser.add_argument("--out", type=Path, default=Path("build/tasks"))
    parser.add_argument("--task", action="append", choices=list(TASKS), help="only this task (repeatable)")
    for name, default in (("train", 120), ("dev", 24), ("test", 100), ("intents", 12), ("seed", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--build-only", action="store_true", help="write the projects and run nothing")
    options = parser.parse_args(arguments)
    sizes = Sizes(train=options.train, dev=options.dev, test=options.test, intents=options.intents, seed=options.seed)
    for name in options.task or TASKS:
        try:
            task = TASKS[name](options.source, sizes)
        except (OSError, ValueError, KeyError) as error:
            print(f"{name}: cannot be read below {options.source}: {error}", file=sys.stderr)
            return 2
        folder = options.out / f"{name}-{fingerprint(asdict(sizes), config_of(task, sizes.seed), plain(task.rows), length=8)}"
        build(task, folder, sizes.seed)
        counts = ", ".join(f"{len(rows)} {split}" for split, rows in task.rows.items())
        print(f"{folder}: {counts}; {'; '.join(task.told)}", file=sys.stderr)
        if options.build_only:
            continue
        place = folder / "result.json"
        if not place.is_file():
            try:
                write_json(place, measured(task, folder))
            except GroundtuneError as error:
                print(f"{folder}: {error}", file=sys.stderr)
                return 2
        print(table(json.loads(place.read_text(encoding="utf-8"))) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

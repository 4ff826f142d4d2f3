"""CLAPNQ as a Groundtune project: 600 passages, 300 questions that they answer and 300 that they do not, and the whole pilot on them.

    python benchmarks/clapnq.py FOLDER_OF_CLAPNQ --out build/clapnq

``FOLDER_OF_CLAPNQ`` holds ``dev_answerable.jsonl`` and ``dev_unanswerable.jsonl`` (Rosenthal et al. 2025, "CLAPNQ",
Apache-2.0). The data's tokenised spelling (blanks before punctuation, `` for quotation marks) is undone first. Passages of one
Wikipedia page stay on one side of the split. The pilot's table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

SIZES = {"train": 200, "dev": 40, "test": 160}

CONFIG = '''[project]
name = "CLAPNQ"
owner = "whoever runs this benchmark"

[examples]
path = "examples"
schema = "reply.schema.json"
near = 0.9

[answers]
instructions = """
Answer the question from the passages given. Reply with one JSON object:
{"quote": words copied from a passage, "answer": a complete answer of one to three sentences}
If the passages do not hold the answer, leave quote empty and begin answer with: I don't know.
"""
fallback = "I don't know."
max_new_tokens = 160

[answers.fallback_reply]
quote = ""
answer = ""

[chunks]
max_tokens = 150
min_tokens = 50

[tuning.closed]
refusals = 0.2
max_rows = 120
epochs = 1
layers = 16
batch = 2
learning_rate = 8e-4

[tuning.reader]
passages = true
distractors = 2
without_gold = 0.1
refusals = 0.2
max_rows = 100
epochs = 1
layers = 16
batch = 2
learning_rate = 8e-4

[[arms]]
name = "prompt"

[[arms]]
name = "few-shot"
shots = 3

[[arms]]
name = "whole-corpus"
whole_corpus = true

[[arms]]
name = "rag"
retrieves = true
shots = 2

[[arms]]
name = "rag-json"
retrieves = true
shots = 2
constrained = true

[[arms]]
name = "tuned"
adapter = "closed"

[[arms]]
name = "hybrid"
retrieves = true
adapter = "reader"

[[arms]]
name = "hybrid-json"
retrieves = true
adapter = "reader"
constrained = true

[rubric]
primary = "token_f1"
smallest_gain = 0.05

[[rubric.gates]]
metric = "valid_json"
min = 0.9

[[rubric.gates]]
metric = "false_refusal"       # half of the questions have no answer: without this, an arm that refuses nearly all of them leads
max = 0.5

[probes]
questions = 3
fill = true                  # so that sixteen callers are measured too

[costs]
machine_hour = 0.08
'''

SCHEMA = {
    "type": "object",
    "properties": {"quote": {"type": "string", "maxLength": 240}, "answer": {"type": "string", "minLength": 1, "maxLength": 480}},
    "required": ["quote", "answer"],
    "additionalProperties": False,
}


def spelled(text: str) -> str:
    """Return text as people write it: no blanks before punctuation or inside brackets, plain quotation marks."""
    text = re.sub(r"``\s*|\s*''", '"', text)
    text = re.sub(r"\s+([.,;:!?%)\]])", r"\1", text)
    text = re.sub(r"([(\[$£€])\s+", r"\1", text)
    text = re.sub(r"(\w)\s+(n't|'s|'re|'ve|'ll|'d|'m)\b", r"\1\2", text)
    text = re.sub(r"(\w) - (\w)", r"\1-\2", text)
    return " ".join(text.split())


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return one row a question: question, passage, title, answer and gold sentences (empty where there is no answer)."""
    rows = []
    for name in ("dev_answerable.jsonl", "dev_unanswerable.jsonl"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            [passage] = row["passages"]
            output = row["output"][0]
            answer = spelled(output["answer"]) if name == "dev_answerable.jsonl" else ""
            sentences = [spelled(text) for text in output.get("selected_sentences") or [] if text.strip()] if answer else []
            rows.append(
                {
                    "id": row["id"],
                    "question": spelled(row["input"]),
                    "title": passage["title"],
                    "passage": spelled(passage["text"]),
                    "answer": answer,
                    "sentences": sentences,
                }
            )
    return rows


def clipped(text: str, characters: int) -> str:
    """Return the beginning of a text, whole words of it."""
    return text if len(text) <= characters else text[:characters].rsplit(" ", 1)[0]


def build(source: Path, out: Path) -> dict[str, int]:
    """Write the project, and return how many questions each split got."""
    rows = [
        row
        for row in rows_of(source)
        if not row["answer"] or (row["sentences"] and all(text in row["passage"] for text in row["sentences"]))
    ]
    names: dict[str, str] = {}
    (out / "documents").mkdir(parents=True, exist_ok=True)
    for row in rows:
        name = hashlib.sha256(row["passage"].encode()).hexdigest()[:12]
        names[row["id"]] = f"{name}.md"
        title = json.dumps(row["title"], ensure_ascii=False)
        text = row["passage"].replace("\\", "\\\\")
        (out / "documents" / f"{name}.md").write_text(f"---\ntitle: {title}\nreaders: [everyone]\n---\n{text}\n", encoding="utf-8")
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["title"]].append(row)
    ordered = sorted(groups, key=lambda title: hashlib.sha256(title.encode()).hexdigest())
    taken: dict[str, list[dict[str, Any]]] = {split: [] for split in SIZES}
    counts = {split: {True: 0, False: 0} for split in SIZES}
    for title in ordered:
        # A whole page goes to the first split that still wants as many of each kind.
        need = {kind: sum(bool(row["answer"]) is kind for row in groups[title]) for kind in (True, False)}
        for split in ("test", "train", "dev"):
            if all(counts[split][kind] + need[kind] <= SIZES[split] // 2 for kind in need):
                taken[split] += groups[title]
                for kind in need:
                    counts[split][kind] += need[kind]
                break
    lines = []
    seen: set[str] = set()
    for split, chosen in taken.items():
        for row in chosen:
            key = row["question"].casefold()
            if key in seen:
                continue
            seen.add(key)
            answerable = bool(row["answer"])
            reply = {
                "quote": clipped(row["sentences"][0], 160) if row["sentences"] else "",
                "answer": clipped(row["answer"], 420) if answerable else "I don't know.",
            }
            lines.append(
                {
                    "id": f"q{row['id']}",
                    "question": row["question"],
                    "asker": "reader",
                    "kind": "answerable" if answerable else "refuse",
                    "split": split,
                    "split_group": row["title"],
                    "evidence": [{"document": names[row["id"]], "quote": text} for text in row["sentences"]],
                    "reply": reply,
                }
            )
    (out / "examples").mkdir(exist_ok=True)
    (out / "examples" / "clapnq.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    (out / "reply.schema.json").write_text(json.dumps(SCHEMA, indent=2), encoding="utf-8")
    (out / "access.toml").write_text('[principals]\nreader = ["everyone"]\n', encoding="utf-8")
    (out / "groundtune.toml").write_text(CONFIG, encoding="utf-8")
    return {split: sum(line["split"] == split for line in lines) for split in SIZES}


def table(project: Any, evaluation: Any) -> str:
    """Return arms × metrics as a Markdown table."""
    from groundtune.project.decide import estimates_of

    metrics = [
        "token_f1",
        "rouge_l",
        "valid_json",
        "quote_found",
        "citation",
        "evidence_recall",
        "refusal_right",
        "false_refusal",
        "false_answer",
        "seconds_total",
    ]
    means = {(e.arm, e.metric): e for e in estimates_of(project, evaluation) if e.versus is None}
    arms = [arm.name for arm in evaluation.arms if arm.name in evaluation.answers]
    lines = ["| metric | " + " | ".join(arms) + " |", "|---" * (len(arms) + 1) + "|"]
    for metric in metrics:
        cells = []
        for arm in arms:
            e = means.get((arm, metric))
            cells.append("–" if e is None or e.value is None else f"{e.value:.3f} ({e.low:.2f} to {e.high:.2f}, n = {e.n})")
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    lines += [f"\nNot run: {arm}: {reason}." for arm, reason in evaluation.not_run.items()]
    return "\n".join(lines)


def main() -> int:
    """Build the project, run the pilot, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/clapnq"))
    parser.add_argument("--build-only", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.source / "dev_answerable.jsonl").is_file():
        print(f"{arguments.source}: holds no dev_answerable.jsonl", file=sys.stderr)
        return 2
    print(build(arguments.source, arguments.out), file=sys.stderr)
    if arguments.build_only:
        return 0
    from groundtune.progress import Plain
    from groundtune.project import open as open_project

    project = open_project(arguments.out, progress=Plain())
    result = project.pilot()
    evaluation = project.evaluate()
    print(table(project, evaluation))
    print(f"\n{result.decision.verdict}: {result.decision.choice or ''}\n" + "\n".join(f"- {reason}" for reason in result.decision.reasons))
    print("\n" + ", ".join(f"{step} {seconds:.0f} s" for step, seconds in result.seconds.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A small whole project: twelve documents with readers, questions in three splits, seven arms, a tiny random model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))

from made_model import make_chat_model

TOPICS = ["crane", "quay", "pilot", "buoy", "anchor", "winch", "mast", "rope", "tide", "harbour", "keel", "rudder"]

CONFIG = """
[project]
name = "small"
owner = "the tests"

[examples]
path = "examples"
schema = "reply.schema.json"
near = 0.95

[answers]
instructions = "Reply as JSON."
fallback = "I don't know."
max_new_tokens = 12

[answers.fallback_reply]
quote = ""
answer = ""

[chat]
model = "{model}"
batch = 4

[embed]
use = "hashed"

[chunks]
max_tokens = 40
min_tokens = 5

[passages]
limit = 2

[tuning.closed]
readers = ["everyone"]
epochs = 1
rank = 2
alpha = 4
batch = 2
evaluate_every = 4
checkpoint_every = 2

[tuning.reader]
readers = ["everyone"]
passages = true
distractors = 1
epochs = 1
rank = 2
alpha = 4
batch = 2
evaluate_every = 4
checkpoint_every = 2

[[arms]]
name = "prompt"

[[arms]]
name = "few-shot"
shots = 1

[[arms]]
name = "whole-corpus"
whole_corpus = true

[[arms]]
name = "rag"
retrieves = true

[[arms]]
name = "rag-json"
retrieves = true
constrained = true

[[arms]]
name = "tuned"
adapter = "closed"

[[arms]]
name = "hybrid"
retrieves = true
adapter = "reader"

[rubric]
primary = "token_f1"
resamples = 1000

[[rubric.gates]]
metric = "refusal_right"
min = 0.0

[costs]
machine_hour = 1.0
"""

SCHEMA = {
    "type": "object",
    "properties": {"quote": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["quote", "answer"],
    "additionalProperties": False,
}


# One is asked about in the test set, the other in the training set.
SECRET = ("keel", "rope")


def make_project(folder: Path, model: Path | None = None) -> Path:
    """Write the project into ``folder`` and return it; the same every time, but for the place of the model."""
    model = model or folder.parent / "tiny-model"
    if not model.is_dir():
        make_chat_model(model)
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "groundtune.toml").write_text(CONFIG.replace("{model}", str(model)))
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\nfemi = ["everyone", "finance"]\n')
    (folder / "reply.schema.json").write_text(json.dumps(SCHEMA))
    rows = []
    for number, topic in enumerate(TOPICS):
        readers = "finance" if topic in SECRET else "everyone"
        text = f"The {topic} is checked every {number + 2} weeks by its own crew.\n\nWhoever breaks the {topic} pays {number}0 coins."
        (folder / "documents" / f"{topic}.md").write_text(f"---\ntitle: {topic}\nreaders: [{readers}]\n---\n# {topic}\n\n{text}\n")
        split = "test" if number % 3 == 0 or topic == "keel" else "dev" if number == 1 else "train"
        asked = [
            (
                "answerable",
                f"how often does somebody look after our {topic}",
                f"The {topic} is checked every {number + 2} weeks",
                f"{number + 2} weeks",
            ),
            (
                "answerable",
                f"what do I owe when a {topic} snaps in my hands today",
                f"Whoever breaks the {topic} pays {number}0 coins",
                f"{number}0",
            ),
            ("refuse", f"may my neighbour paint this {topic} in green or blue", "", "I don't know."),
        ]
        for place, (kind, question, quote, answer) in enumerate(asked):
            hidden = topic in SECRET and kind == "answerable" and place == 0
            rows.append(
                {
                    "id": f"{topic}-{place}",
                    "question": question,
                    "asker": "femi" if topic in SECRET and not hidden else "ana",
                    "kind": "forbidden" if hidden else kind,
                    "split": split,
                    "split_group": topic,
                    "evidence": [{"document": f"{topic}.md", "quote": quote}] if quote else [],
                    "reply": {"quote": "" if hidden else quote, "answer": "I don't know." if hidden else answer},
                }
            )
    (folder / "examples" / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def all_found(folder: Path) -> dict[str, Any]:
    """Return all that a pilot found out, less times, money and dates; the run and the decision have to be the only ones."""
    [run] = [path for path in (folder / ".groundtune/runs").iterdir() if (path / "manifest.json").is_file()]
    answers = lines_of(run / "answers.jsonl")
    for answer in answers:
        del answer["seconds"], answer["cost"]
    [path] = (folder / "decisions").glob("*.json")
    decision = json.loads(path.read_text())
    del decision["made_on"], decision["revisit_on"]
    for name in ("reasons", "flips"):
        decision[name] = [said for said in decision[name] if "EUR" not in said]
    for name in ("estimates",):
        decision[name] = [row for row in decision[name] if row["metric"] not in SPENT]
    scores = [row for row in lines_of(run / "scores.jsonl") if row["metric"] not in SPENT]
    files = sorted(item.name for item in (folder / "decisions").iterdir())
    return {"run": run.name, "answers": answers, "scores": scores, "decision": decision, "files": files}


SPENT = ("seconds_total", "cost")


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Zygote:
    """Forks the program from a process that has the heavy imports behind it, which are most of a run on a small project."""

    def __init__(self, folder: Path) -> None:
        self.pipe = folder / "stderr"
        os.mkfifo(self.pipe)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def begin(self, *arguments: str) -> tuple[int, TextIO]:
        """Start the program; return its process and what it says on stderr."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"arguments": arguments, "stderr": str(self.pipe)}) + "\n")
        self._process.stdin.flush()
        stream = self.pipe.open()
        return int(self._said()), stream

    def end(self) -> int:
        """Wait for the program; return its exit code, or the signal that ended it as a negative number."""
        return os.waitstatus_to_exitcode(int(self._said()))

    def run(self, *arguments: str) -> list[str]:
        """Run the program to its end, which has to be a good one; return its lines on stderr."""
        _, stream = self.begin(*arguments)
        with stream:
            lines = stream.readlines()
        assert self.end() == 0, "".join(lines)[-3000:]
        return lines

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

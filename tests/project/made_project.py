"""A small whole project: twelve documents with readers, questions in three splits, seven arms, a tiny random model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

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

[probes]
questions = 0

[costs]
machine_hour = 1.0
"""

SCHEMA = {
    "type": "object",
    "properties": {"quote": {"type": "string", "maxLength": 8}, "answer": {"type": "string", "minLength": 1, "maxLength": 12}},
    "required": ["quote", "answer"],
    "additionalProperties": False,
}


def make_project(folder: Path) -> Path:
    """Write the project into ``folder`` and return it; the same every time, but for the place of the model."""
    model = folder.parent / "tiny-model"
    if not model.is_dir():
        make_chat_model(model)
    (folder / "documents").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "groundtune.toml").write_text(CONFIG.replace("{model}", str(model)))
    (folder / "access.toml").write_text('[principals]\nana = ["everyone"]\nfemi = ["everyone", "finance"]\n')
    (folder / "reply.schema.json").write_text(json.dumps({**SCHEMA, "properties": {k: {"type": "string"} for k in ("quote", "answer")}}))
    rows = []
    for number, topic in enumerate(TOPICS):
        readers = "finance" if topic == "keel" else "everyone"
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
            hidden = topic == "keel" and kind == "answerable" and place == 0
            rows.append(
                {
                    "id": f"{topic}-{place}",
                    "question": question,
                    "asker": "femi" if topic == "keel" and not hidden else "ana",
                    "kind": "forbidden" if hidden else kind,
                    "split": split,
                    "split_group": topic,
                    "evidence": [{"document": f"{topic}.md", "quote": quote}] if quote else [],
                    "reply": {"quote": "" if hidden else quote, "answer": "I don't know." if hidden else answer},
                }
            )
    (folder / "examples" / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder

"""``groundtune init``: a small project that checks, ingests and answers at once, and whose settings explain themselves."""

from __future__ import annotations

import json
from pathlib import Path

from groundtune.errors import ConfigError
from groundtune.files import write_atomic

OWNER = "write the name of who answers for this after launch"

CONFIG = '''# What this project is, and what decides it. Every other setting: groundtune check --settings

[project]
name = {name}
owner = {owner}

[documents]
path = "documents"       # any formats; Markdown and HTML name their readers themselves, readers = [...] is for the rest

[access]
file = "access.toml"     # who asks, and which groups they are in

[examples]
path = "examples"        # JSON lines: question, asker, evidence, reply, split (train, dev or test)

[answers]
instructions = """
Answer the question from the passages given and nothing else, in one or two plain sentences.
If they do not hold the answer, say: I don't know.
"""
max_new_tokens = 96

# The simplest first: where two arms can't be told apart, the earlier one is taken.
[[arms]]
name = "prompt"

[[arms]]
name = "rag"
retrieves = true

[rubric]
primary = "token_f1"     # what decides, the smallest gain that matters, and what can't be tolerated
smallest_gain = 0.05
intolerable = "leak"
'''

DOCUMENT = """---
title: Returning a device
date: 2026-01-15
readers: [everyone]
---
# Returning a device

## Within the first month

A device in its original box can be returned within 30 days of delivery for a full refund. The buyer pays the postage unless the
device arrived damaged.

## After the first month

After 30 days we repair or replace under the two-year warranty. Send the serial number and a photograph of the fault to the
service desk, which answers within two working days.
"""

INTERNAL = """---
title: Goodwill refunds
date: 2026-02-03
readers: [support]
---
# Goodwill refunds

A shift lead may refund up to 150 euros after the return period has passed. Larger sums are decided by the head of service.
"""

ACCESS = """# Who asks, and in which groups they are. A document is read by those who share a group with its readers.
[principals]
customer = ["everyone"]
agent = ["everyone", "support"]
"""

EXAMPLES = (
    {
        "id": "returns-1",
        "question": "I opened the box three weeks ago and don't like it. Do I get my money back?",
        "asker": "customer",
        "split_group": "returns",
        "split": "test",
        "evidence": [
            {
                "document": "returns.md",
                "quote": "can be returned within 30 days of delivery for a full refund",
            }
        ],
        "reply": {"answer": "Yes, a device in its original box can come back within 30 days of delivery for a full refund."},
    },
    {
        "id": "goodwill-1",
        "question": "How much can your shift lead give me back after the deadline?",
        "asker": "customer",
        "kind": "forbidden",
        "split_group": "goodwill",
        "split": "test",
        "evidence": [{"document": "goodwill.md", "quote": "A shift lead may refund up to 150 euros"}],
        "reply": {"answer": "I don't know."},
    },
    {
        "id": "goodwill-2",
        "question": "A customer is five weeks late with a return. What may my shift lead refund without asking anyone?",
        "asker": "agent",
        "split_group": "goodwill",
        "split": "test",
        "evidence": [{"document": "goodwill.md", "quote": "A shift lead may refund up to 150 euros"}],
        "reply": {"answer": "Up to 150 euros; anything above goes to the head of service."},
    },
)


def create(folder: Path) -> list[Path]:
    """Write the starter into ``folder`` and return its files. Raises ``ConfigError`` rather than write over a file that is there."""
    if (folder / "groundtune.toml").exists():
        raise ConfigError(f"{folder / 'groundtune.toml'}: there is a project already", f"type: groundtune check -p {folder}")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder", "name one that is not there yet: groundtune init FOLDER")
    written = {
        "groundtune.toml": CONFIG.format(name=json.dumps(folder.absolute().name or "project", ensure_ascii=False), owner=json.dumps(OWNER)),
        "access.toml": ACCESS,
        "documents/returns.md": DOCUMENT,
        "documents/goodwill.md": INTERNAL,
        "examples/questions.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in EXAMPLES),
    }
    there = [str(folder / name) for name in written if (folder / name).exists()]
    if there:
        raise ConfigError(f"{', '.join(there)}: there already, and would be written over", "name a new folder: groundtune init FOLDER")
    ignored = folder / ".gitignore"
    if not ignored.exists():
        written[".gitignore"] = ".groundtune/\n"
    for name, text in written.items():
        write_atomic(folder / name, text)
    return [folder / name for name in written]

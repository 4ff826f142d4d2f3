"""BIG-Bench Hard and GSM8K as files of lm-eval tasks: what ``groundtune models compare`` measures a version's forgetting on.

    python benchmarks/capability.py ../shared/data/capability --out build/capability
    [models]                                     of the project's groundtune.toml
    tasks = ["bbh_boolean_expressions", "gsm8k_local"]
    tasks_folder = "…/build/capability"
    tasks_limit = 100
    groundtune models compare VERSION            lm-eval:TASK of the version, of its base, and their paired difference with its interval

A task of BIG-Bench Hard becomes one of choosing where every item has the same few answers, or lettered options: the model's likelihoods
decide, so a small model can be told from chance. The others are written answers, and are left out by name. GSM8K stays a written one; its
mark is the last number. Each task has its rows beside it, and names them without a path, so that the folder can be moved.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOST_CHOICES = 6  # different answers, up to which a task without lettered options is one of choosing
OPTION = re.compile(r"^\(([A-Z])\) ", re.MULTILINE)
CHOOSING = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {name}.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "Q: {{{{question}}}}\\nA:"
doc_to_target: right
doc_to_choice: choices
target_delimiter: " "
metric_list:
  - metric: acc
metadata:
  version: 1.0
"""
WRITING = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {name}.jsonl
test_split: test
output_type: generate_until
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{right}}}}"
generation_kwargs:
  until: ["Question:", "\\n\\n"]
  do_sample: false
  max_gen_toks: 128
filter_list:
  - name: last-number
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[0-9][0-9,]*(?:\\\\.[0-9]+)?)"
      - function: take_first
metric_list:
  - metric: exact_match
    regexes_to_ignore: [","]
metadata:
  version: 1.0
"""


def choosing(examples: Sequence[dict[str, str]]) -> list[dict[str, Any]] | None:
    """Return the items with their choices and which is right (from 0), or ``None`` for a task of written answers.

    An item whose answer is not among its own lettered options is dropped: the data has some.
    """
    answers = sorted({item["target"].strip() for item in examples})
    rows = []
    for item in examples:
        letters = [f"({letter})" for letter in OPTION.findall(item["input"])]
        if not letters and len(answers) > MOST_CHOICES:
            return None
        choices, right = letters or answers, item["target"].strip()
        if right in choices:
            rows.append({"question": item["input"].strip(), "choices": choices, "right": choices.index(right)})
    return rows or None


def written(examples: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return GSM8K's items with the number after ``####``. Raises ``ValueError`` for an answer without one."""
    rows = []
    for number, item in enumerate(examples, start=1):
        _, mark, right = item["answer"].rpartition("####")
        if not mark:
            raise ValueError(f"item {number} has no #### before its result")
        rows.append({"question": item["question"].strip(), "right": right.strip().replace(",", "")})
    return rows


def build(source: Path, out: Path) -> tuple[dict[str, int], list[str]]:
    """Write the tasks; return how many items each has, and the tasks of BIG-Bench Hard that were left out."""
    out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    left_out = []

    def write(name: str, form: str, rows: Sequence[dict[str, Any]]) -> None:
        (out / f"{name}.yaml").write_text(form.format(name=name), encoding="utf-8")
        (out / f"{name}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        counts[name] = len(rows)

    for path in sorted((source / "bbh" / "bbh").glob("*.json")):
        rows = choosing(json.loads(path.read_text(encoding="utf-8"))["examples"])
        if rows is None:
            left_out.append(path.stem)
        else:
            write(f"bbh_{path.stem}", CHOOSING, rows)
    lines = (source / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    # lm-eval brings tasks called gsm8k, which fetch their rows.
    write("gsm8k_local", WRITING, written([json.loads(line) for line in lines if line]))
    return counts, left_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder of tasks and say what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of bbh and gsm8k")
    parser.add_argument("--out", type=Path, default=Path("build/capability"))
    options = parser.parse_args(arguments)
    try:
        counts, left_out = build(options.source, options.out)
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.source}: {error}", file=sys.stderr)
        return 2
    for name, count in counts.items():
        print(f"{name}: {count} items")
    print(f"left out, as their answers are written: {', '.join(left_out) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

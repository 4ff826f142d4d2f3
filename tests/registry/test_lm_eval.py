import importlib.util
import json
import sys
from pathlib import Path

import pytest

from groundtune.errors import ConfigError, MissingExtra, ModelError
from groundtune.registry import lm_eval

TASK = """
task: small
dataset_path: json
dataset_kwargs:
  data_files: {folder}/small.jsonl
output_type: multiple_choice
test_split: train
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
doc_to_choice: ["yes", "no"]
metric_list:
  - metric: acc
"""


def logged(folder: Path, rows: list[dict[str, object]], task: str = "small") -> Path:
    (folder / "model").mkdir()
    (folder / f"model/samples_{task}_2026-11-21.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_items_become_scores_that_pair_by_their_number(tmp_path: Path) -> None:
    out = logged(tmp_path, [{"doc_id": n, "acc": float(n % 2), "filter": "none"} for n in (2, 0, 1)] + [{"doc_id": 2, "acc": 1.0}])
    scores = lm_eval.read(out, "small", "candidate")
    assert [(score.example_id, score.value) for score in scores] == [("small:2", 0.0), ("small:0", 0.0), ("small:1", 1.0)]
    assert {(score.metric, score.signature) for score in scores} == {("lm-eval:small", "lm-eval|small|acc|none")}


def test_a_task_without_items_or_known_marks_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="logged no items for small"):
        lm_eval.read(tmp_path, "small", "base")
    with pytest.raises(ModelError, match="marks its items by none of"):
        lm_eval.read(logged(tmp_path, [{"doc_id": 0, "bleu": 3.0}]), "small", "base")


def test_the_command_names_local_files_only(tmp_path: Path) -> None:
    line = lm_eval.command(
        model=Path("/m"), adapter=Path("/a"), dtype="float32", tasks=["x", "y"], folder=tmp_path, limit=5, out=Path("/o")
    )
    assert line[:6] == [sys.executable, "-P", "-m", "lm_eval", "run", "--model"]
    assert "pretrained=/m,dtype=float32,tokenizer=/m,peft=/a" in line
    assert line[line.index("--tasks") + 1] == "x,y" and line[line.index("--limit") + 1] == "5" and "--log_samples" in line
    plain = lm_eval.command(model=Path("/m"), adapter=None, dtype="float32", tasks=["x"], folder=None, limit=None, out=Path("/o"))
    assert not {"--include_path", "--limit"} & set(plain) and "peft" not in " ".join(plain)
    (tmp_path / "model.safetensors").write_bytes(b"")
    whole = lm_eval.command(model=Path("/m"), adapter=tmp_path, dtype="float32", tasks=["x"], folder=None, limit=None, out=Path("/o"))
    assert f"pretrained={tmp_path},dtype=float32,tokenizer=/m" in whole


def run(model: Path, folder: Path | None, **changed: object) -> object:
    options = {"model": model, "adapter": None, "dtype": "float32", "tasks": ["small"], "folder": folder, "limit": None, "arm": "base"}
    return lm_eval.run(**(options | changed))  # type: ignore[arg-type]


def test_without_the_harness_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="lm_eval is not installed") as caught:
        run(tmp_path, None)
    assert "groundtune[lm-eval]" in caught.value.hint


def test_paths_that_the_harness_would_cut_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ConfigError, match="no such folder"):
        run(tmp_path, tmp_path / "none")
    with pytest.raises(ConfigError, match="with , or = in it"):
        run(tmp_path / "a,peft=evil", None)


def test_the_harness_scores_a_model_from_local_files(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="pip install 'groundtune[lm-eval]'")
    rows = [{"question": f"Is the crane {n} metres high?", "answer": "yes" if n % 2 else "no"} for n in range(12)]
    (tmp_path / "small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "small.yaml").write_text(TASK.format(folder=tmp_path))
    scores = run(tiny, tmp_path)
    assert len(scores) == 12 and {score.value for score in scores} <= {0.0, 1.0}  # type: ignore[arg-type, attr-defined]
    with pytest.raises(ModelError, match="lm-eval ended with"):
        run(tiny, tmp_path, tasks=["no_such_task"])

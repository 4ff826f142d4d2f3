import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_hosted import Service, hosting
from made_training import RECIPE, made, rows
from ruamel.yaml import YAML

from groundtune.errors import ConfigError, EndpointError, StateError
from groundtune.tuning import exported
from groundtune.tuning.adapter import Job
from groundtune.tuning.hosted import Hosted
from groundtune.tuning.rows import TrainSet


def job(count: int = 12, model: str = "org/name", **change: Any) -> Job:
    recipe = RECIPE.model_copy(update=change)
    held = TrainSet(rows=tuple(made(recipe.objective, count)), left_out={}, readers=frozenset(["everyone"]), document_ids=())
    return Job(
        name="reader",
        key="k" * 16,
        recipe=recipe,
        rows=held,
        dev_rows=made(recipe.objective, 2),
        chat={"model": model},
        prompt_hash="p",
        seed=7,
    )


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def axolotl(folder: Path, **change: Any) -> dict[str, Any]:
    files = exported.axolotl(job(**change), folder, target_modules=["q_proj", "v_proj"], end_token=change.pop("end", None))
    assert [path.name for path in files] == ["axolotl.yml", "train.jsonl", "dev.jsonl"] and all(path.is_file() for path in files)
    return dict(YAML(typ="safe").load(files[0].read_text()))


def test_axolotl_gets_the_same_rows_and_the_same_settings_under_its_names(tmp_path: Path) -> None:
    found = axolotl(tmp_path, batch=6, memory_tokens=4096, max_tokens=1024, replay=0.1, method="dora")
    assert found["micro_batch_size"] * found["gradient_accumulation_steps"] == 6
    assert (found["micro_batch_size"], found["sequence_len"]) == (3, 1024)
    assert (found["adapter"], found["lora_r"], found["lora_alpha"], found["peft_use_dora"], found["load_in_4bit"]) == (
        "lora",
        2,
        4,
        True,
        False,
    )
    assert found["lora_target_modules"] == ["q_proj", "v_proj"]
    assert found["datasets"][0]["roles_to_train"] == ["assistant"] and found["datasets"][0]["path"] == "train.jsonl"
    assert (found["num_epochs"], found["learning_rate"], found["seed"], found["base_model"]) == (2, 1e-2, 7, "org/name")
    train = lines(tmp_path / "train.jsonl")
    assert [row["messages"][-1] for row in train] == [{"role": "assistant", "content": row.completion} for row in rows(12)]
    assert [row["messages"][:-1] for row in train] == [list(row.messages) for row in rows(12)]


@pytest.mark.parametrize(
    ("change", "wanted", "keys"),
    [
        ({"objective": "dpo", "beta": 0.2}, {"rl": "dpo", "rl_beta": 0.2}, {"messages", "chosen", "rejected"}),
        ({"objective": "orpo", "beta": 0.3}, {"rl": "orpo", "orpo_alpha": 0.3}, {"system", "chosen", "rejected"}),
        ({"method": "full"}, {}, {"messages"}),
        ({"method": "qlora"}, {"adapter": "qlora", "load_in_4bit": True}, {"messages"}),
    ],
)
def test_axolotl_gets_each_objective_and_method(tmp_path: Path, change: dict[str, Any], wanted: dict[str, Any], keys: set[str]) -> None:
    found = axolotl(tmp_path, **change)
    assert wanted.items() <= found.items()
    assert ("adapter" in found) is (change.get("method") != "full")
    assert all(set(row) == keys for row in lines(tmp_path / "train.jsonl"))


def test_single_ratings_are_exported_to_nobody(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="Axolotl takes KTO rows as ChatML or Llama 3 only"):
        exported.axolotl(job(objective="kto"), tmp_path, target_modules=["q_proj"], end_token=None)
    with pytest.raises(StateError, match="hosted tuning knows sft and dpo, and the objective is kto"):
        exported.openai(job(objective="kto"), tmp_path, model="m")
    assert list(tmp_path.iterdir()) == []


def test_what_axolotl_does_otherwise_is_said(tmp_path: Path) -> None:
    assert exported.left_behind(job()) == []
    assert "layers = 3 is not exported" in exported.left_behind(job(layers=3))[0]
    text = exported.axolotl(job(model="smollm2-135m-instruct"), tmp_path, target_modules=[], end_token="<end>")[0].read_text()
    assert "quantised copy" in text and "HuggingFaceTB/SmolLM2-135M-Instruct" in text and "<end>" in text


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("HOSTED_KEY", "sk-secret")
    with hosting() as running:
        yield running


def hosted(service: Service, said: list[str] | None = None, waits: list[float] | None = None) -> Hosted:
    pause = (waits if waits is not None else []).append
    return Hosted(base_url=service.url, key_env="HOSTED_KEY", pause=pause, say=(said if said is not None else []).append)


@pytest.mark.parametrize("objective", ["sft", "dpo"])
def test_a_job_is_sent_followed_and_its_result_kept(service: Service, tmp_path: Path, objective: str) -> None:
    exported.openai(job(objective=objective), tmp_path, model="gpt-x")
    said: list[str] = []
    made = hosted(service, said).run(tmp_path)
    [running] = service.jobs.values()
    kind = "supervised" if objective == "sft" else "dpo"
    assert running["method"]["type"] == kind and running["seed"] == 7 and running["suffix"] == "reader"
    assert running["method"][kind]["hyperparameters"] == {"n_epochs": 2, "batch_size": 2} | ({"beta": 0.1} if kind == "dpo" else {})
    assert made["model"] == "ft:gpt-x:org:reader:1" and made["trained_tokens"] == 1234
    assert (tmp_path / "result-0.csv").read_text().startswith("step,train_loss")
    # Two runs of 60 events: more than a page, each told once and in order.
    told = [text for text in said if text.startswith("info:")]
    assert told == [f"info: {event['message']}" for event in service.events[running["id"]]]
    assert service.files[running["training_file"]]["_content"] == (tmp_path / "train.jsonl").read_bytes()
    assert service.files[running["validation_file"]]["_content"] == (tmp_path / "dev.jsonl").read_bytes()
    assert "sk-secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_a_run_that_was_broken_off_sends_nothing_twice(service: Service, tmp_path: Path) -> None:
    exported.openai(job(), tmp_path, model="gpt-x")

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hosted(base_url=service.url, key_env="HOSTED_KEY", pause=interrupt).run(tmp_path)
    assert len(service.jobs) == 1 and len(service.files) == 2
    made = hosted(service).run(tmp_path)
    assert made["status"] == "succeeded" and len(service.jobs) == 1
    assert service.asked.count("POST /v1/files") == 2


def test_an_overloaded_service_is_asked_again_but_no_job_is_begun_twice(service: Service, tmp_path: Path) -> None:
    exported.openai(job(), tmp_path, model="gpt-x")
    service.failures = {"POST /v1/files": [503, 429], "POST /v1/fine_tuning/jobs": [429, 500]}
    waits: list[float] = []
    with pytest.raises(EndpointError, match="HTTP 500: The server is overloaded"):
        hosted(service, waits=waits).run(tmp_path)
    assert waits[:3] == [0.5, 1.0, 0.5] and service.jobs == {}
    assert hosted(service).run(tmp_path)["status"] == "succeeded"


def test_a_failed_job_tells_why_and_what_to_type(service: Service, tmp_path: Path) -> None:
    exported.openai(job(), tmp_path, model="gpt-x")
    service.fails_with = "The job failed due to an unsafe file"
    with pytest.raises(StateError, match="ftjob-0 failed: The job failed due to an unsafe file") as raised:
        hosted(service).run(tmp_path)
    assert "hosted.json" in raised.value.hint


def test_an_export_that_changed_after_it_was_sent_is_refused(service: Service, tmp_path: Path) -> None:
    exported.openai(job(), tmp_path, model="gpt-x")
    hosted(service).run(tmp_path)
    exported.openai(job(13), tmp_path, model="gpt-x")
    with pytest.raises(StateError, match="the export changed after it was sent"):
        hosted(service).run(tmp_path)


def test_a_wrong_key_is_told_without_the_key(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported.openai(job(), tmp_path, model="gpt-x")
    monkeypatch.setenv("HOSTED_KEY", "sk-wrong")
    with pytest.raises(EndpointError, match=r"HTTP 401: Incorrect API key provided: \[key\]"):
        hosted(service).run(tmp_path)
    monkeypatch.delenv("HOSTED_KEY")
    with pytest.raises(ConfigError, match="HOSTED_KEY is not set"):
        hosted(service)
    with pytest.raises(ConfigError, match="expected http"):
        Hosted(base_url="ftp://x", key_env="HOSTED_KEY")


def test_what_hosted_tuning_does_not_take_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="takes 10 rows or more, and there are 9"):
        exported.openai(job(9), tmp_path, model="gpt-x")
    with pytest.raises(StateError, match="knows sft and dpo, and the objective is orpo"):
        exported.openai(job(objective="orpo"), tmp_path, model="gpt-x")
    assert list(tmp_path.iterdir()) == []
    assert "can be withdrawn" in json.loads(exported.openai(job(), tmp_path, model="gpt-x")[2].read_text())["warning"]

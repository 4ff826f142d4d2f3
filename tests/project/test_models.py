import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_project import CONFIG, make_chat_model, make_project

import groundtune as gt
from groundtune.cli.main import main
from groundtune.errors import GroundtuneError, HalfWritten, OtherBase, StateError, UnknownName, UnsafeWeights, WeightsError
from groundtune.files import file_sha256, write_lines
from groundtune.models.chat import Request
from groundtune.registry import lm_eval, memory, probe
from groundtune.registry.export import verify
from groundtune.registry.stages import Stages
from groundtune.types import Score

DEV, TRAIN = ("quay", "pilot", "anchor", "winch"), ("mast", "harbour", "rope", "tide", "rudder")
GATES = """
[[gates]]
metric = "token_f1"
at_least = -1.0
against = "live"

[[gates]]
metric = "probe:arithmetic"
at_least = -1.0
against = "base"
"""


def settings(**changed: str) -> str:
    text = CONFIG.split("[tuning.reader]")[0].replace("batch = 4", "batch = 40")
    text += '[[arms]]\nname = "prompt"\n\n[[arms]]\nname = "tuned"\nadapter = "closed"\n\n[rubric]\nresamples = 1000\n'
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    return text + GATES


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions of one adapter, compared; the first is live."""
    import torch

    torch.set_num_threads(1)
    folder = make_project(tmp_path_factory.mktemp("models") / "small")
    path = folder / "examples/all.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        topic = row["split_group"]
        row["split"] = "dev" if topic in DEV else "train" if topic in TRAIN else "test"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write(folder, settings())
    project = gt.open(folder)
    project.tune(["closed"])
    [first] = [item.version.id for item in project.models.listed()[0]]
    project.models.compare(first)
    assert project.models.promote(first, by="ana", why="the first").done
    write(folder, settings(**{"epochs = 1": "epochs = 2"}))
    project = gt.open(folder)
    project.tune(["closed"])
    [second] = [item.version.id for item in project.models.listed()[0] if item.version.id != first]
    project.models.compare(second)
    return folder


def write(folder: Path, text: str) -> None:
    (folder / "groundtune.toml").write_text(text.replace("{model}", str(folder.parent / "tiny-model")))


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent, tmp_path / "copy")
    write(tmp_path / "copy/small", settings(**{"epochs = 1": "epochs = 2"}))
    return tmp_path / "copy/small"


def ids(project: gt.Project) -> tuple[str, str]:
    """Return the ids of the first and the second version."""
    found, _ = project.models.listed()
    by_steps = sorted(found, key=lambda item: item.version.metrics["steps"])
    return by_steps[0].version.id, by_steps[1].version.id


def stages(folder: Path) -> Stages:
    return gt.open(folder).models.stages()


def test_a_version_knows_what_it_was_made_from(folder: Path) -> None:
    project = gt.open(folder)
    first, second = ids(project)
    shown = project.models.show(first)
    assert shown["stage"] == "live" and shown["id"] == first and shown["rows"] == 15 and len(shown["examples"]) == 15
    assert shown["revision"].startswith("files ") and shown["template_hash"] and shown["made_at"].startswith("20")
    assert set(shown["document_ids"]) == {f"document:{topic}.md" for topic in TRAIN} and shown["documents_gone"] == []
    assert shown["readers"] == shown["readers_now"] == ["everyone"]
    assert [(line["verb"], line["by"], line["why"]) for line in shown["history"]] == [("promote", "ana", "the first")]
    [evidence] = shown["evidence"]
    assert evidence["run"] == shown["history"][0]["details"]["evidence"]
    assert project.models.show(second)["stage"] == "candidate"
    assert f"example:{TRAIN[0]}-0" in project.ledger.parents(first)


def test_a_comparison_is_paired_with_intervals_and_is_not_made_twice(folder: Path) -> None:
    project = gt.open(folder)
    first, second = ids(project)
    found, outcomes = project.models.compare(second)
    assert found.against == first and found.questions == 12
    cell = {(e.metric, e.arm, e.versus): e for e in found.estimates}
    for metric in ("token_f1", "probe", "probe:reading"):
        for versus in (None, "base", "live") if metric == "token_f1" else (None, "base"):
            estimate = cell[metric, "candidate", versus]
            assert estimate.state == "measured" and estimate.low is not None and estimate.high is not None
            assert estimate.low <= (estimate.value or 0) <= estimate.high
    assert cell["parity", "candidate", None].value == 1.0 and cell["parity", "candidate", None].n == 12
    assert cell["extracted", "candidate", None].n == 15
    assert all(outcome.passed for outcome in outcomes) and len(outcomes) == 5
    project.__dict__["chat"] = None  # no model is asked again
    assert project.ledger.runs("compare")[-1].id == found.run_id


def test_a_promotion_without_evidence_fails_and_changes_nothing(folder: Path) -> None:
    write(folder, settings(**{"epochs = 1": "epochs = 3"}))
    project = gt.open(folder)
    [third] = project.tune(["closed"])
    done = project.models.promote(third.id, by="ben", why="in a hurry")
    assert not done.done and done.evidence is None and len(done.outcomes) == 5
    assert all("not measured" in outcome.said for outcome in done.outcomes)
    assert third.id not in stages(folder).live.values()


def test_evidence_of_what_changed_since_does_not_count(folder: Path) -> None:
    second = ids(gt.open(folder))[1]
    path = folder / "examples/all.jsonl"
    path.write_text(path.read_text().replace("what do I owe when a quay", "what does it cost me when a quay"))
    assert not gt.open(folder).models.promote(second, by="ben", why="now").done
    path.write_text(path.read_text().replace("what does it cost me when a quay", "what do I owe when a quay"))
    assert gt.open(folder).models.promote(second, by="ben", why="now").done


def test_promote_rollback_and_retire_are_told_with_who_and_why(folder: Path) -> None:
    project = gt.open(folder)
    first, second = ids(project)
    assert project.models.promote(second, by="ben", why="better").was == first
    assert project.models.promote(second, by="ben", why="again").was == second
    back = project.models.rollback("closed", by="cleo", why="complaints")
    assert (back.id, back.was) == (first, second)
    with pytest.raises(StateError, match="no version of closed before"):
        project.models.rollback("closed", by="cleo", why="more")
    project.models.retire(second, by="cleo", why="leaks")
    assert [(line.verb, line.version, line.was, line.by) for line in project.models.history()] == [
        ("promote", first, None, "ana"),
        ("promote", second, first, "ben"),
        ("rollback", first, second, "cleo"),
        ("retire", second, first, "cleo"),
    ]
    with pytest.raises(StateError, match="is retired"):
        project.models.promote(second, by="ben", why="once more")
    with pytest.raises(StateError, match="is retired"):
        project.models.export(second, form="merged", target=folder / "out", kind="float32", by="ben", why="x")
    with pytest.raises(UnknownName, match="known: closed"):
        project.models.rollback("reader", by="cleo", why="x")
    with pytest.raises(StateError, match="none was given"):
        project.models.retire(first, by="cleo", why="  ")


def test_the_live_version_answers_and_a_retired_one_does_not(folder: Path) -> None:
    project = gt.open(folder)
    first, second = ids(project)
    assert project.ask("How often is the rope checked?", arm="tuned", asker="ana").model == first
    assert project.models.promote(second, by="ben", why="better").done
    assert gt.open(folder).ask("How often is the rope checked?", arm="tuned", asker="ana").model == second
    for version in (first, second):
        project.models.retire(version, by="ben", why="leaks")
    with pytest.raises(StateError, match="no version of closed is live"):
        gt.open(folder).ask("How often is the rope checked?", arm="tuned", asker="ana")


def test_weights_are_hashed_once_in_a_process_and_a_change_between_two_questions_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr("groundtune.files.file_sha256", counted)
    monkeypatch.setattr("groundtune.files.SETTLED_NANOSECONDS", -1)  # the copies were made just now
    project = gt.open(folder)
    first, _ = ids(project)
    for _ in range(2):
        assert project.ask("How often is the rope checked?", arm="tuned", asker="ana").model == first
    assert read.count("adapter_model.safetensors") == 2  # one for each of the two versions, by the listing
    weights = folder / ".groundtune/models" / first.removeprefix("model:") / "adapter_model.safetensors"
    stat, content = weights.stat(), weights.read_bytes()
    with weights.open("r+b") as stream:  # one byte of a number, in place, with the time set back
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([content[-1] ^ 1]))
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(WeightsError, match=r"adapter_model\.safetensors: sha256"):
        project.ask("How often is the rope checked?", arm="tuned", asker="ana")
    weights.write_bytes(content)
    assert project.ask("How often is the rope checked?", arm="tuned", asker="ana").model == first


def test_readers_shrink_with_those_of_the_documents_and_never_grow(folder: Path) -> None:
    path = folder / "documents/rope.md"
    text = path.read_text()
    path.write_text(text.replace("readers: [everyone]", "readers: [finance]"))
    project = gt.open(folder)
    first, second = ids(project)
    assert {item.readers for item in project.models.listed()[0]} == {frozenset()}
    answer = project.ask("How often is the rope checked?", arm="tuned", asker="ana")
    assert answer.failure is not None and "may not read" in answer.failure and answer.text == ""
    with pytest.raises(StateError, match="nobody may be answered"):
        project.models.promote(second, by="ben", why="x")
    with pytest.raises(StateError, match="nobody may be answered"):
        project.models.export(second, form="merged", target=folder / "out", kind="float32", by="ben", why="x")
    path.unlink()
    rows = [line for line in (folder / "examples/all.jsonl").read_text().splitlines() if '"rope' not in line]
    (folder / "examples/all.jsonl").write_text("\n".join(rows) + "\n")
    assert {item.readers for item in gt.open(folder).models.listed()[0]} == {frozenset()}
    assert gt.open(folder).models.show(first)["documents_gone"] == ["document:rope.md"]
    path.write_text(text.replace("readers: [everyone]", "readers: [everyone, finance]"))
    assert {item.readers for item in gt.open(folder).models.listed()[0]} == {frozenset(["everyone"])}


def test_another_base_is_refused_everywhere(folder: Path) -> None:
    other = make_chat_model(folder.parent / "other-model", seed=9)
    text = (folder / "groundtune.toml").read_text()
    (folder / "groundtune.toml").write_text(text.replace(str(folder.parent / "tiny-model"), str(other)))
    project = gt.open(folder)
    second = ids(project)[1]
    acts: list[Callable[[], Any]] = [
        lambda: project.models.promote(second, by="ben", why="x"),
        lambda: project.models.compare(second),
        lambda: project.models.export(second, form="merged", target=folder / "out", kind="float32", by="ben", why="x"),
        lambda: project.ask("How?", arm="tuned", asker="ana"),
    ]
    for act in acts:
        with pytest.raises(OtherBase, match="was made for the base"):
            act()


def test_damaged_versions_are_listed_with_their_reason_and_never_used(folder: Path) -> None:
    project = gt.open(folder)
    first, second = ids(project)
    store = folder / ".groundtune/models"
    there = store / first.removeprefix("model:")
    (there / "adapter_model.bin").write_bytes(b"\x80\x04")
    _, [trouble] = project.models.listed()
    assert isinstance(trouble.error, UnsafeWeights)
    with pytest.raises(UnsafeWeights):
        project.ask("How?", arm="tuned", asker="ana")
    (there / "adapter_model.bin").unlink()
    (there / "adapter_model.safetensors").write_bytes((store / second.removeprefix("model:") / "adapter_model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="sha256"):
        project.ask("How?", arm="tuned", asker="ana")
    project.models.retire(first, by="ben", why="damaged")
    shutil.rmtree(there)
    # What was measured beside a version that is live no more has to be measured again.
    assert not project.models.promote(second, by="ben", why="instead").done and stages(folder).live == {}
    project.models.compare(second)
    assert project.models.promote(second, by="ben", why="instead").done and stages(folder).live == {"closed": second}


def test_a_live_version_whose_folder_is_gone_is_told(folder: Path) -> None:
    project = gt.open(folder)
    first, _ = ids(project)
    shutil.rmtree(folder / ".groundtune/models" / first.removeprefix("model:"))
    _, [trouble] = project.models.listed()
    assert isinstance(trouble.error, HalfWritten) and "folder is gone" in trouble.error.message
    with pytest.raises(HalfWritten, match="folder is gone"):
        project.ask("How?", arm="tuned", asker="ana")
    assert project.models.retire(first, by="ben", why="lost").was == first
    assert project.models.stages().live == {} and project.models.listed()[1] == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_promotion_that_is_killed_was_made_whole_or_not_at_all(folder: Path, moment: str) -> None:
    first, second = ids(gt.open(folder))
    child = os.fork()
    if child == 0:
        from groundtune.records.ledger import Ledger

        real = Ledger.audit

        def killed(self: Ledger, *arguments: Any, **named: Any) -> bool:
            done = real(self, *arguments, **named) if moment == "after" else False
            os.kill(os.getpid(), signal.SIGKILL)
            return done

        Ledger.audit = killed  # type: ignore[method-assign]
        try:
            gt.open(folder).models.promote(second, by="ben", why="better")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    project = gt.open(folder)
    assert project.models.stages().live == {"closed": second if moment == "after" else first}
    assert project.models.promote(second, by="ben", why="better").done
    assert [line.version for line in project.models.history()] == [first, second]


def test_an_export_is_in_the_history_with_its_place_and_files(folder: Path) -> None:
    project = gt.open(folder)
    first, _ = ids(project)
    done = project.models.export("closed", form="gguf", target=folder / "out", kind="f32", by="ben", why="for the pilot site")
    assert done.differences == () and verify(folder / "out")["version"]["id"] == first
    line = project.models.history()[-1]
    assert (line.verb, line.version, line.by) == ("export", first, "ben")
    assert line.details["to"] == str(folder / "out") and line.details["readers"] == ["everyone"] and len(line.details["files"]) == 16


def test_a_version_that_was_written_anew_after_its_promotion_answers_nobody(folder: Path) -> None:
    """Its files agree with its record, but it is not what passed the gates."""
    project = gt.open(folder)
    first, second = ids(project)
    place = folder / ".groundtune/models" / second.removeprefix("model:")
    assert project.models.promote(second, by="ben", why="better").done
    config, record = (place / "adapter_config.json").read_text(), (place / "version.json").read_text()
    louder = json.dumps({**json.loads(config), "lora_alpha": 64})
    (place / "adapter_config.json").write_text(louder)
    row = json.loads(record)
    row["files"]["adapter_config.json"] = file_sha256(place / "adapter_config.json")
    (place / "version.json").write_text(json.dumps(row))
    with pytest.raises(WeightsError, match="written anew since .* was promoted") as raised:
        gt.open(folder).ask("How often is the rope checked?", arm="tuned", asker="ana")
    assert "models rollback closed" in raised.value.hint
    assert gt.open(folder).models.rollback("closed", by="ben", why="changed").id == first
    # Nor does evidence of what it was before count for it.
    assert not gt.open(folder).models.promote(second, by="ben", why="again").done
    (place / "adapter_config.json").write_text(config)
    (place / "version.json").write_text(record)
    assert gt.open(folder).models.promote(second, by="ben", why="restored").done
    assert gt.open(folder).ask("How often is the rope checked?", arm="tuned", asker="ana").model == second


def test_a_version_that_was_never_promoted_is_looked_at_as_well(folder: Path) -> None:
    write(folder, settings(**{"epochs = 1": "epochs = 3"}))
    project = gt.open(folder)
    [third] = project.tune(["closed"])
    for version in ids(project)[:2]:
        project.models.retire(version, by="ben", why="old")
    assert project.versions()["closed"].id == third.id
    (folder / ".groundtune/models" / third.id.removeprefix("model:") / "adapter_config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"adapter_config\.json: sha256"):
        gt.open(folder).versions()


def test_a_gate_stands_on_the_primary_metric_until_another_is_written(folder: Path) -> None:
    def judged(text: str) -> dict[str, bool]:
        (folder / "groundtune.toml").write_text(text)
        found, outcomes = gt.open(folder).models.compare(second)
        noted.extend(found.notes)
        return {str(outcome.gate): outcome.passed for outcome in outcomes}

    noted: list[str] = []
    second = ids(gt.open(folder))[1]
    text = (folder / "groundtune.toml").read_text()
    written = '[[gates]]\nmetric = "token_f1"\nat_least = -1.0\nagainst = "live"\n'
    assert written in text and "token_f1 against live at least 0" not in judged(text)
    assert "token_f1 against live at least 0" in judged(text.replace(written, ""))
    # One that is measured on demand is measured for it; one that a comparison does not measure is told.
    primary = text.replace(written, "").replace("[rubric]\n", '[rubric]\nprimary = "meteor"\n')
    found, _ = (judged(primary), None)
    assert "meteor against live at least 0" in found and not noted
    judge = text.replace(written, "").replace("[rubric]\n", '[rubric]\nprimary = "judged:correct"\n')
    assert not any("judged" in gate for gate in judged(judge)) and "judged:correct is not measured here" in noted[-1]


def test_other_task_files_are_other_evidence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = ids(gt.open(folder))[1]
    (folder / "tasks").mkdir()
    (folder / "tasks/small.yaml").write_text("one")
    (folder / "groundtune.toml").write_text(
        (folder / "groundtune.toml").read_text() + '\n[models]\ntasks = ["small"]\ntasks_folder = "tasks"\n'
    )

    def marks(arm: str, **given: Any) -> list[Score]:
        made = {"metric": "lm-eval:small", "value": 1.0, "reason": "", "signature": "s"}
        return [Score(answer_id=f"{arm}{n}", example_id=f"small:{n}", arm=arm, **made) for n in range(20)]

    monkeypatch.setattr(lm_eval, "run", marks)
    gt.open(folder).models.compare(second)
    (folder / "tasks/small.yaml").write_text("another")
    refused = gt.open(folder).models.promote(second, by="ben", why="x")
    assert not refused.done and refused.evidence is None
    (folder / "tasks/small.yaml").write_text("one")
    assert gt.open(folder).models.promote(second, by="ben", why="x").done


def test_ratings_whose_halves_have_one_id_are_compared(folder: Path) -> None:
    common = {"as": "ana", "chosen": "weekly", "rejected": "never, I am afraid"}
    write_lines(folder / "rated.jsonl", [{"id": f"l{n}", "question": f"how often is thing {n} oiled", **common} for n in range(6)])
    text = (folder / "groundtune.toml").read_text()
    table = '[tuning.liked]\nobjective = "kto"\nreaders = ["everyone"]\npreferences = "rated.jsonl"\nrank = 2\nepochs = 1\n\n'
    (folder / "groundtune.toml").write_text(text.replace("[[arms]]", table + "[[arms]]", 1))
    project = gt.open(folder)
    [version] = project.tune(["liked"])
    found, _ = project.models.compare(version.id)
    [extracted] = [item for item in found.estimates if item.metric == "extracted"]
    assert (extracted.state, extracted.n) == ("measured", 12)


def command(folder: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["models", *arguments, "-p", str(folder), "--progress", "silent"])
    return int(ended.value.code or 0)


def test_the_verb_says_what_it_did_and_ends_with_the_right_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ids(gt.open(folder))
    assert command(folder) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith(first)] == ["live"]
    assert command(folder, "show", first, "--json") == 0
    assert json.loads(capsys.readouterr().out)["stage"] == "live"
    assert command(folder, "show", first) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^token_f1 +\d\.\d{3} \[", printed, re.MULTILINE) and "began from the base" in printed
    assert command(folder, "history", "closed", "--json") == 0
    [line] = json.loads(capsys.readouterr().out)["history"]
    assert (line["verb"], line["version"], line["was"], line["by"], line["why"]) == ("promote", first, None, "ana", "the first")
    assert command(folder, "history", second) == 0 and "nothing was promoted" in capsys.readouterr().out
    assert command(folder, "history", "nobody") == 2 and "unknown model version 'nobody'" in capsys.readouterr().err
    assert command(folder, "compare", second) == 0
    printed = capsys.readouterr().out
    assert "pass  parity at least 1: 1.000" in printed and "version - live" in printed
    assert command(folder, "promote", second) == 2
    assert "is recorded with its reason" in capsys.readouterr().err
    assert command(folder, "promote", second, "--why", "better", "--by", "ana") == 0
    assert f"{second} is live for closed; it was {first}" in capsys.readouterr().out
    assert command(folder, "retire", second, "--why", "x") == 2
    assert "is live, and nothing takes its place" in capsys.readouterr().err
    assert command(folder, "rollback", "closed", "--why", "complaints", "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == first
    assert command(folder, "retire", second, "--why", "leaks") == 0
    assert command(folder, "promote", second, "--why", "again") == 2
    assert "is retired" in capsys.readouterr().err
    assert command(folder, "export", first, "--as", "merged", "--to", str(folder / "out"), "--why", "try") == 0
    assert "vllm serve ." in capsys.readouterr().out
    assert command(folder, "history") == 0
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines()[1:] if line.startswith("20")] == [
        "promote", "promote", "rollback", "retire", "export",
    ]  # fmt: skip
    assert "compare" in printed and "complaints" in printed
    assert command(folder, "export", first, "--why", "try") == 2
    assert command(folder, "show") == 2
    assert command(folder, "list", "--yes") == 2
    capsys.readouterr()
    (folder / ".groundtune/models/closed-11111111").mkdir()
    assert command(folder, "list") == 1
    assert "writing it was broken off" in capsys.readouterr().out


def test_a_failed_gate_ends_with_code_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "groundtune.toml").read_text()
    more = '\n[[gates]]\nmetric = "exact"\nat_least = 0.99\n\n[[gates]]\nmetric = "typo"\nat_most = 1\n'
    (folder / "groundtune.toml").write_text(text + more)
    second = ids(gt.open(folder))[1]
    assert command(folder, "promote", second, "--why", "hope") == 1
    printed = capsys.readouterr().out
    assert "FAIL  exact at least 0.99, interval included" in printed and "FAIL  typo at most 1" in printed
    assert "was not promoted" in printed and second not in stages(folder).live.values()


def test_what_was_forgotten_beyond_the_budget_blocks_a_promotion(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks are to say what this base says, so the base does them all, and a version that was tuned does not."""
    project = gt.open(folder)
    first, second = ids(project)
    prompts = [f"Say {topic}." for topic in (*DEV, *TRAIN, "gull", "fog", "lock")]
    said = project.chat.complete([Request(messages=({"role": "user", "content": ask},)) for ask in prompts], limit=probe.LIMIT)
    own = tuple(
        probe.Item(id=f"own-{ask}", kind="arithmetic", ask=ask, check={"exact": [probe._plain(one.text)]})
        for ask, one in zip(prompts, said, strict=True)
    )
    monkeypatch.setattr(probe, "items", lambda: own)
    monkeypatch.setattr(probe, "identity", lambda: "tasks of this test")
    found, outcomes = gt.open(folder).models.compare(second)
    cell = {(e.metric, e.arm, e.versus): e for e in found.estimates}
    lost = cell["probe", "candidate", "base"]
    assert cell["probe", "base", None].value == 1.0 and lost.n == len(prompts)
    assert lost.value is not None and lost.high is not None and lost.value < -0.05 and lost.low <= lost.value <= lost.high  # type: ignore[operator]
    assert [str(outcome.gate) for outcome in outcomes if not outcome.passed] == ["probe against base at least -0.05"]
    done = gt.open(folder).models.promote(second, by="ben", why="it is better at the task")
    assert not done.done and done.evidence == found.run_id and stages(folder).live == {"closed": first}
    # Who writes a larger budget takes the loss knowingly; the evidence has to be made under it.
    text = (folder / "groundtune.toml").read_text()
    (folder / "groundtune.toml").write_text(text + "\n[models]\nforgetting_budget = 1.0\n")
    gt.open(folder).models.compare(second)
    assert gt.open(folder).models.promote(second, by="ben", why="the loss is known").done


def test_a_gate_may_name_a_metric_on_demand_and_one_of_whole_arms(folder: Path) -> None:
    text = (folder / "groundtune.toml").read_text()
    more = (("macro_f1:answer", "base"), ("meteor", "absolute"), ("judged:correct", "base"), ("no_such_metric", "base"))
    gates = "".join(f'\n[[gates]]\nmetric = "{metric}"\nat_least = -1.0\nagainst = "{against}"\n' for metric, against in more)
    (folder / "groundtune.toml").write_text(text + gates)
    project = gt.open(folder)
    found, outcomes = project.models.compare(ids(project)[1])
    cell = {(e.metric, e.arm, e.versus): e for e in found.estimates}
    for metric in ("macro_f1:answer", "meteor"):
        for versus in (None, "base", "live"):
            assert cell[metric, "candidate", versus].state == "measured" and cell[metric, "candidate", versus].n == 12
    assert {outcome.gate.metric for outcome in outcomes if not outcome.passed} == {"judged:correct", "no_such_metric"}


def test_a_gate_without_one_limit_or_of_no_table_is_found_when_the_settings_are_read(folder: Path) -> None:
    text = (folder / "groundtune.toml").read_text()
    for wrong, said in (
        ('metric = "exact"\n', "give either at_least or at_most"),
        ('metric = "exact"\nat_least = 0.1\nat_most = 0.2\n', "give either at_least or at_most"),
        ('metric = "exact"\nat_least = 0.1\nadapter = "nobody"\n', "no such \\[tuning"),
        ('metric = "exact"\nat_least = 0.1\nagainst = "hope"\n', "gates.2.against"),
    ):
        (folder / "groundtune.toml").write_text(f"{text}\n[[gates]]\n{wrong}")
        with pytest.raises(GroundtuneError, match=said):
            gt.open(folder)


def test_canaries_are_trained_in_and_their_exposure_is_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "OTHERS", 15)  # enough to see the way; the ranks are tested beside it
    write(folder, settings(**{"epochs = 1": "epochs = 2"}) + "\n[models]\ncanaries = 10\n")
    project = gt.open(folder)
    [version] = project.tune(["closed"])
    found, outcomes = project.models.compare(version.id)
    cell = {(e.metric, e.arm, e.versus): e for e in found.estimates}
    assert cell["exposure", "candidate", None].n == 10 and 0 <= (cell["exposure", "candidate", None].value or 0) <= 8
    assert cell["extracted", "candidate", None].n == 15
    assert project.models.show(version.id)["rows"] == 25
    assert outcomes[0].passed

import json
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_model import make_adapter, make_chat_model
from made_version import chat_of, make_version, prompts, seal

from groundtune.answers.prompt import Block, layout, render
from groundtune.errors import ExportRefused, HalfWritten, InputError, OtherBase, StorageError, UnsafeWeights
from groundtune.models.local.convert import read_gguf
from groundtune.registry import gguf, merge, parity
from groundtune.registry.export import Exported, export, verify
from groundtune.tuning import said
from groundtune.types import ModelVersion


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelVersion]:
    store = tmp_path_factory.mktemp("store")
    return tiny, make_version(tiny, store)


def run(made: tuple[Path, ModelVersion], target: Path, form: Any = "merged", kind: str = "float32", **changed: Any) -> Exported:
    model, version = made
    assert version.adapter_path is not None
    options: dict[str, Any] = {
        "chat": chat_of(model), "form": form, "target": target, "kind": kind, "readers": ["everyone"],
        "record": lambda mark: None, "layout": layout("Answer.", passages=True),
    }  # fmt: skip
    return export(version, Path(version.adapter_path), **(options | changed))


@pytest.mark.parametrize(("form", "kind"), [("merged", "float32"), ("gguf", "f32"), ("adapter", "float32")])
def test_each_form_answers_as_the_adapter_does(made: tuple[Path, ModelVersion], tmp_path: Path, form: str, kind: str) -> None:
    marks: list[str] = []
    done = run(made, tmp_path / "out", form, kind, record=marks.append)
    assert done.differences == () and done.prompts == 12 and len(marks) == 1
    row = verify(tmp_path / "out")
    assert row["form"] == form and row["readers"] == ["everyone"] and row["instructions"] == "Answer."
    names = {path.name for path in (tmp_path / "out").iterdir()}
    wanted = {
        "merged": {"model.safetensors", "config.json", "tokenizer.json"},
        "gguf": {"model.gguf", "Modelfile"},
        "adapter": {"adapter_model.safetensors", "adapter_config.json", "Modelfile"},
    }[form]
    assert wanted | {"SERVE.md", "export.json"} <= names
    page = (tmp_path / "out/SERVE.md").read_text()
    assert all(command in page for command in done.commands) and "everyone" in page
    assert '"content": "Passages:\\n[1] {file} · {title} › {heading}\\n{text}\\n\\nQuestion: {question}"' in page
    assert row["messages"] == [dict(message) for message in layout("Answer.", passages=True)]
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


def test_the_merged_file_is_the_base_plus_the_update(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run(made, tmp_path / "out")
    model, version = made
    base, plain = load_file(str(model / "model.safetensors")), load_file(str(tmp_path / "out/model.safetensors"))
    adapter = load_file(f"{version.adapter_path}/adapter_model.safetensors")
    name = "model.layers.1.self_attn.v_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    assert torch.allclose(plain[f"{name}.weight"], base[f"{name}.weight"] + (16 / 4) * b @ a, atol=1e-5)
    assert plain.keys() == base.keys()


def test_modelfiles_hold_what_ollama_needs(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    run(made, tmp_path / "gguf", "gguf", "f32")
    text = (tmp_path / "gguf/Modelfile").read_text()
    assert text.startswith("FROM ./model.gguf\nPARAMETER num_ctx 512\nPARAMETER temperature 0\nTEMPLATE")
    assert "<|im_start|>{{ .Role }}" in text and 'PARAMETER stop "<|im_end|>"' in text
    run(made, tmp_path / "adapter", "adapter")
    assert (tmp_path / "adapter/Modelfile").read_text().startswith("FROM BASE\nADAPTER .\n")
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == made[1].base_name


def doctored(made: tuple[Path, ModelVersion], store: Path) -> tuple[Path, ModelVersion]:
    """Return a copy of the version whose kept words are those of another adapter."""
    model, _ = made
    version = make_version(model, store, seed=3)
    assert version.adapter_path is not None
    folder = Path(version.adapter_path)
    other = make_adapter(model, store / "other", seed=4)
    wrapped, tokenizer = merge.adapted(chat_of(model), other, "float32")
    record = json.loads((folder / said.FILE).read_text())
    record["tokens"] = said.say(wrapped, tokenizer, prompts(), limit=12)
    (folder / said.FILE).write_text(json.dumps(record))
    seal(folder, version)
    return model, version


def test_parity_is_whole_for_a_true_version_and_shows_where_another_parts(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    model, version = made
    scores, found = parity.measure(Path(str(version.adapter_path)), chat_of(model), arm="candidate")
    assert [score.value for score in scores] == [1.0] * 12 and found == []
    _, wrong = doctored(made, tmp_path)
    scores, found = parity.measure(Path(str(wrong.adapter_path)), chat_of(model), arm="candidate")
    assert {score.value for score in scores} != {1.0} and found
    assert found[0].reference == "trainer" and found[0].wanted != found[0].said and (found[0].margin or 0) >= 0


def test_parity_of_a_version_without_its_words_was_not_measured(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    model, _ = made
    version = make_version(model, tmp_path, seed=5)
    (Path(str(version.adapter_path)) / said.FILE).unlink()
    [score], found = parity.measure(Path(str(version.adapter_path)), chat_of(model), arm="candidate")
    assert score.value is None and found == []
    with pytest.raises(ExportRefused, match="before its own words were kept"):
        run((model, version), tmp_path / "out")


def test_an_export_that_answers_otherwise_is_refused_and_leaves_nothing(
    made: tuple[Path, ModelVersion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = merge.merged

    def off(wrapped: Any) -> Any:
        plain = real(wrapped)
        with torch.no_grad():
            plain.lm_head.weight.mul_(-1)
        return plain

    monkeypatch.setattr(merge, "merged", off)
    done = run(made, tmp_path / "out", record=lambda mark: pytest.fail("recorded"))
    assert len(done.differences) == 12 and done.files == {} and list(tmp_path.iterdir()) == []


def test_forms_and_types_that_do_not_go_together_and_places_that_are_taken_are_told(
    made: tuple[Path, ModelVersion], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="gguf is not written as 'float32'; known: f32, f16, q8_0"):
        run(made, tmp_path / "out", "gguf")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is there already"):
        run(made, tmp_path / "out")


def test_an_adapter_for_another_base_is_refused(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    other = make_chat_model(tmp_path / "other", seed=8)
    with pytest.raises(OtherBase, match="was made for the base .* whose fingerprint is"):
        run((other, made[1]), tmp_path / "out")
    with pytest.raises(OtherBase):
        run((made[0], replace(made[1], base="0000")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_before_and_while_writing(
    made: tuple[Path, ModelVersion], tmp_path: Path, forked: Callable[[Callable[[], Any]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for form, kind in (("merged", "float32"), ("gguf", "f32")):
        (tmp_path / form).mkdir()

        def limited(form: str = form, kind: str = kind) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
            try:
                run(made, tmp_path / form / "out", form, kind)
            except StorageError as error:
                (tmp_path / form / "told").write_text(error.message)

        assert forked(limited) == 0
        assert (tmp_path / form / "told").is_file()
        assert [path.name for path in (tmp_path / form).iterdir()] == ["told"]
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("groundtune.registry.export.shutil.disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match="0.0 GB are free, and the export takes about"):
        run(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_that_is_killed_leaves_no_folder_and_the_next_one_tidies_up(
    made: tuple[Path, ModelVersion], tmp_path: Path, forked: Callable[[Callable[[], Any]], int]
) -> None:
    def killed() -> None:
        real = Path.rename

        def last(self: Path, target: Path) -> Path:
            if Path(target).name == "out":
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, target)

        Path.rename = last  # type: ignore[method-assign, assignment]
        run(made, tmp_path / "out")

    assert forked(killed) == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    [left] = tmp_path.iterdir()
    assert left.name.startswith(".out.") and (left / "export.json").is_file()
    assert run(made, tmp_path / "out").differences == ()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_that_was_changed_or_is_half_there_does_not_pass(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    run(made, tmp_path / "out")
    weights = tmp_path / "out/config.json"
    whole = weights.read_text()
    weights.write_text(whole + " ")
    with pytest.raises(StorageError, match="config.json: sha256"):
        verify(tmp_path / "out")
    weights.write_text(whole)
    (tmp_path / "out/pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UnsafeWeights):
        verify(tmp_path / "out")
    (tmp_path / "out/pytorch_model.bin").unlink()
    (tmp_path / "out/export.json").unlink()
    with pytest.raises(HalfWritten):
        verify(tmp_path / "out")


def test_an_adapter_that_vllm_cannot_load_is_refused(made: tuple[Path, ModelVersion], tmp_path: Path) -> None:
    version = make_version(made[0], tmp_path, seed=6)
    path = Path(str(version.adapter_path)) / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rank_pattern": {"q_proj": 4}}))
    with pytest.raises(ExportRefused, match="adapters with rank_pattern"):
        run((made[0], version), tmp_path / "out", "adapter")


# ── GGUF ──


def family(tiny: Path, kind: str) -> tuple[Any, Any]:
    """Return a random model of a family with the tiny tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(tiny))
    shape = {
        "vocab_size": 424, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.4, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": 2, "tie_word_embeddings": kind == "qwen2", "head_dim": 128 if kind == "qwen3" else 16,
    }  # fmt: skip
    torch.manual_seed(4)
    config = AutoConfig.for_model(kind, **shape)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                weight.add_(torch.randn_like(weight) * 0.1)
    return model, tokenizer


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_a_family_comes_back_from_gguf_as_it_was(tiny: Path, tmp_path: Path, kind: str) -> None:
    model, tokenizer = family(tiny, kind)
    wanted = said.say(model, tokenizer, prompts(), limit=10)
    gguf.write(model, tokenizer, tmp_path / "m.gguf", kind="f32", name="tiny", licence="MIT")
    again, its = read_gguf(tmp_path / "m.gguf")
    assert [said.encoded(its, p) for p in prompts()] == [said.encoded(tokenizer, p) for p in prompts()]
    assert said.say(again, its, prompts(), limit=10) == wanted
    assert len({tuple(row) for row in wanted}) > 3


def test_smaller_types_stay_near(tiny: Path, tmp_path: Path) -> None:
    model, tokenizer = family(tiny, "llama")
    before = dict(model.state_dict())
    sizes = []
    for kind, near in (("f32", 0.0), ("f16", 2e-3), ("q8_0", 2e-2)):
        gguf.write(model, tokenizer, tmp_path / kind, kind=kind, name="tiny", licence="")
        after = read_gguf(tmp_path / kind)[0].state_dict()
        worst = max(float((before[name] - after[name]).abs().max()) for name in before)
        assert worst <= near
        sizes.append((tmp_path / kind).stat().st_size)
    assert sizes[0] > sizes[1] > sizes[2]


def test_what_gguf_cannot_hold_is_refused(tiny: Path, tmp_path: Path) -> None:
    model, tokenizer = family(tiny, "llama")
    model.config.rope_parameters = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10_000.0}
    with pytest.raises(ExportRefused, match="scaled rotary"):
        gguf.write(model, tokenizer, tmp_path / "m.gguf", kind="f32", name="x", licence="")
    model.config.rope_parameters = {"rope_type": "default", "rope_theta": 10_000.0}
    model.config.model_type = "gpt_neox"
    with pytest.raises(ExportRefused, match="not written for 'gpt_neox'; known: llama"):
        gguf.write(model, tokenizer, tmp_path / "m.gguf", kind="f32", name="x", licence="")
    with pytest.raises(ExportRefused, match="the model rows for 100"):
        gguf.vocabulary_of(tokenizer, 100)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = 1e6
    model.config.model_type = "llama"
    with pytest.raises(ExportRefused, match="holds numbers that float16 cannot"):
        gguf.write(model, tokenizer, tmp_path / "m.gguf", kind="f16", name="x", licence="")


def test_how_text_is_cut_is_named_or_refused() -> None:
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    split = {"type": "Split", "pattern": {"Regex": next(iter(gguf.CUTS))}, "behavior": "Isolated"}
    plain = level | {"use_regex": False}
    assert gguf.cut_of(level) == "gpt-2"
    assert gguf.cut_of({"type": "Sequence", "pretokenizers": [digits, level]}) == "smollm"
    assert gguf.cut_of({"type": "Sequence", "pretokenizers": [split, plain]}) == "llama-bpe"
    for unknown in (None, plain, level | {"add_prefix_space": True}, {"type": "Metaspace"}):
        assert gguf.cut_of(unknown) is None
    for steps in ([split, level], [digits, plain], [split, digits, plain], [split | {"pattern": {"Regex": "x"}}, plain]):
        assert gguf.cut_of({"type": "Sequence", "pretokenizers": steps}) is None


def test_the_layout_that_an_export_tells_is_what_is_rendered_here() -> None:
    told = layout("Answer.", passages=True)[-1]["content"]
    shown = told.format(file="a.md", title="Slots", heading="Fees", text="It is 5.", question="How much?")
    block = Block(source="a.md", heading="Slots › Fees", text="It is 5.")
    assert shown == render("How much?", instructions="Answer.", passages=(block,))[-1]["content"]
    assert layout("Answer.", passages=False)[-1]["content"].format(question="How?") == render("How?", instructions="Answer.")[-1]["content"]

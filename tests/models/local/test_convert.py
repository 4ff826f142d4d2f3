from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from made_model import TEMPLATE
from transformers import AutoModelForCausalLM, AutoTokenizer

from groundtune.errors import WeightsError
from groundtune.models.local.convert import RECORD, converted
from groundtune.models.local.load import load_base, load_tokenizer


@pytest.fixture(scope="module")
def source(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as GGUF, laid out as llama.cpp does (rotary pairs interleaved)."""
    from gguf import GGUFWriter

    model = AutoModelForCausalLM.from_pretrained(str(tiny))
    tokenizer = AutoTokenizer.from_pretrained(str(tiny))
    config = model.config
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(8)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    core = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    order = sorted(core["vocab"], key=core["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(order)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in order])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in core["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    for name, weight in model.state_dict().items():
        value = weight.numpy()
        if name.startswith("model.layers."):
            _, _, number, rest = name.removesuffix(".weight").split(".", 3)
            if rest in ("self_attn.q_proj", "self_attn.k_proj"):
                heads = config.num_attention_heads if "q_proj" in rest else config.num_key_value_heads
                value = value.reshape(heads, 2, value.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(value.shape)
            name = f"blk.{number}.{names[rest]}.weight"
        else:
            name = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}.get(name, "output.weight")
        writer.add_tensor(name, value.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUNDTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_converted_model_computes_what_the_source_does(source: Path, tiny: Path, cache: Path) -> None:
    model, tokenizer, _ = load_base({"model": str(source), "dtype": "float32"})
    original = AutoModelForCausalLM.from_pretrained(str(tiny)).eval()
    ids = torch.arange(3, 40)[None]
    with torch.inference_mode():
        assert torch.allclose(model(ids).logits, original(ids).logits, atol=1e-4)
    assert tokenizer.chat_template == TEMPLATE
    assert not hasattr(model, "hf_quantizer")
    assert not hasattr(model.config, "quantization_config")


def test_digits_stand_apart_from_what_precedes_them(source: Path, cache: Path) -> None:
    core = load_tokenizer({"model": str(source)}).backend_tokenizer
    assert [piece for piece, _ in core.pre_tokenizer.pre_tokenize_str("a\n\n12 b")] == ["a", "ĊĊ", "1", "2", "Ġb"]


def test_it_is_converted_once_and_again_when_a_file_was_changed(source: Path, cache: Path) -> None:
    folder, mark = converted(source)
    record = json.loads((folder / RECORD).read_text())
    assert set(record["files"]) == {path.name for path in folder.iterdir()} - {RECORD}
    assert {"torch", "transformers", "gguf"} == set(record["versions"])
    weights = folder / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert converted(source) == (folder, mark)
    assert weights.stat().st_mtime_ns == made
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert converted(source) == (folder, mark)
    assert weights.read_bytes() == whole
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_a_broken_file_is_named_and_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(WeightsError, match=r"broken\.gguf: cannot be read"):
        converted(broken)
    assert [path for path in (cache / "converted").iterdir() if path.is_dir()] == []


def test_two_processes_make_one_folder(source: Path, cache: Path) -> None:
    first, _ = converted(source)
    shutil.rmtree(first)
    lines = [
        "from pathlib import Path",
        "from groundtune.models.local.convert import converted",
        "print('ready', flush=True)",
        f"print(*converted(Path({str(source)!r})), flush=True)",
    ]
    with FileLock(str(first.parent / f".{first.name}.lock")):
        other = subprocess.Popen([sys.executable, "-c", "; ".join(lines)], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        # It waits for the lock, so nothing can have been made.
        assert not first.exists()
    mine = converted(source)
    said, _ = other.communicate(timeout=120)
    assert other.returncode == 0
    assert said.split() == [str(part) for part in mine]
    assert [path for path in first.parent.iterdir() if path.is_dir()] == [first]

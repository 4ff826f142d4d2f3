"""Tiny random models of several families, each with a chat template in its family's manner; nothing is listed for them in the product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As Gemma's: no system role, the assistant is called model, and a turn does not end with the end token of texts.
TURNS = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<|im_start|>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
# As early Mistral's: the system message is silently left out, and a reply ends with the end token.
INST = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% elif m['role'] == 'assistant' %}"
    " {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "llama": ("LlamaConfig", {}, CHATML),
    "mistral": ("MistralConfig", {"sliding_window": None, "head_dim": 8}, INST),
    "mistral-sliding": ("MistralConfig", {"sliding_window": 24, "head_dim": 8}, INST),
    "qwen2": ("Qwen2Config", {}, CHATML),
    "qwen3": ("Qwen3Config", {"head_dim": 8}, CHATML),
    "gemma2": ("Gemma2Config", {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 24}, TURNS),
    "gemma3": ("Gemma3TextConfig", {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 24}, TURNS),
    "smollm3": ("SmolLM3Config", {}, CHATML),
}


def make_family(name: str, tokenizer_from: Path, folder: Path) -> Path:
    """Write a random model of a family into ``folder``, with the tokenizer of another tiny model, and return it."""
    import torch
    import transformers

    config_class, extra, template = FAMILIES[name]
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tokenizer_from))
    tokenizer.chat_template = template
    if template == TURNS:
        tokenizer.eos_token = "<|endoftext|>"
    torch.manual_seed(1)
    config = getattr(transformers, config_class)(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=2,
        **extra,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder

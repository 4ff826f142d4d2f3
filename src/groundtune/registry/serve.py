"""What stands beside exported weights: how to serve them, and who they are for.

merged/   SERVE.md                     vllm serve …
adapter/  SERVE.md  Modelfile          vllm serve BASE --enable-lora …, ollama create …
gguf/     SERVE.md  Modelfile          llama-server -m …, ollama create …
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.types import ModelVersion

MARK = "\u0001"  # stands for a message's text when a template is looked at; no template has it


def is_chatml(tokenizer: Any) -> bool:
    """Whether a chat template frames messages by ``<|im_start|>role`` and ``<|im_end|>``, judged by what it renders."""
    asked = [{"role": "system", "content": f"{MARK}s"}, {"role": "user", "content": f"{MARK}u"}]
    text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    wanted = f"<|im_start|>system\n{MARK}s<|im_end|>\n<|im_start|>user\n{MARK}u<|im_end|>\n<|im_start|>assistant\n"
    return bool(text == wanted)


OLLAMA_CHATML = """TEMPLATE \"\"\"{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
\"\"\"
PARAMETER stop "<|im_end|>"
"""


def modelfile(lines: Sequence[str], *, context: int, chatml: bool) -> str:
    """Return an Ollama Modelfile: greedy, with the context of the model, and its template where it is one that is known here."""
    template = OLLAMA_CHATML if chatml else "# The template is read from the model file.\n"
    return "\n".join([*lines, f"PARAMETER num_ctx {context}", "PARAMETER temperature 0"]) + "\n" + template


def page(
    version: ModelVersion,
    form: str,
    commands: Sequence[str],
    *,
    layout: Sequence[Mapping[str, str]],
    notes: Sequence[str],
    readers: Sequence[str],
    fingerprint: str,
) -> str:
    """Return ``SERVE.md``. ``layout`` are the messages of a prompt, with what changes in braces."""
    asked = "\n".join(f"    {line}" for line in json.dumps(list(layout), indent=2, ensure_ascii=False).splitlines())
    shown = "\n".join(f"    {line}" for line in commands)
    told = "".join(f"- {note}\n" for note in notes)
    return f"""# {version.id}, {form}

**For:** {", ".join(readers) or "nobody"}. Whoever can reach these weights can be answered by them: nothing in these files checks who asks.
Serve them only where no one else does. They were made from {len(version.document_ids)} documents, listed in `export.json`.

## Serve

{shown}

{told}
## Ask

{asked}

These are the messages that it was trained with; what stands in braces is put in, and of passages each has its block, numbered from 1.
Under another prompt, be it the question without the word before it, it is not the model that was measured. The same stands in
`export.json`.

## Made of

- base `{version.base_name}`, revision `{version.revision}`, weights `{version.base}`, licence {version.licence or "not recorded"}
- training rows `{version.trained_on}`, prompt `{version.prompt_hash}`, chat template `{version.template_hash}`
- these files: `{fingerprint}`
"""


def commands_for(form: str, *, name: str, base: str, rank: int, dtype: str) -> list[str]:
    """Return the command lines that serve an export, to be typed in its folder."""
    if form == "merged":
        return [f"vllm serve . --served-model-name {name} --dtype {dtype}"]
    if form == "gguf":
        return ["llama-server -m model.gguf --jinja --temp 0 --port 8080", f"ollama create {name} -f Modelfile", f"ollama run {name}"]
    # vLLM knows ranks in steps.
    room = next((size for size in (8, 16, 32, 64, 128, 256) if size >= rank), rank)
    return [
        f"vllm serve {base} --enable-lora --max-lora-rank {room} --lora-modules {name}=. --dtype {dtype}",
        f"ollama create {name} -f Modelfile",
        f"ollama run {name}",
    ]

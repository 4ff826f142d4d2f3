"""How much of a model is trained: matrices beside its weights (LoRA, DoRA), the same on a 4-bit base (QLoRA), or all of it.

    load({"model": …}, recipe)  →  base model (4-bit for qlora, fp32 for full), tokenizer, fingerprint
    prepare(model, recipe)      →  the model whose parameters with ``requires_grad`` are trained

Which layers are adapted is found in the model, not listed for it: the linear layers inside its blocks.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from groundtune.errors import MissingExtra, ModelError, StateError
from groundtune.tables import TuningTable


def load(chat: Mapping[str, Any], recipe: TuningTable) -> tuple[Any, Any, str]:
    """Return ``(model, tokenizer, fingerprint)``. The fingerprint is that of the model as it is served, whatever the method.

    Raises ``WeightsError``; for ``qlora`` also ``MissingExtra`` without bitsandbytes, and ``ModelError`` where it cannot compute here.
    """
    from groundtune.models.local.load import load_base

    if recipe.method == "qlora":
        return _four_bit(chat)
    model, tokenizer, base = load_base(chat)
    if recipe.method == "full":
        # An update of a whole weight is often smaller than the steps that bf16 knows; the products are still bf16 where that is fast.
        model = model.float()
    return model, tokenizer, base


def prepare(model: Any, recipe: TuningTable) -> Any:
    """Return the model with what ``recipe.method`` trains, everything else frozen. Raises ``StateError`` when there is nothing to train."""
    if recipe.gradient_checkpointing:
        # The later name, where the library has it already.
        if hasattr(model, "activation_checkpointing_enable"):
            model.activation_checkpointing_enable({"use_reentrant": False})
        else:
            model.gradient_checkpointing_enable({"use_reentrant": False})
    depth = model.config.get_text_config().num_hidden_layers
    first = 0 if recipe.layers is None else max(0, depth - recipe.layers)
    if recipe.method == "full":
        if first:
            for name, value in model.named_parameters():
                value.requires_grad = _layer_of(name) >= first
        return model
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "peft", "local") from error
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules=linear_names(model),
        layers_to_transform=list(range(first, depth)) if first else None,
        use_dora=recipe.method == "dora",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # PEFT asks transformers for an attribute by its old name.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        # Base weights may be bf16; the adapter's own stay fp32, as small updates are lost in bf16.
        return get_peft_model(model, config, autocast_adapter_dtype=True)


def linear_names(model: Any) -> list[str]:
    """Return the names of the linear layers inside the model's blocks: attention and MLP projections, never the output layer."""
    import torch

    output = model.get_output_embeddings()
    names = {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part is not output}
    if not names:
        raise StateError(
            f"{type(model).__name__} has no linear layers that could be adapted",
            'set method = "full" in its [tuning.*] table, then type: groundtune tune',
        )
    return sorted(names)


def compute_dtype(chat: Mapping[str, Any]) -> Any:
    """Return the number format in which products are computed, whatever the weights are kept in."""
    from groundtune.models.local.load import choose_dtype

    return choose_dtype(str(chat.get("dtype") or "auto"))


def _layer_of(name: str) -> int:
    """Return the number of the block that a parameter belongs to, or -1 for embeddings, the last norm and the output layer."""
    return next((int(part) for part in name.split(".") if part.isdigit()), -1)


def _four_bit(chat: Mapping[str, Any]) -> tuple[Any, Any, str]:
    refused = 'set method = "lora" in its [tuning.*] table, then type: groundtune tune'
    try:
        import bitsandbytes
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "bitsandbytes", "qlora") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f'method = "qlora": bitsandbytes cannot be loaded here ({error})', refused) from error
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from groundtune.files import fingerprint
    from groundtune.models.local import load

    folder, source = load.resolve(str(chat.get("model") or load.EMBEDDED))
    dtype = compute_dtype(chat)
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
    try:
        model = load.pretrained(
            folder, AutoModelForCausalLM, quantization_config=config, dtype=dtype, device_map={"": load.device()}
        ).eval()
        # A first product, so that what this machine cannot do is known before the rows are read.
        with torch.inference_mode():
            model(input_ids=torch.ones((1, 4), dtype=torch.long, device=load.device()), use_cache=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, NotImplementedError, AttributeError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f'method = "qlora": bitsandbytes {bitsandbytes.__version__} cannot do this here ({why})', refused) from error
    if not any(type(part).__name__ == "Linear4bit" for part in model.modules()):
        raise ModelError(f'method = "qlora": {folder} was loaded without a single 4-bit layer', refused)
    return model, load.tokenizer_of(folder), fingerprint(source, str(dtype))

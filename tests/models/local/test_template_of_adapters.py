"""A tuned model answers under the chat template that it was tuned under, or not at all."""

import json
from pathlib import Path

import pytest
from made_model import make_adapter

from groundtune.errors import OtherTemplate, WeightsError
from groundtune.models.chat import Request
from groundtune.models.local.chat import LocalChat, load_tokenizer
from groundtune.models.local.template import template_hash

REQUESTS = [Request(messages=({"role": "user", "content": "How long?"},))]


def recorded(folder: Path, mark: object) -> Path:
    (folder / "version.json").write_text(json.dumps({"version": {"template_hash": mark}}))
    return folder


@pytest.mark.parametrize("whole", [False, True], ids=["adapter", "whole model"])
def test_a_version_of_another_template_is_not_asked(tiny: Path, tmp_path: Path, whole: bool) -> None:
    folder = tmp_path / "version"
    if whole:
        from transformers import AutoModelForCausalLM

        AutoModelForCausalLM.from_pretrained(str(tiny)).save_pretrained(str(folder))
    else:
        make_adapter(tiny, folder, seed=1)
        for path in folder.iterdir():
            if not path.name.startswith("adapter_"):
                path.unlink()
    settings = {"model": str(tiny), "dtype": "float32"}
    chat = LocalChat(settings)
    assert chat.complete(REQUESTS, limit=2, adapter=folder)[0].failure is None
    chat = LocalChat(settings)
    recorded(folder, "0123456789abcdef")
    with pytest.raises(OtherTemplate, match="the base's tokenizer now has") as raised:
        chat.complete(REQUESTS, limit=2, adapter=folder)
    assert "groundtune tune" in raised.value.hint
    # The base still answers, and so does a version of this template, or one from before templates were recorded.
    assert chat.complete(REQUESTS, limit=2)[0].failure is None
    for mark in (template_hash(load_tokenizer(settings)), ""):
        recorded(folder, mark)
        assert chat.complete(REQUESTS, limit=2, adapter=folder)[0].failure is None
    (folder / "version.json").write_text("[]")
    with pytest.raises(WeightsError, match="is not a version's record"):
        LocalChat(settings).complete(REQUESTS, limit=2, adapter=folder)


def test_a_template_that_was_edited_since_is_noticed(tiny: Path, tmp_path: Path) -> None:
    import shutil

    base, folder = tmp_path / "base", tmp_path / "adapter"
    shutil.copytree(tiny, base)
    make_adapter(base, folder, seed=1)
    settings = {"model": str(base), "dtype": "float32"}
    for path in folder.iterdir():
        if not path.name.startswith("adapter_"):
            path.unlink()
    recorded(folder, template_hash(load_tokenizer(settings)))
    template = base / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    with pytest.raises(OtherTemplate):
        LocalChat(settings).complete(REQUESTS, limit=2, adapter=folder)

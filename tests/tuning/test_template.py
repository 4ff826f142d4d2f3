from pathlib import Path

import pytest
from made_families import CHATML, FAMILIES, INST, TURNS, make_family

from groundtune.errors import WeightsError
from groundtune.models.local.load import load_tokenizer
from groundtune.models.local.template import end_of_turn, rendered

ASKED = [{"role": "system", "content": "Reply as JSON."}, {"role": "user", "content": "How long?"}]


@pytest.fixture(scope="module", params=["llama", "gemma3", "mistral"])
def family(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, make_family(request.param, tiny, tmp_path_factory.mktemp(request.param))


def test_the_instructions_are_shown_whatever_the_template_does_to_them(family: tuple[str, Path]) -> None:
    name, folder = family
    text = rendered(load_tokenizer({"model": str(folder)}), ASKED)
    assert text.index("Reply as JSON.") < text.index("How long?")
    template = FAMILIES[name][2]
    ends = {CHATML: "<|im_start|>assistant\n", TURNS: "<|im_start|>model\n", INST: "[/INST]"}
    assert text.endswith(ends[template])


def test_the_end_of_a_turn_is_what_the_template_writes_after_it(family: tuple[str, Path]) -> None:
    tokenizer = load_tokenizer({"model": str(family[1])})
    assert tokenizer.decode([end_of_turn(tokenizer)]) == "<|im_end|>"
    assert (end_of_turn(tokenizer) == tokenizer.eos_token_id) is (family[0] != "gemma3")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('unknown template') }}", "cannot show system, user: unknown template"),
        ("{% for m in messages %}{{ m['role'] }}{% endfor %}", "it leaves out a part of what is asked"),
        ("{% for m in %}", "cannot show system, user"),
    ],
)
def test_a_template_that_cannot_show_the_question_is_refused(tiny: Path, template: str, said: str) -> None:
    tokenizer = load_tokenizer({"model": str(tiny)})
    tokenizer.chat_template = template
    with pytest.raises(WeightsError, match="the chat template of .* cannot show") as raised:
        rendered(tokenizer, ASKED)
    assert said in raised.value.message


def test_wrong_roles_are_refused(tiny: Path) -> None:
    tokenizer = load_tokenizer({"model": str(tiny)})
    tokenizer.chat_template = TURNS.replace(
        "{% for m", "{% if messages[0]['role'] != 'user' %}{{ raise_exception('roles') }}{% endif %}{% for m"
    )
    with pytest.raises(WeightsError, match="cannot show assistant: roles"):
        rendered(tokenizer, [{"role": "assistant", "content": "Hello."}])


def test_a_base_model_without_a_template_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = make_family("llama", tiny, tmp_path)
    for name in ("chat_template.jinja",):
        (folder / name).unlink()
    with pytest.raises(WeightsError, match="has no chat template, so it is not an instruct model"):
        load_tokenizer({"model": str(folder)})

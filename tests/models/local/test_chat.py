from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from made_model import CONTEXT, make_adapter, make_chat_model

from groundtune.errors import ConfigError, WeightsError
from groundtune.examples.schema import check
from groundtune.models.chat import Completion, Request
from groundtune.models.local.chat import LocalChat, load_base
from groundtune.models.local.chat import open as open_local
from groundtune.models.local.load import choose_dtype
from groundtune.models.tuned import ADAPTER

SETTINGS = {"dtype": "float32", "context": None, "batch": 16}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 12}, "label": {"enum": ["yes", "no"]}, "count": {"type": "integer"}},
    "required": ["answer", "label", "count"],
    "additionalProperties": False,
}


def ask(*questions: str) -> list[Request]:
    system = {"role": "system", "content": "You answer from the rules of the harbour."}
    return [Request(messages=(system, {"role": "user", "content": question})) for question in questions]


QUESTIONS = ask("How long?", "Who waits for the next tide?", "What does the warranty cover, and for how long?", "Slots?")


@pytest.fixture(scope="module")
def chat(tiny: Path) -> LocalChat:
    return open_local(SETTINGS | {"model": str(tiny)})


@pytest.fixture(scope="module")
def adapters(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [make_adapter(tiny, tmp_path_factory.mktemp(f"adapter{seed}"), seed=seed) for seed in (1, 2)]


def texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


def test_a_batch_says_what_the_library_says_to_each_alone(chat: LocalChat, tiny: Path) -> None:
    model, tokenizer, _ = load_base(SETTINGS | {"model": str(tiny)})
    for request, said in zip(QUESTIONS, chat.complete(QUESTIONS, limit=20), strict=True):
        prompt = tokenizer.apply_chat_template(list(request.messages), add_generation_prompt=True, return_dict=True, return_tensors="pt")
        whole = model.generate(**prompt, do_sample=False, max_new_tokens=20)
        own = whole[0, prompt["input_ids"].shape[1] :]
        assert said.text == tokenizer.decode(own, skip_special_tokens=True)
        assert said.prompt_tokens == prompt["input_ids"].shape[1] == chat.count(request.messages)
        assert said.completion_tokens == len(own) - int(own[-1] == tokenizer.eos_token_id)
        assert said.batch == len(QUESTIONS)
        assert said.failure is None
        assert said.first_token_seconds is not None
        assert 0 < said.first_token_seconds <= said.total_seconds


def test_constrained_texts_fit_the_schema_in_the_form_of_json_dumps_and_do_not_depend_on_their_batch(chat: LocalChat) -> None:
    together = chat.complete(QUESTIONS, limit=120, schema=SCHEMA)
    for said in together:
        reply = json.loads(said.text)
        assert list(reply) == ["answer", "label", "count"]
        assert len(reply["answer"]) <= 12
        assert reply["label"] in ("yes", "no")
        assert isinstance(reply["count"], int)
        assert said.text.startswith('{"answer": "')
        assert '", "label": "' in said.text
    assert sum(not said.truncated for said in together) >= 2
    assert texts(together) == [chat.complete([request], limit=120, schema=SCHEMA)[0].text for request in QUESTIONS]


def test_where_the_schema_leaves_no_choice_no_token_is_asked_for(chat: LocalChat, monkeypatch: pytest.MonkeyPatch) -> None:
    only = {"type": "object", "properties": {"a": {"const": "yes"}}, "required": ["a"], "additionalProperties": False}
    expected = '{"a": "yes"}'
    calls: list[int] = []
    forward = chat._model.forward
    monkeypatch.setattr(chat._model, "forward", lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs))
    said = chat.complete(QUESTIONS[:2], limit=40, schema=only)
    assert texts(said) == [expected, expected]
    assert all(not item.truncated for item in said)
    # One for the shared prefix and one for the rest at most; token by token it would be as many as there are tokens.
    assert len(calls) <= 3 < said[0].completion_tokens


LONG = {
    "type": "object",
    "properties": {
        "quote": {"type": "string", "maxLength": 400},
        "answer": {"type": "string", "minLength": 2},
        "label": {"enum": ["yes", "certainly not", "maybe"]},
        "pages": {"type": "array", "items": {"type": "integer"}},
        "sources": {"type": "array", "items": {"type": "string"}},
        "sure": {"type": "object", "properties": {"share": {"type": "number"}}, "required": ["share"], "additionalProperties": False},
    },
    "required": ["quote", "answer", "label", "pages", "sources", "sure"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("limit", [150, 170, 200, 260])
def test_a_model_that_never_stops_is_made_to_close_what_it_opened(chat: LocalChat, limit: int) -> None:
    # The model's weights are random, so without help it fills its strings until the limit.
    said = chat.complete(QUESTIONS, limit=limit, schema=LONG)
    assert all(item.completion_tokens <= limit and check(json.loads(item.text), LONG) == [] for item in said)
    assert any(item.truncated for item in said)


def test_a_constrained_text_that_meets_the_limit_is_marked(chat: LocalChat) -> None:
    for said in chat.complete(QUESTIONS[:2], limit=3, schema=SCHEMA):
        assert said.truncated
        assert said.completion_tokens == 3


def test_a_schema_that_cannot_constrain_is_refused(chat: LocalChat) -> None:
    with pytest.raises(ConfigError, match="schema cannot constrain"):
        chat.complete(QUESTIONS[:1], limit=8, schema={"type": "no such type"})


def test_a_prompt_beyond_the_context_fails_alone_and_says_why(chat: LocalChat) -> None:
    long = ask("tide " * 600)[0]
    answers = chat.complete([QUESTIONS[0], long, QUESTIONS[1]], limit=10)
    assert answers[1].failure is not None
    assert f"{chat.count(long.messages):,} tokens" in answers[1].failure
    assert f"{CONTEXT:,} tokens" in answers[1].failure
    assert answers[1].text == ""
    assert texts([answers[0], answers[2]]) == texts(chat.complete([QUESTIONS[0], QUESTIONS[1]], limit=10))
    assert [answers[0].batch, answers[2].batch] == [2, 2]


def test_the_last_prompt_that_fits_is_answered(tiny: Path) -> None:
    count = LocalChat(SETTINGS | {"model": str(tiny)}).count(QUESTIONS[0].messages)
    tight = LocalChat(SETTINGS | {"model": str(tiny), "context": count + 5})
    assert tight.context == count + 5
    assert tight.complete([QUESTIONS[0]], limit=5)[0].failure is None
    assert tight.complete([QUESTIONS[0]], limit=6)[0].failure is not None


def test_the_plan_holds_each_request_once_and_neighbours_in_length(chat: LocalChat) -> None:
    requests = ask(*("why " * (number * 7 % 40 + 1) for number in range(37)))
    plan = chat.plan(requests)
    assert sorted(index for batch in plan for index in batch) == list(range(37))
    assert [len(batch) for batch in plan] == [13, 13, 11]
    lengths = [chat.count(requests[index].messages) for batch in plan for index in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert chat.plan(requests) == plan


def test_adapters_are_switched_by_call_and_off_for_the_base(chat: LocalChat, adapters: list[Path]) -> None:
    from peft import PeftModel

    base = texts(chat.complete(QUESTIONS, limit=12))
    first, second = (texts(chat.complete(QUESTIONS, limit=12, adapter=adapter)) for adapter in adapters)
    assert len({tuple(base), tuple(first), tuple(second)}) == 3
    assert texts(chat.complete(QUESTIONS, limit=12)) == base
    assert texts(chat.complete(QUESTIONS, limit=12, adapter=adapters[0])) == first
    # The same words as PEFT's own loading and generate give.
    model, tokenizer, _ = load_base(SETTINGS | {"model": chat.name})
    tuned = PeftModel.from_pretrained(model, str(adapters[1])).eval()
    for request, said in zip(QUESTIONS, second, strict=True):
        prompt = tokenizer.apply_chat_template(list(request.messages), add_generation_prompt=True, return_dict=True, return_tensors="pt")
        own = tuned.generate(**prompt, do_sample=False, max_new_tokens=12)[0, prompt["input_ids"].shape[1] :]
        assert said == tokenizer.decode(own, skip_special_tokens=True)


def test_an_adapter_that_was_trained_anew_in_its_place_is_read_again(chat: LocalChat, adapters: list[Path], tmp_path: Path) -> None:
    place = tmp_path / "adapter"
    shutil.copytree(adapters[0], place)
    before = texts(chat.complete(QUESTIONS, limit=12, adapter=place))
    shutil.rmtree(place)
    shutil.copytree(adapters[1], place, copy_function=shutil.copy)
    assert (
        texts(chat.complete(QUESTIONS, limit=12, adapter=place)) == texts(chat.complete(QUESTIONS, limit=12, adapter=adapters[1])) != before
    )


@pytest.mark.parametrize("loaded_before", [False, True])
def test_what_is_no_adapter_is_named_and_leaves_the_model_as_it_was(
    tiny: Path, adapters: list[Path], tmp_path: Path, loaded_before: bool
) -> None:
    from safetensors.torch import load_file, save_file

    chat = LocalChat(SETTINGS | {"model": str(tiny)})
    tuned = texts(chat.complete(QUESTIONS, limit=6, adapter=adapters[0])) if loaded_before else []
    before = texts(chat.complete(QUESTIONS, limit=6))
    weights = load_file(adapters[1] / ADAPTER)
    wrong: dict[str, dict[str, torch.Tensor] | bytes] = {
        "damaged": b"not safetensors",
        "by halves": {key: value for number, (key, value) in enumerate(weights.items()) if number % 2},
        "of another size": {key: value.repeat(2, 2) for key, value in weights.items()},
        "of another model": {key.replace("layers.", "blocks."): value for key, value in weights.items()},
    }
    with pytest.raises(WeightsError, match=ADAPTER):
        chat.complete(QUESTIONS, limit=4, adapter=tmp_path)
    for name, content in wrong.items():
        folder = tmp_path / name
        shutil.copytree(adapters[1], folder)
        if isinstance(content, bytes):
            (folder / ADAPTER).write_bytes(content)
        else:
            save_file(content, folder / ADAPTER)
        for _ in range(2):
            with pytest.raises(WeightsError, match=f"{name}: is no adapter"):
                chat.complete(QUESTIONS, limit=4, adapter=folder)
        assert texts(chat.complete(QUESTIONS, limit=6)) == before
    if loaded_before:
        assert texts(chat.complete(QUESTIONS, limit=6, adapter=adapters[0])) == tuned


def test_the_fingerprint_follows_weights_template_and_dtype(tiny: Path, chat: LocalChat, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    assert load_base(SETTINGS | {"model": str(copy)})[2] == chat.fingerprint == load_base(SETTINGS | {"model": str(tiny)})[2]
    template = next(copy.glob("chat_template*"))
    template.write_text(template.read_text().replace("assistant", "helper"))
    assert load_base(SETTINGS | {"model": str(copy)})[2] != chat.fingerprint
    assert load_base(SETTINGS | {"model": str(tiny), "dtype": "bfloat16"})[2] != chat.fingerprint
    other = make_chat_model(tmp_path / "other", seed=9)
    assert load_base(SETTINGS | {"model": str(other)})[2] != chat.fingerprint


@pytest.mark.parametrize(
    ("cuda", "avx512", "amx", "wanted"),
    [(False, False, False, torch.float32), (False, True, False, torch.bfloat16), (False, False, True, torch.bfloat16)],
)
def test_bf16_is_taken_only_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, avx512: bool, amx: bool, wanted: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert choose_dtype("auto") is wanted
    assert choose_dtype("float32") is torch.float32
    with pytest.raises(ConfigError, match="float16"):
        choose_dtype("float16")


def test_wrong_models_are_named(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="no such model folder"):
        load_base({"model": str(tmp_path / "nowhere")})
    with pytest.raises(WeightsError, match="hub does not give it.*embedded: smollm2-135m-instruct"):
        load_base({"model": "nobody/nothing"})
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"holds no \.safetensors"):
        load_base({"model": str(tmp_path / "pickled")})
    plain = tmp_path / "plain"
    shutil.copytree(tiny, plain)
    next(plain.glob("chat_template*")).unlink()
    with pytest.raises(WeightsError, match="no chat template"):
        load_base({"model": str(plain)})


@pytest.mark.model
def test_the_embedded_model_says_in_a_batch_what_it_says_alone() -> None:
    chat = LocalChat({"model": "smollm2-135m-instruct", "dtype": "float32"})
    requests = ask("What is the capital of France?", "Name three colours.", "How many legs does a spider have, and how many a bee?")
    said = chat.complete(requests, limit=16)
    for request, completion in zip(requests, said, strict=True):
        prompt = chat._tokenizer.apply_chat_template(
            list(request.messages), add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        own = chat._model.generate(**prompt, do_sample=False, max_new_tokens=16)[0, prompt["input_ids"].shape[1] :]
        assert completion.text == chat._tokenizer.decode(own, skip_special_tokens=True)
    assert chat.context == 8192


def test_probabilities_of_tokens_are_those_of_one_pass_over_the_whole_text(chat: LocalChat, tiny: Path) -> None:
    model, tokenizer, _ = load_base(SETTINGS | {"model": str(tiny)})
    wanting = [Request(messages=request.messages, logprobs=True) for request in QUESTIONS]
    plain = chat.complete(QUESTIONS, limit=12)
    # One row of the batch does not ask, and gets none.
    told = chat.complete([*wanting[:3], QUESTIONS[3]], limit=12)
    assert texts(told) == texts(plain)
    assert told[3].tokens is None and all(said.tokens is None and said.mean_logprob is None for said in plain)
    for request, said in zip(wanting[:3], told[:3], strict=True):
        assert said.tokens is not None and len(said.tokens) == said.completion_tokens
        assert "".join(token.text for token in said.tokens) == said.text
        prompt = tokenizer.apply_chat_template(list(request.messages), add_generation_prompt=True, return_dict=True, return_tensors="pt")
        whole = model.generate(**prompt, do_sample=False, max_new_tokens=12)
        with torch.inference_mode():
            logs = model(input_ids=whole).logits[0].log_softmax(dim=-1)
        begin = prompt["input_ids"].shape[1]
        expected = [float(logs[begin + place - 1, whole[0, begin + place]]) for place in range(said.completion_tokens)]
        assert [token.logprob for token in said.tokens] == pytest.approx(expected, abs=1e-4)
        assert said.mean_logprob == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_tokens_that_a_schema_forces_have_no_probability(chat: LocalChat) -> None:
    [said] = chat.complete([Request(messages=QUESTIONS[0].messages, logprobs=True)], limit=60, schema=SCHEMA)
    assert said.tokens is not None and "".join(token.text for token in said.tokens) == said.text
    forced = "".join(token.text for token in said.tokens if token.logprob is None)
    assert "answer" in forced and "label" in forced
    chosen = [token.logprob for token in said.tokens if token.logprob is not None]
    assert chosen and all(logprob <= 1e-6 for logprob in chosen) and said.mean_logprob == pytest.approx(sum(chosen) / len(chosen))

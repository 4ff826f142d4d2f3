import json
import pickle
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_version import make_version, seal
from safetensors.torch import load_file, save_file

from groundtune.errors import HalfWritten, UnknownName, UnsafeWeights, WeightsError
from groundtune.registry import shelf


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    make_version(tiny, store)
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "models")
    return tmp_path / "models"


def test_a_whole_version_is_found_by_the_beginning_of_its_id(store: Path) -> None:
    assert shelf.named(store, "closed-0").id == shelf.named(store, "model:closed-00000001").id == "model:closed-00000001"
    [version], troubles = shelf.survey(store)
    assert version.licence == "Apache-2.0" and version.readers == {"everyone"} and troubles == []
    for name in ("", "other", "model:", "../models/closed-00000001", ".."):
        if name in ("", "model:"):
            assert shelf.named(store, name).name == "closed"
            continue
        with pytest.raises(UnknownName, match="closed-00000001"):
            shelf.named(store, name)


def test_a_version_without_its_record_is_half_written(store: Path) -> None:
    (store / "closed-00000001/version.json").unlink()
    with pytest.raises(HalfWritten, match="writing it was broken off"):
        shelf.named(store, "closed")
    (store / ".work").mkdir()
    versions, [trouble] = shelf.survey(store)
    assert versions == [] and trouble.folder.name == "closed-00000001" and isinstance(trouble.error, HalfWritten)


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "extra.PKL", "notes.txt"])
def test_a_pickle_is_refused_by_its_name_or_its_first_bytes_and_never_opened(store: Path, name: str) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (store / "exploded",))  # type: ignore[return-value]

    (store / "closed-00000001" / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnsafeWeights, match="pickle"):
        shelf.named(store, "closed")
    assert not (store / "exploded").exists()


def test_a_link_is_refused(store: Path, tmp_path: Path) -> None:
    weights = store / "closed-00000001/adapter_model.safetensors"
    weights.rename(tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(UnsafeWeights, match="is a link"):
        shelf.named(store, "closed")


def test_weights_or_settings_that_were_changed_are_refused(store: Path) -> None:
    folder = store / "closed-00000001"
    whole = (folder / "adapter_model.safetensors").read_bytes()
    tensors = load_file(str(folder / "adapter_model.safetensors"))
    save_file({name: value * 2 for name, value in tensors.items()}, str(folder / "adapter_model.safetensors"))
    with pytest.raises(WeightsError, match="adapter_model.safetensors: sha256 .*, expected"):
        shelf.named(store, "closed")
    (folder / "adapter_model.safetensors").write_bytes(whole)
    assert shelf.named(store, "closed").id == "model:closed-00000001"
    version = json.loads((folder / "version.json").read_text())
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 999}))
    with pytest.raises(WeightsError, match="adapter_config.json: sha256"):
        shelf.named(store, "closed")
    (folder / "version.json").write_text(json.dumps({**version, "version": {**version["version"], "id": "model:other-1"}}))
    with pytest.raises(WeightsError, match="is the record of model:other-1"):
        shelf.named(store, "closed")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', '{"sha256": 1, "version": {}}', '"x"'])
def test_a_record_that_is_none_is_refused(store: Path, text: str) -> None:
    (store / "closed-00000001/version.json").write_text(text)
    with pytest.raises(WeightsError):
        shelf.named(store, "closed")


def test_a_record_of_another_folder_is_refused(store: Path) -> None:
    (store / "closed-00000001").rename(store / "closed-00000009")
    with pytest.raises(WeightsError, match="is the record of model:closed-00000001"):
        shelf.named(store, "closed")


@given(st.binary(max_size=200))
def test_no_bytes_pass_as_safetensors_that_are_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    path.write_bytes(data)
    assert shelf.header_fault(path) is not None


def test_a_file_that_was_cut_or_added_to_is_noticed_by_its_header(store: Path) -> None:
    path = store / "closed-00000001/adapter_model.safetensors"
    whole = path.read_bytes()
    assert shelf.header_fault(path) is None
    for data in (whole[:-4], whole + b"more", whole[:40], b""):
        path.write_bytes(data)
        assert shelf.header_fault(path) is not None
        with pytest.raises(UnsafeWeights):
            shelf.named(store, "closed")


def test_a_version_of_before_its_origin_was_recorded_is_still_read(store: Path) -> None:
    folder = store / "closed-00000001"
    row = json.loads((folder / "version.json").read_text())
    for key in ("base_name", "revision", "template_hash", "licence", "made_at"):
        del row["version"][key]
    (folder / "version.json").write_text(json.dumps(row))
    version = shelf.named(store, "closed")
    assert version.licence == "" and version.revision == ""
    seal(folder, version)


def test_a_record_that_lists_no_files_vouches_for_none(store: Path) -> None:
    folder = store / "closed-00000001"
    row = json.loads((folder / "version.json").read_text())
    for files in (..., None, [], "all"):
        changed = {key: value for key, value in row.items() if key != "files"} | ({} if files is ... else {"files": files})
        (folder / "version.json").write_text(json.dumps(changed))
        with pytest.raises(WeightsError):
            shelf.named(store, "closed")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "chat_template.jinja", "original/tokenizer.json", "model-00002.safetensors"]
)
def test_a_file_that_came_after_training_is_refused(store: Path, name: str) -> None:
    folder = store / "closed-00000001"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith(".safetensors"):
        path.write_bytes((folder / "adapter_model.safetensors").read_bytes())
    else:
        path.write_text("{}")
    with pytest.raises(WeightsError, match=rf"{path.name}: came here after training"):
        shelf.named(store, "closed")
    path.unlink()
    (folder / ".DS_Store").write_bytes(b"marks of a file manager")
    assert shelf.named(store, "closed").id == "model:closed-00000001"

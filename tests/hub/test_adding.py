"""Models beyond the catalog."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub.conftest import OLD, files, weights
from tests.hub.fake_hub import FakeHub, Repo
from vlm_app import hub as room
from vlm_app.catalog import catalog, find, ledger
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.types import Runs, Task


def folder(path: Path, **config: object) -> Path:
    path.mkdir()
    for name, data in files(**config).items():
        (path / name).write_bytes(data)
    return path


def test_a_repository_is_added_with_the_facts_of_its_files(hub: FakeHub) -> None:
    row = room.add("some/qwen")
    assert (row.id, row.source, row.family) == ("some/qwen", "some/qwen", "qwen2_5_vl")
    assert (row.parameters, row.context, row.licence) == (10, 4096, "apache-2.0")
    assert row.languages == ("en", "zh") and row.runs is Runs.IN_PROCESS
    assert Task.DETECT in row.tasks and not row.listed
    assert find("some/qwen").revision == OLD  # the commit whose config was read
    assert not find("some/qwen").listed


def test_a_folder_is_added_and_its_parameters_are_counted(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine", model_type="smolvlm")
    (path / "model-2.safetensors").write_bytes(weights(c=[5, 5]))
    row = room.add(str(path))
    assert (row.id, row.family, row.source) == ("mine", "smolvlm", str(path))
    assert row.parameters == 2 * 3 + 4 + 25
    assert room.add(str(path)) == row  # once
    (tmp_path / "other").mkdir()
    assert room.add(str(folder(tmp_path / "other" / "mine", model_type="smolvlm"))).id == "mine-2"


def test_what_is_in_the_catalog_is_not_added_again() -> None:
    row = catalog()["smolvlm2-500m"]
    assert room.add(row.source) == row


def test_the_hubs_own_name_counts_however_it_was_typed(hub: FakeHub) -> None:
    hub.repos["SOME/Qwen"] = hub.repos["old/name"] = hub.repos["some/qwen"]
    hub.moved = {"SOME/Qwen": "some/qwen", "old/name": "some/qwen"}
    assert {room.add(typed).id for typed in ("SOME/Qwen", "some/qwen", "old/name")} == {"some/qwen"}
    row = catalog()["smolvlm2-500m"]
    assert room.add(row.source.upper()) == row


@pytest.mark.parametrize("typed", ["~nobody-of-this-name/x", "a" * 5000, "a\0b", "../mine"])
def test_what_names_no_folder_is_no_repository_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    folder(tmp_path / "mine", model_type="smolvlm")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(BadInput, match="neither a folder nor a repository"):
        room.add(typed, folders=False)
    if typed == "../mine":
        assert room.add(typed).source == str(tmp_path / "mine")
    else:
        with pytest.raises(BadInput, match="neither a folder nor a repository"):
            room.add(typed)


def test_processes_that_write_at_once_lose_none_of_each_others_rows(tmp_path: Path) -> None:
    program = (
        "import sys; from vlm_app.catalog import ledger\n"
        "for number in range(40): ledger.write('checks', f'{sys.argv[1]}-{number}', {})"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, name]) for name in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(ledger.read("checks")) == 80


def test_the_vision_part_tells_families_of_one_model_type_apart(tmp_path: Path) -> None:
    pixtral = folder(tmp_path / "a", model_type="llava", vision_config={"model_type": "pixtral"})
    llava = folder(tmp_path / "b", model_type="llava", vision_config={"model_type": "clip_vision_model"})
    assert [room.add(str(path)).family for path in (pixtral, llava)] == ["pixtral", "llava"]


def test_an_unknown_architecture_is_refused_with_the_known_ones(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"architecture 'bert' is of no known family; known are .*llava"
    ):
        room.add(str(folder(tmp_path / "bert", model_type="bert")))
    hub.repos["some/bare"] = Repo({OLD: {"model.safetensors": weights(a=[1])}})
    with pytest.raises(ModelUnavailable, match="has no config"):
        room.add("some/bare")


def test_weights_that_are_not_safetensors_are_refused(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="not in safetensors"):
        room.add("some/pickled")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelUnavailable, match="not in safetensors"):
        room.add(str(tmp_path / "empty"))


@pytest.mark.parametrize("data", [b"", b"\xff" * 20, b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{"])
def test_damaged_weights_are_named(tmp_path: Path, data: bytes) -> None:
    path = folder(tmp_path / "mine", model_type="smolvlm")
    (path / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors is damaged"):
        room.add(str(path))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": ["llava"]}', '{"model_type": null}'])
def test_a_damaged_config_is_refused(tmp_path: Path, text: str) -> None:
    path = folder(tmp_path / "mine", model_type="smolvlm")
    (path / "config.json").write_text(text)
    with pytest.raises(ModelUnavailable, match="cannot be added"):
        room.add(str(path))
    assert all(row.listed for row in catalog().values())


@pytest.mark.parametrize("source", ["", "one", "a/b/c", "../../no/where", "https://huggingface.co/a/b"])
def test_what_is_neither_a_folder_nor_a_repository_is_bad_input(source: str) -> None:
    with pytest.raises(BadInput, match="neither a folder nor a repository"):
        room.add(source)


def test_a_damaged_book_is_named(tmp_path: Path, hub: FakeHub) -> None:
    from vlm_app.catalog import ledger

    room.add("some/qwen")
    path = ledger.path_of("added")
    path.write_text("{")
    with pytest.raises(ModelUnavailable, match=r"added\.json' cannot be read: correct or remove it"):
        catalog()
    path.write_text(json.dumps({"version": 99, "rows": {}}))
    with pytest.raises(ModelUnavailable, match="is not of version 1"):
        catalog()

"""The command as somebody at a terminal, or a script, meets it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from PIL import Image

import vlm_app.engine
from tests.engine.ready import Ready
from tests.engine.tiny import END, row, save_pebble, speak
from vlm_app.cli import main
from vlm_app.doctor import Finding, Level
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.grounding.formats import FORMATS, imported
from vlm_app.settings import Settings, settings

BOX = "<loc_64><loc_64><loc_128><loc_192>"
ANSWER = f" There is <ref>a red circle{BOX}.{END}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a tiny Pebble of random weights."""
    folder = tmp_path_factory.mktemp("models")
    save_pebble(folder / "pebble")
    tasks = '["chat", "caption", "detect"]'
    (folder / "catalog.toml").write_text(
        f'[pebble]\nname = "Pebble"\nfamily = "pebble"\nfolder = "pebble"\ntasks = {tasks}\nlicence = "MIT"\n'
        f'[gone]\nname = "Gone"\nfamily = "pebble"\nfolder = "gone"\ntasks = {tasks}\n'
        f'[far]\nname = "Far"\nfamily = "pebble"\nrepo = "some/model"\ntasks = {tasks}\n'
    )
    return folder


@pytest.fixture(scope="module")
def loaded(models: Path) -> LoadedModel:
    return load_checkpoint(row(models / "pebble"))


@pytest.fixture
def speaking(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine's Pebble gives `ANSWER`."""
    engine = Engine({"pebble": loaded.checkpoint}, Ready(loaded))
    monkeypatch.setattr(vlm_app.engine, "engine", lambda: engine)
    with speak(loaded, ANSWER):
        yield


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    Image.new("RGB", (120, 80), "red").save(path)
    return path


def run(*arguments: str | Path, models: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    variables = os.environ | {"VLM_APP_MODELS": str(models)} | environment
    command = [sys.executable, "-m", "vlm_app", *map(str, arguments)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)


# --- ask ----------------------------------------------------------------------------------


def test_the_answer_and_its_regions_are_printed(
    speaking: None, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(image), "-q", "Where is it?"]) == 0
    first, *regions = capsys.readouterr().out.splitlines()
    assert first == "There is a red circle."
    assert len(regions) == 1 and regions[0].startswith("  a red circle: box [0.25")


def test_json_holds_the_whole_answer(speaking: None, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(image), str(image), "-q", "red circle", "--task", "DETECT", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "There is a red circle."
    (region,) = answer["regions"]
    assert region["label"] == "a red circle" and region["kind"] == "box"
    assert region["image"] == 1 and region["span"] == [9, 21]
    assert region["box"] == pytest.approx([64.5 / 256, 64.5 / 256, 128.5 / 256, 192.5 / 256])
    assert answer["seen"]["size"] == [256, 256] and answer["seen"]["visual_tokens"] == 64
    assert answer["usage"]["completion_tokens"] > 5
    assert answer["timings"]["total"] >= answer["timings"]["first_token"] > 0
    assert (answer["model"], answer["task"], answer["finish"]) == ("pebble", "detect", "stop")
    assert answer["precision"] in ("bf16", "fp32") and answer["adapter"] is None


def test_an_adapter_that_is_not_there_is_said(
    speaking: None, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(image), "-q", "x", "--adapter", "signs"]) != 0
    assert "There is no adapter 'signs'" in capsys.readouterr().err


def test_the_drawn_image_can_be_saved(speaking: None, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn.png"
    assert main(["ask", str(image), "-q", "Where?", "--out", str(out)]) == 0
    with Image.open(out) as drawn, Image.open(image) as original:
        assert drawn.size == original.size and drawn.tobytes() != original.tobytes()


def test_the_answer_can_be_exported_in_several_formats(
    speaking: None, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = [["--export", name, f"out.{name}"] for name in FORMATS]
    assert main(["ask", str(image), str(image), "-q", "Where?", *chain.from_iterable(wanted)]) == 0
    for name in ("json", "coco", "label-studio"):
        back = imported(Path(f"out.{name}").read_bytes(), name)
        assert [(one.name, one.size) for one in back.images] == [
            ("scene.png", (120, 80)),
            ("scene-2.png", (120, 80)),
        ]
        (region,) = back.regions
        assert region.label == "a red circle" and region.image == 1
    assert Path("out.md").read_text() == "There is a red circle.\n"
    assert all(Path(f"out.{name}").stat().st_size for name in FORMATS)


def test_an_export_that_cannot_be_written_is_said(
    speaking: None, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(image), "-q", "Where?", "--export", "csv", "/dev/full"]) == 2
    assert "cannot be saved as '/dev/full'" in capsys.readouterr().err


def test_a_picture_of_another_world_is_said_to_be_one(
    speaking: None, image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlm_app.pebble.world_check.looks_drawn", lambda image: False)
    assert main(["ask", str(image), "-q", "What is it?"]) == 0
    assert capsys.readouterr().err.startswith("Pebble only knows drawn shapes")


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "scene.png"], "The message is empty"),
        (["ask", "-q", "What is it?"], "add an image"),
        (["ask", "nowhere.png", "-q", "x"], "nowhere.png"),
        (["ask", ".", "-q", "x"], "."),
        (["ask", "empty.png", "-q", "x"], "empty.png"),
        (["ask", "text.png", "-q", "x"], "text.png"),
        (["ask", "scene.png", "-q", "x", "--model", "other"], "choose one of: pebble"),
        (["ask", "scene.png", "-q", "x", "--task", "dance"], "choose one of: chat, caption"),
        (["ask", "scene.png", "-q", "x", "--task", "ground"], "can do: chat, caption, detect"),
        (["ask", "scene.png", "-q", "x", "--out", "drawn.jpg"], "ends with .png"),
        (["ask", "scene.png", "-q", "x", "--out", "no/where.png"], "folder that exists"),
        (["ask", "scene.png", "-q", "x", "--export", "voc", "a.xml"], "choose one of: json, coco, yolo"),
        (["ask", "scene.png", "-q", "x", "--export", "coco", "no/where.json"], "folder that exists"),
        (["ask", "scene.png", "-q", "x", "--export", "coco", "."], "folder that exists"),
        (["ask", "scene.png", "-q", "x", "--export", "coco", "x" * 300], "folder that exists"),
        (["ask", "-q", "x", "--export", "crops", "a.zip"], "there are none: give one first"),
        (["ask", "-q", "x", "--export", "csv", "a", "--export", "txt", "a"], "give each its own"),
        (["ask", "scene.png", "-q", "x", "--precision", "nf5"], "found 'nf5': choose one of these"),
        (["ask", "scene.png", "--fast"], "--help"),
        (["dance"], "--help"),
        ([], "--help"),
        (["serve", "--port", "70000"], "between 0 and 65535"),
    ],
)
def test_bad_input_is_refused_with_status_2_and_one_sentence(
    arguments: list[str],
    words: str,
    models: Path,
    image: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VLM_APP_MODELS", str(models))
    vlm_app.engine.engine.cache_clear()
    monkeypatch.chdir(image.parent)
    Path("empty.png").touch()
    Path("text.png").write_text("not an image")
    try:
        status: int | str | None = main(arguments)
    except SystemExit as left:
        status = left.code
    out, error = capsys.readouterr()
    assert status == 2 and out == ""
    assert words in error
    assert error.count("\n") == 1 and error.rstrip().endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "99999", "less than or equal to 65535"),
        ("MEMORY", "lots", "an amount such as 8GB or 500MB"),
        ("OFFLOAD", "x", "'never', 'cpu' or 'disk'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"VLM_APP_{name}", value)
    settings.cache_clear()
    assert main(["models"]) == 2
    assert (
        capsys.readouterr().err
        == f"The environment sets VLM_APP_{name} to '{value}', expected {expected}: correct or unset it.\n"
    )


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_APP_MEMORY", "")
    assert Settings().memory is None


# --- as a process -------------------------------------------------------------------------


def test_a_real_process_answers(models: Path, image: Path) -> None:
    done = run("ask", image, "-q", "What is it?", "--json", models=models)
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["usage"]["prompt_tokens"] > 64


def test_a_process_refuses_bad_input_without_loading_a_model(models: Path, image: Path) -> None:
    done = run("ask", image, "-q", "x", "--model", "other", models=models, PYTHONPROFILEIMPORTTIME="1")
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    said = [line for line in lines if not line.startswith("import time:")]
    assert done.returncode == 2
    assert len(said) == 1 and "'other'" in said[0]
    assert "vlm_app.cli" in imported and not imported & {"torch", "transformers", "gradio"}


@pytest.mark.parametrize(
    ("model", "words"), [("gone", "files of Gone are missing"), ("far", "check the network")]
)
def test_a_model_that_cannot_be_had_is_status_1(model: str, words: str, models: Path, image: Path) -> None:
    done = run("ask", image, "-q", "x", "--model", model, models=models)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and done.stderr.count("\n") == 1


INTERRUPTED = """
import os, signal, sys
from vlm_app import cli, engine
from vlm_app.engine import events

def interrupt(event):
    if isinstance(event, events.{event}):
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
engine.engine().subscribe(interrupt)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("event", ["Loading", "Answering"])
def test_ctrl_c_ends_with_status_130(event: str, models: Path, image: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED.format(event=event), "ask", str(image), "-q", "x"]
    variables = os.environ | {"VLM_APP_MODELS": str(models)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130
    assert done.stderr == ""


def test_a_reader_that_goes_away_ends_it_quietly(models: Path, image: Path) -> None:
    variables = os.environ | {"VLM_APP_MODELS": str(models)}
    command = [sys.executable, "-m", "vlm_app", "models", "--json"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(60) == 141
    assert error == b""


def test_models_are_listed(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_APP_MODELS", str(models))
    assert main(["models"]) == 0
    assert "pebble  Pebble (MIT)" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == ["pebble", "gone", "far"]
    assert rows[0]["tasks"] == ["caption", "chat", "detect"]


def test_serve_starts_the_page_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "ROOT_PATH"):
        monkeypatch.setenv(f"VLM_APP_{name}", "")  # and taken back afterwards
    served: list[tuple[str, int, str]] = []
    monkeypatch.setattr("vlm_app.doctor.network.port", lambda host, number: Finding("port", Level.OK, "free"))

    def serve() -> None:
        served.append((settings().host, settings().port, settings().root_path))

    monkeypatch.setattr("vlm_app.ui.serve", serve)
    assert main(["serve", "--port", "7999"]) == 0
    assert main(["serve", "--host", "0.0.0.0", "--root-path", "/vlm/"]) == 0
    assert served == [("127.0.0.1", 7999, ""), ("0.0.0.0", 7999, "/vlm")]


def test_a_port_that_is_taken_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLM_APP_PORT", "")
    monkeypatch.setattr("vlm_app.doctor.network._HEALTH", 0.2)  # it never answers
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        assert main(["serve", "--port", str(number)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"127.0.0.1 port {number} is taken by another program: choose another, as ")


def test_a_root_path_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLM_APP_ROOT_PATH", "")
    assert main(["serve", "--root-path", "vlm.example.org"]) == 2
    assert "'vlm.example.org', expected a path such as /vlm" in capsys.readouterr().err


def test_the_command_is_there_at_once() -> None:
    code = "import sys, vlm_app.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "gradio", "huggingface_hub", "supervision"} & set(
        done.stdout.split()
    )

"""The place of runs without a browser: what is offered, refused, shown and told."""

from __future__ import annotations

import io
import json
import shutil
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from tests.finetune.runs import example
from tests.finetune.test_child import soon
from tests.ui.run_desk import ME, Desk, desk
from vlm_app import hub
from vlm_app.api.adapter_routes import adapter_routes
from vlm_app.api.middleware import Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.api.run_routes import run_routes
from vlm_app.catalog import catalog
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.adapters import Card, Taught
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Reply
from vlm_app.finetune.presets import Preset, preset
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.run_file import run_file
from vlm_app.settings import ROOT
from vlm_app.store.tables import RunRow
from vlm_app.types import Runs as Places
from vlm_app.types import Task
from vlm_app.ui.finetune.runs import fields, render
from vlm_app.ui.finetune.runs.acts import suits
from vlm_app.ui.finetune.runs.bases import bases, why_not
from vlm_app.ui.finetune.runs.reading import BadSetting, read
from vlm_app.ui.finetune.runs.showing import Look
from vlm_app.ui.finetune.runs.ways import Ways

__all__ = ["desk"]


EVIL = "<img src=x onerror=alert(1)>"


# --- settings ---------------------------------------------------------------------------


@pytest.mark.parametrize("which", list(Preset))
@pytest.mark.parametrize("size", [0, 3, 40, 500, 50_000])
def test_every_preset_gives_settings_that_a_run_takes_and_the_form_shows(which: Preset, size: int) -> None:
    config = preset(which, "pebble", size)
    assert read({**fields.values(config), "base": "pebble"}) == config
    assert (config.stage is Stage.PROJECTOR) == (which is Preset.PROJECTOR)
    assert (config.stage is Stage.PREFERENCE) == (which is Preset.PREFERENCES)
    assert config.save_every <= 500 and config.evaluate_every <= 500


def test_few_examples_are_seen_often_and_what_pebble_knows_is_rehearsed() -> None:
    few, many = (preset(Preset.FEW, "pebble", size) for size in (20, 200))
    assert few.epochs > many.epochs >= 2 and many.rehearsal > few.rehearsal >= 150
    assert preset(Preset.FEW, "qwen2.5-vl-3b", 20).rehearsal == 0, "it has no world to rehearse"


def test_the_form_has_every_setting_with_its_few_words() -> None:
    listed = [name for _, names in fields.GROUPS for name in names]
    assert sorted([*listed, *fields.APART]) == sorted(RunConfig.model_fields)
    form = fields.form()
    for name in listed:
        assert f'data-field="{name}"' in form and fields.TITLES[name] in form
    assert "of the LoRA matrices" in form and "int8 (QLoRA)" in form


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rate", "3", "above 0, at most 1, found '3'"),
        ("rank", "many", "a whole number, at least 1, at most 512, found 'many'"),
        ("steps", "1.5", "a whole number"),
        ("name", "n" * 90, "at most 80 characters"),
        ("towers", [], "at least one tower"),
        ("precision", EVIL, "auto, fp32"),
    ],
)
def test_a_wrong_value_is_refused_by_a_sentence_that_names_its_field(
    desk: Desk, field: str, value: Any, words: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        read({field: value})
    assert refused.value.field == field and words in refused.value.sentence
    said = json.loads(desk.acts.check(ME, {"number": 7, "form": desk.form(**{field: value})}))
    assert (said["wrong"], said["number"]) == (field, 7) and words in said["sentence"]


def test_numbers_are_read_as_people_write_them() -> None:
    assert read({"rate": " 2e-4 ", "steps": "1,000", "alpha": "", "warmup": "0,1"}) == RunConfig(
        rate=2e-4, steps=1000, warmup=0.1
    )


def test_before_it_starts_memory_steps_and_examples_are_told(desk: Desk) -> None:
    said = json.loads(desk.acts.check(ME, {"number": 1, "form": desk.form(steps="60")}))
    assert "<strong>60</strong>" in said["before"] and "100 MB" in said["before"]
    assert "<strong>8</strong> taught" in said["before"] and "2 held out" in said["before"]
    assert "with fewer than 3 nobody can tell whether it helped" in said["before"], "2 are held out"
    somebody = json.loads(desk.acts.check("somebody", {"number": 1, "form": desk.form()}))
    assert somebody["wrong"] == "dataset", "another visitor's dataset is none"


def test_before_it_starts_it_is_said_that_there_is_no_pair_to_prefer(desk: Desk) -> None:
    told = json.loads(desk.acts.check(ME, {"number": 1, "form": desk.form(stage="preference")}))
    assert "'Shapes' has none" in told["sentence"] and "before" not in told
    pair = replace(example(10), rejected=Reply("blue square"))
    desk.examples.add(ME, desk.dataset, pair)
    told = json.loads(desk.acts.check(ME, {"number": 2, "form": desk.form(stage="preference")}))
    assert "1 of 11 examples holds a right and a wrong answer: the others are left out." in told["before"]
    assert "<strong>1</strong> taught" in told["before"]
    told = json.loads(desk.acts.check(ME, {"number": 3, "form": desk.form()}))
    assert "left out" not in told["before"]


def test_models_that_cannot_be_taught_say_why() -> None:
    listed = {each["id"]: each["why"] for each in bases(catalog().values())}
    assert (
        listed["pebble"] == "" and listed["rapidocr"] and listed["moondream2"] == "only a server can load it"
    )
    remote = replace(catalog()["pebble"], server="My server", runs=Places.SERVER)
    assert why_not(remote) == "its weights are on My server"


def test_a_new_run_begins_with_what_suits_the_dataset(desk: Desk) -> None:
    news = desk.do("new")
    assert news["form"]["preset"] == "few" and news["form"]["dataset"] == desk.dataset
    assert [each["name"] for each in news["datasets"]] == ["Shapes"] and news["fields"]["rehearsal"] != "0"
    large = replace(desk.examples.datasets(ME)[0], counts={Task.DETECT: 300})
    assert suits(large) is Preset.DATASET
    assert desk.do("new", owner="somebody")["datasets"] == []


def test_the_file_of_a_run_repeats_it() -> None:
    config = RunConfig(name='A "b"\n\x7f\\ é', towers=frozenset({"vision", "language"}), rate=5e-4, seed=3)
    table = tomllib.loads(run_file(config, EVIL))
    assert table.pop("dataset") == EVIL
    assert RunConfig.read(table) == config


# --- runs -------------------------------------------------------------------------------


def test_a_run_is_started_stopped_resumed_and_deleted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_SECONDS", "0.05")
    id = desk.start(steps="400", save_every="1000")
    assert "Hearts" in desk.acts.showing.shown(ME, Look(open=id))[desk.on.list]
    soon(lambda: desk.run(id).status.step > 2)
    desk.do("stop", run=id)
    soon(lambda: desk.run(id).state is State.STOPPED)
    step = desk.run(id).status.step
    assert 'data-run="resume"' in desk.do("look", look={"open": id})["head"]
    desk.do("resume", run=id)
    soon(lambda: desk.run(id).status.step > step)
    with pytest.raises(BadInput, match="look again"):
        desk.do("delete", run=id, state="done")
    desk.do("delete", run=id, state=desk.run(id).state)
    assert desk.runs.runs(ME) == () and desk.do("look")["list"].endswith("yet.</p>")


def test_only_what_changed_is_told_and_nothing_of_somebody_else(desk: Desk) -> None:
    id = desk.start(steps="5")
    soon(lambda: desk.run(id).state is State.DONE)
    showing = desk.acts.showing
    first = showing.shown(ME, Look(open=id))
    news = json.loads(first[desk.on.news])
    assert news["run"]["points"][-1][:2] == [5, 0.2] and news["run"]["steps"] == 5
    assert showing.shown(ME, Look(open=id, has=news["has"])) == {}
    foreign = showing.shown("somebody", Look(open=id, other=id))
    assert json.loads(foreign[desk.on.news])["gone"] == id and desk.on.head not in foreign
    with pytest.raises(NotFound):
        desk.acts.do("somebody", {"act": "stop", "run": id})


def test_a_failed_run_says_why_and_shows_the_end_of_its_log_without_paths(desk: Desk) -> None:
    id = desk.start(name="Crash", steps="9")
    soon(lambda: desk.run(id).state is State.FAILED)
    head = desk.do("look", look={"open": id})["head"]
    assert "fault in the app" in head and "data-run-log" in head
    client, owner = _visitor(desk)
    assert client.get(f"/runs/{id}/log").status_code == 404, "it is somebody else's"
    with desk.store.writing() as session:
        session.query(RunRow).filter_by(id=id).update({"owner": owner})
    log = client.get(f"/runs/{id}/log")
    assert "KeyError" in log.text and "runs.py" in log.text and str(Path(__file__).parents[2]) not in log.text
    picture = desk.runs.run(owner, id).folder.examples("train")[0].pictures[0].sha256
    assert client.get(f"/runs/{id}/pictures/{picture}").headers["content-type"] == "image/png"
    for wrong in ("0" * 64, "..", picture[:-1], f"{picture}.png"):
        assert client.get(f"/runs/{id}/pictures/{wrong}").status_code == 404
    assert tomllib.loads(client.get(f"/runs/{id}/run.toml").text)["dataset"] == "Shapes"


def _visitor(desk: Desk) -> tuple[TestClient, str]:
    """A browser of somebody new, and who that is."""
    owners = Owners(desk.store.data)
    owner, cookie = owners.new()
    routes = [*run_routes(desk.runs), *adapter_routes(desk.acts.showing.adapters)]
    app = Starlette(routes=routes, middleware=[Middleware(Visitors, owners=owners)])
    return TestClient(app, cookies={COOKIE: cookie}), owner


def test_a_run_that_is_done_shows_its_adapter_which_its_owner_can_download(desk: Desk) -> None:
    from safetensors.numpy import save_file

    id = desk.start(steps="1")
    soon(lambda: desk.run(id).state is State.DONE)
    client, owner = _visitor(desk)
    made = desk.store.data / "adapters" / id
    made.mkdir(parents=True)
    (made / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "pebble"}')
    save_file({"a": np.zeros(4, np.float32)}, made / "adapter_model.safetensors")
    Card(name=EVIL, owner=ME, base="pebble", data=Taught(name=EVIL, sha256="ab" * 32)).write(made)
    html = desk.do("look", look={"open": id})["then"]
    assert "Chat with it" in html and f'href="/adapter/{id}"' in html and "abababab" in html
    assert "<img" not in html and "&lt;img" in html
    assert 'data-run="merge"' in html and 'name="merged"' not in html
    assert client.get(f"/adapter/{id}").status_code == 404, "it is somebody else's"
    Card(name="Hearts", owner=owner, base="pebble").write(made)
    answer = client.get(f"/adapter/{id}")
    assert "hearts" in answer.headers["content-disposition"]
    assert any(name.endswith("adapter_model.safetensors") for name in _names(answer.content))


def test_what_was_merged_can_be_added_to_the_models_and_pushed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = desk.start(steps="1")
    soon(lambda: desk.run(id).state is State.DONE)
    made, adapters = desk.store.data / "adapters" / id, desk.acts.showing.adapters
    made.mkdir(parents=True)
    (made / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "pebble"}')
    (made / "adapter_model.safetensors").touch()
    Card(name="Hearts", owner=ME, base="pebble", precision="int8").write(made)
    ways = Ways(adapters, desk.runs, desk.engine, SimpleNamespace(on=None))
    with pytest.raises(NotFound, match="merge the adapter again"):
        ways.add_merged(ME, id)

    merged = desk.store.data / "merged" / id / "hearts"
    shutil.copytree(ROOT / "models" / "pebble", merged)
    html = desk.do("look", look={"open": id})["then"]
    assert 'data-run="add-merged"' in html and 'data-run="merge"' not in html and 'name="merged"' in html
    assert f"merged/{id}/hearts" in html and "may differ a little" in html, "int8 also rounds on the way"
    assert "'hearts'" in ways.add_merged(ME, id) and catalog()["hearts"].source == str(merged)
    pushed = []
    monkeypatch.setattr(hub, "publish", lambda *given: pushed.append(given) or "https://hub")
    asked = {"repo": "ada/hearts", "token": "t", "merged": True}
    assert "https://hub" in [*ways.push(ME, id, asked)][-1] and pushed[0][0] == merged
    with pytest.raises(NotFound):
        ways.add_merged("somebody", id)


def _names(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return file.namelist()


def test_whatever_a_person_named_is_shown_as_text(desk: Desk) -> None:
    id = desk.start(name=EVIL, steps="1")
    run = desk.run(id)
    run = replace(run, status=run.status.model_copy(update={"state": State.FAILED, "sentence": EVIL}))
    html = render.listed([run], {}, {}) + render.head(run, None, catalog(), 0, run.created)
    assert "<img" not in html and "&lt;img" in html

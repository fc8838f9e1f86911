"""Reading the catalog, and what is said of a row that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlm_app.catalog import catalog, find
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Task

ROW = '[{id}]\nname = "A"\nfamily = "pebble"\ntasks = ["chat"]\n'


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLM_APP_MODELS", str(tmp_path))
    settings.cache_clear()
    return tmp_path


def test_the_built_in_model_and_a_real_one_are_listed_in_order() -> None:
    rows = catalog()
    assert list(rows)[:2] == ["pebble", "smolvlm2-500m"]
    assert rows["smolvlm2-500m"].source == "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"
    assert Path(rows["pebble"].source) == settings().models / "pebble"
    assert Task.DETECT in rows["pebble"].tasks and Task.DETECT not in rows["smolvlm2-500m"].tasks


def test_the_model_that_is_chosen_at_the_start_is_in_the_catalog() -> None:
    assert find(settings().model).id == settings().model


def test_an_unknown_id_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable, match=r"no model 'nobody' .* choose one of: pebble, smolvlm2-500m"):
        find("nobody")


def test_files_are_read_in_the_order_of_their_names(models: Path) -> None:
    (models / "b.toml").write_text(ROW.format(id="two") + 'repo = "some/model"\n')
    (models / "a.toml").write_text(ROW.format(id='"one-1.5"') + 'folder = "here"\nimages = 1\ncontext = 9\n')
    rows = catalog()
    assert list(rows) == ["one-1.5", "two"]
    assert (rows["one-1.5"].max_images, rows["one-1.5"].context) == (1, 9)
    assert (rows["two"].max_images, rows["two"].context, rows["two"].parameters) == (None, 0, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a", "cannot be read"),
        ("a = 1", "expected a table"),
        (ROW.format(id="a"), "either 'repo', 'folder' or 'package'"),
        (ROW.format(id="a") + 'repo = "x/y"\nfolder = "z"', "either 'repo', 'folder' or 'package'"),
        (ROW.format(id="a") + 'repo = "x/y"\nsize = 3', "'size' is not a key"),
        (ROW.format(id="a") + 'repo = "x/y"\nparameters = "many"', "'parameters' is a int, found 'many'"),
        ('[a]\nname = "A"\nfamily = "pebble"\nrepo = "x/y"', "'tasks' is missing"),
        (
            '[a]\nname = "A"\nfamily = "f"\nrepo = "x/y"\ntasks = ["fly"]',
            "'fly' is not a task; known",
        ),
    ],
)
def test_a_wrong_row_is_named(models: Path, text: str, sentence: str) -> None:
    (models / "catalog.toml").write_text(text)
    with pytest.raises(ModelUnavailable, match=sentence) as failure:
        catalog()
    assert "catalog.toml" in str(failure.value)


def test_an_id_stands_once(models: Path) -> None:
    for name in ("a", "b"):
        (models / f"{name}.toml").write_text(ROW.format(id="one") + 'repo = "x/y"')
    with pytest.raises(ModelUnavailable, match=r"'one' stands twice in the catalog: remove it from b\.toml"):
        catalog()

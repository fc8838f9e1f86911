"""What somebody notices of an adapter when the run that made it is done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.finetune.adapters.made import PEBBLE, done
from tests.finetune.runs import example
from vlm_app.engine import adapters
from vlm_app.engine.attaching import CONFIG, WEIGHTS
from vlm_app.errors import BadInput
from vlm_app.finetune.adapters import Card, keep
from vlm_app.finetune.examples import Reply, digest
from vlm_app.finetune.judging import Line, as_dict, write
from vlm_app.settings import settings
from vlm_app.store.images import ImageFolder

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


@pytest.fixture
def data() -> Path:
    return settings().data


def test_what_a_run_made_is_an_adapter_of_its_owner_with_a_card(tmp_path: Path, data: Path) -> None:
    folder = done(tmp_path / "run1", name="Hearts", base="pebble", precision="fp32", rank=4)
    assert keep(folder, data) == "run1"
    (found,) = adapters.installed()
    assert (found.id, found.name, found.base, found.owner) == ("run1", "Hearts", "pebble", "ada")
    card = Card.read(found.folder)
    assert (card.data.name, card.data.train, card.data.sha256) == ("Hearts", 40, "5" * 64)
    assert card.settings == folder.config
    assert card.precision == "fp32"


def test_the_card_and_the_readme_say_whether_it_helped(tmp_path: Path, data: Path) -> None:
    folder = done(tmp_path / "run1", name="Hearts")
    images = ImageFolder(tmp_path / "images")
    examples = [example(number) for number in range(8)]
    for each in examples:
        images.write(each.pictures[0])
    folder.write_examples("held_out", examples, images)
    for number, each in enumerate(examples):
        right = as_dict(Reply(each.text or "", each.regions))
        write(folder, Line(example=number, key=digest(each), before=as_dict(Reply("")), after=right))
    keep(folder, data)
    card = Card.read(data / "adapters" / "run1")
    score = card.scores[0]
    assert (score.task, score.figure, score.examples, score.before, score.after) == ("detect", "f1", 8, 0, 1)
    assert score.low > 0 and "detect better by 100.0 points" in card.verdict
    text = (data / "adapters" / "run1" / "README.md").read_text()
    assert "| detect | F1 | 0.0 | 100.0 |" in text


def test_no_file_of_an_adapter_names_a_folder_of_this_computer(tmp_path: Path, data: Path) -> None:
    keep(done(tmp_path / "run1"), data)
    texts = [path.read_text() for path in (data / "adapters" / "run1").glob("*[!s]") if path.name != WEIGHTS]
    assert len(texts) >= 2
    assert not any(str(PEBBLE) in text or str(tmp_path) in text for text in texts)
    assert (
        json.loads((data / "adapters" / "run1" / CONFIG).read_text())["base_model_name_or_path"] == "pebble"
    )


def test_keeping_it_twice_changes_nothing(tmp_path: Path, data: Path) -> None:
    folder = done(tmp_path / "run1")
    keep(folder, data)
    before = Card.read(data / "adapters" / "run1")
    assert keep(folder, data) == "run1"
    assert Card.read(data / "adapters" / "run1") == before


def test_an_adapter_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = done(tmp_path / "run1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(shutil, "copyfile", full)
        keep(folder, data)
    assert list((data / "adapters").iterdir()) == []
    keep(folder, data)  # when there is room again
    assert [each.id for each in adapters.installed()] == ["run1"]


def test_one_that_broke_off_is_not_listed_and_is_made_anew(tmp_path: Path, data: Path) -> None:
    part = data / "adapters" / ".run1.part"
    part.mkdir(parents=True)
    (part / CONFIG).write_text('{"base_model_name_or_path": "pebble"}')
    assert adapters.installed() == ()
    keep(done(tmp_path / "run1"), data)
    assert [path.name for path in (data / "adapters").iterdir()] == ["run1"]


@pytest.mark.parametrize(
    ("text", "words"), [('{"version": 7, "name": "x"}', "version 7"), ("{", "damaged"), ("[]", "damaged")]
)
def test_a_card_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(BadInput, match=words):
        Card.read(tmp_path)

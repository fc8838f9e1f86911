"""What somebody can do with an adapter: see it, carry it away, bring it, delete it."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.finetune.adapters.made import PEBBLE
from vlm_app.catalog import catalog
from vlm_app.engine import adapters
from vlm_app.engine.attaching import CONFIG, WEIGHTS
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import AppError, BadInput, NotFound
from vlm_app.finetune.adapters import Adapters, Card, Score
from vlm_app.finetune.adapters.merging import alone
from vlm_app.finetune.adapters.readme import readme
from vlm_app.finetune.events import State
from vlm_app.finetune.run_config import RunConfig
from vlm_app.settings import settings
from vlm_app.store.tables import RunRow

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
NASTY = "Heart|s</td> [x](javascript:1) <img src=x onerror=y>\n---\n# `x` $y$ *b*"


def is_a_sentence(error: AppError) -> bool:
    text = error.sentence
    return text.endswith(".") and "\n" not in text and str(settings().data) not in text


# --- looking ------------------------------------------------------------------------------


def test_an_adapter_is_listed_with_its_card_for_its_owner_alone(mine: Adapters, hearts: str) -> None:
    (kept,) = mine.of("ada")
    assert (kept.id, kept.name, kept.own, kept.problem) == (hearts, "Hearts", True, "")
    assert kept.bytes == (settings().data / "adapters" / hearts / WEIGHTS).stat().st_size
    assert kept.card == mine.card("ada", hearts)
    assert mine.of("eve") == ()
    for asked in (mine.card, mine.archive, mine.delete):
        with pytest.raises(NotFound):
            asked("eve", hearts)


def test_one_that_was_put_into_the_folder_by_hand_is_everybodys_and_nobodys_to_delete(
    mine: Adapters, weights: Path
) -> None:
    shutil.copytree(weights / "adapter", settings().data / "adapters" / "by-hand")
    (kept,) = mine.of("eve")
    assert (kept.own, kept.card) == (False, Card(name="by-hand", base="pebble"))
    with pytest.raises(BadInput, match="everybody's") as told:
        mine.delete("eve", "by-hand")
    assert is_a_sentence(told.value)
    with zipfile.ZipFile(mine.archive("eve", "by-hand")) as packed:  # with no way to our folders
        assert not any(str(PEBBLE.parent).encode() in packed.read(name) for name in packed.namelist())
    mine.delete(None, "by-hand")
    assert mine.of(None) == ()


def test_a_card_of_another_version_is_a_problem_of_that_adapter_only(mine: Adapters, hearts: str) -> None:
    (settings().data / "adapters" / hearts / "card.json").write_text('{"version": 9, "name": "Hearts"}')
    shutil.copytree(settings().data / "adapters" / hearts, settings().data / "adapters" / "other")
    assert [(kept.card, "version 9" in kept.problem) for kept in mine.of(None)] == [(None, True)] * 2


# --- the zip ------------------------------------------------------------------------------


def test_the_zip_holds_what_peft_and_the_hub_read_and_nothing_of_its_owner(
    mine: Adapters, hearts: str, tmp_path: Path
) -> None:
    path = mine.archive("ada", hearts)
    assert path.is_relative_to(settings().data / "cache")
    with zipfile.ZipFile(path) as packed:
        assert set(packed.namelist()) == {WEIGHTS, CONFIG, "README.md", "card.json"}
        packed.extractall(tmp_path / "out")
    kept = settings().data / "adapters" / hearts
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (kept / WEIGHTS).read_bytes()
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["owner"] == "" and card["data"]["sha256"] == "5" * 64
    assert mine.archive("ada", hearts) == path  # made once


def test_peft_loads_the_unpacked_zip_as_its_readme_says(mine: Adapters, hearts: str, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    with zipfile.ZipFile(mine.archive("ada", hearts)) as packed:
        packed.extractall(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(PEBBLE, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(model, tmp_path)
    assert any("lora_A" in name for name, _ in tuned.named_parameters())


def test_a_zip_goes_back_in_as_the_takers_own_and_answers_the_same(
    mine: Adapters, hearts: str, tmp_path: Path
) -> None:
    path = shutil.copy(mine.archive("ada", hearts), tmp_path / "x.zip")
    mine.delete("ada", hearts)
    id = mine.take_in("eve", Path(path), "x.zip")
    (kept,) = mine.of("eve")
    assert (kept.id, kept.name, kept.own) == (id, "Hearts", True)
    assert kept.card and kept.card.data.train == 40
    loaded = load_checkpoint(catalog()["pebble"], "fp32")
    adapters.use(loaded, adapters.find(id, "eve"))
    assert loaded.adapter == id


def zipped(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "brought.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def whole(weights: Path) -> dict[str, bytes]:
    return {name: (weights / "adapter" / name).read_bytes() for name in (CONFIG, WEIGHTS)}


def changed(data: bytes, **settings: object) -> bytes:
    return json.dumps(json.loads(data) | settings).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: {"x.txt": b"hello"}, "adapter_config.json"),
        (lambda files: {CONFIG: files[CONFIG], "adapter_model.bin": b"\x80\x02pickle"}, "pickled"),
        (lambda files: {CONFIG: files[CONFIG]}, WEIGHTS),
        (lambda files: files | {"../evil.py": b"x"}, "leads out"),
        (lambda files: files | {"/etc/evil": b"x"}, "absolute"),
        (lambda files: files | {"bomb": bytes(60_000_000)}, "too much"),
        (lambda files: files | {WEIGHTS: files[WEIGHTS][:5000]}, "damaged"),
        (lambda files: files | {WEIGHTS: b"\x80\x02pickle under another name"}, "damaged"),
        (lambda files: files | {f"b/{CONFIG}": files[CONFIG]}, "2 of them"),
        (lambda files: files | {CONFIG: b"[]"}, "object of JSON"),
        (lambda files: files | {CONFIG: changed(files[CONFIG], peft_type="VERA")}, "LORA"),
        (lambda files: files | {CONFIG: changed(files[CONFIG], bias="all")}, "bias"),
        (lambda files: files | {CONFIG: changed(files[CONFIG], base_model_name_or_path="a/b")}, "'a/b'"),
    ],
)
def test_what_is_no_adapter_for_a_model_here_is_refused_with_a_sentence(
    mine: Adapters, weights: Path, tmp_path: Path, change, words: str
) -> None:
    path = zipped(tmp_path, change(whole(weights)))
    with pytest.raises(AppError, match=words) as told:
        mine.take_in("ada", path, "brought.zip")
    assert is_a_sentence(told.value)
    assert mine.of(None) == ()
    left = [each for each in settings().data.rglob("*") if each.is_file() and "evil" in each.name]
    assert left == [] and not Path("/etc/evil").exists()
    assert list((settings().data / "adapters").glob("*")) == []


def test_what_is_no_zip_is_refused(mine: Adapters, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"")
    with pytest.raises(BadInput, match="no zip"):
        mine.take_in("ada", path, "x.zip")


def test_one_of_peft_alone_in_a_folder_of_the_zip_is_taken_without_its_owner(
    mine: Adapters, weights: Path, tmp_path: Path
) -> None:
    files = {f"out/{name}": data for name, data in whole(weights).items()}
    files["out/card.json"] = b'{"owner": "ada", "nonsense": 1}'
    id = mine.take_in("eve", zipped(tmp_path, files), "my hearts.zip")
    assert mine.card("eve", id) == Card(name="my hearts", owner="eve", base="pebble")
    assert mine.of("ada") == ()


# --- deleting -----------------------------------------------------------------------------


def test_a_deleted_adapter_is_gone_with_its_zip_and_a_chat_says_so(mine: Adapters, hearts: str) -> None:
    zipped = mine.archive("ada", hearts)
    mine.delete("ada", hearts)
    assert mine.of("ada") == () and not zipped.exists()
    assert list((settings().data / "adapters").iterdir()) == []
    with pytest.raises(NotFound):
        adapters.find(hearts, "ada")


def test_it_stays_while_a_run_goes_on_from_it(mine: Adapters, hearts: str) -> None:
    from datetime import UTC, datetime

    from tests.finetune.runs import folder
    from vlm_app.store import Store

    run = folder(settings().data / "runs" / "next", adapter=hearts, name="More hearts")
    run.update(state=State.QUEUED)
    with Store(settings().data).writing() as session:
        session.add(RunRow(id="next", owner="ada", name="More hearts", body={}, created=datetime.now(UTC)))
    with pytest.raises(BadInput, match="'More hearts' goes on from this adapter"):
        mine.delete("ada", hearts)
    run.update(state=State.DONE)
    mine.delete("ada", hearts)


def test_while_it_is_merged_nobody_merges_or_deletes_it(mine: Adapters, hearts: str) -> None:
    asked = (lambda: mine.merge("ada", hearts, print), lambda: mine.delete("ada", hearts))
    with alone(settings().data / "merged" / hearts):
        for each in asked:
            with pytest.raises(BadInput, match="is being merged just now"):
                each()
    mine.delete("ada", hearts)
    assert mine.of("ada") == ()


# --- the README ---------------------------------------------------------------------------


def score(**facts: object) -> Score:
    numbers = {"before": 0.1, "after": 0.8, "gain": 0.7, "low": 0.6, "high": 0.8}
    return Score.model_validate(
        {"task": "detect", "figure": "f1", "examples": 20, "images": 18, "words": "better"} | numbers | facts
    )


def test_the_readme_says_for_which_base_from_what_and_whether_it_helped() -> None:
    row = next(row for row in catalog().values() if row.licence == "Apache-2.0" and row.source[0] != "/")
    card = Card(
        name="Hearts",
        base=row.source,
        revision="a" * 40,
        precision="nf4",
        settings=RunConfig(rank=64),
        scores=(score(),),
        verdict="detect better by 70.0 points (60.0 to 80.0).",
    )
    text = readme(card, row)
    front = ModelCard(text).data
    assert (front.base_model, front.library_name, front.license) == (row.source, "peft", "apache-2.0")
    for licence in ("cc-by-4.0", "llama3.1"):  # of a model that was added from the Hub, in its words
        assert f'license: "{licence}"\n' in readme(card, replace(row, licence=licence))
    assert front.pipeline_tag == "image-text-to-text" and "lora" in front.tags
    assert "| detect | F1 | 10.0 | 80.0 | better | +60.0 to +80.0 | 20 | 18 |" in text
    assert "| rank | **64** |" in text and f'revision="{"a" * 40}"' in text
    whole = ModelCard(readme(card, row, merged=True)).data
    assert (whole.library_name, whole.base_model) == ("transformers", row.source)
    rounded = card.model_copy(update={"precision": "int8"})
    said = [readme(each, row, merged=True) for each in (card, rounded)]
    assert ["may differ a little" in each for each in said] == [False, True]


def test_nothing_that_a_person_wrote_is_markdown_html_or_front_matter_of_the_readme() -> None:
    scores = (score(task=NASTY[:60], words=NASTY, figure="x|y"),)
    card = Card(name=NASTY, base=NASTY, revision="`x`", precision="x`", scores=scores, verdict=NASTY)
    text = readme(
        card.model_copy(update={"data": card.data.model_copy(update={"name": NASTY, "sha256": "`"})}), None
    )
    assert ModelCard(text).data.to_dict().keys() == {"library_name", "pipeline_tag", "tags"}
    assert "<img" not in text.replace("\\<img", "") and "](" not in text.replace("\\]\\(", "")
    rendered = _html(text)
    assert "<img" not in rendered and "<a " not in rendered and "<td>" in rendered
    assert {line.count("<td>") for line in rendered.splitlines() if "<td>" in line} == {1}


def _html(text: str) -> str:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text.split("---", 2)[2])

"""A frozen vision tower looks at each picture once, and nothing that is learned changes by it."""

from __future__ import annotations

import resource
import signal
import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import checkpoints
from tests.finetune.runs import folder
from tests.finetune.teaching import QUIET, drawn, example, run, tiny_base
from tests.sizes import TRAINED_FAMILIES
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.finetune.training import course
from vlm_app.finetune.training.collating import Shelf, together
from vlm_app.finetune.training.features import Features, features
from vlm_app.finetune.training.kept import Kept, Looks, NoRoom
from vlm_app.finetune.training.lessons import lesson, lessons
from vlm_app.finetune.training.trainers import fused
from vlm_app.store.images import ImageFolder

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]
FIRST = ("smolvlm", "qwen2_5_vl", "llava")
NAMES = sorted(checkpoints.names(), key=lambda name: (name not in FIRST, name))[:TRAINED_FAMILIES]


@pytest.mark.parametrize("towers", [["language"], ["connector", "language"]])
def test_losses_are_the_same_with_and_without_kept_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, towers: list[str]
) -> None:
    tiny_base(monkeypatch)
    looks = watched(monkeypatch)
    kept = run(tmp_path / "kept", towers=towers).go()
    assert len(looks) == 8  # six examples in two rounds, and two held-out ones at three evaluations
    monkeypatch.setattr(course, "features", lambda loaded, folder: None)
    anew = run(tmp_path / "anew", towers=towers).go()
    assert kept.losses == pytest.approx(anew.losses, abs=1e-5)
    assert kept.held_out_losses == pytest.approx(anew.held_out_losses, abs=1e-5)
    assert [sample.text for sample in kept.samples] == [sample.text for sample in anew.samples]


def watched(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The keys of the pictures that are kept."""
    seen: set[str] = set()
    see = Features.see

    def noted(self: Features, pictures: str, inputs: dict[str, Any]) -> None:
        seen.add(pictures)
        see(self, pictures, inputs)

    monkeypatch.setattr(Features, "see", noted)
    return seen


def test_the_tower_is_asked_once_for_each_picture(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    calls = counted(loaded.model.get_submodule("model.vision_model"))
    kept = features(loaded, tmp_path)
    assert kept is not None
    rows = [lesson(loaded, example(number), None) for number in range(3)]
    kept.try_out([row.pictures for row in rows], [row.encode() for row in rows], lambda r: together(r, 0))
    assert kept.on and len(calls) == 3  # two of them, and the two together
    for row in [*rows, *rows]:
        kept.see(row.pictures, row.encode())
    assert len(calls) == 4  # and the third one
    kept.close()


def counted(module: Any) -> list[int]:
    """Grows by one whenever the module computes."""
    calls: list[int] = []
    forward = module.forward

    def noted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return forward(*args, **options)

    module.forward = noted
    return calls


def test_kept_features_lie_on_disk_and_leave_with_the_run(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    row = lesson(loaded, example(0), None)
    inputs = row.encode()
    kept = Features(loaded, "model.vision_model", tmp_path)
    kept.try_out([row.pictures] * 2, [inputs] * 2, lambda rows: together(rows, 0))
    assert list(tmp_path.iterdir()) and kept.on
    with torch.no_grad():
        blank = kept.without_pictures(inputs)
        with kept.of([row.pictures]):
            given = loaded.model(**blank).loss
        assert given == pytest.approx(float(loaded.model(**inputs).loss), abs=1e-5)
        assert float(loaded.model(**blank).loss) != pytest.approx(float(given), abs=1e-5)
    kept.close()
    assert not list(tmp_path.iterdir())


def test_a_row_without_its_pictures_is_small(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    kept = features(loaded, tmp_path)
    assert kept is not None
    small = kept.without_pictures(lesson(loaded, example(0), None).encode())
    assert sum(value.untyped_storage().nbytes() for value in small.values()) < 4_000


def test_a_picture_of_which_a_part_finds_room_is_not_kept(tmp_path: Path) -> None:
    one = torch.ones(1000)
    kept = Kept(tmp_path)
    kept.put("one", [[one]])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (one.nbytes + 2000, before[1]))
    try:
        with pytest.raises(NoRoom):
            kept.put("two", [[one]])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "two" not in kept and torch.equal(kept.get("one")[0][0], one)
    kept.clear()


SMALL, WIDE, TALL = (64, 64), (900, 500), (500, 1300)


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("deepseek_ocr2", [[SMALL], [SMALL], [WIDE]]),  # small ones have no tiles
        ("idefics2", [[SMALL], [SMALL], [WIDE], [TALL], [WIDE]]),  # in a batch they are padded
        ("mllama", [[SMALL], [SMALL], [SMALL, SMALL]]),
    ],
)
def test_pictures_of_different_sizes_and_numbers_are_taught_alike_with_kept_features(
    tmp_path: Path, name: str, pictures: list[list[tuple[int, int]]]
) -> None:
    loaded = load_checkpoint(checkpoints.row(name), "fp32")
    loaded.model.requires_grad_(False)
    several = [
        replace(
            example(row), pictures=tuple(drawn(10 * row + number, size) for number, size in enumerate(of))
        )
        for row, of in enumerate(pictures)
    ]
    rows, _ = lessons(loaded, several, None)
    kept = features(loaded, tmp_path)
    assert kept is not None
    batches = list(pairwise(range(len(rows))))
    anew, shelf = Shelf(rows, 0), Shelf(rows, 0, kept)
    losses = [loss(loaded, anew.batch(batch)) for batch in batches]
    made = [shelf.batch(batch) for batch in batches]  # a trainer takes a batch ahead of the one it teaches
    assert kept.on and kept.knows([rows[0].pictures, rows[1].pictures])
    found = []
    for batch in made:
        with kept.of(shelf.pictures(batch["rows"])):
            found.append(loss(loaded, batch))
    assert found == pytest.approx(losses, abs=1e-5)
    kept.close()


def loss(loaded: LoadedModel, batch: dict[str, Any]) -> float:
    with torch.no_grad():
        return float(loaded.model(**{name: value for name, value in batch.items() if name != "rows"}).loss)


@pytest.mark.parametrize("pictures", [0, 3, 4, 6])
def test_a_full_disk_ends_the_keeping_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: int
) -> None:
    """Found full at the first picture, in the middle of a batch, or with one ahead that has no pictures."""
    tiny_base(monkeypatch)
    anew = run(tmp_path / "anew")
    monkeypatch.setattr(course, "features", lambda loaded, folder: None)
    anew.go()
    monkeypatch.undo()
    tiny_base(monkeypatch)
    put, done = Kept.put, iter(range(pictures))

    def full(self: Kept, key: str, looks: Looks) -> None:
        if next(done, None) is None:
            raise NoRoom
        put(self, key, looks)

    monkeypatch.setattr(Kept, "put", full)
    made = run(tmp_path / "full").go()
    assert made.losses == pytest.approx(anew.losses, abs=1e-5)


def test_a_tower_that_learns_is_never_kept(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    course.adapted(loaded, run(tmp_path, towers=["vision"]).config)
    assert features(loaded, tmp_path) is None


def own_loss(model: Any, row: dict[str, Any]) -> float:
    """The model's own loss; of Idefics from its logits: transformers 5.23 forgets the tokens it adds."""
    if model.config.model_type != "idefics":
        return float(model(**row).loss)
    logits = model(**{name: value for name, value in row.items() if name != "labels"}).logits
    known = logits[:, :-1, : model.config.vocab_size].flatten(0, 1).float()
    return float(torch.nn.functional.cross_entropy(known, row["labels"][:, 1:].flatten()))


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_has_the_losses_of_its_rows(name: str, tmp_path: Path) -> None:
    """In every family: what is padded changes nothing, and TRL's head finds the model's own loss."""
    loaded = load_checkpoint(checkpoints.row(name), "fp32")
    rows = [lesson(loaded, example(number), None).encode() for number in range(2)]
    with torch.no_grad():
        losses = [own_loss(loaded.model, row) for row in rows]
        counts = [int((row["labels"][:, 1:] >= 0).sum()) for row in rows]
        if loaded.model.config.is_encoder_decoder:
            counts = [int((row["labels"] >= 0).sum()) for row in rows]
        batch = together(rows, int(loaded.processor.tokenizer.pad_token_id or 0))
        mean = sum(a * b for a, b in zip(losses, counts, strict=True)) / sum(counts)
        assert own_loss(loaded.model, batch) == pytest.approx(mean, abs=1e-4)
        if fused(loaded.model):
            from trl.trainer.utils import add_fused_lm_head

            add_fused_lm_head(loaded.model)
            batch.pop("use_cache", None)
            found = loaded.model(**batch, fused_lm_head=True).loss
            assert float(found) == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("keeps", [True, False])
def test_training_holds_the_decoded_pictures_of_a_batch_and_not_of_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    from PIL import Image, ImageFile

    decoded: weakref.WeakValueDictionary[int, Image.Image] = weakref.WeakValueDictionary()
    counts: list[int] = []
    load = ImageFile.ImageFile.load

    def noted(self: ImageFile.ImageFile) -> Any:
        decoded[id(self)] = self
        counts.append(len(decoded))
        return load(self)

    made, images = folder(tmp_path / "run"), ImageFolder(tmp_path / "images")
    several = [example(number) for number in range(12)]
    for each in several:
        images.write(each.pictures[0])
    made.write_examples("train", several, images)
    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    kept = features(loaded, tmp_path / "kept") if keeps else None
    shelf = Shelf(lessons(loaded, made.examples("train"), None)[0], 0, kept)
    for start in range(0, 12, 2):
        shelf.batch([start, start + 1])
    assert counts and max(counts) <= 2, f"{max(counts)} pictures were decoded at once"
    if kept:
        kept.close()

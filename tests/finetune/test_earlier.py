"""What is known of what an adapter was taught."""

from __future__ import annotations

from pathlib import Path

from tests.finetune.runs import example, folder
from vlm_app.finetune.earlier import taught_before
from vlm_app.store.images import ImageFolder


def test_a_run_that_goes_on_knows_the_pictures_of_all_runs_before_it(tmp_path: Path) -> None:
    runs, images = tmp_path / "runs", ImageFolder(tmp_path / "images")
    examples = [example(number) for number in range(3)]
    for each in examples:
        images.write(each.pictures[0])
    first, second = examples[0].pictures[0].sha256, examples[1].pictures[0].sha256
    one, other = folder(runs / "one"), folder(runs / "other", adapter="one")
    for made, taught in ((one, examples[:1]), (other, examples[1:2])):
        made.write_examples("train", taught, images)
        made.write_examples("held_out", examples[2:], images)
    assert taught_before(runs, None) == taught_before(runs, "gone") == frozenset()
    assert taught_before(runs, "other") == {first, second}
    assert taught_before(runs, "one") == {first}

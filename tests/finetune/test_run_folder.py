"""What stays of a run on disk, whatever ended it."""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from tests.finetune.runs import example, folder
from vlm_app.errors import BadInput
from vlm_app.finetune.events import Event, State, Stepped
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.store.images import ImageFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return folder(tmp_path / "run", name="Hearts")


def step(number: int) -> Stepped:
    return Stepped(step=number, epoch=0, loss=1, rate=1, memory=1, examples_per_second=1)


def steps(events: tuple[Event, ...]) -> list[int]:
    return [event.step for event in events if isinstance(event, Stepped)]


# --- events -----------------------------------------------------------------------------


def test_events_are_read_on_from_where_the_last_look_ended(run: RunFolder) -> None:
    assert run.events() == ((), 0)
    run.append(step(1))
    first, then = run.events()
    assert steps(first) == [1] and first[0].at > 1e9
    assert run.events(then) == ((), then)
    run.append(step(2))
    assert steps(run.events(then)[0]) == [2]


def test_half_a_line_of_a_killed_trainer_is_skipped_and_cut_when_it_goes_on(run: RunFolder) -> None:
    run.append(step(1))
    whole = (run.path / "events.jsonl").read_bytes()
    (run.path / "events.jsonl").write_bytes(whole + whole[: len(whole) // 2])
    events, then = run.events()
    assert steps(events) == [1] and then == len(whole)
    run.append(step(2))
    assert steps(run.events(then)[0]) == [2]
    assert all(json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines())


def test_a_file_that_is_one_half_line_begins_anew(run: RunFolder) -> None:
    (run.path / "events.jsonl").write_bytes(b"x" * 200_000)
    run.append(step(1))
    assert steps(run.events()[0]) == [1]


def test_an_event_that_a_newer_app_wrote_is_passed_over(run: RunFolder) -> None:
    run.append(step(1))
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"kind": "danced"}\n')
    run.append(step(2))
    assert steps(run.events()[0]) == [1, 2]


def test_a_place_beyond_the_end_reads_from_the_beginning(run: RunFolder) -> None:
    run.append(step(1))
    assert steps(run.events(10_000)[0]) == [1]


# --- versions and damage ----------------------------------------------------------------


def test_a_folder_of_a_newer_version_is_refused_with_a_sentence(run: RunFolder) -> None:
    (run.path / "config.json").write_text('{"version": 2, "dreams": true}')
    with pytest.raises(BadInput, match=r"'config.json' of this run has version 2, and this app reads vers"):
        _ = run.config


@pytest.mark.parametrize("damage", ["", "[]", '{"version": 1, "rank": "many"}', "\x00\xff"])
def test_a_damaged_file_is_named(run: RunFolder, damage: str) -> None:
    (run.path / "config.json").write_bytes(damage.encode("latin-1"))
    with pytest.raises(BadInput, match=r"'config.json' of this run (is damaged|cannot be read)"):
        _ = run.config


def test_settings_that_a_first_version_did_not_know_have_their_usual_values(run: RunFolder) -> None:
    (run.path / "config.json").write_text('{"version": 1, "name": "Old"}')
    assert run.config == RunConfig(name="Old")


# --- examples ---------------------------------------------------------------------------


def test_examples_stay_when_their_dataset_is_gone(run: RunFolder, tmp_path: Path) -> None:
    images, examples = ImageFolder(tmp_path / "images"), [example(1), example(2)]
    for each in examples:
        images.write(each.pictures[0])
    run.write_examples("train", examples, images)
    for each in examples:
        images.remove(each.pictures[0].sha256)
    read = run.examples("train")
    assert [each.regions for each in read] == [each.regions for each in examples]
    assert [each.pictures[0].pixels.getpixel((0, 0)) for each in read] == [
        each.pictures[0].pixels.getpixel((0, 0)) for each in examples
    ]


def test_a_picture_stays_decoded_only_while_its_example_is_in_use(run: RunFolder, tmp_path: Path) -> None:
    """2,000 photos of 12 megapixels would be 72 GB."""
    images, made = ImageFolder(tmp_path / "images"), example(1)
    images.write(made.pictures[0])
    run.write_examples("train", [made], images)
    read = run.examples("train")
    pixels = read[0].pictures[0].pixels
    pixels.load()
    decoded = weakref.ref(pixels)
    del pixels
    gc.collect()
    assert decoded() is None and list(read) == list(read[:1]) and len(read) == 1
    with pytest.raises(IndexError):
        read[1]


def test_a_line_that_is_no_example_is_named(run: RunFolder) -> None:
    (run.path / "data").mkdir()
    (run.path / "data" / "train.jsonl").write_text('{"version": 1, "pictures": ["../../secret"]}\n')
    with pytest.raises(BadInput, match=r"Line 1 of 'train.jsonl'"):
        run.examples("train")


# --- a full disk, and who holds it ------------------------------------------------------


def test_an_event_that_finds_no_room_leaves_the_others_whole(run: RunFolder) -> None:
    run.append(step(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((run.path / "events.jsonl").stat().st_size + 20, hard))
    try:
        with pytest.raises(OSError):
            run.append(step(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run.append(step(3))
    assert steps(run.events()[0]) == [1, 3]


def test_one_process_trains_at_a_time_and_its_death_frees_the_run(run: RunFolder) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from vlm_app.finetune.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).holding() as got: print(bool(got), flush=True); time.sleep(60)"
    )
    assert not run.held
    other = subprocess.Popen([sys.executable, "-c", hold, run.path], stdout=subprocess.PIPE, text=True)
    assert other.stdout and other.stdout.readline() == "True\n"
    assert run.held
    with run.holding() as got:
        assert not got
    other.kill()
    other.wait()
    other.stdout.close()
    assert not run.held
    with run.holding() as got:
        assert got


def test_a_status_is_changed_field_by_field(run: RunFolder) -> None:
    run.update(state=State.QUEUED, queued=5.0)
    run.enter(State.FAILED, "It rained.")
    now = run.status
    assert (now.state, now.sentence, now.queued) == (State.FAILED, "It rained.", 5.0)

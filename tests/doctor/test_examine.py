"""The doctor says what a machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import vlm_app.engine
from vlm_app import __version__, doctor
from vlm_app.cli import main
from vlm_app.doctor import Finding, Level, machine, network, software
from vlm_app.engine import devices
from vlm_app.engine.devices import Device
from vlm_app.people import Role
from vlm_app.settings import settings
from vlm_app.store.persons import Persons

GB = 10**9
PROC = "NVRM version: NVIDIA UNIX {}  Release Build  (builder)\nGCC version: gcc 12\n"
Set = Callable[..., None]


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> Set:
    def change(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{name.upper()}", value)
        settings.cache_clear()

    return change


class Machine:
    """An engine of a machine with these devices."""

    def __init__(self, *found: Device) -> None:
        self.found = found

    def devices(self) -> tuple[Device, ...]:
        return self.found


# --- driver and devices ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "named", ["x86_64 Kernel Module  550.54.14", "Open Kernel Module for x86_64  550.54.14"]
)
def test_the_driver_is_named_with_its_version(tmp_path: Path, named: str) -> None:
    file = tmp_path / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text(PROC.format(named))
    assert machine.driver(tmp_path) == Finding("driver", Level.OK, "NVIDIA's driver 550.54.14")


def test_a_machine_without_a_driver_is_fine(tmp_path: Path) -> None:
    found = machine.driver(tmp_path)
    assert found.level is Level.OK and "on the processor" in found.found


def test_each_device_is_told_and_one_of_no_use_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "NVIDIA's driver is not installed or not loaded; install it and start again."
    there = Machine(
        Device("cuda:0", "Fast GPU", 80 * GB, 79 * GB),
        Device("cuda:1", "Shared GPU", 80 * GB, 3 * GB),
        Device("cpu", "A processor", 16 * GB, 9 * GB),
        Device("cuda:2", "Odd GPU", 0, 0, f"Odd GPU cannot be used: {why}"),
    )
    monkeypatch.setattr(vlm_app.engine, "engine", lambda: there)
    fast, shared, cpu, odd = machine.devices()
    assert (fast.level, fast.found) == (Level.OK, "Fast GPU (cuda:0), 79.0 GB of 80.0 GB free")
    assert shared.level is Level.NOTE and "nvidia-smi" in shared.advice
    assert cpu.level is Level.OK and cpu.found.startswith("A processor, ")
    assert odd == Finding("device", Level.PROBLEM, "Odd GPU is of no use", why)


# --- memory and disk ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "level"), [(1 * GB, Level.PROBLEM), (4 * GB, Level.NOTE), (12 * GB, Level.OK)]
)
def test_memory_is_enough_or_not(free: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "host_free", lambda: free)
    monkeypatch.setattr(devices, "host_total", lambda: 16 * GB)
    found = machine.memory()
    assert found.level is level
    assert found.found == f"{free / GB:.1f} GB of 16.0 GB free"


def test_a_limit_above_what_there_is_is_said(monkeypatch: pytest.MonkeyPatch, set_to: Set) -> None:
    monkeypatch.setattr(devices, "host_free", lambda: 12 * GB)
    monkeypatch.setattr(devices, "host_total", lambda: 16 * GB)
    set_to(memory="99GB")
    assert machine.memory().advice == "VLM_APP_MEMORY is more than there is: lower or unset it."


@pytest.mark.parametrize(
    ("free", "level"), [(GB // 10, Level.PROBLEM), (5 * GB, Level.NOTE), (90 * GB, Level.OK)]
)
def test_disk_is_enough_or_not(free: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    found = machine.disk()
    assert found.level is level and str(settings().data) in found.found
    assert not settings().data.exists(), "looking writes nothing"


def test_a_data_folder_that_is_a_file_is_a_problem(tmp_path: Path, set_to: Set) -> None:
    (tmp_path / "file").touch()
    set_to(data=str(tmp_path / "file" / "data"))
    found = machine.disk()
    assert found.level is Level.PROBLEM and "VLM_APP_DATA" in found.advice


def test_a_data_folder_that_ends_with_its_container_is_said(
    set_to: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 90 * GB})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    set_to(lasting="false")
    assert "mount a volume" in machine.disk().advice


# --- packages and models --------------------------------------------------------------------


def test_missing_and_old_packages_are_named_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# what is needed\npydantic >=1,<2  # old\nno-such-package\npytest >=8\nother; python_version<'3'\n"
    )
    found = software.packages(file)
    assert found.level is Level.PROBLEM
    assert found.found.startswith("pydantic is ") and ", no-such-package is missing" in found.found
    assert "pytest" not in found.found and "pip install -r requirements.txt" in found.advice


def test_what_is_installed_here_is_what_is_required() -> None:
    found = software.packages()
    assert found.level is Level.OK, found.found


def test_models_of_the_start_are_looked_at(set_to: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(model="pebble,nowhere,florence-2-base,qwen3-vl-4b", memory="400MB")
    vlm_app.engine.engine.cache_clear()
    pebble, nowhere, far, large = software.models()
    vlm_app.engine.engine.cache_clear()
    assert pebble.level is Level.OK and pebble.found.startswith("Pebble is here, fits in ")
    assert nowhere.level is Level.PROBLEM and "'nowhere'" in nowhere.found and nowhere.advice
    assert far.level is Level.PROBLEM and far.found == "Florence-2 base is not on the disk"  # and no network
    assert large.level is Level.PROBLEM and "needs about" in large.found


# --- the Hub, ports, visitors ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("offline", "reached", "name", "level", "words"),
    [
        (True, None, "", Level.NOTE, "offline mode"),
        (False, None, "", Level.NOTE, "cannot be reached"),
        (False, False, "", Level.NOTE, "cannot be reached"),
        (False, True, "", Level.OK, "nobody is signed in"),
        (False, True, "ada", Level.OK, "signed in as ada"),
    ],
)
def test_access_to_the_hub_is_told(
    offline: bool, reached: bool | None, name: str, level: Level, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: offline)
    monkeypatch.setattr(network.hub, "reachable", lambda seconds: reached)
    monkeypatch.setattr(network.hub, "signed_in", lambda: name)
    found = network.hub_access(0.05)
    assert found.level is level and words in found.found


@pytest.fixture
def listening() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_free_and_is_left_so(listening: int) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        number = server.getsockname()[1]
    assert network.port("127.0.0.1", number).level is Level.OK
    assert network.port("127.0.0.1", number).level is Level.OK
    assert network.port("127.0.0.1", 0).found == "any free port of 127.0.0.1"


def test_a_port_of_another_program_names_a_way_out(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_HEALTH", 0.2)  # it never answers
    found = network.port("127.0.0.1", listening)
    assert found.level is Level.PROBLEM and f"--port {listening + 1}" in found.advice


def test_the_app_itself_on_its_port_is_recognized(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_served", lambda host, number: "0.1.0")
    found = network.port("127.0.0.1", listening)
    assert found.level is Level.NOTE and found.found.startswith("vlm-app 0.1.0 runs at 127.0.0.1")


def test_an_address_of_another_machine_cannot_be_served() -> None:
    found = network.port("192.0.2.1", 7860)  # of the block for documentation
    assert found.level is Level.PROBLEM and "no address of this machine" in found.found


@pytest.mark.parametrize(
    ("values", "level", "words"),
    [
        ({}, Level.OK, "at this machine everything is allowed"),
        ({"anonymous": "false"}, Level.NOTE, "signs in first; nobody may load, train or delete"),
        ({"anonymous": "false", "proxy_header": "X-User"}, Level.OK, "signs in first"),
        ({"everyone": "admin"}, Level.OK, "has the role admin"),
        ({"everyone": "admin", "host": "0.0.0.0"}, Level.NOTE, "has the role admin"),
        ({"root_path": "/vlm"}, Level.NOTE, "everything is allowed"),
        ({"root_path": "/vlm", "trusted_proxies": "10.0.0.0/8"}, Level.OK, "everything is allowed"),
        (
            {"trusted_proxies": "127.0.0.0/8"},
            Level.NOTE,
            "is a visitor, at this machine too: a trusted proxy",
        ),
        ({"place": "container"}, Level.NOTE, "who has not signed in is a visitor; nobody may load"),
        ({"place": "space"}, Level.OK, "who has not signed in is a visitor"),
    ],
)
def test_who_may_come_is_told(values: dict[str, str], level: Level, words: str, set_to: Set) -> None:
    set_to(**values)
    found = network.visitors()
    assert found.level is level and words in found.found


def test_where_an_admin_can_sign_in_nothing_is_in_the_way(set_to: Set, tmp_path: Path) -> None:
    set_to(place="container", data=str(tmp_path))
    Persons(tmp_path).add("ben", Role.MEMBER, "correct horse")
    assert network.visitors().level is Level.NOTE
    Persons(tmp_path).give("ben", Role.ADMIN)
    assert network.visitors().level is Level.OK
    (tmp_path / "persons.json").write_text("{")
    found = network.visitors()
    assert found.level is Level.PROBLEM and "put back a copy" in found.advice


# --- the command ----------------------------------------------------------------------------


def findings(*levels: Level) -> Callable[[], Iterator[Finding]]:
    return lambda: iter(
        [Finding("thing", each, "what is there", "" if each is Level.OK else "Do that.") for each in levels]
    )


@pytest.mark.parametrize(
    ("levels", "status", "words"),
    [
        ((Level.OK, Level.NOTE), 0, "Nothing is in the way"),
        ((Level.OK, Level.PROBLEM), 1, "One problem is in the way."),
    ],
)
def test_the_exit_status_tells_whether_there_is_a_problem(
    levels: tuple[Level, ...],
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "examine", findings(*levels))
    assert main(["doctor"]) == status
    out = capsys.readouterr().out
    assert words in out and "thing     what is there" in out and "→ Do that." in out


def test_json_holds_every_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", findings(Level.PROBLEM))
    assert main(["doctor", "--json"]) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    (found,) = told["findings"]
    assert (told["version"], told["problems"]) == (__version__, 1)
    assert found == {"about": "thing", "level": "problem", "found": "what is there", "advice": "Do that."}


def test_this_machine_is_looked_at_from_end_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOST", "PORT"):
        monkeypatch.setenv(f"VLM_APP_{name}", "")  # and taken back afterwards
    assert main(["doctor", "--port", "0", "--json"]) in (0, 1)
    told = json.loads(capsys.readouterr().out)
    about = {each["about"] for each in told["findings"]}
    assert about == {
        "versions",
        "packages",
        "driver",
        "device",
        "memory",
        "disk",
        "hub",
        "model",
        "port",
        "visitors",
    }
    assert all(bool(each["advice"]) == (each["level"] != "ok") for each in told["findings"])
    assert os.environ["VLM_APP_PORT"] == "0"


def test_what_is_no_name_of_a_host_is_told() -> None:
    assert network.port("127..0.1", 0).found == "127..0.1 is no address of this machine"

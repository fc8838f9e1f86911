"""Names that Gradio gives out, as a visitor gets and sends them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from vlm_app.api.owner import Owners
from vlm_app.api.sealing import Sealing
from vlm_app.api.seals import Seals
from vlm_app.errors import BadInput, NotFound
from vlm_app.store.uploads import Uploads

ME, OTHER = "me", "other"
DEEP = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
EVENT = "0123456789abcdef" * 2
FOLDER = "abc0abc0"  # of an upload of mine


def folder(data: Path) -> Path:
    """Of the uploads; its name has to be written in several ways."""
    return Uploads(data / "my data é").folder


def seals(data: Path) -> Seals:
    uploads = Uploads(data / "my data é")
    uploads.came(ME, [uploads.folder / FOLDER / "a.png"])
    return Seals(Owners(data), uploads)


def told(data: Path, name: str = "a b.png") -> str:
    """The name that the page gets of an upload."""
    path = folder(data) / FOLDER / name
    return str(json.loads(seals(data).sealed(ME, ME, json.dumps([str(path)]).encode()))[0])


def test_a_file_is_found_again_by_its_owner_also_after_a_restart(tmp_path: Path) -> None:
    alias = told(tmp_path)
    assert str(tmp_path) not in alias and alias.endswith(f"/{FOLDER}/a b.png")
    assert seals(tmp_path).file(ME, alias) == f"{folder(tmp_path)}/{FOLDER}/a b.png"
    for who in (OTHER, None):
        with pytest.raises(NotFound):
            seals(tmp_path).file(who, alias)
    with pytest.raises(NotFound):
        seals(tmp_path / "another app").file(ME, alias)


@pytest.mark.parametrize(
    "change", ["{}/../../secret", "/uploads/x", "/uploads", "", "{}x/../../b", "/etc/passwd"]
)
def test_nothing_else_is_a_file(tmp_path: Path, change: str) -> None:
    with pytest.raises(NotFound):
        seals(tmp_path).file(ME, change.format(told(tmp_path)))


@pytest.mark.parametrize("ascii", [True, False])
def test_the_folder_is_in_no_answer_however_it_is_written(tmp_path: Path, ascii: bool) -> None:
    uploads = folder(tmp_path)
    url = "http://localhost/gradio_api/file=" + str(uploads).replace(" ", "%20").replace("é", "%C3%A9")
    answer = {
        "path": f"{uploads}/{FOLDER}/a.png",
        "url": f"{url}/{FOLDER}/a.png",
        "detail": f"not in {uploads}.",
    }
    said = b"data: " + json.dumps(answer, ensure_ascii=ascii).encode()
    sealed = seals(tmp_path).sealed(ME, ME, said)
    assert b"my" not in sealed and str(tmp_path).encode() not in sealed
    back = json.loads(sealed.removeprefix(b"data: "))
    assert back["url"] == f"http://localhost/gradio_api/file={back['path']}"
    assert seals(tmp_path).file(ME, back["path"]) == f"{uploads}/{FOLDER}/a.png"


@pytest.mark.parametrize("name", ["f" * 64, "..", "%2e%2e", FOLDER.upper()])
def test_a_path_that_somebody_wrote_gets_no_seal(tmp_path: Path, name: str) -> None:
    said = json.dumps({"text": f"{folder(tmp_path)}/{name}/a.png"}).encode()
    assert json.loads(seals(tmp_path).sealed(ME, ME, said)) == {"text": f"/uploads/{name}/a.png"}


def test_anothers_upload_gets_no_seal(tmp_path: Path) -> None:
    said = json.dumps([f"{folder(tmp_path)}/{FOLDER}/a.png"]).encode()
    for who in (OTHER, None):
        (alias,) = json.loads(seals(tmp_path).sealed(who, OTHER, said))
        assert alias == f"/uploads/{FOLDER}/a.png"
        with pytest.raises(NotFound):
            seals(tmp_path).file(who, alias)


def test_a_question_is_named_in_the_stream_as_it_was_to_who_asked(tmp_path: Path) -> None:
    joined = json.loads(seals(tmp_path).sealed(ME, ME, f'{{"event_id":"{EVENT}"}}'.encode()))["event_id"]
    said = seals(tmp_path).sealed(
        ME, ME, f'data: {{"msg":"x","event_id": "{EVENT}","s":"\\"event_id\\""}}'.encode()
    )
    assert f'"event_id": "{joined}"'.encode() in said
    assert seals(tmp_path).event(ME, joined) == EVENT
    for who, id in ((OTHER, joined), (ME, EVENT), (None, joined)):
        with pytest.raises(NotFound):
            seals(tmp_path).event(who, id)


def test_the_same_session_of_two_visitors_is_two(tmp_path: Path) -> None:
    ways = [seals(tmp_path).opened(who, b'{"session_hash": "x", "data": []}') for who in (ME, OTHER, None)]
    assert len({json.loads(way)["session_hash"] for way in ways}) == 3
    assert json.loads(ways[0])["session_hash"] == seals(tmp_path).session(ME, "x")


def test_files_are_opened_wherever_they_stand_and_addresses_are_dropped(tmp_path: Path) -> None:
    file = {"path": told(tmp_path), "url": "http://127.0.0.1:1/", "meta": {"_type": "gradio.FileData"}}
    deep: object = {"files": [file], "url": "https://kept.example"}
    for _ in range(500):
        deep = [deep]
    opened = seals(tmp_path).opened(ME, json.dumps({"data": deep}).encode()).decode()
    assert "127.0.0.1" not in opened and "kept.example" in opened and f"/{FOLDER}/a b.png" in opened
    with pytest.raises(NotFound):
        seals(tmp_path).opened(ME, json.dumps({"data": [[{"path": "/etc/passwd"}]]}).encode())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 200_000, b'{"a": ' + b"1" * 5000 + b"}", DEEP]
)
def test_what_is_no_object_is_a_sentence(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(BadInput, match="A JSON object is expected"):
        seals(tmp_path).opened(ME, body)


def test_a_file_of_somebody_else_is_refused_as_gradios_page_shows_it(tmp_path: Path) -> None:
    client = TestClient(Sealing(PlainTextResponse("reached"), seals(tmp_path)))
    told = client.post("/gradio_api/queue/join", json={"data": [{"path": "/etc/passwd"}]})
    assert told.status_code == 404 and "upload it again" in told.json()["detail"]


@pytest.mark.parametrize("path", [f"call/v2/{EVENT}", f"call/v2/{EVENT}/", "queue/join", "run/predict"])
def test_what_takes_an_object_is_not_asked_in_another_way(tmp_path: Path, path: str) -> None:
    """A router reads the first of them as a question's id, which has to come sealed."""
    client = TestClient(Sealing(PlainTextResponse("reached"), seals(tmp_path)))
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert client.request(method, f"/gradio_api/{path}").status_code == 404
    assert client.post(f"/gradio_api/{path}", json={}).text == "reached"

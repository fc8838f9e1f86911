"""What a stranger can do with names that were stolen: of a session, a question, a file. Nothing."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.strangers.place import Place, guarded
from tests.strangers.theirs import WORD

STOLEN = "stolensession"
HTML = b"<html><script>window.hacked = 1</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.hacked = 1"><script>1</script></svg>'


def slow(place: Place, session: str) -> str:
    """Its owner asks for an answer that takes some seconds; the id of that question."""
    (send,) = place.functions("Listeners.send")
    data = [
        {"text": f"slow {WORD}", "files": []} if id == "message" else "" if id == "chat" else value
        for id, value in send["inputs"]
    ]
    return str(place.owner.joined(send["number"], data, session=session).json()["event_id"])


def test_a_session_that_was_stolen_tells_nothing_and_its_answer_arrives_whole(place: Place) -> None:
    event = slow(place, STOLEN)
    (send,) = place.functions("Listeners.send")
    cancel = {"session_hash": STOLEN, "fn_index": send["number"], "event_id": event}
    for id in (event, event.partition("-")[0], f"{'0' * 32}-{event.partition('-')[2]}"):
        refused = place.stranger.ask("POST", "/gradio_api/cancel", json={**cancel, "event_id": id})
        assert refused.status_code == 404
        for way in ("export", "v2", "v2/export"):
            assert place.stranger.ask("GET", f"/gradio_api/call/{way}/{id}").status_code == 404
    path = f"/gradio_api/heartbeat/{STOLEN}"  # when this breaks off, Gradio ends what the session runs
    with place.stranger.http.stream("GET", path, headers=place.stranger.headers) as beat:
        assert next(beat.iter_raw())
    assert WORD not in place.stranger.heard(STOLEN)
    said = place.owner.stream(STOLEN)
    assert WORD in said and " 199" in said and "process_completed" in said


def test_an_answer_that_was_stopped_by_its_owner_ends(place: Place) -> None:
    event = slow(place, "other")
    (send,) = place.functions("Listeners.send")
    cancel = {"session_hash": "other", "fn_index": send["number"], "event_id": event}
    assert place.owner.ask("POST", "/gradio_api/cancel", json=cancel).status_code == 200
    assert " 199" not in place.owner.stream("other")


def file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}


def test_no_file_but_an_own_upload_is_read(place: Place) -> None:
    theirs, mine = place.theirs["file"], place.stranger.upload("a.png", b"mine")
    seal, folder = mine.split("/")[2:4]
    uploads = place.uploads
    real = next(uploads.rglob(f"{WORD}.png"))
    inside = theirs.split("/")[3]
    tried = [
        theirs, str(real), f"{uploads}/../uploads/{real.parent.name}/{real.name}", "/etc/passwd", "../app.db",
        str(place.server.data / "secret"), f"/uploads/{seal}/{inside}/{WORD}.png",
        f"/uploads/{seal}/{folder}/../{inside}/{WORD}.png", "http://127.0.0.1:1/a.png", "file:///etc/passwd",
    ]  # fmt: skip
    for path in tried:
        answer = place.stranger.ask("GET", f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404) and b"root:" not in answer.content, path
        for route in ("/gradio_api/call/export", "/gradio_api/queue/join"):
            body = {
                "data": [file(path), "json", "detect", "", "", "auto"],
                "fn_index": 0,
                "session_hash": "x",
            }
            assert place.stranger.ask("POST", route, json=body).status_code == 404, path
    assert place.stranger.ask("GET", f"/gradio_api/file={mine}").content == b"mine"
    assert place.owner.ask("GET", f"/gradio_api/file={theirs}").content == b"x"


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.png", "a.xhtml", "a.pdf"])
@pytest.mark.parametrize("data", [HTML, SVG], ids=["html", "svg"])
def test_an_uploaded_page_never_acts_as_one(place: Place, name: str, data: bytes) -> None:
    answer = place.owner.ask("GET", f"/gradio_api/file={place.owner.upload(name, data)}")
    assert answer.content == data and guarded(answer)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "sandbox" in answer.headers["content-security-policy"]
    kind, how = answer.headers["content-type"], answer.headers["content-disposition"]
    assert how.startswith("attachment") or kind in ("image/png", "application/pdf")


def test_no_input_makes_the_server_fetch_an_address(place: Place) -> None:
    """An admin's form of servers is left out: what it is given is an address to ask."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        away = f"http://127.0.0.1:{door.getsockname()[1]}/a.png"
        hollow = {"url": away, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}
        every = {each["name"]: each for each in place.functions() if each["name"] != "ServersListeners.add"}
        for function in every.values():
            for value in (away, {"text": away, "files": [hollow], **hollow, "path": None}):
                data = [value] * len(function["inputs"])
                assert place.stranger.joined(function["number"], data, {"url": away}, "away").is_success
            refused = place.stranger.joined(function["number"], [{**hollow, "path": away}], None, "away")
            assert refused.status_code == 404
        assert place.stranger.stream("away").count("process_completed") >= 2 * len(every)
        for path in (f"/gradio_api/file={away}", f"/gradio_api/proxy={away}", f"/gradio_api/file/{away}"):
            assert place.stranger.ask("GET", path).status_code == 404
        door.settimeout(0.5)
        with pytest.raises(TimeoutError):
            door.accept()


def test_a_question_that_somebody_asked_without_a_cookie_is_not_an_owners(place: Place) -> None:
    """Programs have no cookie: what they hold is good among them only."""
    body = {"data": [None, "json", "detect", "", "", "auto"]}
    asked = place.owner.ask("POST", "/gradio_api/call/export", json=body)
    id = asked.json()["event_id"]
    assert place.owner.http.get(f"/gradio_api/call/export/{id}").status_code == 404
    assert "An image is expected" in place.owner.ask("GET", f"/gradio_api/call/export/{id}").text

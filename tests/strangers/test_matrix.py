"""What one visitor has, another one neither sees nor changes: over every route that the app serves and
every function that its page runs, found by asking the app. A new one without a line here fails."""

from __future__ import annotations

import re

import pytest

from tests.strangers.place import Place, bare, guarded
from tests.strangers.theirs import SESSION, WORD
from vlm_app.settings import ROOT

# What belongs to somebody: its owner gets it, and anybody else what they get for a thing that never was.
THEIRS = {
    "GET /media/{id}": ("/media/{media}", "/media/{media}?side=64"),
    "GET /media/{id}/answer/{message}": ("/media/{media}/answer/{message}",),
    "GET /chats/{id}/export.{kind}": ("/chats/{chat}/export.json", "/chats/{chat}/export.md"),
    "GET /bench/{sheet}/file": ("/bench/{sheet}/file",),
    "GET /bench/{sheet}/{key}": ("/bench/{sheet}/{page}", "/bench/{sheet}/{page}?side=64"),
    "GET /findings/{id}/export.{format}": (
        "/findings/{finding}/export.json",
        "/findings/{finding}/export.coco",
    ),
    "GET /runs/{id}/run.toml": ("/runs/{run}/run.toml",),
    "GET /runs/{id}/log": ("/runs/{run}/log",),
    "GET /runs/{id}/pictures/{sha256}": ("/runs/{run}/pictures/{sha256}",),
    "GET /adapter/{id}": ("/adapter/{adapter}",),
    "PUT /arrivals/{id}/file": ("/arrivals/{arrival}/file?name=a.jsonl",),
    "POST /arrivals/{id}/came": ("/arrivals/{arrival}/came",),
    "GET /gradio_api/file={path_or_url:path}": ("/gradio_api/file={file}",),
}
REPORT = "POST /report.{kind}"
# What everybody may ask: nothing of anybody else is in the answer.
ANYBODYS = {
    "GET /": ("/?chat={chat}", "/?deep_link={chat}"),
    "GET /config": ("/config",),
    "GET /config/": ("/config/",),
    "GET /health": ("/health",),
    "GET /news": ("/news",),
    "GET /page/{version}/page.js": ("/page/0123456789abcdef/page.js",),
    "GET /page/{version}/page.css": ("/page/0123456789abcdef/page.css",),
    "GET /ready": ("/ready",),
    "GET /examples/{name}": ("/examples/shapes.png", "/examples/{media}"),
    "GET /chats/export.zip": ("/chats/export.zip",),
    "POST /arrivals": ("/arrivals?name=x&dataset={dataset}&total=9",),
    "POST /adapter": ("/adapter?name={adapter}",),
    "GET /static/{path:path}": ("/static/{file}", "/static/../../secret"),
    "GET /assets/{path:path}": ("/assets/{file}", "/assets/..%2f..%2fsecret"),
    "GET /favicon.ico": ("/favicon.ico",),
    "GET /theme.css": ("/theme.css",),
    "GET /robots.txt": ("/robots.txt",),
    "GET /manifest.json": ("/manifest.json",),
    "POST /login": ("/login",),
    "POST /login/": ("/login/",),
    "GET /logout": ("/logout",),
    "GET /sign-in": ("/sign-in",),
    "POST /sign-in": ("/sign-in",),
    "POST /sign-out": ("/sign-out",),
    "GET /sign-in/huggingface": ("/sign-in/huggingface",),
    "GET /login/callback": ("/login/callback?state=x&code={chat}",),
    "GET /gradio_api/info": ("/gradio_api/info", "/gradio_api/info?all_endpoints=True"),
    "GET /gradio_api/info/": ("/gradio_api/info/",),
    "GET /gradio_api/app_id": ("/gradio_api/app_id",),
    "GET /gradio_api/app_id/": ("/gradio_api/app_id/",),
    "GET /gradio_api/user": ("/gradio_api/user",),
    "GET /gradio_api/user/": ("/gradio_api/user/",),
    "GET /gradio_api/login_check": ("/gradio_api/login_check",),
    "GET /gradio_api/login_check/": ("/gradio_api/login_check/",),
    "GET /gradio_api/startup-events": ("/gradio_api/startup-events",),
    "GET /gradio_api/theme.css": ("/gradio_api/theme.css",),
    "GET /gradio_api/queue/status": ("/gradio_api/queue/status",),
    "POST /gradio_api/upload": ("/gradio_api/upload?upload_id={session}",),
    "GET /gradio_api/upload_progress": ("/gradio_api/upload_progress?upload_id={session}",),
    "POST /gradio_api/reset": ("/gradio_api/reset",),
    "POST /gradio_api/reset/": ("/gradio_api/reset/",),
    "POST /gradio_api/run/{api_name}": ("/gradio_api/run/load", "/gradio_api/run/export"),
    "POST /gradio_api/run/{api_name}/": ("/gradio_api/run/send/",),
    "POST /gradio_api/api/{api_name}": ("/gradio_api/api/load",),
    "POST /gradio_api/api/{api_name}/": ("/gradio_api/api/load/",),
    "POST /gradio_api/call/{api_name}": ("/gradio_api/call/export",),
    "POST /gradio_api/call/{api_name}/": ("/gradio_api/call/export/",),
    "POST /gradio_api/call/v2/{api_name}": ("/gradio_api/call/v2/export",),
    "POST /gradio_api/call/v2/{api_name}/": ("/gradio_api/call/v2/export/",),
    "POST /gradio_api/queue/join": ("/gradio_api/queue/join",),
}
# Names of a page that asks; what a stranger reaches with them has a test of its own below.
NAMED = {
    "GET /gradio_api/queue/data",
    "GET /gradio_api/heartbeat/{session_hash}",
    "GET /gradio_api/call/{api_name}/{event_id}",
    "GET /gradio_api/call/v2/{api_name}/{event_id}",
    "POST /gradio_api/cancel",
}
CLOSED = re.compile(  # parts of Gradio that this app does not use
    r"[A-Z]+ (?:/svelte/|/monitoring|/pwa_icon"
    r"|/gradio_api/(?:token|dev/|deep_link|openapi\.json|custom_component/"
    r"|proxy=|stream/|file/|component_server|process_recording|vibe-|undo-vibe|run-history/|runs))"
)

# The acts of the buttons that a function of the page answers; NONE for those that carry nothing.
NONE = ("",)
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "Listeners.ask": ("regenerate", "switch", "again", "continue", "edit"),
    "Listeners.act": ("open", "choose", "go-on", "rename", "delete"),
    "TeachingListeners.act": ("up", "down", "correct", "better", "back", "dataset", "datasets"),
    "BenchListeners.act": (
        "restore", "recent", "open", "delete", "show", "forget", "edit", "begin", "text", "frame", "sample",
        "own-text", "chat", "dataset", "datasets", "new-dataset",
    ),
    "BenchListeners.ask": ("", "second", "ready", "describe"),
    "DatasetsListeners.act": (
        "look", "progress", "rename", "delete", "drop", "add", "stop", "dismiss", "create",
    ),
    "RunsListeners.act": (
        "new", "preset", "again", "start", "stop", "resume", "delete", "delete-adapter", "open",
    ),
    "RunsListeners.slow": ("measure", "merge", "push", "add-merged"),
    "ServersListeners.act": ("look", "family", "remove"),
    "ModelListeners.act": ("add", "remove"),
    "EngineListeners.act": ("load", "unload", "cancel", "offer", "estimate", "pick"),
    **dict.fromkeys(
        (
            "Endpoints.export", "Listeners.load", "Listeners.send", "Listeners.stop", "Listeners.look",
            "Listeners.search", "Listeners.take_in", "Listeners.choose", "Listeners.choose_task",
            "Listeners.notice", "ModelListeners.open", "ModelListeners.filter", "ModelListeners.clear",
            "ModelListeners.search", "ModelListeners.add", "ModelListeners.sign_in",
            "ModelListeners.sign_out", "EngineListeners.open", "EngineListeners.look",
            "EngineListeners.tick", "EngineListeners.weigh", "ServersListeners.add", "WhoListeners.show",
            "AdapterListeners.offer", "AdapterListeners.card", "BenchListeners.stop", "BenchListeners.open",
            "BenchListeners.take_in", "BenchListeners.choose", "BenchListeners.tick",
            "DatasetsListeners.teach", "OwnDataListeners.ask", "OwnDataListeners.delete",
            "RunsListeners.check", "RunsListeners.chat", "RunsListeners.look", "RunsListeners.watch",
        ),
        NONE,
    ),
}  # fmt: skip
WITHOUT_IDS = {"example", "hearts"}  # acts that bring something of the app's own
SHOWN = (  # what their owner does see in this way
    ("Listeners.act", "open"), ("BenchListeners.act", "open"), ("BenchListeners.act", "show"),
    ("DatasetsListeners.act", "look"), ("RunsListeners.act", "open"),
)  # fmt: skip
ACT = re.compile(
    r'case "([a-z-]+)":|get\("act"\) == "([a-z-]+)"|"([a-z-]+)": (?:self\._[a-z_]+,|lambda: self\.engine)'
)
EVIL = "https://evil.example"


def routes(place: Place) -> set[str]:
    return {
        re.sub(r"/page/[0-9a-f]{16}/", "/page/{version}/", " ".join(each)) for each in place.told["routes"]
    }


def test_every_route_and_every_function_has_its_line_here(place: Place) -> None:
    lines = {*THEIRS, *ANYBODYS, *NAMED, REPORT}
    assert {each for each in routes(place) if not CLOSED.match(each)} - lines == set()
    assert {each["name"] for each in place.functions() if "lambda" not in each["name"]} - set(
        FUNCTIONS
    ) == set()
    texts = [path.read_text() for path in (ROOT / "vlm_app" / "ui").rglob("*.py")]
    found = {act for text in texts for each in ACT.findall(text) for act in each}
    known = {act for acts in FUNCTIONS.values() for act in acts} | WITHOUT_IDS
    assert found - known == set()


def test_a_stranger_gets_nothing_that_is_somebodys_over_any_route(place: Place) -> None:
    kept = place.theirs.kept()
    for route, paths in {**THEIRS, **ANYBODYS}.items():
        method = route.partition(" ")[0]
        for path in (each.format_map(place.theirs.ids) for each in paths if route in routes(place)):
            sent = {"json": {"data": [], "session_hash": SESSION, "fn_index": 0}} if method == "POST" else {}
            answer = place.stranger.ask(method, path, **sent)
            assert answer.status_code == 404 or route not in THEIRS, path
            assert WORD not in answer.text.replace(place.theirs["file"], "") and bare(answer.text, place), (
                path
            )
            assert guarded(answer), path
            foreign = place.owner.ask(method, path, headers={"origin": EVIL})
            assert foreign.status_code == 403 and guarded(foreign), path
    items = [{"finding": place.theirs["finding"], "mark": "", "page": place.theirs["page"]}]
    for kind, status in (("html", 400), ("pdf", 400)):
        answer = place.stranger.ask("POST", f"/report.{kind}", json={"title": "x", "items": items})
        assert answer.status_code == status and WORD not in answer.text and guarded(answer)
    for who, there in ((place.stranger, []), (place.owner, [0])):
        answer = who.ask("POST", "/report.json", json={"title": "x", "items": items})
        assert answer.json() == there and WORD not in answer.text and guarded(answer)
    assert place.theirs.kept() == kept


def test_the_owner_gets_it_over_each_of_these_routes(place: Place) -> None:
    for route, paths in THEIRS.items():
        if route.startswith("GET"):
            for path in (each.format_map(place.theirs.ids) for each in paths):
                answer = place.owner.ask("GET", path)
                assert answer.status_code == 200 and guarded(answer), path


def test_parts_of_gradio_that_are_not_used_are_closed(place: Place) -> None:
    closed = [each for each in routes(place) if CLOSED.match(each)]
    assert len(closed) > 20
    for method, _, path in (each.partition(" ") for each in closed):
        answer = place.owner.ask(method, re.sub(r"{[^}]*}", SESSION, path))
        assert answer.status_code == 404 and guarded(answer), path


def test_no_other_site_may_read_or_ask_anything_not_even_beforehand(place: Place) -> None:
    headers = {"origin": EVIL, "access-control-request-method": "POST"}
    for path in ("/", "/config", "/health", "/gradio_api/queue/join", "/gradio_api/upload", "/nowhere"):
        answer = place.owner.ask("OPTIONS", path, headers=headers)
        assert answer.status_code == 403 and guarded(answer), path


@pytest.mark.parametrize(
    "path", ["/gradio_api/call/v2/nothing", "/gradio_api/queue/join", "/gradio_api/cancel"]
)
@pytest.mark.parametrize("body", [b"{}", b"[", b"[1]", b'{"data": 7, "session_hash": [1]}', b"[" * 100_000])
def test_what_fails_inside_tells_nothing_of_it(place: Place, path: str, body: bytes) -> None:
    answer = place.stranger.ask("POST", path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code >= 400 and guarded(answer) and bare(answer.text, place)
    assert len(answer.text) < 1000


def test_a_stranger_sees_and_changes_nothing_by_any_function_of_the_page(place: Place) -> None:
    kept = place.theirs.kept()
    for name, acts in FUNCTIONS.items():
        for act in acts:
            place.pressed(place.stranger, name, act, "mysession")
    said = place.stranger.stream("mysession")
    assert said.count("process_completed") > 80
    assert WORD not in said and bare(said, place)
    assert place.theirs.kept() == kept


def test_their_owner_does_see_them_by_these_functions(place: Place) -> None:
    for name, act in SHOWN:
        place.pressed(place.owner, name, act, f"{SESSION}2")
        assert WORD in place.owner.stream(f"{SESSION}2"), (name, act)

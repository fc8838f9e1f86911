"""Starting and ending the server. The page is up first; the model loads behind it."""

from __future__ import annotations

import gc
import os
from typing import Any

from vlm_app.settings import Settings, environment_key, settings
from vlm_app.ui import ending

STREAMS = 8  # of one kind at a time, at least; more where a model writes more answers together
WAITING = 256  # events that wait at most; on ZeroGPU it would be one


def serve() -> None:
    """Serves the app until Ctrl-C or SIGTERM; then answers end, and so does the process."""
    ending.leave_at_once()
    gc.disable()  # until the page is up: what is built now stays, and looking for garbage takes 0.6 s
    chosen = settings()
    _prepare(chosen)
    from vlm_app.chat import Chats
    from vlm_app.store import Store

    models = _models(chosen)
    store = Store(chosen.data)
    run(Chats(store, models), store, models, chosen.host, chosen.port)


def _models(chosen: Settings) -> Any:
    """The engine of this place."""
    if chosen.fixed:
        from vlm_app.ui.zerogpu import zerogpu_engine

        return zerogpu_engine()
    from vlm_app.engine import engine

    return engine()


def _prepare(chosen: Settings) -> None:
    """Gradio reads these when it is imported: uploads stay in our folder, nothing is reported."""
    from vlm_app.engine import set_library_defaults

    set_library_defaults()
    uploads = (chosen.data / "cache" / "uploads").resolve()  # without links on the way: see `seals`
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for name in ("NO_PROXY", "no_proxy"):  # Gradio asks the app itself whether it is up: no proxy knows
        known = [each for each in environment_key(name).split(",") if each]
        os.environ[name] = ",".join(dict.fromkeys((*known, "localhost", "127.0.0.1", "::1", chosen.host)))


def run(chats: Any, store: Any, models: Any, host: str, port: int) -> None:
    """Builds the page, launches it, says where it is, and waits for the end."""
    from vlm_app.api.owner import Owners
    from vlm_app.engine.opening import opening
    from vlm_app.finetune.workshop import Workshop
    from vlm_app.tidy import OwnData, sweeper
    from vlm_app.ui import build_page
    from vlm_app.ui.running import Running
    from vlm_app.workbench.bench import Bench

    bench = Bench(store, models)
    workshop = Workshop(store, models)
    own = OwnData(store, chats, bench, workshop, models)
    own.go_on()
    tidy = sweeper(store, own)
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would take the sender from a header; `senders` looks
    running, signals = Running(), ending.Signals()
    page = build_page(chats, models, bench, store, workshop, running)
    _, address, _ = page.queue(
        default_concurrency_limit=max(STREAMS, settings().batch), api_open=False, max_size=WAITING
    ).launch(
        **launch_options(chats, store, Owners(settings().data), bench, workshop, models, running),
        server_name=host,
        server_port=port or None,
        prevent_thread_lock=True,
    )
    gc.enable()
    signals.listen()
    print(f"vlm-app is running at {address} (Ctrl-C ends it)", flush=True)
    opening().begin(models)
    workshop.open()
    tidy.start()
    signals.wait()
    ending.finish(running, workshop, signals)
    tidy.close()
    page.close(verbose=False)
    workshop.close()
    models.close()
    store.close()


def launch_options(
    chats: Any, store: Any, owners: Any, bench: Any, workshop: Any, models: Any, running: Any
) -> dict[str, Any]:
    """Everything that `Blocks.launch` gets in every place where the app runs."""
    from starlette.middleware import Middleware

    from vlm_app.api.limited import Limited
    from vlm_app.api.middleware import outermost
    from vlm_app.api.packed import Packed
    from vlm_app.api.page_files import PageFile
    from vlm_app.api.page_head import PageHead
    from vlm_app.api.sealing import Sealing
    from vlm_app.api.seals import Seals
    from vlm_app.api.streams import Streams
    from vlm_app.api.uploading import Uploading
    from vlm_app.store.uploads import Uploads
    from vlm_app.ui import dress
    from vlm_app.ui.theme import theme

    uploads = Uploads(store.data)
    script = PageFile("page.js", "text/javascript", dress.script())
    sheet = PageFile("page.css", "text/css", dress.sheet())
    own = _routes(chats, store, owners, bench, workshop, models, running)
    return {
        "root_path": settings().root_path or None,  # None: what the place itself says
        "app_kwargs": {
            "lifespan": outermost(owners),
            "middleware": [
                Middleware(Limited, disk=store.disk),
                Middleware(Packed),
                Middleware(PageHead, script=script.address, sheet=sheet.address),
                Middleware(Sealing, seals=Seals(owners, uploads)),
                Middleware(Uploading, uploads=uploads),
                Middleware(Streams, listening=running.listening),
            ],
            "routes": [*own, script.route(), sheet.route()],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        "theme": theme(),
        "favicon_path": settings().assets / "favicon.svg",
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": max(settings().max_bytes, settings().max_video_bytes),
        "ssr_mode": False,
        "share": False,
        "quiet": True,
        "show_error": False,
    }


def _routes(
    chats: Any, store: Any, owners: Any, bench: Any, workshop: Any, models: Any, running: Any
) -> list[Any]:
    """The app's own routes, beside Gradio's."""
    from vlm_app.api.adapter_routes import adapter_routes
    from vlm_app.api.arrival_routes import arrival_routes
    from vlm_app.api.bench_routes import bench_routes
    from vlm_app.api.export_routes import export_routes
    from vlm_app.api.news import news_routes
    from vlm_app.api.ready import ready_routes
    from vlm_app.api.report_routes import report_routes
    from vlm_app.api.routes import routes
    from vlm_app.api.run_routes import run_routes
    from vlm_app.api.sign_in_routes import sign_in_routes

    return [
        *routes(store, chats, settings().assets / "examples"),
        *bench_routes(bench),
        *report_routes(bench),
        *arrival_routes(workshop.arrivals),
        *run_routes(workshop.runs),
        *adapter_routes(workshop.adapters),
        *ready_routes(models, lambda: running.closed),
        *news_routes(models),
        *export_routes(chats),
        *sign_in_routes(owners),
    ]

"""Starting and ending the server. The page is up first; the model loads behind it."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from vlm_app.settings import Settings, settings

OVERLAY = tuple(  # <vlm-overlay>; each part uses the ones before it
    f"{name}.js"
    for name in (
        "overlay-shapes",
        "overlay-state",
        "overlay-view",
        "overlay-panel",
        "overlay-painter",
        "overlay-gestures",
        "overlay-editing",
        "overlay",
    )
)
FINETUNE = ("finetune-datasets.js", "finetune-plots.js", "finetune-runs.js")
BENCH = ("workbench-report.js", "workbench-video.js", "workbench.js")
SCRIPTS = ("page.js", "teaching.js", "restart.js", *OVERLAY, *BENCH, *FINETUNE)


def serve(host: str | None = None, port: int | None = None) -> None:
    """Serves the app until Ctrl-C or SIGTERM; then answers end, and so does the process."""
    chosen = settings()
    _prepare(chosen)
    from vlm_app.chat import Chats
    from vlm_app.engine import engine
    from vlm_app.store import Store

    store = Store(chosen.data)
    models = engine()
    host, port = host or chosen.host, chosen.port if port is None else port
    run(Chats(store, models), store, models, host, port)


def _prepare(chosen: Settings) -> None:
    """Gradio reads these when it is imported: uploads stay in our folder, nothing is reported."""
    from vlm_app.engine import set_library_defaults

    set_library_defaults()
    os.environ.setdefault("GRADIO_TEMP_DIR", str(chosen.data / "cache" / "uploads"))
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def run(chats: Any, store: Any, models: Any, host: str, port: int) -> None:
    """Builds the page, launches it, says where it is, and waits for the end."""
    from vlm_app.api.owner import Owners
    from vlm_app.finetune.workshop import Workshop
    from vlm_app.ui import build_page
    from vlm_app.workbench.bench import Bench

    owners = Owners(settings().data)
    bench = Bench(store, models)
    workshop = Workshop(store, models)
    page = build_page(chats, models, owners, bench, store, workshop)
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    _, address, _ = page.queue(default_concurrency_limit=8).launch(
        **launch_options(chats, store, owners, bench, workshop),
        server_name=host,
        server_port=port or None,
        prevent_thread_lock=True,
    )
    print(f"vlm-app is running at {address} (Ctrl-C ends it)", flush=True)
    models.warm(settings().model)
    workshop.open()
    ended.wait()
    page.close(verbose=False)
    workshop.close()
    models.close()
    store.close()


def launch_options(chats: Any, store: Any, owners: Any, bench: Any, workshop: Any) -> dict[str, Any]:
    """Everything that `Blocks.launch` gets in every place where the app runs."""
    from starlette.middleware import Middleware

    from vlm_app.api.adapter_routes import adapter_routes
    from vlm_app.api.arrival_routes import arrival_routes
    from vlm_app.api.bench_routes import bench_routes
    from vlm_app.api.middleware import SecurityHeaders, Visitors
    from vlm_app.api.report_routes import report_routes
    from vlm_app.api.routes import routes
    from vlm_app.api.run_routes import run_routes
    from vlm_app.ui.theme import theme

    assets = settings().assets
    script = "\n".join((assets / name).read_text(encoding="utf-8") for name in SCRIPTS)
    own = [*routes(store, chats, assets / "examples"), *bench_routes(bench), *report_routes(bench)]
    own += [*arrival_routes(workshop.arrivals), *run_routes(workshop.runs)]
    own += adapter_routes(workshop.adapters)
    return {
        "app_kwargs": {
            "middleware": [Middleware(SecurityHeaders), Middleware(Visitors, owners=owners)],
            "routes": own,
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        "theme": theme(),
        "css_paths": assets / "style.css",
        "head": f'<meta name="referrer" content="same-origin"><script>{script}</script>',
        "favicon_path": assets / "favicon.svg",
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": max(settings().max_bytes, settings().max_video_bytes),
        "ssr_mode": False,
        "share": False,
        "quiet": True,
        "show_error": False,
    }

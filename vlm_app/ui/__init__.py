"""The page, built with Gradio: layout and wiring only. Importing it imports no gradio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

    from vlm_app.chat import Chats
    from vlm_app.engine import Engine
    from vlm_app.finetune.workshop import Workshop
    from vlm_app.store import Store
    from vlm_app.ui.page import Parts
    from vlm_app.ui.running import Running
    from vlm_app.ui.showing import Showing
    from vlm_app.workbench.bench import Bench


def build_page(
    chats: Chats,
    engine: Engine,
    bench: Bench,
    store: Store,
    workshop: Workshop,
    running: Running | None = None,
) -> gr.Blocks:
    """The whole page, not yet served. `running` knows the answers that are being written, for whoever
    has to end them."""
    from vlm_app.ui import stubs

    stubs.write_none()  # before anything imports gradio
    from vlm_app.tidy import OwnData
    from vlm_app.ui.endpoints import Endpoints
    from vlm_app.ui.listeners import Listeners
    from vlm_app.ui.own_data import OwnDataListeners
    from vlm_app.ui.page import blocks, layout, without_schemas
    from vlm_app.ui.running import Running
    from vlm_app.ui.teaching import Teaching
    from vlm_app.ui.who import WhoListeners
    from vlm_app.ui.workbench.acts import Acts
    from vlm_app.ui.workbench.listeners import BenchListeners
    from vlm_app.ui.workbench.showing import BenchShowing

    running = running or Running()
    with blocks() as page:
        Endpoints(engine, running).connect()
        parts = layout()
        listeners = Listeners(parts, chats, engine, Teaching(chats, store), running)
        loaded = listeners.connect(page)
        WhoListeners(parts).connect(loaded)
        acts = Acts(BenchShowing(parts.bench, bench, engine), bench, chats, store)
        on_bench = BenchListeners(parts.bench, bench, engine, acts, running)
        on_bench.connect(parts.bench_tab, parts.news, loaded)
        _connect_finetune(parts, engine, workshop, listeners.showing, loaded)
        own = OwnData(store, chats, bench, workshop, engine)
        OwnDataListeners(parts.chats.own, own, running).connect(loaded)
        without_schemas(page)
    return page


def _connect_finetune(
    parts: Parts, engine: Engine, workshop: Workshop, showing: Showing, loaded: gr.events.Dependency
) -> None:
    """Datasets, runs, and the adapters that come of them."""
    from vlm_app.ui.adapters import AdapterListeners
    from vlm_app.ui.finetune.datasets.listeners import DatasetsListeners
    from vlm_app.ui.finetune.runs.acts import RunsActs
    from vlm_app.ui.finetune.runs.listeners import RunsListeners
    from vlm_app.ui.finetune.runs.showing import RunsShowing
    from vlm_app.ui.finetune.runs.ways import Ways

    tab, on = parts.finetune_tab, parts.finetune
    AdapterListeners(parts, engine, workshop.adapters).connect()
    DatasetsListeners(on.datasets, workshop).connect([tab, on.datasets_tab], loaded)
    ways = Ways(workshop.adapters, workshop.runs, engine, showing)
    shown = RunsShowing(on.runs, workshop.runs, workshop.adapters)
    RunsListeners(RunsActs(shown, workshop.examples, engine, ways)).connect([tab, on.runs_tab], loaded)


def serve() -> None:
    """Serves the app, where the settings say, until Ctrl-C or SIGTERM."""
    from vlm_app.ui.serving import serve as run

    run()


__all__ = ["build_page", "serve"]

"""Updates of the components: the list, the dataset that is open, a page of it or one example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from typing import Any

from gradio.components import Component

from vlm_app.catalog import catalog
from vlm_app.errors import NotFound
from vlm_app.finetune.arrival import ENDED, Stage
from vlm_app.finetune.examples import Dataset, Example, Held
from vlm_app.finetune.overview import Overview
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.workshop import Workshop
from vlm_app.grounding import colours, ink, region_to_dict
from vlm_app.types import Region
from vlm_app.ui.addresses import under_root
from vlm_app.ui.finetune.datasets import lesson, render
from vlm_app.ui.finetune.datasets.gallery import PAGE, gallery
from vlm_app.ui.finetune.datasets.incoming import incoming
from vlm_app.ui.finetune.datasets.part import DatasetsPart
from vlm_app.ui.finetune.datasets.render import Filter
from vlm_app.ui.finetune.datasets.texts import Texts
from vlm_app.ui.workbench.telling import told

Updates = dict[Component, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What a tab shows: a dataset, a page of some of its examples, or one of them as a model sees it."""

    dataset: str = ""
    chosen: Filter = field(default_factory=Filter)
    page: int = 0
    example: str = ""
    model: str = ""


class Showing:
    """Makes updates for the components of one tab. Holds nothing of a visitor."""

    def __init__(self, on: DatasetsPart, workshop: Workshop) -> None:
        self.on = on
        self.workshop = workshop
        self.texts = Texts()

    def all(self, owner: str, place: Place) -> Updates:
        """Everything. A dataset or an example that is gone is not open any more."""
        datasets = self.workshop.examples.datasets(owner)
        here = next((each for each in datasets if each.id == place.dataset), None)
        if here is None:
            place, here = Place(model=place.model), datasets[0] if datasets else None
        now = datetime.now().astimezone()
        shown: Updates = {self.on.list: render.listed(datasets, here.id if here else "", now)}
        if here is None:
            shown |= dict.fromkeys((self.on.dataset, self.on.gallery, self.on.example, self.on.taught), "")
            news: dict[str, Any] = {"dataset": "", "example": None}
        else:
            opened, news = self._dataset(here, place, now)
            shown |= opened
        return shown | self.progress(owner, datasets=len(datasets), **news)

    def progress(self, owner: str, **news: Any) -> Updates:
        """How far an upload is."""
        arrival = self.workshop.arrivals.of(owner)
        into = ""
        if arrival and arrival.dataset:
            into = next(
                (each.name for each in self.workshop.examples.datasets(owner) if each.id == arrival.dataset),
                "",
            )
        news["arrival"] = arrival and {
            "id": arrival.id,
            "stage": arrival.stage,
            "dataset": arrival.dataset,
            "live": arrival.stage not in (*ENDED, Stage.ASKING),
        }
        return {self.on.arrival: incoming(arrival, into), self.on.told: told(**news)}

    def taught(self, owner: str, place: Place) -> Updates:
        """The training text of an example. Raises `NotFound`."""
        held = self._held(owner, [place.example])
        if not held:
            raise NotFound("This example does not exist or is not yours: reload the dataset.")
        model = self.texts.chosen(place.model)
        return {self.on.taught: self._taught(held[0].example, model, self.texts.html(held[0].example, model))}

    # --- inside -----------------------------------------------------------------------------

    def _dataset(self, dataset: Dataset, place: Place, now: datetime) -> tuple[Updates, dict[str, Any]]:
        """The dataset that is open, and the news of it."""
        overview = self._overview(dataset)
        ids = self._ids(dataset, overview, place.chosen)
        one = self._held(dataset.owner, [place.example] if place.example else ())
        if one and one[0].dataset == dataset.id:
            opened, example = self._example(one[0], ids, overview, place, now)
        else:
            opened, example = self._page(dataset, ids, overview, place), None
        shown = {self.on.dataset: render.head(dataset, overview, place.chosen)} | opened
        news = {
            "dataset": dataset.id,
            "name": dataset.name,
            "example": example,
            "making": overview is None,
            "chosen": _chosen(place.chosen),
        }
        return shown, news

    def _overview(self, dataset: Dataset) -> Overview | None:
        usual = RunConfig()
        return self.workshop.overviews.of(dataset, usual.held_out, usual.seed) if dataset.size else None

    def _ids(self, dataset: Dataset, overview: Overview | None, chosen: Filter) -> tuple[str, ...]:
        if overview is None:  # what is of a kind is not known yet
            return self.workshop.examples.ids(dataset.owner, dataset.id)
        return tuple(overview.only(chosen.task, chosen.label, chosen.held_out))

    def _held(self, owner: str, ids: Sequence[str]) -> tuple[Held, ...]:
        return self.workshop.examples.held(owner, ids) if ids else ()

    def _page(self, dataset: Dataset, ids: Sequence[str], overview: Overview | None, place: Place) -> Updates:
        page = min(place.page, max(0, len(ids) - 1) // PAGE)
        held = self._held(dataset.owner, ids[page * PAGE : (page + 1) * PAGE])
        out = overview.held_out if overview else frozenset[str]()
        html = gallery(held, out, page, len(ids), place.chosen)
        return {self.on.gallery: html, self.on.example: "", self.on.taught: ""}

    def _example(
        self, held: Held, ids: Sequence[str], overview: Overview | None, place: Place, now: datetime
    ) -> tuple[Updates, dict[str, Any]]:
        id, model = held.example.id, self.texts.chosen(place.model)
        at = ids.index(id) if id in ids else -1
        out = overview is not None and id in overview.held_out
        ready = self.texts.ready(model)
        body = self.texts.html(held.example, model) if ready else _writing(catalog()[model].name)
        shown: Updates = {
            self.on.gallery: "",
            self.on.example: lesson.lesson(held, at, ids, out, catalog(), now),
            self.on.taught: self._taught(held.example, model, body),
        }
        return shown, example_data(held) | {"model": model, "teach": not ready}

    def _taught(self, example: Example, model: str, body: str) -> str:
        return lesson.taught(self.texts.picker(model), body, example.id)


def _writing(name: str) -> str:
    return f'<p class="status" role="status">Writing it as {escape(name)} is taught…</p>'


def _chosen(chosen: Filter) -> dict[str, str]:
    side = {True: "held", False: "taught", None: ""}[chosen.held_out]
    return {"task": chosen.task or "", "label": chosen.label, "side": side}


def example_data(held: Held) -> dict[str, Any]:
    """An example as `assets/finetune-datasets.js` draws it: its pictures, and the regions of its answers."""
    example = held.example
    pictures = [
        {
            "src": under_root(f"/media/{id}"),
            "width": picture.size[0],
            "height": picture.size[1],
            "name": f"Picture {at}",
        }
        for at, (id, picture) in enumerate(zip(held.media, example.pictures, strict=True), 1)
    ]
    regions = _regions(example.regions, "right")
    if example.text is None and example.rejected is not None:
        regions = _regions(example.rejected.regions, "wrong")
    return {"id": example.id, "pictures": pictures, "regions": regions}


def _regions(regions: Sequence[Region], kind: str) -> list[Mapping[str, Any]]:
    return [
        region_to_dict(replace(region, span=None))
        | {"key": f"{kind}-{number}", "colour": colour, "ink": ink(colour), "image": region.image}
        | {"maker": "", "edited": False}
        for number, (region, colour) in enumerate(zip(regions, colours(regions), strict=True))
    ]

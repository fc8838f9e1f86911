"""What a press in the place of runs does: each gives updates, among them what the browser is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from vlm_app.catalog import catalog
from vlm_app.engine import Engine, adapters
from vlm_app.errors import BadInput
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Dataset, Examples
from vlm_app.finetune.fitting import wanted
from vlm_app.finetune.presets import Preset, preset
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Runs
from vlm_app.settings import settings
from vlm_app.ui.finetune.runs import render
from vlm_app.ui.finetune.runs.bases import bases, why_not
from vlm_app.ui.finetune.runs.fields import values
from vlm_app.ui.finetune.runs.reading import BadSetting, read
from vlm_app.ui.finetune.runs.showing import Look, RunsShowing, Updates, told
from vlm_app.ui.finetune.runs.ways import Ways

NO_DATASET = "A run learns from a dataset: make one in the place Datasets, or correct an answer in a chat."
FEW = 200  # examples up to which a dataset is 'a few'


class RunsActs:
    """The acts by name, for one owner's runs and datasets."""

    def __init__(self, showing: RunsShowing, examples: Examples, engine: Engine, ways: Ways) -> None:
        self.showing = showing
        self.ways = ways
        self.runs: Runs = showing.runs
        self.examples = examples
        self.engine = engine
        self.on = showing.on

    def do(self, owner: str, asked: Mapping[str, Any]) -> Updates:
        """A press that takes no time. Raises `AppError` where it is refused."""
        look, run = Look.read(asked.get("look")), str(asked.get("run") or "")
        news: dict[str, Any] = {}
        match asked.get("act"):
            case "new":
                news = self._blank(owner, asked)
            case "preset":
                news = {"fields": values(self._preset(owner, asked))}
            case "again":
                news = self._blank(owner, asked) | self._again(owner, run)
            case "start":
                news = {"opened": self._start(owner, asked)}
                look = replace(look, open=news["opened"])
            case "stop":
                self.runs.stop(owner, run)
            case "resume":
                self.runs.resume(owner, run)
            case "delete":
                self.runs.delete(owner, run, State(str(asked.get("state"))))
                news, look = {"deleted": run}, replace(look, open="")
            case "delete-adapter":
                self.ways.delete(owner, run)
            case "open":
                look = replace(look, open=run)
        return self.showing.shown(owner, look) | {self.on.told: told(**news)}

    # --- a new run --------------------------------------------------------------------------

    def _blank(self, owner: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the form can be filled with, and the settings that suit the dataset that is chosen."""
        datasets, rows = self.examples.datasets(owner), list(catalog().values())
        wanted = str(asked.get("dataset") or "")
        chosen = next((each for each in datasets if each.id == wanted), None) or next(iter(datasets), None)
        models = bases(rows)
        base = self._base(str(asked.get("base") or ""), models)
        which = str(asked.get("preset") or "") or suits(chosen).value
        given = {"preset": which, "base": base, "dataset": chosen.id if chosen else ""}
        return {
            "datasets": [{"id": each.id, "name": each.name, "size": each.size} for each in datasets],
            "bases": models,
            "adapters": self._adapters(owner),
            "form": {**given, "name": f"{chosen.name} adapter"[:80] if chosen else ""},
            "fields": values(self._preset(owner, given)),
        }

    def _base(self, wanted: str, models: list[dict[str, Any]]) -> str:
        """The base that is asked for, or the app's own model, or the first that can be taught."""
        able = [str(each["id"]) for each in models if not each["why"]]
        return next(each for each in (wanted, settings().model, *able) if each in able)

    def _adapters(self, owner: str) -> list[dict[str, Any]]:
        """The adapters that a run can go on from, each with the ids of the models that it fits."""
        able = [row for row in catalog().values() if not why_not(row)]
        return [
            {
                "id": each.id,
                "name": each.name,
                "bases": [row.id for row in able if adapters.made_for(each, row)],
            }
            for each in adapters.installed(owner)
        ]

    def _preset(self, owner: str, asked: Mapping[str, Any]) -> RunConfig:
        chosen = self._dataset(owner, str(asked.get("dataset") or ""))
        known = set(Preset)
        which = Preset(str(asked.get("preset"))) if asked.get("preset") in known else suits(chosen)
        return preset(which, str(asked.get("base") or ""), chosen.size if chosen else 0)

    def _dataset(self, owner: str, id: str) -> Dataset | None:
        return next((each for each in self.examples.datasets(owner) if each.id == id), None)

    def _again(self, owner: str, id: str) -> dict[str, Any]:
        """The settings of a run that was, for another one."""
        run = self.runs.run(owner, id)
        if run.config is None or run.data is None:
            raise BadInput(run.status.sentence)
        form = {"preset": "", "base": run.config.base, "dataset": run.data.dataset, "name": run.config.name}
        return {"form": form, "fields": values(run.config)}

    def check(self, owner: str, asked: Mapping[str, Any]) -> str:
        """What is to be said of the settings as they stand in the form: what they take, or what is wrong."""
        number = asked.get("number")
        try:
            config, dataset = self._wanted(owner, asked)
            needed = self.runs.plans.estimate(owner, config, dataset.id)
            taught, held = self.runs.plans.sides(owner, config, dataset.id)
            html = render.before(needed, taught, held, self.engine.capacity())
            html += render.few(taught, held)
            html += render.fitting(taught + held, dataset.size, wanted(config))
        except BadSetting as error:
            return told(number=number, wrong=error.field, sentence=error.sentence)
        except BadInput as error:
            return told(number=number, wrong="", sentence=error.sentence)
        return told(number=number, before=html)

    def _wanted(self, owner: str, asked: Mapping[str, Any]) -> tuple[RunConfig, Dataset]:
        form = asked.get("form")
        config = read(form if isinstance(form, Mapping) else {})
        dataset = self._dataset(owner, str(form.get("dataset") or "")) if isinstance(form, Mapping) else None
        if dataset is None:
            raise BadSetting("dataset", NO_DATASET)
        row = catalog().get(config.base)
        if row is None or why_not(row):
            reason = why_not(row) if row else "there is no such model"
            raise BadSetting("base", f"This model cannot be taught here, as {reason}: choose another base.")
        return config, dataset

    def _start(self, owner: str, asked: Mapping[str, Any]) -> str:
        config, dataset = self._wanted(owner, asked)
        return self.runs.start(owner, config, dataset.id).id

    # --- what takes long ----------------------------------------------------------------------

    def slow(self, owner: str, asked: Mapping[str, Any]) -> Iterator[str]:
        """A press that takes a while: what the browser is told, one after the other."""
        run = str(asked.get("run") or "")
        match asked.get("act"):
            case "measure":
                yield told(measured=self._measured(owner, asked), of=asked.get("number"))
            case "merge":
                yield from (told(adapter=run, said=each) for each in self.ways.merge(owner, run))
            case "add-merged":
                yield told(adapter=run, said=self.ways.add_merged(owner, run))
            case "push":
                yield from (told(adapter=run, said=each) for each in self.ways.push(owner, run, asked))

    def _measured(self, owner: str, asked: Mapping[str, Any]) -> str:
        """What the whole run would take, by a few real steps with the settings in the form."""
        config, dataset = self._wanted(owner, asked)
        return self.runs.plans.trial(owner, config, dataset.id).sentence


def suits(dataset: Dataset | None) -> Preset:
    """The preset for a dataset of this size."""
    return Preset.DATASET if dataset and dataset.size > FEW else Preset.FEW

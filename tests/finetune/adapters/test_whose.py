"""An adapter belongs to the visitor whose run made it: for others it does not exist."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.tiny import picture
from tests.finetune.adapters.made import done
from tests.finetune.runs import example
from vlm_app.catalog import catalog
from vlm_app.chat import Chats
from vlm_app.engine import Engine, adapters
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import NotFound
from vlm_app.finetune.adapters import keep
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Runs
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import Answer, Finish

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


def answer(chats: Chats, owner: str, adapter: str) -> Answer:
    """What a visitor gets who asks Pebble with that adapter."""
    chat = chats.new(owner)
    chat = replace(chat, settings=replace(chat.settings, model="pebble", precision="fp32", adapter=adapter))
    *_, last = chats.send(owner, chat, [picture(), "What is in the image?"])
    return last.answer


def test_a_visitor_sees_and_uses_their_own_adapters_and_those_of_nobody(
    tmp_path: Path, engine: Engine
) -> None:
    for id, owner in (("of-ada", "ada"), ("of-eve", "eve"), ("of-all", "")):
        keep(done(tmp_path / id, owner), settings().data)
    assert [each.id for each in engine.adapters("pebble", "ada")] == ["of-ada", "of-all"]
    assert [each.id for each in engine.adapters("pebble")] == ["of-all"]
    assert len(adapters.installed()) == 3
    with pytest.raises(NotFound):
        adapters.find("of-eve", "ada")

    chats = Chats(Store(settings().data), engine)
    refused = answer(chats, "ada", "of-eve")
    assert refused.finish is Finish.FAILED
    assert "no adapter 'of-eve'" in refused.error
    used = answer(chats, "ada", "of-ada")
    assert (used.finish, used.adapter) == (Finish.STOP, "of-ada")


def test_nobody_goes_on_from_somebody_elses_adapter(tmp_path: Path, engine: Engine) -> None:
    keep(done(tmp_path / "of-ada"), settings().data)
    store = Store(settings().data)
    examples = Examples(store)
    dataset = examples.create("eve", "Shapes").id
    examples.add("eve", dataset, example(1))
    runs = Runs(store, engine)
    with pytest.raises(NotFound):
        runs.start("eve", RunConfig(adapter="of-ada"), dataset)
    assert runs.runs("eve") == ()


def test_a_deleted_adapter_leaves_the_model_when_another_one_comes(tmp_path: Path) -> None:
    for id in ("one", "two", "three"):
        keep(done(tmp_path / id), settings().data)
    loaded = load_checkpoint(catalog()["pebble"], "fp32")
    adapters.use(loaded, adapters.find("one"))
    adapters.use(loaded, adapters.find("two"))
    shutil.rmtree(settings().data / "adapters" / "two")
    adapters.use(loaded, adapters.find("three"))
    assert loaded.warm == ["one", "three"]

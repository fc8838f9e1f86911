"""Pushing to the Hub with the user's token, to a Hub on this computer."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.hub.conftest import hub as hub  # a fixture
from tests.hub.fake_hub import TOKEN, FakeHub, Repo
from vlm_app.engine.attaching import CONFIG, WEIGHTS
from vlm_app.errors import AppError, BadInput, ModelUnavailable, NotFound
from vlm_app.finetune.adapters import Adapters
from vlm_app.settings import settings

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning"),  # the Hub's own client
]


@pytest.fixture(autouse=True)
def by_http(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the app uploads, which switches xet off before the library is imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


def left_behind() -> list[str]:
    """Files under the data folder that hold the token, or what was packed for the Hub."""
    files = [path for path in settings().data.rglob("*") if path.is_file()]
    return [path.name for path in files if TOKEN.encode() in path.read_bytes()] + [
        path.name for path in settings().data.glob("cache/adapters/.*")
    ]


def test_an_adapter_is_pushed_with_its_card_in_one_commit(
    mine: Adapters, hearts: str, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = mine.push("ada", hearts, "ada/hearts", TOKEN, private=True)
    assert url == "https://huggingface.co/ada/hearts"
    repo = hub.repos["ada/hearts"]
    files = repo.commits[repo.head]
    assert repo.private and len(repo.commits) == 2
    assert files.keys() == {".gitattributes", WEIGHTS, CONFIG, "README.md", "card.json"}
    assert files[WEIGHTS] == (settings().data / "adapters" / hearts / WEIGHTS).read_bytes()
    assert json.loads(files["card.json"])["owner"] == ""
    assert "library_name" in files["README.md"].decode()
    assert left_behind() == [] and TOKEN not in caplog.text


def test_a_name_without_an_owner_is_the_tokens(mine: Adapters, hearts: str, hub: FakeHub) -> None:
    assert mine.push("ada", hearts, "hearts", TOKEN, private=False).endswith("/ada/hearts")
    assert not hub.repos["ada/hearts"].private


def test_a_merged_model_is_pushed_as_a_whole(
    mine: Adapters, hearts: str, hub: FakeHub, tmp_path: Path
) -> None:
    folder = settings().data / "merged" / hearts / "hearts"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    mine.push("ada", hearts, "ada/whole", TOKEN, False, folder)
    repo = hub.repos["ada/whole"]
    assert repo.commits[repo.head]["model.safetensors"] == b"weights"
    with pytest.raises(NotFound):  # any other folder is not
        mine.push("ada", hearts, "ada/other", TOKEN, False, tmp_path)
    assert "ada/other" not in hub.repos


@pytest.mark.parametrize("private", [True, False])
def test_an_empty_repository_becomes_as_private_as_was_asked(
    mine: Adapters, hearts: str, hub: FakeHub, private: bool
) -> None:
    hub.loses = True
    with pytest.raises(ModelUnavailable, match="did not arrive"):
        mine.push("ada", hearts, "ada/hearts", TOKEN, private=not private)
    hub.loses = False
    mine.push("ada", hearts, "ada/hearts", TOKEN, private=private)
    assert hub.repos["ada/hearts"].private is private


def test_a_push_that_broke_off_can_be_made_again(mine: Adapters, hearts: str, hub: FakeHub) -> None:
    hub.loses = True
    with pytest.raises(ModelUnavailable, match="did not arrive"):
        mine.push("ada", hearts, "ada/hearts", TOKEN, False)
    hub.loses = False
    mine.push("ada", hearts, "ada/hearts", TOKEN, False)
    repo = hub.repos["ada/hearts"]
    assert WEIGHTS in repo.commits[repo.head]


@pytest.mark.parametrize(
    ("repo", "token", "words", "kind"),
    [
        ("ada/hearts", "hf_another", "does not know this token", BadInput),
        ("ada/hearts", "two words", "not a token", BadInput),
        ("ada/hearts", "", "not a token", BadInput),
        ("a/b/c", TOKEN, "no name of a repository", BadInput),
        ("../x", TOKEN, "no name of a repository", BadInput),
        ("ada/full", TOKEN, "holds files", BadInput),
    ],
)
def test_what_cannot_be_pushed_is_a_sentence(
    mine: Adapters, hearts: str, hub: FakeHub, repo: str, token: str, words: str, kind: type[AppError]
) -> None:
    hub.repos["ada/full"] = Repo({"1" * 40: {"README.md": b"mine"}})
    with pytest.raises(kind, match=words) as told:
        mine.push("ada", hearts, repo, token, False)
    assert told.value.sentence.endswith(".") and (not token or token not in told.value.sentence)
    assert set(hub.repos["ada/full"].commits) == {"1" * 40} and "ada/hearts" not in hub.repos


def test_a_token_that_may_only_read_and_a_hub_that_is_busy_are_sentences(
    mine: Adapters, hearts: str, hub: FakeHub
) -> None:
    hub.forbids = True
    with pytest.raises(BadInput, match="may not write") as told:
        mine.push("ada", hearts, "ada/hearts", TOKEN, False)
    assert not holds_token(told.value)
    hub.forbids, hub.status = False, 429
    with pytest.raises(ModelUnavailable, match="too many requests") as told:
        mine.push("ada", hearts, "ada/hearts", TOKEN, False)
    assert not holds_token(told.value)


def test_without_a_network_it_says_so(
    mine: Adapters, hearts: str, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable, match="check the network") as told:
        mine.push("ada", hearts, "ada/hearts", TOKEN, False)
    assert not holds_token(told.value)
    assert "built-in model" not in told.value.sentence, "another model does not help who pushes one"


def test_somebody_elses_adapter_is_not_pushed(mine: Adapters, hearts: str, hub: FakeHub) -> None:
    with pytest.raises(NotFound):
        mine.push("eve", hearts, "eve/hearts", TOKEN, False)
    assert "eve/hearts" not in hub.repos


def holds_token(error: BaseException | None) -> bool:
    """Whether an error or one behind it would show the token to a log that prints their requests."""
    while error is not None:
        for holder in (error, getattr(error, "response", None)):
            for name in ("request", "_request"):
                request = getattr(holder, "__dict__", {}).get(name)
                if request is not None and TOKEN in str(request.headers.get("authorization", "")):
                    return True
        if TOKEN in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False

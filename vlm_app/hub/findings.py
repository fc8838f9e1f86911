"""What the Hub says of a model, and which models it has."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from vlm_app import families
from vlm_app.catalog import catalog, ledger
from vlm_app.hub.client import api, asking

TASK = "image-text-to-text"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the Hub said of a repository on a day. `gated` is '', 'auto' or 'manual'."""

    date: str
    exists: bool
    gated: str = ""
    licence: str = ""
    safetensors: bool = False
    parameters: int = 0
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A repository that a search found. `family` is '' where none of ours is named in its tags."""

    repo: str
    downloads: int = 0
    gated: bool = False
    licence: str = ""
    family: str = ""
    listed: bool = False


def check(repo: str) -> Finding:
    """Ask the Hub about a repository, and keep what it says.

    A repository that does not exist is a finding. Raises `ModelUnavailable` when the Hub
    cannot be reached or wants us to wait; then nothing is kept.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    today = datetime.now(UTC).date().isoformat()
    finding = Finding(today, exists=False)
    with asking(repo, f"The Hub could not be asked about {repo}"):
        try:
            finding = _finding(api().model_info(repo), today)
        except GatedRepoError:
            finding = Finding(today, exists=True, gated="manual")
        except RepositoryNotFoundError:
            pass  # an answer, too
    ledger.write("checks", repo, asdict(finding))
    return finding


def findings(repo: str) -> Finding | None:
    """What the Hub said when it was last asked; None when it never was."""
    row = ledger.read("checks").get(repo)
    known = {field.name for field in fields(Finding)}
    return Finding(**{key: value for key, value in row.items() if key in known}) if row else None


def search_hub(words: str, limit: int = 20) -> tuple[Found, ...]:
    """Models of the Hub for 'image-text-to-text' whose names hold these words, the most downloaded first.

    Raises `ModelUnavailable` when the Hub does not answer.
    """
    listed = {row.source for row in catalog().values()}
    models: list[Any] = []
    with asking(words, "The Hub could not be searched"):
        models += api().list_models(search=words, pipeline_tag=TASK, sort="downloads", limit=limit)
    return tuple(_found(model, listed) for model in models)


def family_of(model_type: str, vision_type: str = "") -> str:
    """The family that reads such configs; '' for none.

    Where several share a model type, as Pixtral does with LLaVA, the vision part decides.
    """
    fitting = [name for name in families.names() if model_type in families.get(name).model_types]
    for name in fitting:
        if name == vision_type:
            return name
    return model_type if model_type in fitting else next(iter(fitting), "")


def _finding(info: Any, today: str) -> Finding:
    names = [file.rfilename for file in info.siblings or []]
    return Finding(
        date=today,
        exists=True,
        gated=str(info.gated or ""),
        licence=licence(info),
        safetensors=any(name.endswith(".safetensors") for name in names),
        parameters=parameters(info),
        revision=str(info.sha or ""),
    )


def licence(info: Any) -> str:
    """The licence of a repository's card or tags; '' for none."""
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return str(next(iter(tags), ""))


def parameters(info: Any) -> int:
    """How many parameters the Hub counted in the safetensors files; 0 where it did not."""
    return int(getattr(info.safetensors, "total", 0) or 0)


def _found(model: Any, listed: set[str]) -> Found:
    tags = model.tags or []
    return Found(
        repo=str(model.id),
        downloads=int(model.downloads or 0),
        gated=bool(model.gated),
        licence=licence(model),
        family=next(filter(None, (family_of(tag) for tag in tags)), ""),
        listed=model.id in listed,
    )

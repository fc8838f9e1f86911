"""A row of the catalog in words, as the terminal shows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vlm_app import catalog, families
from vlm_app.types import Checkpoint, Runs, Task

if TYPE_CHECKING:
    from vlm_app.hub import Finding

NOT_STATED = "not stated by its sources"


def size(bytes: int) -> str:
    """'1.2 GB', '340 MB'."""
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e9 else f"{bytes / 1e6:.0f} MB"


def summary(row: Checkpoint) -> list[str]:
    """The lines of a list."""
    unlisted = "" if row.listed else ", unlisted"
    return [
        f"{row.name} ({row.licence or 'licence unknown'}{unlisted}): {row.knows}".rstrip(": "),
        f"tasks: {_tasks(row)}",
        "; ".join(filter(None, (how(row), _memory(row), _asked(row)))),
    ]


def how(row: Checkpoint) -> str:
    """Where it runs, in words."""
    if row.runs is Runs.SERVER:
        servers = " or ".join(families.get(row.family).servers) or "an OpenAI-compatible one that loads it"
        code = ", as it needs its own code, which never runs here" if row.remote_code else ""
        return f"needs a server ({servers}){code}"
    if row.runs is Runs.PARSER_ONLY:
        return "parser only: its answers can be read, but no common server loads it"
    if row.runs is Runs.PACKAGE:
        return f"runs in this app, from the package {row.source}"
    return {Runs.HOSTED: "a service, by its protocol", Runs.CONTRASTIVE: "scores images against texts"}.get(
        row.runs, "runs in this app"
    )


def explained(row: Checkpoint, finding: Finding | None) -> str:
    """Everything that is known of one model, one fact a line."""
    facts = {
        "id": row.id,
        "from": row.source,
        "family": row.family,
        "good at": row.knows,
        "tasks": _tasks(row),
        "kind": _kind(row),
        "runs": how(row),
        "parameters": f"{row.parameters:,}" if row.parameters else "",
        "memory": _memories(row),
        "context": f"{row.context:,} tokens" if row.context else "",
        "resolution": row.resolution,
        "vision encoder": row.encoder,
        "connector": row.connector,
        "language model": row.backbone,
        "languages": ", ".join(row.languages),
        "images": "no limit of its own" if row.max_images is None else str(row.max_images),
        "video": _video(row),
        "licence": row.licence + {True: " (permissive)", False: " (restricted)", None: ""}[row.permissive],
        "commit": row.revision or _no_commit(row),
        "the Hub": _hub(row, finding),
        "sources": "\n".join(row.sources) or ("added by you" if not row.listed else ""),
    }
    width = max(map(len, facts))
    lines = [row.name if row.listed else f"{row.name} (unlisted: not from the project's catalog)"]
    for name, fact in facts.items():
        first, *others = (fact or NOT_STATED).splitlines()
        lines.append(f"  {name:{width}}  {first}")
        lines += [f"  {'':{width}}  {other}" for other in others]
    return "\n".join(lines)


def _video(row: Checkpoint) -> str:
    """How a clip reaches the model."""
    if row.video and row.runs is Runs.IN_PROCESS and families.get(row.family).native_video:
        return "whole, with the times of its frames"
    return "one frame" if row.max_images == 1 else "frames as images, with number and time"


def found(finding: Finding) -> str:
    """What the Hub said, in words."""
    if not finding.exists:
        return f"no such public repository ({finding.date})"
    facts = [
        "exists",
        f"gated ({finding.gated})" if finding.gated else "open to all",
        f"licence {finding.licence}" if finding.licence else "no licence stated",
        "safetensors" if finding.safetensors else "no safetensors",
        f"{finding.parameters:,} parameters" if finding.parameters else "",
    ]
    return f"{', '.join(filter(None, facts))} ({finding.date})"


def as_dict(row: Checkpoint, finding: Finding | None = None) -> dict[str, Any]:
    """A row as JSON can hold it; `memory` is in bytes by precision."""
    memory = {name: catalog.memory(row, name) for name in ("bf16", "int8", "nf4")}
    return asdict(row) | {
        "tasks": sorted(row.tasks),
        "memory": memory if row.parameters else {},
        "finding": asdict(finding) if finding else None,
    }


def _kind(row: Checkpoint) -> str:
    if row.runs is Runs.PACKAGE:
        return "an engine: it does its tasks, and does not chat"
    return "chat" if row.chat else "a base model: it completes text, and does not chat"


def _tasks(row: Checkpoint) -> str:
    return ", ".join(task for task in Task if task in row.tasks)


def _memory(row: Checkpoint) -> str:
    """Of what is loaded somewhere; elsewhere a number would promise too much."""
    if row.runs in (Runs.HOSTED, Runs.PARSER_ONLY, Runs.PACKAGE):
        return ""
    needed = catalog.memory(row)
    return f"about {size(needed)} in {catalog.SMALLEST}" if needed else "memory unknown"


def _memories(row: Checkpoint) -> str:
    if row.runs in (Runs.HOSTED, Runs.PARSER_ONLY):
        return "none here"
    if row.runs is Runs.PACKAGE:
        from vlm_app.engine import packages

        return f"{size(packages.estimate().total)} in {packages.PRECISION}, as measured"
    if not row.parameters:
        return ""
    parts = [f"{size(catalog.memory(row, name))} in {name}" for name in ("bf16", "int8", "nf4")]
    return f"about {', '.join(parts)} for the weights alone"


def _no_commit(row: Checkpoint) -> str:
    if row.runs is Runs.PACKAGE:
        return "none: it comes with its package"
    return (
        "locked when it is first downloaded" if row.runs is Runs.IN_PROCESS else "none: not downloaded here"
    )


def _asked(row: Checkpoint) -> str:
    """Whether the Hub was asked, where that means something."""
    if row.source.startswith("/") or row.runs in (Runs.HOSTED, Runs.PACKAGE):
        return ""
    return f"checked {row.checked}" if row.checked else "not checked on the Hub yet"


def _hub(row: Checkpoint, finding: Finding | None) -> str:
    said = found(finding) if finding else _asked(row) or "not on the Hub"
    gate = f"\ngated: accept the licence at {row.gated}, then sign in" if row.gated else ""
    return said + gate

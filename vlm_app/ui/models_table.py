"""The catalog as a table: pure functions from rows to HTML.

Every row is there once; what a filter leaves out is hidden, and the browser sorts what it has,
so that nothing is drawn anew while somebody looks for a model. Whether a model fits on this
machine changes all the time: the browser is told that apart from the table (`verdicts`), and
puts it into the cells. All facts are escaped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path

from vlm_app import families
from vlm_app.api.offered import is_offered
from vlm_app.catalog import memory
from vlm_app.types import Checkpoint, Runs, Task
from vlm_app.ui.languages import language
from vlm_app.ui.model_bar import completes
from vlm_app.ui.render import TASKS
from vlm_app.ui.state_words import parameters, size
from vlm_app.ui.verdicts import ELSEWHERE, TOO_LARGE, on_a_server

COLUMNS = {"name": "Model", "size": "Size", "licence": "Licence", "tasks": "Can do", "runs": "Fits here"}
PRECISIONS = {"bf16": "16 bits", "int8": "8 bits", "nf4": "4 bits"}
NOT_CHECKED = "not checked yet"
ADD_A_SERVER = '<button type="button" class="inline" data-act="to-servers">Add a server</button>'
RUNS = {
    Runs.IN_PROCESS: "Here",
    Runs.PACKAGE: "Here",
    Runs.SERVER: "Needs a server",
    Runs.HOSTED: "A service",
    Runs.PARSER_ONLY: "Parser only",
    Runs.CONTRASTIVE: "For search",
}


def table(rows: Iterable[Checkpoint], shown: Collection[str]) -> str:
    """HTML of the catalog; only the rows whose ids are in `shown` can be seen."""
    heads = "".join(
        f'<th scope="col" class="{key}"><button type="button" data-act="sort" data-key="{key}">{title}'
        "</button></th>"
        for key, title in COLUMNS.items()
    )
    bodies = "".join(_model(row, number, row.id in shown) for number, row in enumerate(rows))
    return (
        f'<table class="models"><thead><tr>{heads}<th><span class="unseen">Chat</span></th></tr></thead>'
        f"{bodies}</table>"
    )


def counted(shown: int, rows: Sequence[Checkpoint]) -> str:
    """The line above the table."""
    here = sum(row.runs.here for row in rows)
    if not shown:
        return f"None of the {len(rows)} models fits. Take a filter away, or search the Hub."
    what = f"{len(rows)} models" if shown == len(rows) else f"{shown} of {len(rows)} models"
    return f"{what}, {here} of them run here" if shown == len(rows) else what


def where(row: Checkpoint) -> str:
    """Where a model runs, in a few words: 'Needs a server: vLLM'."""
    if row.server:
        return f"On {row.server}"
    servers = ", ".join(_servers(row)) if row.runs is Runs.SERVER else ""
    return f"{RUNS[row.runs]}: {servers}" if servers else RUNS[row.runs]


def _servers(row: Checkpoint) -> tuple[str, ...]:
    return families.get(row.family).servers if row.family in families.names() else ()


def _model(row: Checkpoint, number: int, shown: bool) -> str:
    id = escape(row.id, quote=True)
    sort = {
        "name": row.name.casefold(),
        "size": row.parameters or "",
        "licence": row.licence.casefold(),
        "tasks": len(row.tasks),
        "runs": _place(row),
    }
    keys = "".join(f' data-{key}="{escape(str(value), quote=True)}"' for key, value in sort.items())
    keys += f' data-for="{_whose(row)}"{"" if shown else " hidden"}'
    return (
        f'<tbody data-model="{id}" data-at="{number}"{keys}>'
        f'<tr class="line">{_name(row, number)}{_size(row)}{_licence(row)}{_tasks(row)}{_runs(row)}'
        f'<td class="do">{_button(row)}</td></tr>'
        f'<tr class="more" id="more-{number}" hidden><td colspan="6">{_details(row)}</td></tr></tbody>'
    )


def _whose(row: Checkpoint) -> str:
    """Who may ask it where it is not loaded; the style sheet offers it to nobody else."""
    return "everybody" if is_offered(row) else "members" if row.server else "admins"


# --- cells ------------------------------------------------------------------------------


def _name(row: Checkpoint, number: int) -> str:
    chats = Task.CHAT in row.tasks
    states = {
        "gated": bool(row.gated),
        "base model": chats and not row.chat,
        "tasks only": not chats,
        "unlisted": not row.listed and not row.server,
    }
    badges = "".join(f'<span class="badge">{state}</span>' for state, holds in states.items() if holds)
    checked = "" if _checked(row) != NOT_CHECKED else f" · {NOT_CHECKED}"
    return (
        '<th scope="row" class="name"><button type="button" class="unfold" data-act="unfold" '
        f'aria-expanded="false" aria-controls="more-{number}">{escape(row.name)}</button>{badges}'
        f"<small>{escape(_source(row))}{checked}</small>"
        f'<span class="good">{escape(row.knows)}</span></th>'
    )


def _size(row: Checkpoint) -> str:
    if not row.parameters:
        return '<td class="size"><span class="none">not stated</span></td>'
    small = f"<small>{size(memory(row, 'nf4'))} at 4 bits</small>"
    return f'<td class="size">{parameters(row.parameters)}{small}</td>'


def _licence(row: Checkpoint) -> str:
    use = {True: "permissive", False: "with conditions", None: ""}[row.permissive]
    name = escape(row.licence) or '<span class="none">not stated</span>'
    return f'<td class="licence">{name}<small>{use}</small></td>'


def _tasks(row: Checkpoint) -> str:
    words = [label if at == 0 else label.lower() for at, label in enumerate(_labels(row))]
    return f'<td class="tasks">{", ".join(words)}</td>'


def _labels(row: Checkpoint) -> list[str]:
    return [label for task, label in TASKS.items() if task in row.tasks]


def _runs(row: Checkpoint) -> str:
    if row.server:
        return f'<td class="runs">{on_a_server(row)}</td>'
    kind = (Runs.IN_PROCESS if row.runs.here else row.runs).replace(" ", "-")
    words = escape(where(row))
    if row.runs is Runs.SERVER:
        words = f'<button type="button" class="inline quiet" data-act="to-servers">{words}</button>'
    return f'<td class="runs"><span class="where {kind}"><i></i><span>{words}</span></span></td>'


def _place(row: Checkpoint) -> int:
    """Where a row stands by its machine, until its verdict is known: what runs here comes first."""
    here = row.server or row.runs.here
    return TOO_LARGE - 1 if here else ELSEWHERE + list(Runs).index(row.runs)


def _button(row: Checkpoint) -> str:
    if not row.runs.here and not row.server:
        return ""
    label = escape(f"Chat with {row.name}", quote=True)
    return (
        f'<button type="button" class="plain" data-act="chat-with" aria-label="{label}">Chat with it</button>'
    )


# --- what unfolds -----------------------------------------------------------------------


def _details(row: Checkpoint) -> str:
    facts = "".join(f"<dt>{name}</dt><dd>{html}</dd>" for name, html in _facts(row) if html)
    return f"{_licence_first(row)}<dl>{facts}</dl>"


def _licence_first(row: Checkpoint) -> str:
    if not row.gated:
        return ""
    return (
        f'<p class="notice"><span>Gated: accept the licence at {_link(row.gated)}, then '
        '<button type="button" class="inline" data-act="to-sign-in">sign in</button>.</span></p>'
    )


def _facts(row: Checkpoint) -> list[tuple[str, str]]:
    texts = {
        "Vision encoder": row.encoder,
        "Connector": row.connector,
        "Language model": row.backbone,
        "Resolution": row.resolution,
        "Context": f"{row.context:,} tokens" if row.context else "",
        "Languages": ", ".join(language(code) for code in row.languages),
        "Images": _images(row),
        "Coordinates": _convention(row),
        "Runs": _why(row),
        "Revision": row.revision,
        "Hub": _checked(row),
    }
    links = " ".join(_link(each) for each in (*_page(row), *row.sources) if each)
    facts = [(name, escape(text)) for name, text in texts.items()]
    if row.runs is Runs.SERVER and not row.server:
        facts.append(("", ADD_A_SERVER))
    return [*facts, ("Memory", _slot(row)), ("Sources", links)]


def _images(row: Checkpoint) -> str:
    limit = {None: "several", 1: "one"}.get(row.max_images, f"up to {row.max_images}")
    return f"{limit}{', and video' if row.video else ''}"


def _convention(row: Checkpoint) -> str:
    return families.get(row.family).convention if row.family in families.names() else ""


def _memory(row: Checkpoint) -> str:
    if not row.parameters or row.runs is Runs.HOSTED:
        return ""
    sizes = (f"{size(memory(row, key))} at {name}" for key, name in PRECISIONS.items())
    return f"{', '.join(sizes)}, for the weights alone"


def _slot(row: Checkpoint) -> str:
    """Where the browser puts what the engine estimates, once the row is unfolded."""
    rough = escape(_memory(row))
    here = row.runs.here
    return f'<div class="estimate-slot">{rough}</div>' if here else rough


def _why(row: Checkpoint) -> str:
    """What has to be known before it is asked, in a sentence."""
    servers = " or ".join(_servers(row)) or "a server that speaks the OpenAI protocol"
    base = f" {completes(row)}" if completes(row) else ""
    code = " It needs code of its own, which is refused unless it was allowed." if row.remote_code else ""
    if row.server:
        return f"On the server '{row.server}'; it speaks like {row.family}.{base}"
    match row.runs:
        case Runs.IN_PROCESS:
            return f"In this app.{base}{code}"
        case Runs.PACKAGE:
            return "In this app, on the CPU: it came with its package, and downloads nothing."
        case Runs.SERVER:
            return f"This app cannot load it; {servers} can.{base}"
        case Runs.HOSTED:
            return "At the service that owns it: nobody can download it."
        case Runs.PARSER_ONLY:
            return f"No common server loads it; its answers can be read here.{base}"
        case Runs.CONTRASTIVE:
            return "It compares pictures with words, and writes nothing."


def _checked(row: Checkpoint) -> str:
    """When the Hub was asked about it; nothing where the Hub does not have it."""
    if _folder(row) or row.server or row.runs in (Runs.HOSTED, Runs.PACKAGE):
        return ""
    return f"checked on {row.checked}" if row.checked else NOT_CHECKED


def _folder(row: Checkpoint) -> bool:
    return Path(row.source).is_absolute()


def _source(row: Checkpoint) -> str:
    """The repo, or the last name of a folder: the rest of the path is nobody's business."""
    if row.runs is Runs.PACKAGE:
        return f"package {row.source}"
    folder = "" if row.server else "folder "
    return f"{folder}{Path(row.source).name}" if _folder(row) else row.source


def _page(row: Checkpoint) -> tuple[str, ...]:
    """The model's page on the Hub, where it has one and no source names it."""
    page = f"https://huggingface.co/{row.source}"
    hosted = _folder(row) or bool(row.server) or row.runs in (Runs.HOSTED, Runs.PACKAGE)
    return () if hosted or page in row.sources else (page,)


def _link(address: str) -> str:
    text = escape(address.removeprefix("https://").removeprefix("http://"))
    if not address.startswith(("https://", "http://")):
        return f"<span>{text}</span>"
    href = escape(address, quote=True)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">{text}</a>'

"""The servers that were added, as HTML. Whatever a server or a user wrote is escaped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from vlm_app import families, servers
from vlm_app.servers import Server
from vlm_app.ui.server_words import Standing, standing

NONE = (
    '<p class="hint">No server was added. One that runs vLLM, llama.cpp or Ollama, or a service such as '
    "OpenAI, can answer here as well.</p>"
)


def section(added: Sequence[Server], asking: Collection[str] = ()) -> str:
    """Every server with its state and its models; `asking` are those being asked for them now."""
    items = "".join(_server(each, each.name in asking) for each in added)
    shown = f'<ul class="held served">{items}</ul>' if items else NONE
    return f'<section aria-label="Servers"><h2>Servers</h2>{shown}</section>'


def _server(server: Server, asking: bool) -> str:
    now = standing(servers.health(server.name), asking)
    name = escape(server.name, quote=True)
    error = f'<p class="problem">{escape(now.error)}</p>' if now.error else ""
    return (
        f'<li class="{now.kind}" data-server="{name}"><div>'
        f'<p class="chip {now.kind}"><i></i><strong>{name}</strong>'
        f'<span class="badge">{escape(_kind(server))}</span></p>'
        f"<small>{' · '.join(map(escape, _facts(server, now)))}</small>{error}{_models(server, asking)}</div>"
        f'<p class="ways">{_ways(server, asking)}</p></li>'
    )


def _kind(server: Server) -> str:
    return server.kind.title.partition(" (")[0]


def _facts(server: Server, now: Standing) -> list[str]:
    words = f"{now.words} in {now.latency}" if now.kind == "ready" else now.words
    place = servers.key_place(server)
    key = "no key" if not place else "key kept here" if place == "kept here" else f"key from {place}"
    return [each for each in (words, server.url, key) if each]


def _ways(server: Server, asking: bool) -> str:
    look = "" if asking else _button("server-look", "Look again", server.name)
    gone = (
        f'<span class="sure">Forget its models and its key? '
        f"{_button('server-remove', 'Remove it', server.name, 'danger')}"
        f"{_button('server-keep', 'Keep it', server.name)}</span>"
    )
    return f"{look}{_button('server-ask', 'Remove', server.name)}{gone}"


def _button(act: str, label: str, name: str, more: str = "") -> str:
    said = escape(f"{label}: {name}", quote=True)
    kind = f"plain {more}".strip()
    return f'<button type="button" class="{kind}" data-act="{act}" aria-label="{said}">{label}</button>'


# --- models -----------------------------------------------------------------------------


def _models(server: Server, asking: bool) -> str:
    if not server.models:
        return "" if asking else "<small>It has shown no model yet.</small>"
    rows = "".join(_model(server, id, family) for id, family in server.models.items())
    head = '<p class="heads" aria-hidden="true"><span>Model</span><span>Speaks like</span></p>'
    return f'{head}<ul class="spoken" aria-label="Models of {escape(server.name, quote=True)}">{rows}</ul>'


def _model(server: Server, id: str, family: str) -> str:
    model = escape(id, quote=True)
    options = "".join(
        f"<option{' selected' if each == family else ''}>{escape(each)}</option>"
        for each in sorted(families.names())
    )
    return (
        f'<li><span>{model}</span><select data-family="{model}" aria-label="How {model} speaks">'
        f"{options}</select></li>"
    )

"""The machine and what is loaded on it, as HTML. Every name is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from vlm_app.settings import settings
from vlm_app.ui.state_words import ON_THE_WAY, ago, size, status

if TYPE_CHECKING:
    from vlm_app.engine.devices import Device
    from vlm_app.engine.states import ModelState

# Until benchmarks/cuda_smoke.py has run on such a machine.
CUDA_QUANTIZATION = "Quantization on CUDA: not yet run."
NOTHING = '<p class="hint">No model is loaded. One loads when it is first asked.</p>'


def machine(devices: Sequence[Device], states: Sequence[ModelState], capacity: int) -> str:
    """Every device with its memory, and how much of it models may take (bytes)."""
    items = "".join(_unusable(each) if each.problem else _device(each, states) for each in devices)
    return (
        f'<section class="machine" aria-label="This machine"><h2>This machine</h2>'
        f'<ul class="devices">{items}</ul>'
        f'<p class="hint">Models may take up to {size(capacity)} together. {CUDA_QUANTIZATION}</p></section>'
    )


def loaded(states: Sequence[ModelState], now: float, adapters: Mapping[str, str]) -> str:
    """What is loaded or on its way, with a way out of it.

    `now` is in `time.monotonic()` seconds; `adapters` has the name of each adapter's id.
    """
    items = "".join(_model(each, now, adapters) for each in states)
    shown = f'<ul class="held">{items}</ul>' if items else NOTHING
    return f'<section aria-label="Loaded models"><h2>Loaded</h2>{shown}</section>'


# --- devices ----------------------------------------------------------------------------


def _device(device: Device, states: Sequence[ModelState]) -> str:
    ours = min(sum(each.bytes for each in states if _is_on(each, device)), device.total)
    free = max(min(device.free, device.total - ours), 0)
    parts = {"ours": ours, "others": device.total - ours - free, "free": free}
    titles = {"ours": "our models", "others": "other use", "free": "free"}
    said = [(kind, f"{size(count)} {titles[kind]}") for kind, count in parts.items()]
    bars = "".join(
        f'<i class="{kind}" style="width:{_percent(parts[kind], device.total)}%"></i>'
        for kind in ("ours", "others")
    )
    legend = "".join(f'<span class="{kind}"><i></i>{words}</span>' for kind, words in said)
    told = escape(f"{device.title}: {', '.join(words for _, words in said)}", quote=True)
    return (
        f'<li class="device" data-device="{escape(device.name, quote=True)}">'
        f"<p><strong>{escape(device.title)}</strong><small>{size(device.total)}</small></p>"
        f'<div class="meter" role="img" aria-label="{told}">{bars}</div>'
        f'<p class="legend" aria-hidden="true">{legend}</p></li>'
    )


def _unusable(device: Device) -> str:
    return (
        f'<li class="device unusable" data-device="{escape(device.name, quote=True)}">'
        f"<p><strong>{escape(device.title)}</strong><small>cannot be used</small></p>"
        f'<p class="problem">{escape(device.problem)}</p></li>'
    )


def _is_on(state: ModelState, device: Device) -> bool:
    """'cuda' is the first of its kind."""
    return state.device == device.name or f"{state.device}:0" == device.name


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "0"


# --- models -----------------------------------------------------------------------------


def _model(state: ModelState, now: float, adapters: Mapping[str, str]) -> str:
    id, precision = escape(state.model, quote=True), escape(state.precision, quote=True)
    facts = " · ".join(escape(each) for each in _facts(state, now, adapters))
    precise = f'<span class="badge">{precision}</span>' if precision else ""
    return (
        f'<li class="{state.status}" data-model="{id}" data-precision="{precision}"><div>'
        f'<p class="chip {state.status}"><i></i><strong>{escape(state.name)}</strong>{precise}</p>'
        f"<small>{facts}</small>{meter(state)}</div>{way_out(state)}</li>"
    )


def _facts(state: ModelState, now: float, adapters: Mapping[str, str]) -> list[str]:
    if state.status in ("waiting", "failed") or not state.model:  # a training has no model's id
        return [state.detail]
    warm = ", ".join(adapters.get(each, each) for each in state.adapters)
    facts = [status(state)]
    if state.bytes:
        facts.append(size(state.bytes) + (f" on {state.device}" if state.device else ""))
    if state.status == "ready" and not state.holders and state.used:
        facts.append(f"used {ago(now - state.used)}")
    if state.kept:
        facts.append(f"{size(state.kept)} kept for follow-ups")
    if state.known >= 0.005:
        facts.append(f"reused {state.known:.0%} of its prompts".replace("%", " %"))
    if warm:
        facts.append(f"adapters {warm}")
    return facts


def meter(state: ModelState) -> str:
    """How far a load is, as a bar; empty where nothing loads."""
    if state.status != "loading":
        return ""
    share = state.progress.share if state.progress else None
    if share is None:
        return '<div class="meter unknown" role="progressbar" aria-label="Loading"><i></i></div>'
    percent = round(share * 100)
    return (
        f'<div class="meter" role="progressbar" aria-label="Loading" aria-valuenow="{percent}">'
        f'<i class="ours" style="width:{percent}%"></i></div>'
    )


def way_out(state: ModelState) -> str:
    """The buttons that end what a model is at; the browser sends its row's model with them."""
    name = state.name or state.model
    if settings().fixed or not state.model:  # a training is ended where it was started
        return ""
    if state.status in ON_THE_WAY:
        return button("cancel", "Cancel", name)
    if state.status == "ready":
        return button("unload", "Unload", name)
    if state.status == "unloading":
        return ""
    if state.status == "failed":
        return button("load", "Try again", name) + button("unload", "Dismiss", name)
    return button("load", "Load", name)


def button(act: str, label: str, name: str) -> str:
    """A button that is told apart by the name of its model."""
    said = escape(f"{label}: {name}", quote=True)
    return f'<button type="button" class="plain" data-act="{act}" aria-label="{said}">{label}</button>'

"""A page of examples as thumbnails, with their regions drawn on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from vlm_app.finetune.examples import Held
from vlm_app.grounding import colours
from vlm_app.types import Region
from vlm_app.ui.addresses import under_root
from vlm_app.ui.finetune.datasets.render import Filter
from vlm_app.ui.finetune.datasets.words import line, many, task_name
from vlm_app.ui.overlay import outline
from vlm_app.ui.pieces import attribute

PAGE = 24  # examples
MOST_DRAWN = 60  # regions on a thumbnail: more could not be told apart


def gallery(held: Sequence[Held], held_out: Collection[str], page: int, size: int, chosen: Filter) -> str:
    """One page of `size` examples, `page` counted from 0; those of the held-out side are marked."""
    if not size:
        return _none() if chosen.chosen else ""
    cards = "".join(_card(each, each.example.id in held_out) for each in held)
    return f'<section class="tune-page">{_shown(chosen, size)}<ol>{cards}</ol>{_pager(page, size)}</section>'


def _none() -> str:
    return (
        '<p class="tune-nothing">No example is of that kind. '
        '<button type="button" class="inline" data-tune="all">Show all</button></p>'
    )


def _shown(chosen: Filter, size: int) -> str:
    """What is shown, where that is not everything."""
    if not chosen.chosen:
        return ""
    sides = {True: "held out", False: "taught", None: ""}
    parts = [chosen.label or (task_name(chosen.task) if chosen.task else ""), sides[chosen.held_out]]
    said = ", ".join(filter(None, parts))
    return (
        f'<p class="tune-shown">{many(size)}: {escape(said)}. '
        '<button type="button" class="inline" data-tune="all">Show all</button></p>'
    )


def _card(held: Held, out: bool) -> str:
    example = held.example
    name = f"{task_name(example.task)}: {line(example)}"
    more = f'<em class="pictures">{len(held.media)} pictures</em>' if len(held.media) > 1 else ""
    mark = '<em class="held">held out</em>' if out else ""
    held_wrong = "with a wrong answer" if example.chosen else "a wrong answer only"
    wrong = f'<em class="pair">{held_wrong}</em>' if example.rejected else ""
    return (
        '<li><button type="button" class="lesson-card" data-tune="example" '
        f'data-example="{attribute(example.id)}" aria-label="{attribute(name)}">'
        f'<span class="thumb">{_thumbnail(held)}{more}{mark}</span>'
        f'<span class="about"><small>{escape(task_name(example.task))}</small>'
        f"{escape(line(example))}{wrong}</span></button></li>"
    )


def _thumbnail(held: Held) -> str:
    """The last picture, on which answers lie where a model cannot say which one it means."""
    last = len(held.media) - 1
    picture = held.example.pictures[last]
    width, height = picture.size
    regions = [each for each in held.example.regions if each.image == last]
    drawn = zip(regions, colours(held.example.regions), strict=False)
    shapes = "".join(_shape(region, colour, (width, height)) for region, colour in list(drawn)[:MOST_DRAWN])
    return (
        f'<img src="{under_root(f"/media/{attribute(held.media[last])}?side=320")}" alt="" loading="lazy" '
        f'width="{width}" height="{height}">'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{shapes}</svg>'
    )


def _shape(region: Region, colour: str, size: tuple[int, int]) -> str:
    tag, where = outline(region, size)
    kind = "point" if region.kind == "point" else "area"
    lines = f'<{tag} class="halo" {where}/><{tag} class="line" {where}/>'
    return f'<g class="{kind}" style="--c:{colour}">{lines}</g>'


def _pager(page: int, size: int) -> str:
    if size <= PAGE:
        return ""
    first, last = page * PAGE + 1, min((page + 1) * PAGE, size)
    back = "" if page else " disabled"
    on = "" if last < size else " disabled"
    return (
        '<nav class="tune-pager" aria-label="Pages">'
        f'<button type="button" class="plain" data-tune="page" data-page="{page - 1}"{back} '
        'aria-label="Earlier examples">‹</button>'
        f"<span>{first:,}–{last:,} of {size:,}</span>"
        f'<button type="button" class="plain" data-tune="page" data-page="{page + 1}"{on} '
        'aria-label="Further examples">›</button></nav>'
    )

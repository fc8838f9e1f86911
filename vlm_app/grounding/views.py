"""Parts of an image that were looked at on their own: their regions, in fractions of the whole."""

from __future__ import annotations

from vlm_app.types import Box, Mask, Point, Polygon, Shape


def placed(shape: Shape, view: Box) -> Shape:
    """A shape of a part of an image, moved to where it lies in the whole; `view` is that part."""
    if isinstance(shape, Point):
        return Point(_across(shape.x, view), _down(shape.y, view))
    if isinstance(shape, Polygon):
        return Polygon(tuple(Point(_across(one.x, view), _down(one.y, view)) for one in shape.points))
    if isinstance(shape, Mask):
        return Mask(_box(shape.box, view), shape.size, shape.bits)
    return _box(shape, view)


def _box(box: Box, view: Box) -> Box:
    return Box(_across(box.x0, view), _down(box.y0, view), _across(box.x1, view), _down(box.y1, view))


def _across(x: float, view: Box) -> float:
    return min(view.x0 + x * (view.x1 - view.x0), view.x1)


def _down(y: float, view: Box) -> float:
    return min(view.y0 + y * (view.y1 - view.y0), view.y1)

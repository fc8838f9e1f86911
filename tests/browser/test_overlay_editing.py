"""A person changes the regions on a picture: mouse, keys and fingers in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.overlay_hand import SIZE, Table, regions
from tests.browser.overlay_page import region
from tests.browser.overlay_table import _table, address, table

__all__ = ["address", "table"]


# --- editing ----------------------------------------------------------------------------


def test_a_box_is_moved_and_says_who_changed_it(table: Table) -> None:
    table.drag((0.6, 0.4), (0.65, 0.45))
    assert table.pixels("door") == pytest.approx([660, 240, 960, 440], abs=1)
    [change] = table.told("change")
    assert next(each for each in change["regions"] if each["key"] == "door")["edited"] is True
    table.click(0.65, 0.45)
    expect(table.card()).to_contain_text("Pebble, changed by you")


def test_everything_can_be_moved_but_not_out_of_the_picture(table: Table) -> None:
    table.drag((0.4, 0.7), (0.42, 0.75))
    assert table.pixels("knob") == pytest.approx([504, 600], abs=1)
    table.drag((0.2, 0.3), (0.25, 0.3))
    assert table.pixels("ball") == pytest.approx([180, 160, 420, 400], abs=1)
    table.drag((0.6, 0.8), (0.62, 0.8))
    assert table.pixels("gate") == pytest.approx([684, 520, 888, 520, 888, 720, 684, 720], abs=1)
    table.drag((0.6, 0.4), (0.99, 0.02))
    assert table.pixels("door") == [900, 0, 1200, 200]


@pytest.mark.parametrize(
    ("grip", "by", "expected"),
    [
        ((0.5, 0.25), (-0.1, -0.05), [480, 160, 900, 400]),
        ((0.625, 0.25), (0.1, 0.05), [600, 240, 900, 400]),
        ((0.75, 0.25), (0.05, 0.05), [600, 240, 960, 400]),
        ((0.75, 0.375), (0.05, 0.2), [600, 200, 960, 400]),
        ((0.75, 0.5), (0.05, 0.05), [600, 200, 960, 440]),
        ((0.625, 0.5), (0.2, 0.1), [600, 200, 900, 480]),
        ((0.5, 0.5), (0.05, 0.05), [660, 200, 900, 440]),
        ((0.5, 0.375), (0.9, 0), [898, 200, 900, 400]),
    ],
)
def test_each_handle_resizes_its_side(
    table: Table, grip: tuple[float, float], by: tuple[float, float], expected: list[float]
) -> None:
    table.click(0.6, 0.4)
    table.press("Escape")
    assert table.page.locator("[data-grip]").count() == 8
    table.drag(grip, (min(grip[0] + by[0], 0.99), grip[1] + by[1]))
    assert table.pixels("door") == pytest.approx(expected, abs=1)


def test_handles_have_room_also_on_a_tiny_box(table: Table) -> None:
    table.show([region("dot", "dot", box=[0.5, 0.5, 0.505, 0.505])], editable=True)
    table.click(0.5025, 0.5025)
    boxes = [each.bounding_box() for each in table.page.locator("[data-grip]").all()]
    places = [(box["x"], box["y"], box["width"]) for box in boxes if box]
    assert len(places) == 8
    assert all(width >= 10 for _, _, width in places)
    apart = [max(abs(a[0] - b[0]), abs(a[1] - b[1])) for i, a in enumerate(places) for b in places[:i]]
    assert min(apart) >= 10


def test_corners_of_a_polygon_move_come_and_go(table: Table) -> None:
    table.click(0.6, 0.8)
    table.press("Escape")
    table.drag((0.55, 0.65), (0.5, 0.6))
    assert table.pixels("gate")[:2] == pytest.approx([600, 480], abs=1)
    table.page.mouse.dblclick(*table.at(0.72, 0.78))
    table.press("Escape")
    assert len(table.region("gate")["polygon"]) == 5
    table.page.keyboard.down("Alt")
    table.click(0.72, 0.78)
    table.page.keyboard.up("Alt")
    assert len(table.region("gate")["polygon"]) == 4


def test_a_box_is_drawn_and_named(table: Table) -> None:
    table.page.get_by_role("button", name="Draw a box").click()
    table.drag((0.8, 0.1), (0.9, 0.3))
    field = table.page.get_by_role("combobox", name="Label")
    expect(field).to_be_focused()
    field.fill("window")
    table.press("Enter")
    new = table.region_keys()[-1]
    assert new.startswith("new-")
    assert table.pixels(new) == pytest.approx([960, 80, 1080, 240], abs=1)
    made = table.region(new)
    assert (made["label"], made["maker"], made["edited"]) == ("window", "you", False)
    assert made["colour"] not in {each["colour"] for each in regions()}
    assert table.call("return overlay.mode") == "select"


def test_points_are_set_one_after_the_other(table: Table) -> None:
    table.focus()
    table.press("p")
    table.click(0.9, 0.8)
    table.click(0.92, 0.82)
    news = [key for key in table.region_keys() if key.startswith("new-")]
    assert [table.pixels(key) for key in news] == [
        pytest.approx([1080, 640], abs=1),
        pytest.approx([1104, 656], abs=1),
    ]
    table.press("Escape")
    assert table.told("tool")[-1] == {"tool": "select"}


def test_a_box_can_be_added_without_a_mouse(table: Table) -> None:
    table.focus()
    table.press("b", "Enter", "Escape", "ArrowLeft")
    x0, y0, x1, y1 = table.pixels(table.region_keys()[-1])
    assert 0 < x0 < x1 < SIZE[0]
    assert 0 < y0 < y1 < SIZE[1]
    assert len(table.told("change")) == 2


def test_the_tool_describe_reports_a_part_and_adds_nothing(table: Table) -> None:
    table.show(editable=False)
    table.call("overlay.tool('describe')")
    table.drag((0.1, 0.1), (0.3, 0.4))
    [drawn] = table.told("drawn")
    assert drawn["box"] == pytest.approx([0.1, 0.1, 0.3, 0.4], abs=0.001)
    assert len(table.region_keys()) == 5
    assert table.page.locator(".ov-sketch").get_attribute("d"), "what was drawn stays in sight"


def test_a_label_and_a_text_are_corrected_in_the_card(table: Table) -> None:
    table.click(0.6, 0.4)
    table.press("e")
    expect(table.page.get_by_role("combobox", name="Label")).to_be_focused()
    assert table.call("return [...overlay.querySelectorAll('datalist option')].map(each => each.value)") == [
        "ball",
        "door",
        "knob",
    ]
    table.page.keyboard.type("knob")
    table.press("Enter")
    door = table.region("door")
    assert (door["label"], door["colour"], door["edited"]) == ("knob", table.region("knob")["colour"], True)
    table.press("Escape", "Escape")
    table.click(0.2, 0.72)
    table.page.get_by_role("textbox", name="Text").fill("Invoice 17")
    table.click(0.9, 0.1)  # leaving the field keeps what was typed
    assert table.region("sign")["text"] == "Invoice 17"
    assert table.region("door")["label"] == "knob"


def test_escape_leaves_a_field_as_it_was(table: Table) -> None:
    table.click(0.6, 0.4)
    table.press("e")
    table.page.keyboard.type("knob")
    table.press("Escape")
    assert table.region("door")["label"] == "door"
    assert table.told("change") == []


def test_a_region_is_deleted_by_key_and_by_button(table: Table) -> None:
    table.click(0.6, 0.4)
    table.press("Delete")
    table.click(0.6, 0.8)
    table.page.get_by_role("button", name="Delete").click()
    assert table.region_keys() == ["ball", "knob", "sign"]
    assert table.selected() is None
    expect(table.card()).to_be_hidden()


def test_every_step_can_be_undone_and_done_again(table: Table) -> None:
    before = table.call("return overlay.data.regions")
    table.drag((0.6, 0.4), (0.65, 0.45))
    table.press("Delete")
    table.focus()
    table.press("p")
    table.click(0.9, 0.8)
    after = table.call("return overlay.data.regions")
    table.focus()
    table.press("Control+z", "Control+z", "Control+z", "Control+z")
    assert table.call("return overlay.data.regions") == before
    table.press("Control+Shift+z", "Control+y", "Control+y")
    assert table.call("return overlay.data.regions") == after
    assert len(table.told("change")) == 9


def test_two_hundred_steps_are_remembered(table: Table) -> None:
    table.click(0.6, 0.4)
    for _ in range(200):
        table.page.keyboard.press("ArrowRight")
    assert table.pixels("door")[0] == 800
    table.call("for (let step = 0; step < 200; step += 1) overlay.undo()")
    assert table.pixels("door") == [600, 200, 900, 400]


def test_escape_during_a_drag_puts_it_back(table: Table) -> None:
    table.page.mouse.move(*table.at(0.6, 0.4))
    table.page.mouse.down()
    table.page.mouse.move(*table.at(0.7, 0.5))
    table.press("Escape")
    table.page.mouse.up()
    assert table.pixels("door") == [600, 200, 900, 400]
    assert table.told("change") == []


def test_coordinates_are_right_within_a_pixel_after_zoom_and_pan(table: Table) -> None:
    x, y = table.at(0.8, 0.2)
    table.page.mouse.move(x, y)
    table.page.keyboard.down("Control")
    table.page.mouse.wheel(0, -500)
    table.page.mouse.wheel(0, -500)
    table.page.keyboard.up("Control")
    table.call("overlay.pan(37, -23)")
    table.rest()
    table.call("overlay.tool('box')")
    table.drag((0.81, 0.17), (0.85, 0.21))
    assert table.pixels(table.region_keys()[-1]) == pytest.approx([972, 136, 1020, 168], abs=1)


# --- news from the server ---------------------------------------------------------------


def test_regions_that_arrive_lose_neither_selection_nor_zoom_nor_edits(table: Table) -> None:
    table.call("overlay.zoom(2)")
    table.drag((0.6, 0.4), (0.65, 0.4))
    place, moved = table.at(0, 0), table.pixels("door")
    table.show([*regions(), region("late", "lamp", 4, box=[0.85, 0.05, 0.95, 0.2])], editable=True)
    assert table.region_keys()[-1] == "late"
    assert table.selected() == "door"
    assert table.at(0, 0) == place
    assert table.pixels("door") == moved
    table.call("overlay.undo()")
    assert table.pixels("door") == [600, 200, 900, 400]
    assert table.region_keys()[-1] == "late", "undoing is about one's own steps"


def test_an_edit_in_progress_survives_news(table: Table) -> None:
    table.click(0.6, 0.4)
    table.press("e")
    table.page.keyboard.type("kno")
    table.show([*regions(), region("late", "lamp", 4, box=[0.85, 0.05, 0.95, 0.2])], editable=True)
    table.page.keyboard.type("b")
    table.press("Enter", "Escape")
    assert table.region("door")["label"] == "knob"
    table.page.mouse.move(*table.at(0.6, 0.4))
    table.page.mouse.down()
    table.page.mouse.move(*table.at(0.65, 0.4))
    table.show([*regions(), region("last", "lamp", 4, box=[0.85, 0.05, 0.95, 0.2])], editable=True)
    table.page.mouse.move(*table.at(0.66, 0.4))
    table.page.mouse.up()
    assert table.pixels("door") == pytest.approx([672, 200, 972, 400], abs=1)
    assert table.region_keys() == ["ball", "door", "gate", "knob", "sign", "last"]


def test_the_servers_echo_of_an_early_edit_does_not_undo_a_later_one(table: Table) -> None:
    table.click(0.6, 0.4)
    table.press("ArrowRight")
    early = table.told("change")[-1]["regions"]
    table.press("ArrowRight")
    table.show(early, editable=True)
    assert table.pixels("door")[0] == 602
    table.show(table.told("change")[-1]["regions"], editable=True)
    assert table.pixels("door")[0] == 602


def test_a_new_region_may_get_a_key_from_the_server(table: Table) -> None:
    table.call("overlay.tool('box')")
    table.drag((0.8, 0.1), (0.9, 0.3))
    table.press("Escape")
    [*others, new] = table.told("change")[-1]["regions"]
    table.show([*others, {**new, "key": "m-17"}], editable=True)
    assert table.region_keys()[-1] == "m-17"
    assert len(table.region_keys()) == 6
    assert table.selected() == "m-17"
    table.press("ArrowRight")
    assert table.told("change")[-1]["regions"][-1]["key"] == "m-17"


def test_the_first_box_is_named_while_it_becomes_an_answer(table: Table) -> None:
    table.show([], editable=True)
    table.call("overlay.tool('box')")
    table.drag((0.8, 0.1), (0.9, 0.3))
    table.page.keyboard.type("win")
    [new] = table.told("change")[-1]["regions"]
    table.show([{**new, "key": "m-1"}], editable=True, answer="mine")
    table.page.keyboard.type("dow")
    table.press("Enter")
    assert table.region("m-1")["label"] == "window"
    assert table.region_keys() == ["m-1"]
    table.call("overlay.undo()")
    table.call("overlay.undo()")
    assert table.region_keys() == []


def test_what_the_server_changed_is_shown(table: Table) -> None:
    table.show(
        [
            {**each, "score": 0.5} | ({"box": [0, 0, 0.1, 0.1]} if each["key"] == "door" else {})
            for each in regions()
        ]
    )
    assert table.pixels("door") == [0, 0, 120, 80]
    table.show([each for each in regions() if each["key"] == "knob"])
    assert table.region_keys() == ["knob"]


def test_another_answer_begins_anew_and_going_back_brings_the_edits_back(table: Table) -> None:
    table.show(editable=True, answer="one")
    table.drag((0.6, 0.4), (0.65, 0.4))
    moved = table.pixels("door")
    table.show([region("cat", "cat", box=[0.1, 0.1, 0.2, 0.2])], editable=True, answer="two")
    assert table.region_keys() == ["cat"]
    assert table.selected() is None
    table.call("overlay.undo()")
    assert table.region_keys() == ["cat"]
    table.show(editable=True, answer="one")
    assert table.pixels("door") == moved
    table.call("overlay.undo()")
    assert table.pixels("door") == [600, 200, 900, 400]


# --- fingers ----------------------------------------------------------------------------


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Table]:
    yield from _table(
        browser, address, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )


Touch = Callable[..., None]


@pytest.fixture
def touch(phone: Table) -> Touch:
    """Sends a touch event with fingers at places of the window."""
    session = phone.page.context.new_cdp_session(phone.page)

    def send(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return send


def test_two_fingers_zoom_around_what_is_between_them(phone: Table, touch: Touch) -> None:
    x, y = phone.at(0.5, 0.5)
    touch("touchStart", (x - 30, y))
    touch("touchStart", (x - 30, y), (x + 30, y))
    for apart in (40, 60, 90):
        touch("touchMove", (x - apart, y), (x + apart, y))
    touch("touchEnd")
    phone.rest()
    assert phone.call("return overlay.view.scale / overlay.view.whole") == pytest.approx(3, rel=0.05)
    assert phone.at(0.5, 0.5) == pytest.approx((x, y), abs=2)
    assert phone.page.evaluate("visualViewport.scale") == 1, "the page itself stays as it is"


def test_a_tap_selects_and_a_finger_moves_only_what_is_selected(phone: Table, touch: Touch) -> None:
    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        touch("touchStart", phone.at(*start))
        (x0, y0), (x1, y1) = phone.at(*start), phone.at(*end)
        for part in (0.3, 0.6, 1):
            touch("touchMove", (x0 + part * (x1 - x0), y0 + part * (y1 - y0)))
        touch("touchEnd")
        phone.rest()

    drag((0.6, 0.4), (0.7, 0.4))
    assert phone.pixels("door") == [600, 200, 900, 400]
    phone.page.touchscreen.tap(*phone.at(0.6, 0.4))
    expect(phone.card()).to_be_visible()
    phone.page.get_by_role("button", name="Close").tap()
    drag((0.6, 0.4), (0.7, 0.4))
    assert phone.pixels("door") == pytest.approx([720, 200, 1020, 400], abs=4)

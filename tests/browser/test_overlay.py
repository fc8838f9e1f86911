"""A person looks at regions on a picture, and changes them: mouse, keys and fingers in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.overlay import crowd, hover_times, paint_time
from tests.browser.overlay_hand import PHRASES, SIZE, Table, regions
from tests.browser.overlay_page import as_script, data, page_html, region, scene, served
from tests.sizes import OVERLAY_HOVER, OVERLAY_PAINT, OVERLAY_REGIONS, OVERLAY_SIDE


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listens = "".join(
        f"addEventListener('overlay-{name}', event => told.push(['{name}', event.detail]));"
        for name in ("change", "select", "hover", "drawn", "tool", "hidden")
    )
    page = page_html(PHRASES).replace("</head>", f"<script>window.told = []; {listens}</script></head>")
    with served(page, {"scene.png": scene(*SIZE)}) as url:
        yield url


@pytest.fixture
def table(browser: Browser, address: str) -> Iterator[Table]:
    yield from _table(browser, address, viewport={"width": 1100, "height": 900})


def _table(browser: Browser, address: str, **options: Any) -> Iterator[Table]:
    context = browser.new_context(**options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    table = Table(page)
    table.show(editable=True)
    yield table
    context.close()
    assert not errors, errors


# --- looking ----------------------------------------------------------------------------


def test_a_phrase_lights_its_regions_and_dims_the_rest(table: Table) -> None:
    table.page.hover("[data-r='door sign']")
    assert table.lit() == {"door", "sign"}
    assert table.page.locator(".ov-stage.has-lit").count() == 1
    table.page.mouse.move(2, 2)
    assert table.lit() == set()


def test_a_region_lights_its_phrase(table: Table) -> None:
    table.page.mouse.move(*table.at(0.2, 0.3))
    assert table.lit() == {"ball"}
    expect(table.page.locator("[data-r=ball]")).to_have_class("phrase lit")
    table.page.mouse.move(*table.at(0.9, 0.1))
    expect(table.page.locator("[data-r=ball]")).to_have_class("phrase")
    assert [each["key"] for each in table.told("hover")] == ["ball", None]


def test_a_mask_is_hit_only_where_it_is(table: Table) -> None:
    table.page.mouse.move(*table.at(0.11, 0.22))  # the corner of its box, where no bit is set
    assert table.lit() == set()
    table.page.mouse.move(*table.at(0.2, 0.25))
    assert table.lit() == {"ball"}


def test_a_small_region_over_a_large_one_can_be_reached(table: Table) -> None:
    table.show(
        [region("wall", "wall", box=[0, 0, 1, 1]), region("clock", "clock", box=[0.4, 0.4, 0.45, 0.45])]
    )
    table.page.mouse.move(*table.at(0.42, 0.42))
    assert table.lit() == {"clock"}


def test_a_click_shows_a_card_with_text_place_maker_and_a_crop(table: Table) -> None:
    table.show()
    table.click(0.6, 0.4)
    card = table.card()
    expect(card).to_contain_text("door")
    expect(card).to_contain_text("x 600–900, y 200–400")
    expect(card).to_contain_text("300 × 200 px")
    expect(card).to_contain_text("Pebble · score 0.87")
    colour = table.call(
        "const crop = overlay.querySelector('.ov-crop');"
        "return [...crop.getContext('2d').getImageData(crop.width / 2, crop.height * 0.8, 1, 1).data]"
    )
    assert colour == [0x31, 0x54, 0x6B, 255], "the crop shows that part of the picture"
    assert table.told("select") == [{"key": "door"}]


def test_located_text_is_shown_when_it_is_looked_at(table: Table) -> None:
    tags = table.page.locator(".ov-tag")
    expect(tags.filter(has_text="Invoce 17")).to_have_count(0)
    table.page.mouse.move(*table.at(0.2, 0.72))
    expect(tags.filter(has_text="Invoce 17")).to_have_count(1)


def test_labels_lie_beside_their_regions_and_not_on_one_another(table: Table) -> None:
    rectangles = table.call(
        "const at = node => { const r = node.getBoundingClientRect();"
        " return [r.left, r.top, r.right, r.bottom] };"
        "const all = name => [...overlay.querySelectorAll(name)].map(at);"
        "return [all('.ov-tag'), all('.ov-shapes .line')]"
    )
    tags, shapes = rectangles
    assert len(tags) == 4

    def cover(one: list[float], other: list[float]) -> bool:
        return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

    for index, tag in enumerate(tags):
        assert not any(cover(tag, shape) for shape in shapes)
        assert not any(cover(tag, other) for other in tags[index + 1 :])


def test_a_crowd_shows_its_labels_when_one_zooms_in_or_looks(table: Table) -> None:
    boxes = [[x / 10 + 0.02, y / 4 + 0.05, x / 10 + 0.06, y / 4 + 0.1] for x in range(10) for y in range(4)]
    table.show([region(str(index), f"thing {index}", box=box) for index, box in enumerate(boxes)])
    assert table.page.locator(".ov-tag").count() == 0
    table.page.mouse.move(*table.at(0.04, 0.08))
    assert table.page.locator(".ov-tag").all_text_contents() == ["thing 0"]
    table.page.mouse.move(2, 2)
    table.call("overlay.zoom(4)")
    table.rest()
    assert 0 < table.page.locator(".ov-tag").count() <= 14


def test_labels_are_toggled_in_the_legend_with_their_counts(table: Table) -> None:
    row = table.page.locator(".ov-kind", has_text="door")
    expect(row.locator(".ov-count")).to_have_text("2")
    row.click()
    expect(table.page.get_by_role("checkbox", name="door")).not_to_be_checked()
    assert table.page.locator(".ov-region").count() == 3
    table.page.mouse.move(*table.at(0.6, 0.4))
    assert table.lit() == set(), "what is hidden does not answer"
    table.page.locator(".ov-kind", has_text="knob").dblclick()
    assert table.call("return [...overlay.querySelectorAll('.ov-region')].map(each => each.dataset.key)") == [
        "knob"
    ]
    table.page.get_by_role("button", name="Show all").click()
    assert table.page.locator(".ov-region").count() == 5
    table.page.locator(".ov-kind", has_text="ball").click(modifiers=["Alt"])
    assert table.page.locator(".ov-region").count() == 1


def test_the_data_say_which_labels_are_hidden(table: Table) -> None:
    table.show(hidden=["door"])
    assert table.page.locator(".ov-region").count() == 3
    table.call("overlay.toggle('door')")
    assert table.page.locator(".ov-region").count() == 5


def test_without_editing_nothing_can_be_changed(table: Table) -> None:
    table.show(editable=False)
    table.drag((0.6, 0.4), (0.7, 0.5))
    table.click(0.6, 0.4)
    table.press("Delete", "ArrowLeft", "b")
    assert table.pixels("door") == [600, 200, 900, 400]
    assert len(table.region_keys()) == 5
    assert table.page.locator(".ov-card input").count() == 0
    assert table.told("change") == []


# --- zoom and pan -----------------------------------------------------------------------


def test_outlines_keep_their_width_at_any_zoom(table: Table) -> None:
    """Counts the blue pixels across the left edge of the box."""

    def width() -> int:
        x, y = table.at(0.5, 0.4)
        shot = table.page.screenshot(clip={"x": round(x) - 10, "y": round(y), "width": 20, "height": 1})
        return sum(blue > red + 90 for red, _, blue in _pixels(shot))

    table.show(editable=False)
    table.page.mouse.move(2, 2)
    at_first = width()
    for _ in range(3):
        x, y = table.at(0.5, 0.4)
        table.page.mouse.move(x, y)
        table.page.keyboard.down("Control")
        table.page.mouse.wheel(0, -200)
        table.page.keyboard.up("Control")
        table.rest()
    table.page.mouse.move(2, 2)
    assert table.call("return overlay.view.scale / overlay.view.whole") > 2
    assert 2 <= at_first <= 3
    assert abs(width() - at_first) <= 1


def _pixels(shot: bytes) -> list[tuple[int, int, int]]:
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(shot)).convert("RGB")
    return [image.getpixel((x, 0)) for x in range(image.width)]


def test_the_place_under_the_pointer_stays_when_zooming(table: Table) -> None:
    x, y = table.at(0.6, 0.4)
    table.page.mouse.move(x, y)
    table.page.keyboard.down("Control")
    table.page.mouse.wheel(0, -300)
    table.page.keyboard.up("Control")
    table.rest()
    assert table.at(0.6, 0.4) == pytest.approx((x, y), abs=0.5)


def test_plain_scrolling_is_left_to_the_page(table: Table) -> None:
    before = table.at(0, 0)
    table.page.mouse.move(*table.at(0.6, 0.4))
    table.page.mouse.wheel(0, 200)
    table.rest()
    assert table.at(0, 0)[0] == before[0]


def test_keys_and_buttons_zoom_pan_and_fit(table: Table) -> None:
    scale = "return overlay.view.scale"
    whole = table.call(scale)
    table.focus()
    table.press("+")
    assert table.call(scale) > whole
    table.press("-", "-")
    table.press("0")
    assert table.call(scale) == pytest.approx(whole)
    table.page.get_by_role("button", name="Zoom in").click()
    table.page.get_by_role("button", name="Zoom in").click()
    table.rest()
    before = table.at(0, 0)
    table.focus()
    table.press("Control+ArrowRight")
    assert table.at(0, 0)[0] == pytest.approx(before[0] - 60)
    table.page.get_by_role("button", name="actual pixels").click()
    table.rest()
    assert table.call(scale) == pytest.approx(1)
    table.page.get_by_role("button", name="Fit").click()
    table.rest()
    assert table.call(scale) == pytest.approx(whole)


def test_dragging_empty_ground_or_with_space_moves_the_picture(table: Table) -> None:
    table.call("overlay.zoom(3)")
    table.rest()
    before = table.at(0, 0)
    x, y = table.at(0.45, 0.45)
    table.page.mouse.move(x, y)
    table.page.mouse.down()
    table.page.mouse.move(x - 30, y - 20)
    table.page.mouse.move(x - 50, y - 40)
    table.page.mouse.up()
    table.rest()
    assert table.at(0, 0) == pytest.approx((before[0] - 50, before[1] - 40), abs=1)
    table.focus()
    table.page.keyboard.down(" ")
    table.drag((0.52, 0.4), (0.54, 0.4))  # over a region
    table.page.keyboard.up(" ")
    assert table.pixels("door") == [600, 200, 900, 400]
    assert table.at(0, 0)[0] > before[0] - 50


# --- keys -------------------------------------------------------------------------------


def test_the_keyboard_reaches_every_region(table: Table) -> None:
    table.focus()
    table.press("ArrowRight")
    assert table.lit() == {"ball"}
    table.press("ArrowDown")
    assert table.lit() == {"door"}
    active = table.call(
        "const active = document.activeElement.getAttribute('aria-activedescendant');"
        "return document.getElementById(active).getAttribute('aria-label')"
    )
    assert active == "door, box, Pebble"
    table.press("ArrowLeft", "ArrowLeft")
    assert table.lit() == {"sign"}, "it goes around"
    table.press("Home")
    table.press("Enter")
    expect(table.card()).to_contain_text("x 120–360, y 160–400")
    table.press("Escape")
    expect(table.card()).to_be_hidden()
    assert table.selected() == "ball"
    table.press("Escape")
    assert table.selected() is None
    table.press("Escape")
    assert table.call("return overlay.contains(document.activeElement)") is False


def test_tab_reaches_the_picture_the_tools_and_the_labels(table: Table) -> None:
    reached = []
    for _ in range(14):
        table.page.keyboard.press("Tab")
        reached.append(
            table.page.evaluate(
                "(({ ariaLabel, dataset }) => ariaLabel ?? dataset.label ?? '')(document.activeElement)"
            )
        )
    assert "scene.png, 5 regions" in reached
    assert "Draw a box (B)" in reached
    assert "knob" in reached


def test_arrows_nudge_what_is_selected_by_pixels(table: Table) -> None:
    table.click(0.6, 0.4)
    table.press("ArrowRight", "ArrowDown", "Shift+ArrowLeft")
    assert table.pixels("door") == [591, 201, 891, 401]
    table.press("Alt+ArrowRight", "Alt+Shift+ArrowDown")
    assert table.pixels("door") == [591, 201, 892, 411]


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


# --- strange data -----------------------------------------------------------------------


def test_labels_and_texts_are_only_ever_text(table: Table) -> None:
    evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    given = [
        region(evil, evil, box=[0.1, 0.1, 0.4, 0.4], text=evil, maker=evil),
        region("b", "ok", box=[0.5, 0.5, 0.6, 0.6]) | {"colour": "red;background:url(x)", "ink": "<b>"},
    ]
    table.show(given, editable=True)
    table.click(0.2, 0.2)
    table.press("Escape")
    table.show(given)
    table.click(0.2, 0.2)
    expect(table.card()).to_contain_text("onerror")
    assert table.page.evaluate("window.hacked") is None
    assert table.page.locator("vlm-overlay img").count() == 1
    assert table.page.locator("vlm-overlay script").count() == 0


def test_shapes_that_are_none_are_left_out(table: Table) -> None:
    strange = [
        region("a", "a", box=[0, 0, 1]),
        region("b", "b", point=["x", 2]),
        region("c", "c", polygon=[[0, 0], [1, 1]]),
        region("d", "d", mask={"box": [0, 0, 1, 1], "size": [2, 2], "runs": [9]}),
        region("e", "e", mask={"box": [0, 0, 1, 1], "size": [99999, 99999], "runs": [99999 * 99999]}),
        region("f", "f", box=[0.2, 0.2, 0.3, 0.3]),
    ]
    table.show(strange)
    assert table.region_keys() == ["d", "e", "f"]
    table.click(0.25, 0.25)
    expect(table.card()).to_contain_text("f")


def test_data_may_come_as_an_attribute(table: Table) -> None:
    given = as_script(data(regions(), SIZE))
    table.page.evaluate(
        "text => { const main = document.querySelector('main');"
        " main.innerHTML = '<vlm-overlay></vlm-overlay>'; main.firstChild.dataset.json = text }",
        given,
    )
    assert table.page.locator(".ov-region").count() == 5
    expect(table.page.locator(".ov-legend")).to_be_hidden()


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


# --- speed ------------------------------------------------------------------------------


def test_many_regions_on_a_large_picture_are_fast(browser: Browser) -> None:
    side = OVERLAY_SIDE
    with served(page_html(), {"scene.png": scene(side, side)}) as url:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        seconds = paint_time(page, data(crowd(OVERLAY_REGIONS, "mixed"), (side, side)))
        hovers = hover_times(page, 20)
        page.close()
    assert seconds < OVERLAY_PAINT / 1000
    assert sorted(hovers)[len(hovers) // 2] < OVERLAY_HOVER / 1000

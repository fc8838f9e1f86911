"""A person looks at regions on a picture, and changes them: mouse, keys and fingers in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.overlay import crowd, hover_times, paint_time
from tests.browser.overlay_hand import SIZE, Table, regions
from tests.browser.overlay_page import as_script, data, page_html, region, scene, served
from tests.browser.overlay_table import address, table
from tests.sizes import OVERLAY_HOVER, OVERLAY_PAINT, OVERLAY_REGIONS, OVERLAY_SIDE

__all__ = ["address", "table"]


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


# --- speed ------------------------------------------------------------------------------


def test_many_regions_on_a_large_picture_are_fast(browser: Browser) -> None:
    side = OVERLAY_SIDE
    with served(page_html(), {"scene.png": scene(side, side)}) as url:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        drawn = data(crowd(OVERLAY_REGIONS, "mixed"), (side, side))
        seconds = min(paint_time(page, drawn) for _ in range(2))
        hovers = hover_times(page, 20)
        page.close()
    assert seconds < OVERLAY_PAINT / 1000
    assert sorted(hovers)[len(hovers) // 2] < OVERLAY_HOVER / 1000

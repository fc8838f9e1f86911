"""Who is quicker than the page: picks, types and sends while it still hears of what was done before."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.bench_desk import Desk
from tests.browser.drawn import picture
from tests.browser.visitor import Visitor

__all__ = ["picture"]


def test_one_model_after_another_is_picked_and_nothing_is_complained_of(visitor: Visitor) -> None:
    for first, second in (("Florence-2 base", "SmolVLM2 500M"), ("Pebble", "Florence-2 base")) * 2:
        visitor.choose_model(first)
        visitor.choose_model(second)
    expect(visitor.page.locator("#task label").first).to_have_text("Caption")
    expect(visitor.page.locator("#model input")).to_have_value("Florence-2 base")
    assert visitor.toasts == []


def test_what_is_sent_to_a_model_that_was_just_picked_is_a_task_of_it(
    visitor: Visitor, picture: Path
) -> None:
    visitor.attach(picture)
    visitor.write("what is there?")
    visitor.choose_model("Florence-2 base")
    visitor.send()
    expect(visitor.answers).to_have_count(1)
    expect(visitor.answers.last).to_contain_text("Florence-2 base")
    assert visitor.toasts == []


def test_what_was_typed_and_picked_before_the_page_had_loaded_stays(visitor: Visitor, picture: Path) -> None:
    page, held, open = visitor.page, list[Route](), list[bool]()
    page.route("**/queue/join*", lambda route: route.continue_() if open else held.append(route))
    page.reload()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("System prompt").fill("Answer like a pirate.")
    page.get_by_role("button", name="Settings").click()
    visitor.choose_task("Detect")
    open.append(True)
    assert held and page.locator(".welcome").count() == 0
    for route in held:
        route.continue_()
    expect(page.locator(".welcome")).to_be_visible()
    visitor.ask("everything", picture)
    expect(page.get_by_label("System prompt")).to_have_value("Answer like a pirate.")
    expect(page.locator("#task input:checked")).to_have_value("detect")


def test_a_file_that_is_quicker_than_the_list_of_the_last_ones_keeps_its_name(
    visitor: Visitor, picture: Path
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        recent = '"act":"recent"' in (route.request.post_data or "")
        held.append(route) if recent else route.continue_()

    visitor.page.route("**/queue/join*", hold)
    with visitor.page.expect_request(lambda request: '"act":"recent"' in (request.post_data or "")):
        desk = Desk(visitor)
    desk.open(picture)
    with visitor.page.expect_response("**/queue/join*"):
        held[0].continue_()
    visitor.page.wait_for_timeout(1000)
    expect(visitor.page.locator("#bench-name strong").first).to_contain_text(picture.name)

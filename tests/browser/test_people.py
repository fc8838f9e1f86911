"""What a page shows of roles: on a laptop nothing, at a public address what is not a visitor's to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor
from vlm_app.people import Role
from vlm_app.store.persons import Persons

PASSWORD = "correct horse"
OTHER = "qwen3-vl-4b"  # neither loaded nor offered


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("public") / "data"
    Persons(data).add("anna", Role.ADMIN, PASSWORD)
    with served(
        data, "-m", "tests.browser.fake_app", "PORT", "0.01", "busy", VLM_APP_EVERYONE="visitor"
    ) as app:
        yield app


def test_a_laptop_shows_nothing_of_people(visitor: Visitor) -> None:
    page = visitor.page
    expect(page.locator("#who .person")).to_have_count(0)
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#loaded [data-act=unload]").first).to_be_visible()
    expect(page.locator("#hub")).to_be_visible()
    expect(page.locator(".not-yours")).to_have_count(0)
    assert page.evaluate("document.documentElement.dataset.not") is None


def test_a_visitor_is_told_what_is_not_theirs_and_an_admin_signs_in(
    public: Server, newcomer: Callable[[str], Visitor]
) -> None:
    page = newcomer(public.url).page
    expect(page.locator("#who")).to_contain_text("You are a visitor here.")
    page.get_by_role("tab", name="Workbench").click()
    expect(page.locator("#bench-empty")).to_contain_text("one PDF of up to 50 pages")
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#models-why .not-yours")).to_be_visible()
    expect(page.locator("#models-why")).to_contain_text("adding models and changing servers are for admins")
    expect(page.locator("#loaded .ready").first).to_be_visible()
    for hidden in ("[data-act=unload]", "[data-act=cancel]", "#hub", "#add-a-server", "#sign-in"):
        expect(page.locator(f"#models {hidden}").first).to_be_hidden()
    for model, offered in (
        ("pebble", True),
        ("rapidocr", True),
        (OTHER, False),
    ):  # the last one is not loaded
        chat = page.locator(f'#models [data-model="{model}"] [data-act=chat-with]')
        expect(chat).to_be_visible() if offered else expect(chat).to_be_hidden()
    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_role("tab", name="Runs").click()
    expect(page.locator("#runs-why .not-yours")).to_be_visible()
    expect(page.locator("#runs-why")).to_contain_text("Training and merging an adapter are for admins here")
    expect(page.locator("[data-run=new]")).to_be_hidden()

    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill("a wrong one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#who")).to_contain_text("anna, admin")
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#loaded [data-act=unload]").first).to_be_visible()
    expect(page.locator(".not-yours")).to_have_count(0)
    page.get_by_role("tab", name="Chat").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#who")).to_contain_text("You are a visitor here.")

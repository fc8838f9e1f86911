"""Talking on the page, with an engine that answers by script; who need not be new shares a tab."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Server, served
from tests.browser.drawn import draw, picture
from tests.browser.visitor import Visitor

__all__ = ["picture"]


def test_first_screen_explains_itself_and_an_example_runs_on_a_click(visitor: Visitor) -> None:
    expect(visitor.page.locator("h1")).to_have_text("Ask about an image, and see what the answer refers to.")
    expect(visitor.page.locator(".card")).to_have_count(3)
    expect(visitor.page.locator(".who")).to_contain_text("Pebble")
    visitor.page.locator(".card").first.click()
    expect(visitor.answers).to_have_count(1)
    expect(visitor.page.locator(".overlay img")).to_be_visible()
    assert len(visitor.boxes(visitor.answers.last)) == 2
    assert visitor.errors == []
    assert visitor.elsewhere == []


def test_answer_grows_word_by_word_and_colours_its_phrases(regular: Visitor, picture: Path) -> None:
    answer = regular.ask("what is there?", picture)
    expect(answer.locator(".prose-text")).to_have_text(
        "There is a red circle left of a blue square, one star and a triangle."
    )
    assert answer.locator(".phrase").all_inner_texts() == ["red circle", "blue square", "star", "triangle"]
    colours = answer.locator(".phrase").evaluate_all(
        "all => all.map(each => each.style.getPropertyValue('--c'))"
    )
    drawn = answer.locator("g.region").evaluate_all(
        "all => all.map(each => each.style.getPropertyValue('--c'))"
    )
    assert colours == drawn
    assert len(set(colours)) == 4


def test_pointing_at_a_phrase_lights_its_region_and_back(regular: Visitor, picture: Path) -> None:
    answer = regular.ask("what is there?", picture)
    regular.point_at(answer.locator(".phrase").nth(1), answer.locator("g.region.lit"))
    expect(answer.locator("g.region.lit")).to_have_attribute("aria-label", "blue square")
    regular.point_at(answer.locator("g.region").nth(3), answer.locator(".phrase.lit"))
    expect(answer.locator(".phrase.lit")).to_have_text("triangle")


def test_regions_are_drawn_on_the_picture_they_belong_to(regular: Visitor, tmp_path: Path) -> None:
    answer = regular.ask(
        "what is there?", draw(tmp_path / "one.png", "red"), draw(tmp_path / "two.png", "blue")
    )
    second = regular.questions.last.locator(".thumbnail").nth(1).get_attribute("href")
    assert answer.locator(".overlay img").get_attribute("src") == second
    expect(answer.locator("figcaption")).to_contain_text("Image 2")
    for name in ("original", "picture with regions"):
        link = answer.get_by_role("link", name=name).get_attribute("href")
        response = regular.page.request.get(f"{regular.url}{link}", max_retries=3)
        assert response.ok
        assert response.headers["content-type"] == "image/png"


def test_text_and_pictures_keep_the_order_in_which_they_were_put(regular: Visitor, tmp_path: Path) -> None:
    files = draw(tmp_path / "one.png", "red"), draw(tmp_path / "two.png", "blue")
    regular.ask("[image 1] is red. And this: [image 2] which colour?", *files)
    order = regular.questions.last.locator(".parts > *").evaluate_all(
        "all => all.map(each => each.className)"
    )
    assert order == ["thumbnails", "said", "thumbnails", "said"]


def test_stop_keeps_what_was_said_and_the_chat_goes_on(regular: Visitor) -> None:
    regular.write("answer slowly")
    regular.send()
    expect(regular.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
    regular.page.click("#message .stop-button")
    expect(regular.answers.last).to_contain_text("Stopped.")
    expect(regular.answers.last.locator(".prose-text")).to_contain_text("I count slowly")
    expect(regular.ask("hello").locator(".prose-text")).to_have_text("You said: hello")


def test_a_message_written_while_an_answer_grows_is_not_lost(regular: Visitor) -> None:
    regular.write("answer slowly")
    regular.send()
    expect(regular.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
    regular.write("my next question")
    regular.page.click("#message .stop-button")
    expect(regular.answers).to_have_count(1)
    expect(regular.page.locator("#message textarea")).to_have_value("my next question")


def test_regenerate_answers_again_in_the_same_place(regular: Visitor) -> None:
    regular.ask("hello")
    first = regular.page.locator(".turn.answer").last.inner_text()
    regular.press("Regenerate", regular.answers.last)
    expect(regular.answers.last.locator(".switcher")).to_contain_text("2/2")
    expect(regular.answers).to_have_count(1)
    assert regular.page.locator(".turn.answer").last.inner_text().split("\n")[0] == first.split("\n")[0]


def test_editing_a_past_message_asks_again_from_there(regular: Visitor, picture: Path) -> None:
    regular.ask("first question", picture)
    regular.ask("second question")
    regular.questions.first.hover()
    regular.press("Edit this message", regular.questions.first)
    regular.questions.first.locator("textarea").fill("better question")
    regular.press("Send", regular.questions.first)
    expect(regular.questions).to_have_count(1)
    expect(regular.answers.last.locator(".prose-text")).to_have_text("You said: better question")
    expect(regular.questions.first.locator(".thumbnail")).to_have_count(1)


def test_cut_answer_says_so_and_continues(regular: Visitor) -> None:
    answer = regular.ask("cut this")
    expect(answer).to_contain_text("Cut at the limit")
    regular.press("Continue", answer)
    expect(regular.answers.last.locator(".prose-text")).to_have_text(
        "This is only the beginning and this is the rest of it."
    )
    expect(regular.answers).to_have_count(1)


def test_thinking_is_folded(regular: Visitor) -> None:
    answer = regular.ask("think about it")
    expect(answer.locator(".prose-text")).to_have_text("It is round.")
    expect(answer.locator(".thinking")).not_to_have_attribute("open", "")
    answer.get_by_text("Thinking", exact=True).click()
    expect(answer.locator(".thinking")).to_contain_text("Circles are round.")


def test_what_the_model_saw_unfolds(regular: Visitor, picture: Path) -> None:
    answer = regular.ask("what is there?", picture)
    answer.locator(".saw summary").click()
    expect(answer.locator(".saw dl")).to_contain_text("256 × 256 pixels, 1 tile, 64 visual tokens")
    expect(answer.locator(".saw dl")).to_contain_text("0–255 of the image, x first")


def test_votes_are_kept(regular: Visitor) -> None:
    answer = regular.ask("hello")
    regular.press("Good answer", answer)
    good = regular.answers.last.get_by_role("button", name="Good answer")
    expect(good).to_have_attribute("aria-pressed", "true")
    regular.page.reload()
    expect(good).to_have_attribute("aria-pressed", "true")


def test_reload_shows_the_chat_again(visitor: Visitor, picture: Path) -> None:
    visitor.ask("what is there?", picture)
    visitor.page.reload()
    expect(visitor.answers).to_have_count(1)
    expect(visitor.answers.last.locator("g.region")).to_have_count(4)
    expect(visitor.chats).to_have_count(1)


def test_saved_chats_are_found_renamed_and_deleted(visitor: Visitor) -> None:
    visitor.ask("about apples")
    visitor.press("New chat")
    expect(visitor.page.locator(".welcome")).to_be_visible()
    visitor.ask("about pears")
    expect(visitor.chats).to_have_count(2)
    visitor.page.fill("#search input, #search textarea", "apples")
    expect(visitor.chats).to_have_count(1)
    visitor.chats.first.get_by_role("link").click()
    expect(visitor.questions).to_have_text(["about apples"])
    visitor.page.fill("#search input, #search textarea", "")
    expect(visitor.chats).to_have_count(2)
    row = visitor.page.locator("#chat-list .chat").filter(has_text="apples")
    row.hover()
    row.get_by_role("button", name="Rename").click()
    visitor.page.fill(".rename", "Fruit")
    visitor.page.press(".rename", "Enter")
    row = visitor.page.locator("#chat-list .chat").filter(has_text="Fruit")
    row.hover()
    row.get_by_role("button", name="Delete").first.click()
    row.locator(".confirm").get_by_role("button", name="Delete").click()
    expect(visitor.chats).to_have_count(1)
    expect(visitor.page.locator(".welcome")).to_be_visible()


def test_half_typed_name_stays_while_the_list_of_chats_is_drawn_again(visitor: Visitor) -> None:
    for words in ("about apples", "about pears"):
        visitor.press("New chat")
        expect(visitor.page.locator(".welcome")).to_be_visible()
        visitor.ask(words)
    apples = visitor.page.locator("#chat-list .chat").filter(has_text="apples")
    apples.hover()
    apples.get_by_role("button", name="Rename").click()
    field = visitor.page.locator(".rename")
    field.fill("Fru")
    visitor.page.evaluate(  # something else that changes the list, and leaves the focus where it is
        """() => {
            const chat = document.querySelector("#chat-list .chat:not(.renaming)").dataset.chat;
            window.vlmBridge.quick({ act: "rename", chat, title: "Vegetables" });
        }"""
    )
    expect(visitor.page.locator("#chat-list")).to_contain_text("Vegetables")
    expect(field).to_be_focused()
    expect(field).to_have_value("Fru")
    visitor.page.keyboard.type("it")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#chat-list")).to_contain_text("Fruit")
    fruit = visitor.page.locator("#chat-list .chat").filter(has_text="Fruit")
    fruit.hover()
    fruit.get_by_role("button", name="Rename").click()
    field.fill("Nuts")
    field.press("Escape")
    fruit.hover()
    fruit.get_by_role("button", name="Delete").first.click()
    fruit.locator(".confirm").get_by_role("button", name="Delete").click()
    expect(visitor.chats).to_have_count(1)
    assert visitor.errors == []


def test_press_that_comes_before_the_answer_to_another_is_not_lost(visitor: Visitor) -> None:
    for words in ("about apples", "about pears"):
        visitor.press("New chat")
        expect(visitor.page.locator(".welcome")).to_be_visible()
        visitor.ask(words)
    expect(visitor.chats).to_have_count(2)
    visitor.page.evaluate(
        """() => {
            const all = [...document.querySelectorAll("#chat-list [data-act=delete]")];
            for (const each of [...all, ...all]) each.click();
        }"""
    )
    expect(visitor.chats).to_have_count(0)
    expect(visitor.sentence).to_have_count(0)


def test_exported_chat_comes_back(visitor: Visitor, picture: Path, tmp_path: Path) -> None:
    visitor.ask("what is there?", picture)
    saved = {}
    for name in ("JSON, with images", "Markdown"):
        visitor.page.locator("#export summary").click()
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("link", name=name).click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    assert "red circle" in saved["Markdown"].read_text()
    assert json.loads(saved["JSON, with images"].read_text())["format"] == "vlm-app chat"
    visitor.press("New chat")
    visitor.page.set_input_files("#chats input[type=file]", str(saved["JSON, with images"]))
    expect(visitor.answers.last.locator("g.region")).to_have_count(4)
    expect(visitor.chats).to_have_count(2)


def test_settings_belong_to_the_chat(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Settings").click()
    visitor.page.get_by_label("System prompt").fill("Answer like a pirate.")
    visitor.page.get_by_role("button", name="Settings").click()
    visitor.ask("hello")
    visitor.press("New chat")
    expect(visitor.page.get_by_label("System prompt")).to_have_value("")
    visitor.chats.first.get_by_role("link").click()
    expect(visitor.page.get_by_label("System prompt")).to_have_value("Answer like a pirate.")


def test_only_tasks_that_the_model_can_do_are_offered(visitor: Visitor) -> None:
    labels = visitor.page.locator("#task label")
    expect(labels).to_have_count(8)
    visitor.choose_model("SmolVLM2 500M")
    expect(labels).to_have_text(["Chat", "Caption", "Read text"])
    expect(visitor.page.locator(".who")).to_contain_text("SmolVLM2 500M")


def test_failed_answer_says_what_to_do_and_the_chat_goes_on(regular: Visitor) -> None:
    answer = regular.ask("please fail")
    expect(answer.locator(".failed")).to_have_text("The model ran out of memory: ask with a smaller image.")
    answer = regular.ask("a bug please")
    expect(answer.locator(".failed")).to_contain_text("logged as")
    expect(regular.ask("hello").locator(".prose-text")).to_have_text("You said: hello")


def test_two_tabs_do_not_disturb_each_other(
    quick: Server, visitor: Visitor, context: BrowserContext, picture: Path
) -> None:
    other = Visitor.come(context, quick.url)
    visitor.write("answer slowly")
    visitor.send()
    expect(visitor.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
    other.ask("hello from the other tab")
    expect(other.questions).to_have_text(["hello from the other tab"])
    visitor.page.click("#message .stop-button")
    expect(visitor.questions).to_have_text(["answer slowly"])
    expect(visitor.answers).to_have_count(1)


def test_chats_survive_a_killed_server_and_the_question_it_left_is_asked_again(
    tmp_path: Path, context: BrowserContext
) -> None:
    command = ("-m", "tests.browser.fake_app", "PORT")
    with served(tmp_path / "data", *command, "0.1") as server:
        visitor = Visitor.come(context, server.url)
        visitor.ask("remember this")
        visitor.press("New chat")
        expect(visitor.page.locator(".welcome")).to_be_visible()
        visitor.write("answer slowly")
        visitor.send()
        expect(visitor.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
        expect(visitor.page.get_by_role("button", name="Ask again")).to_have_count(0)
        server.process.kill()
        server.process.wait()
        visitor.page.close()
    with served(tmp_path / "data", *command, "0.0") as server:
        visitor = Visitor.come(context, server.url)  # a cookie counts for the host, whatever its port
        expect(visitor.chats.get_by_role("link")).to_have_text(["answer slowly", "remember this"])
        visitor.chats.first.get_by_role("link").click()
        visitor.page.get_by_role("button", name="Ask again").click()
        expect(visitor.answers).to_have_count(1)
        expect(visitor.answers.last).to_contain_text("I count slowly: 1 2 3")
        expect(visitor.questions).to_have_text(["answer slowly"])
        expect(visitor.page.get_by_role("button", name="Ask again", exact=True)).to_have_count(0)
        assert server.process.poll() is None
    assert server.process.returncode == 0


HOLD_A_PICTURE = """name => {
    const bytes = Uint8Array.from(atob(name.data), letter => letter.charCodeAt(0));
    const held = new DataTransfer();
    held.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
    return held;
}"""


def test_picture_dropped_anywhere_or_pasted_is_added(regular: Visitor, picture: Path) -> None:
    data = {"data": base64.b64encode(picture.read_bytes()).decode()}
    held = regular.page.evaluate_handle(HOLD_A_PICTURE, data)
    regular.page.dispatch_event("#thread", "drop", {"dataTransfer": held})
    expect(regular.page.locator("#message .thumbnail-item")).to_have_count(1)
    paste = "held => new ClipboardEvent('paste', {clipboardData: held, bubbles: true, cancelable: true})"
    regular.page.evaluate(
        f"held => document.querySelector('#message textarea').dispatchEvent(({paste})(held))", held
    )
    expect(regular.page.locator("#message .thumbnail-item")).to_have_count(2)


def test_answer_is_copied_as_it_reads(visitor: Visitor, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer = visitor.ask("think about it")
    visitor.press("Copy", answer)
    visitor.page.wait_for_function("async () => await navigator.clipboard.readText() === 'It is round.'")

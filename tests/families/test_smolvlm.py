"""Reading SmolVLM's answers, and what is said of how it sees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.tiny import TILE, picture, tiled_processor
from vlm_app import families
from vlm_app.types import Role, Task, Turn

SMOLVLM = families.get("smolvlm")
PIECES = st.sampled_from(
    ["<end_of_utterance>", "<image>", "<", "<row_1_", "col_2>", " ", "\n", "a", "<|im", "_end|>"]
)


def parse(text: str) -> str:
    parsed = SMOLVLM.parse(text, image_size=(300, 200))
    assert parsed.regions == ()
    return parsed.text


def test_nothing_but_control_tokens_is_taken_from_an_answer() -> None:
    assert (
        parse(" A <b>red</b> circle\n\nat [1, 2].<end_of_utterance>\n") == "A <b>red</b> circle\n\nat [1, 2]."
    )
    assert parse("It is <end_of") == "It is"


@given(st.lists(PIECES | st.text(max_size=4), max_size=20).map("".join), st.data())
def test_the_text_only_grows(raw: str, data: st.DataObject) -> None:
    assert parse(raw).startswith(parse(raw[: data.draw(st.integers(0, len(raw)))]))


def test_large_images_are_seen_in_tiles_and_a_budget_makes_fewer() -> None:
    asked = [Turn(Role.USER, (picture(size=(400, 200)), "What is it?"))]
    processor = tiled_processor()
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    for pixels, tiles, size in [
        (None, 9, (4 * TILE, 2 * TILE)),
        (4 * TILE * TILE, 3, (2 * TILE, TILE)),
        (1, 1, (TILE, TILE)),
    ]:
        inputs, seen = SMOLVLM.encode(processor, asked, task=Task.CHAT, pixels=pixels)
        assert (seen.tiles, seen.size) == (tiles, size)
        assert inputs["pixel_values"].shape[1] == tiles
        assert seen.visual_tokens == int((inputs["input_ids"] == image).sum()) == 4 * tiles


def test_it_chats_without_an_image() -> None:
    inputs, seen = SMOLVLM.encode(tiled_processor(), [Turn(Role.USER, ("Hello!",))], task=Task.CHAT)
    assert "pixel_values" not in inputs and seen.visual_tokens == 0

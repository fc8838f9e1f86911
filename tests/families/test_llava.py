"""LLaVA: boxes on the padded square, which no other family has; and Hermes, which speaks ChatML."""

from __future__ import annotations

import pytest

from tests.families import checkpoints
from tests.families.asking import WIDE, processor, prompt, user
from vlm_app import families
from vlm_app.types import Picture


def test_hermes_34b_is_asked_and_taught_in_chatml() -> None:
    # The card of llava-hf/llava-v1.6-34b-hf: "<|im_start|>user\n<image>\n…<|im_end|><|im_start|>assistant\n".
    from transformers import LlavaNextProcessor

    words = checkpoints.tokenizer(["<image>", "<|im_start|>", "<|im_end|>"])
    chatml = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
        "{{ '<image>\n' if part['type'] == 'image' else part['text'] }}{% endfor %}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    hermes = LlavaNextProcessor(
        processor("llava_next").image_processor, words, 14, "default", chatml, num_additional_image_tokens=1
    )
    question = [user(checkpoints.picture(), "What is it?")]
    asked = "<|im_start|>user\n<image>\nWhat is it?<|im_end|><|im_start|>assistant\n"
    assert prompt("llava_next", question, hermes) == asked
    assert prompt("llava_next", question, hermes, answer="A cat.<|im_end|>") == f"{asked}A cat.<|im_end|>"
    assert families.get("llava_next").parse("A cat.<|im_end|>\nX", image_size=WIDE).text == "A cat."


def test_llava_sees_the_whole_image_on_a_square_of_its_mean_colour() -> None:
    from vlm_app.families.llava import padded

    image: Picture = checkpoints.picture("red", WIDE)
    square = padded(image.pixels, (0.5, 0.25, 0.0))
    assert square.size == (300, 300)
    assert [square.getpixel((150, y)) for y in (49, 50, 249, 250)] == [
        (127, 63, 0),
        (255, 0, 0),
        (255, 0, 0),
        (127, 63, 0),
    ]


@pytest.mark.parametrize(
    ("raw", "size", "boxes"),
    [
        # One reported answer, on a square; a wide image lies between y = 1/6 and 5/6 of its square.
        ("[0.61, 0.36, 0.92, 0.83]", (300, 300), [(0.61, 0.36, 0.92, 0.83)]),
        ("The dog is at [0.61,0.5,0.92,0.75].", (300, 200), [(0.61, 0.5, 0.92, 0.875)]),
        ("[0.92, 0.83, 0.61, 0.36]", (300, 300), [(0.61, 0.36, 0.92, 0.83)]),  # swapped
        ("[0.1, 0.0, 0.2, 0.1]", (300, 200), []),  # on the padding
        ("[.1, .2, .3, .4] and [0, 0.5, 1, 1.0]", (9, 9), [(0.1, 0.2, 0.3, 0.4), (0, 0.5, 1, 1)]),
        ("[1, 0, 1, 1] [0.5, 0.5, 2, 3] [0.1, 0.2, 0.3]", (9, 9), []),
        ("[0.61, 0.36, 0.9", (9, 9), []),
    ],
)
def test_llava_s_boxes_lie_on_the_padded_square(
    raw: str, size: tuple[int, int], boxes: list[tuple[float, ...]]
) -> None:
    parsed = families.get("llava").parse(raw, image_size=size)
    assert [region.shape.xyxy for region in parsed.regions] == [pytest.approx(box) for box in boxes]
    assert parsed.text == (raw if raw.count("[") == raw.count("]") else "")  # a sentence keeps its words


def test_no_box_is_drawn_where_nobody_knows_the_square() -> None:
    # Through a server the image is not padded here: vLLM's processor cuts the middle out, llama.cpp pads.
    family, raw = families.get("llava"), "[0.61, 0.5, 0.92, 0.75]"
    assert len(family.parse(raw, image_size=WIDE, input_size=(336, 336)).regions) == 1
    assert len(family.parse(raw, image_size=(300, 300), input_size=(300, 300)).regions) == 1
    sent = family.parse(raw, image_size=WIDE, input_size=WIDE)
    assert (sent.text, sent.regions) == (raw, ())

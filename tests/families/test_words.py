"""Families that answer in words: what they are asked, what they see, what is left of an answer."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.types import Picture, Role, Seen, Task, Turn

WIDE, TALL = (300, 200), (120, 260)
NATIVE = (
    "blip2 gemma3 got_ocr2 idefics idefics2 idefics3 instructblip lfm2_vl llava llava_next llava_onevision "
    "mllama pixtral"
).split()
IMAGE = r"(<image>|<image_soft_token>|\[IMG\]|<imgpad>)"


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def user(*parts: Any) -> Turn:
    return Turn(Role.USER, parts)


def talk() -> list[Turn]:
    system, answer = Turn(Role.SYSTEM, ("Be brief.",)), Turn(Role.ASSISTANT, ("A cat.",))
    return [system, user(checkpoints.picture(size=WIDE), "What is it?"), answer, user("Sure?")]


def encode(name: str, turns: list[Turn], made: Any = None, **more: Any) -> tuple[dict[str, Any], Seen]:
    family = families.get(name)
    task = Task.CHAT if Task.CHAT in family.tasks else Task.OCR
    return family.encode(made or processor(name), turns, task=task, **more)


def prompt(name: str, turns: list[Turn], made: Any = None, **more: Any) -> str:
    """The prompt that the model reads, the many tokens of an image as one."""
    inputs, _ = encode(name, turns, made, **more)
    text = (made or processor(name)).tokenizer.decode(inputs["input_ids"][0])
    return re.sub(rf"{IMAGE}\1+", r"\1", text)


# --- prompts ------------------------------------------------------------------------------

# Written out from the sources that the templates name, with tokens that the tokenizer puts first.
PROMPTS = {
    "llava": "<s>Be brief. USER: <image>\nWhat is it? ASSISTANT: A cat. USER: Sure? ASSISTANT:",
    "llava_next": (
        "<s><<SYS>>\nBe brief.\n<</SYS>>\n\n[INST] <image>\nWhat is it? [/INST] A cat.</s> "
        "[INST] Sure? [/INST]"
    ),
    "llava_onevision": (
        "<|im_start|>system \nBe brief.<|im_end|><|im_start|>user <image>\nWhat is it?<|im_end|>"
        "<|im_start|>assistant \nA cat.<|im_end|><|im_start|>user \nSure?<|im_end|><|im_start|>assistant\n"
    ),
    "gemma3": (
        "<bos><start_of_turn>user\nBe brief.\n\n\n\n<start_of_image><image_soft_token><end_of_image>\n\n"
        "What is it?<end_of_turn>\n<start_of_turn>model\nA cat.<end_of_turn>\n"
        "<start_of_turn>user\nSure?<end_of_turn>\n<start_of_turn>model\n"
    ),
    # Llama 3.2 takes no system prompt beside images: it goes before the question.
    "mllama": (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<|image|>Be brief.\n"
        "What is it?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA cat.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "idefics2": (
        "<s>System: Be brief.<end_of_utterance>\nUser:<fake_token_around_image><image>"
        "<fake_token_around_image> What is it?<end_of_utterance>\nAssistant: A cat.<end_of_utterance>\n"
        "User: Sure?<end_of_utterance>\nAssistant:"
    ),
    "blip2": "<image><s>Question: What is it? Answer: A cat. Question: Sure? Answer:",
    "instructblip": "<image><s>Dialog history: What is it? A cat.\nQuestion: Sure? Short answer:",
    "idefics": (
        "<s>Instruction: Provide an answer to the question. Use the image to answer.\n"
        "<fake_token_around_image><image><fake_token_around_image>Question: What is it? Answer: A cat.\n"
        "Question: Sure? Answer:"
    ),
    "got_ocr2": (
        "<|im_start|>system\nYou should follow the instructions carefully and explain your answers in detail."
        "<|im_end|><|im_start|>user\n<img><imgpad></img>\nOCR: <|im_end|><|im_start|>assistant\n"
    ),
    "lfm2_vl": (
        "<|startoftext|><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<|image_start|>"
        "<|img_row_1_col_1|><image><|img_row_1_col_2|><image><|img_row_2_col_1|><image>"
        "<|img_row_2_col_2|><image><|img_thumbnail|><image><|image_end|>What is it?<|im_end|>\n"
        "<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    ),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_prompt_is_the_source_s(name: str) -> None:
    assert prompt(name, talk()) == PROMPTS[name]


def test_pixtral_writes_rows_of_patches_and_the_system_prompt_before_the_last_question() -> None:
    row = "[IMG]" * 8
    text = processor("pixtral").tokenizer.decode(encode("pixtral", talk())[0]["input_ids"][0])
    image = "[IMG_BREAK]".join([row] * 6) + "[IMG_END]"
    assert text == f"<s>[INST]{image}What is it?[/INST]A cat.</s>[INST]Be brief.\n\nSure?[/INST]"


def test_idefics3_writes_its_tiles_row_by_row() -> None:
    fake = "<fake_token_around_image>"
    rows = "".join(
        "".join(f"{fake}<row_{row}_col_{column}><image>" for column in (1, 2)) + "\n" for row in (1, 2)
    )
    assert prompt("idefics3", talk()) == (
        f"<|begin_of_text|>System: Be brief.<end_of_utterance>\nUser:{rows}\n{fake}<global-img><image>{fake}"
        "What is it?<end_of_utterance>\nAssistant: A cat.<end_of_utterance>\nUser: Sure?<end_of_utterance>\n"
        "Assistant:"
    )


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


def test_a_base_model_goes_on_with_what_it_is_given() -> None:
    picture = checkpoints.picture()
    assert prompt("blip2", [user(picture, "a photo of")]) == "<image><s>a photo of"
    assert families.get("blip2").ask(Task.CAPTION) == "a photo of"
    fake = "<fake_token_around_image>"
    assert prompt("idefics", [user(picture, "This is")]) == f"<s>{fake}<image>{fake}This is"
    assert families.get("idefics").ask(Task.CAPTION) == "This is an image of "


def test_a_checkpoint_without_a_template_gets_the_bare_text() -> None:
    base = type(processor("idefics2"))(
        processor("idefics2").image_processor, processor("idefics2").tokenizer, image_seq_len=4
    )
    fake = "<fake_token_around_image>"
    turns = [user(checkpoints.picture(), "In this image, we see")]
    assert prompt("idefics2", turns, base) == f"<s>{fake}<image>{fake} In this image, we see"
    assert prompt("idefics2", turns, base, answer="a cat").endswith("we see a cat<end_of_utterance>")


def test_instructed_idefics_is_asked_in_the_form_of_its_card() -> None:
    from transformers import IdeficsProcessor

    words = checkpoints.tokenizer(["<fake_token_around_image>", "<image>", "<end_of_utterance>"])
    instructed = IdeficsProcessor(processor("idefics").image_processor, words, image_size=28)
    fake = "<fake_token_around_image>"
    turns = [user(checkpoints.picture(), "What is it?")]
    asked = f"<s>User:{fake}<image>{fake}What is it?<end_of_utterance>\nAssistant:"
    assert prompt("idefics", turns, instructed) == asked
    assert prompt("idefics", turns, instructed, answer="A cat.") == f"{asked} A cat.<end_of_utterance>"
    assert prompt("idefics", turns, answer="A cat.").endswith("Answer: A cat.</s>")


def test_several_pages_are_read_as_one_document() -> None:
    pages = [checkpoints.picture(size=size) for size in (WIDE, TALL)]
    inputs, seen = encode("got_ocr2", [user(*pages, "OCR: ")])
    assert inputs["pixel_values"].shape[0] == 2
    assert seen.visual_tokens == 256
    assert prompt("got_ocr2", [user(*pages, "OCR: ")]).endswith(
        "<img><imgpad></img>\nOCR with format across multi pages: <|im_end|><|im_start|>assistant\n"
    )


# --- answers to learn and to continue -----------------------------------------------------


@pytest.mark.parametrize("name", NATIVE)
def test_labels_are_the_answer_and_its_end(name: str) -> None:
    asked, _ = encode(name, talk())
    taught, _ = encode(name, talk(), answer=f"A red dog.{families.get(name).end}")
    length = asked["input_ids"].shape[1]
    labels = taught["labels"][0].tolist()
    assert labels[:length] == [-100] * length
    assert labels[length:] == taught["input_ids"][0].tolist()[length:]
    end = "</s>" if name == "idefics" else families.get(name).end
    assert processor(name).tokenizer.decode(labels[length:]).lstrip() == f"A red dog.{end}"


@pytest.mark.parametrize("name", NATIVE)
def test_an_unfinished_answer_is_left_open(name: str) -> None:
    begun = [*talk(), Turn(Role.ASSISTANT, ("It is a ",))]
    assert prompt(name, begun).removeprefix(prompt(name, talk())).lstrip() == "It is a "


@pytest.mark.parametrize("name", ["mllama", "idefics"])
def test_new_tokens_look_at_the_images_as_the_last_one_did(name: str) -> None:
    inputs, _ = encode(name, talk(), answer="A dog.")
    looks = inputs["cross_attention_mask" if name == "mllama" else "image_attention_mask"]
    assert looks.shape[1] == inputs["input_ids"].shape[1]
    assert bool((looks[0, -1] == looks[0, -8]).all()) and bool(looks[0, -1].any())


# --- what the model saw -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("llava", WIDE, Seen((56, 56), 1, 16)),
        ("llava_next", WIDE, Seen((112, 75), 5, 70)),
        ("llava_onevision", WIDE, Seen((112, 75), 5, 70)),
        ("llava_onevision", TALL, Seen((56, 121), 4, 56)),
        ("gemma3", WIDE, Seen((56, 56), 1, 4)),
        ("pixtral", WIDE, Seen((128, 96), 1, 48)),
        ("mllama", (300, 100), Seen((168, 56), 3, 51)),
        ("mllama", (56, 56), Seen((56, 56), 1, 17)),
        ("idefics2", WIDE, Seen((98, 65), 1, 4)),
        ("idefics3", (300, 100), Seen((128, 64), 3, 12)),
        ("lfm2_vl", WIDE, Seen((128, 128), 5, 18)),
        ("lfm2_vl", (64, 64), Seen((64, 64), 1, 4)),
        ("blip2", WIDE, Seen((56, 56), 1, 4)),
        ("got_ocr2", WIDE, Seen((256, 256), 1, 256)),
    ],
)
def test_what_was_seen_is_said(name: str, size: tuple[int, int], expected: Seen) -> None:
    _, seen = encode(name, [user(checkpoints.picture(size=size), "What?")])
    assert (seen.size, seen.tiles, seen.visual_tokens) == (
        expected.size,
        expected.tiles,
        expected.visual_tokens,
    )


@pytest.mark.parametrize("name", sorted({*NATIVE} - {"blip2", "instructblip", "idefics", "mllama"}))
def test_the_tokens_of_all_images_are_those_in_the_prompt(name: str) -> None:
    pictures = [checkpoints.picture(size=size) for size in (WIDE, TALL)]
    tokens = 0
    for count in (1, 2):
        inputs, seen = encode(name, [user(*pictures[:count], "What?")])
        made = processor(name)
        token = made.tokenizer.image_token_id if name == "gemma3" else made.image_token_id
        before, tokens = tokens, int((inputs["input_ids"] == token).sum())
        one_each = name == "llava_onevision" and count == 2  # several images: no tiles for any of them
        assert seen.visual_tokens == (tokens // 2 if one_each else tokens - before)


def test_a_budget_makes_pixtral_see_less() -> None:
    asked = [user(checkpoints.picture(size=WIDE), "What?")]
    for pixels, size in [(None, (128, 96)), (64 * 64, (64, 48)), (1, (16, 16))]:
        inputs, seen = encode("pixtral", asked, pixels=pixels)
        assert seen.size == size
        assert inputs["image_sizes"][0].tolist() == [size[1], size[0]]


# --- reading ------------------------------------------------------------------------------

ANSWERS = [
    # Expected texts of transformers' own tests and conversion scripts, as generated.
    (
        "llava_next",
        " The image appears to be a radar chart, which is</s>",
        "The image appears to be a radar chart, which is",
    ),
    ("blip2", " two cats laying on a couch\n</s>", "two cats laying on a couch"),
    ("gemma3", "A red circle.<end_of_turn>\n<start_of_turn>user", "A red circle."),
    ("mllama", "It is <b>red</b>.<|eot_id|>", "It is <b>red</b>."),
    ("idefics3", " Un chat.<end_of_utterance>\nUser:", "Un chat."),
    ("idefics", " a dog.</s> and more", "a dog. and more"),
    ("pixtral", "a [INST]b[/INST] [1, 2]</s>", "a b [1, 2]"),
    ("yi_vl", " Two cats. 两只猫。\n### Human: And?", "Two cats. 两只猫。"),
    ("otter", " a dog<|endofchunk|>User:", "a dog"),
    ("nvlm", "<think>[1, 2, 3, 4]</think> Yes.<|im_end|>", "<think>[1, 2, 3, 4]</think> Yes."),
    ("claude", "  A cat [0.1, 0.2].\n", "A cat [0.1, 0.2]."),
    ("openai", "", ""),
    ("lfm2_vl", "A cat<|im_e", "A cat"),
    ("got_ocr2", "\\title{R&D} <0.5>\n<|im_end|>", "\\title{R&D} <0.5>"),
]


@pytest.mark.parametrize(("name", "raw", "text"), ANSWERS)
def test_only_control_tokens_are_taken_from_an_answer(name: str, raw: str, text: str) -> None:
    parsed = families.get(name).parse(raw, image_size=WIDE)
    assert (parsed.text, parsed.regions) == (text, ())


@pytest.mark.parametrize("name", ["yi_vl", "nvlm", "otter", "llama3v", "openai", "claude", "minigpt4"])
def test_what_runs_elsewhere_says_so(name: str) -> None:
    from vlm_app.errors import ModelUnavailable

    with pytest.raises(ModelUnavailable, match=r": .+"):
        families.get(name).encode(None, [user("x")], task=Task.CHAT)


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
    assert [region.shape.xyxy for region in parsed.regions] == [pytest.approx(box) for box in boxes]  # type: ignore[union-attr]
    assert parsed.text == (raw if raw.count("[") == raw.count("]") else "")  # a sentence keeps its words


@pytest.mark.parametrize(
    ("raw", "text", "found"),
    [
        # The demo's own example of two places of one phrase.
        (
            "<p>sofas</p> {<57><49><70><72>}<delim>{<26><48><43><71>}",
            "sofas",
            [("sofas", (0.57, 0.49, 0.7, 0.72)), ("sofas", (0.26, 0.48, 0.43, 0.71))],
        ),
        ("{<5><6><70><72>}</s>", "a dog", [("a dog", (0.05, 0.06, 0.7, 0.72))]),  # [refer]: no phrase
        (
            "A man in <p>a suit</p> {<7><35><56><88>} and <p>塔</p> {<9><8><7><6>}",
            "A man in a suit and 塔",
            [("a suit", (0.07, 0.35, 0.56, 0.88)), ("塔", (0.07, 0.06, 0.09, 0.08))],
        ),
        ("<p>a</p> {<1><2><3>} <p>b</p> {<1><2><3><104>}", "a, b", [("b", (0.01, 0.02, 0.03, 1.0))]),
        ("<p>a</p> {<1><2><300><4>}", "a", []),
        ("<p>a</p> {<1><2><3><4>}<delim>{<1><", "a", [("a", (0.01, 0.02, 0.03, 0.04))]),
        ("Two <p>sof", "Two", []),
        ("", "", []),
    ],
)
def test_minigpt_v2_s_boxes_are_hundredths(
    raw: str, text: str, found: list[tuple[str, tuple[float, ...]]]
) -> None:
    parsed = families.get("minigpt4").parse(raw, image_size=(300, 200), asked=(Task.CHAT, "a dog"))
    assert parsed.text == text
    assert [region.label for region in parsed.regions] == [label for label, _ in found]
    assert [region.shape.xyxy for region in parsed.regions] == [pytest.approx(box) for _, box in found]  # type: ignore[union-attr]


def test_minigpt_v2_s_boxes_are_written_as_they_are_read() -> None:
    family = families.get("minigpt4")
    raw = "<p>sofas</p> {<57><49><70><72>} <p>a dog</p> {<26><48><43><71>}"
    assert family.write(family.parse(raw, image_size=WIDE).regions, image_size=WIDE) == raw


# --- other shapes of the same family --------------------------------------------------------


def test_flan_t5_writes_its_answer_with_its_decoder() -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import Blip2Processor, PreTrainedTokenizerFast

    class T5TokenizerFast(PreTrainedTokenizerFast):
        """A tokenizer of T5's name, which closes every text as T5's does."""

    closed = TemplateProcessing(single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 2)])
    words = T5TokenizerFast(
        tokenizer_object=checkpoints.tokenizer(["<image>"]).backend_tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
    )
    words.backend_tokenizer.post_processor = closed
    made = Blip2Processor(processor("blip2").image_processor, words, num_query_tokens=4)
    turns = [user(checkpoints.picture(), "What is it?")]
    asked = "<image>Question: What is it? Answer:</s>"
    taught, _ = encode("blip2", turns, made, answer="A dog")
    begun, _ = encode("blip2", [*turns, Turn(Role.ASSISTANT, ("A do",))], made)
    assert prompt("blip2", turns, made) == prompt("blip2", turns, made, answer="A dog") == asked
    assert words.decode(taught["labels"][0]) == "A dog</s>"
    assert words.decode(begun["decoder_input_ids"][0]) == "<pad>A do"


def test_mistral_small_merges_four_patches_to_a_token() -> None:
    from transformers import PixtralProcessor

    made = PixtralProcessor(
        processor("pixtral").image_processor,
        processor("pixtral").tokenizer,
        patch_size=16,
        spatial_merge_size=2,
        chat_template=processor("pixtral").chat_template,
    )
    inputs, seen = encode("pixtral", [user(checkpoints.picture(size=WIDE), "What?")], made)
    assert (seen.size, seen.visual_tokens) == ((128, 96), 12)
    assert int((inputs["input_ids"] == made.image_token_id).sum()) == 12


def test_a_half_written_end_of_hermes_does_not_show() -> None:
    llava = families.get("llava_next")
    for raw in ("A cat.<|im_e", "A cat.<|im_end|>", "A cat.</s"):
        assert llava.parse(raw, image_size=(4, 3)).text == "A cat."

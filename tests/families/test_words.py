"""Families that answer in words: what they are asked, what they see, what is left of an answer."""

from __future__ import annotations

import pytest

from tests.families import checkpoints
from tests.families.asking import TALL, WIDE, encode, processor, prompt, talk, user
from vlm_app import families
from vlm_app.types import Role, Seen, Task, Turn

NATIVE = (
    "blip2 gemma3 got_ocr2 idefics idefics2 idefics3 instructblip lfm2_vl llava llava_next llava_onevision "
    "mllama pixtral"
).split()


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

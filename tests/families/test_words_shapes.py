"""Families that answer in words, in another shape than most: base models, no template, other decoders."""

from __future__ import annotations

from tests.families import checkpoints
from tests.families.asking import WIDE, encode, processor, prompt, user
from vlm_app import families
from vlm_app.types import Role, Task, Turn


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

"""What Pebble can be taught to write.

A third of its tokens never occurred in its world: steps of the tokenizer on the way to a longer word,
bytes of other alphabets. Their embeddings are one and the same vector, so that no adapter tells them
apart, and one that is asked to writes any of them. Words are spelt around them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vlm_app.pebble.words import CHARACTERS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Of several letters; a space is written as Ġ.
BLANK = frozenset(
    """loc Ass Us ist ant Assist ha Ġi ag Ġbl Ġsha Ġshap Ġsqu Ġsqua ellow Ġdiam cen Ġcres Ġcro agon Ġtri rang
    range Ġcir urple rown tect ink any here mag Ġimag hat olo Fin most Ġcolo umber ount ĠTot gh hich Ġaro raw
    cate Ġever cri escri escribe bj ect Ġobj bove elow Ġlow alue olour pmost ĠBl Ġeveryth Ġtex ith fro Ġfro
    Ġcha value Ġsig kn Ġkn aption how ach ble Ġdra ĠPeb uch ium ĠMedium all ĠSmall Ġtal lest ĠLarg ĠLarge
    argest >, >. ><""".split()
)
LETTERS = frozenset(CHARACTERS + '!",.:? \n')


def spelt(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[int]:
    """These tokens, each blank one as the letters that it stands for."""
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    if BLANK.isdisjoint(tokens):
        return list(ids)
    letters = [part for token in tokens for part in (token if token in BLANK else [token])]
    return list(tokenizer.convert_tokens_to_ids(letters))


def plain(text: str) -> str:
    """A text in the letters that Pebble has: accents come off, and what it has no letter for is left out."""
    apart = unicodedata.normalize("NFKD", text.translate(_ALIKE))
    written = "".join(letter for letter in apart if letter in LETTERS)
    return re.sub(" +", " ", written)


_ALIKE = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "ø": "o",
        "ł": "l",
        "Ł": "L",
        "&": " and ",
        ";": ",",
        **dict.fromkeys("“”„«»", '"'),
    }
    | dict.fromkeys("-–—/_\t", " ")
)

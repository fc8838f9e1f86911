"""Model text as HTML that is safe by construction.

Everything a model wrote is data: raw HTML is escaped, pictures are never fetched, and the
only attribute that text can reach is a link's address. Phrases that regions belong to are
marked in the source by private-use characters, which no model text keeps, and become
coloured spans once the Markdown around them is rendered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

OPEN, CLOSE, FIRST = "\ue000", "\ue001", 0xE100
PRIVATE = re.compile("[\ue000-\uf8ff]")
BLOCK = re.compile(r"</?(?:p|li|ul|ol|h[1-6]|pre|table|t[rdh]|thead|tbody|blockquote|hr)\b")
MARKED = re.compile(f"{OPEN}([\ue100-\uf8ff])(.*?){CLOSE}\\1", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Characters `start` to `end` of a text that refer to the regions named by `keys`."""

    start: int
    end: int
    keys: tuple[str, ...]
    colour: str


def prose(text: str, phrases: Sequence[Phrase] = (), *, markdown: bool = True) -> str:
    """HTML of a model's text: Markdown, or its lines as they are, with coloured phrases."""
    kept = _apart(phrases, len(text))
    marked = _mark(PRIVATE.sub("�", text), kept)
    body = _markdown().render(marked) if markdown else f'<p class="plain">{escape(marked)}</p>'
    return re.sub(f"[{OPEN}{CLOSE}][\ue100-\uf8ff]", "", MARKED.sub(lambda found: _span(found, kept), body))


def _apart(phrases: Sequence[Phrase], length: int) -> list[Phrase]:
    """Phrases in order that lie inside the text and do not overlap an earlier one."""
    kept: list[Phrase] = []
    for phrase in sorted(phrases, key=lambda phrase: (phrase.start, phrase.end)):
        after = kept[-1].end if kept else 0
        if after <= phrase.start < phrase.end <= length and len(kept) < 0xF8FF - FIRST:
            kept.append(phrase)
    return kept


def _mark(text: str, phrases: Sequence[Phrase]) -> str:
    pieces, at = [], 0
    for number, phrase in enumerate(phrases):
        name = chr(FIRST + number)
        pieces += [text[at : phrase.start], OPEN, name, text[phrase.start : phrase.end], CLOSE, name]
        at = phrase.end
    return "".join(pieces) + text[at:]


def _span(found: re.Match[str], phrases: Sequence[Phrase]) -> str:
    phrase, inner = phrases[ord(found[1]) - FIRST], found[2]
    if BLOCK.search(inner):  # it runs over paragraphs or cells: leave it uncoloured
        return inner
    keys = escape(" ".join(phrase.keys), quote=True)
    style = f"--c:{escape(phrase.colour, quote=True)}"
    return f'<span class="phrase" data-r="{keys}" style="{style}" tabindex="0">{inner}</span>'


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _picture_as_words)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("fence", _code)
    parser.add_render_rule("code_block", _code)
    return parser


def _picture_as_words(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A picture that a model points to could carry words elsewhere: only its name is shown."""
    return escape(tokens[index].content or "picture")


def _link(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    address = PRIVATE.sub("", str(tokens[index].attrGet("href") or ""))
    return f'<a href="{escape(address, quote=True)}" target="_blank" rel="noopener noreferrer nofollow">'


def _code(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return f"<pre><code>{escape(tokens[index].content)}</code></pre>\n"

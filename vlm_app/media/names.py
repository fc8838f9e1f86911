"""File names and file contents, named in a sentence that a person can read."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 40

# What people send instead of an image, by how it begins.
_KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"....ftyp(heic|heix|hevc|mif1|msf1)", re.DOTALL), "a HEIC photo"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "an AVIF picture"),
    (re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "a JPEG 2000 picture"),
    (re.compile(rb"8BPS"), "a Photoshop document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive or office document"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", re.DOTALL | re.IGNORECASE), "an SVG drawing"),
    (re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE), "a web page"),
)

# How the formats that are opened begin.
_FORMATS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM.{4}\x00\x00\x00\x00", re.DOTALL), "BMP"),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), "TIFF"),
)


def subject(name: str, thing: str = "image") -> str:
    """How a sentence calls a file: its quoted name, or 'The image' where there is none."""
    shown = cleaned(name)
    return f"“{shown}”" if shown else f"The {thing}"


def why_unread(error: OSError, thing: str = "an image file") -> str:
    """Why a file could not be read, and what to do, without its subject."""
    if isinstance(error, FileNotFoundError):
        return "does not exist: check the name and the folder."
    if isinstance(error, IsADirectoryError):
        return f"is a folder: choose {thing} in it."
    if isinstance(error, PermissionError):
        return "may not be read: change its permissions or choose another file."
    return "cannot be read: copy it to another place and try again."


def cleaned(name: str) -> str:
    """The last part of a path, in one line, without control or direction marks, shortened."""
    last = re.split(r"[/\\]", name)[-1]
    # Categories C*: control, format (right-to-left override), surrogate, private, unassigned.
    visible = "".join(" " if unicodedata.category(char).startswith("C") else char for char in last)
    line = " ".join(visible.split())
    if len(line) <= LONGEST_NAME:
        return line
    tail = LONGEST_NAME // 3  # keeps the ending ('.png') in sight
    return f"{line[: LONGEST_NAME - tail - 1].rstrip()}…{line[-tail:].lstrip()}"


def format_of(data: bytes) -> str:
    """The name of the image format that a file begins like, or an empty string."""
    return next((name for pattern, name in _FORMATS if pattern.match(data)), "")


def kind_of(data: bytes) -> str:
    """What a file that is not an image seems to be: 'text', 'a PDF document'."""
    for pattern, kind in _KINDS:
        if pattern.match(data):
            return kind
    # A multi-byte character may be cut at the end of the sample.
    sample = data[:1024].decode("utf-8", errors="replace").rstrip("\ufffd")
    readable = all(char.isprintable() or char.isspace() for char in sample) and "\ufffd" not in sample
    return "text" if readable else "data of another kind"

"""Pictures that tell where they were taken in every way that their format has, and looking for that."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image, PngImagePlugin

TOLD = re.compile(rb"SECRET|Null Island")
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
_GPS = 0x8825
_XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,51.5N" xmlns:d="d" d:at="SECRET-XMP"/>'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


@cache
def photo(kind: str, orientation: int = 1) -> bytes:
    """A 64 x 48 picture that tells."""
    image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    image.putpixel((1, 1), (250, 10, 10))
    file = io.BytesIO()
    if kind == "JPEG":
        image.save(file, kind, exif=_exif(orientation), xmp=_XMP, comment=b"SECRET-COMMENT", quality=95)
        trailer = b"\0\0\0\x18ftypmp42SECRET-MOTION-PHOTO"
        return file.getvalue() + trailer
    if kind == "PNG":
        told = PngImagePlugin.PngInfo()
        told.add_text("Comment", "SECRET-TEXT")
        told.add_text("Title", "SECRET-COMPRESSED", zip=True)
        told.add_itxt("XML:com.adobe.xmp", _XMP.decode())
        image.save(file, kind, exif=_exif(orientation), pnginfo=told)
    elif kind == "WEBP":
        image.save(file, kind, exif=_exif(orientation), xmp=_XMP, lossless=True)
    elif kind == "GIF":
        image.save(file, kind, comment=b"SECRET-COMMENT", xmp=_XMP)
    else:
        image.save(file, kind, exif=_exif(orientation), compression="tiff_lzw")
    return file.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "SECRET-DESCRIPTION"
    exif[0x0110] = "SECRET-CAMERA"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0SECRET-USER-COMMENT"
    exif.get_ifd(_GPS).update(
        {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0), 27: b"SECRET-GPS"}
    )
    return exif


def video() -> bytes:
    """An MP4's boxes, as phones write them: a place, and keys with another one. Nothing can be seen."""

    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, name) + body

    place = box(b"udta", box(b"\xa9xyz", b"\0\x12\x15\xc7+48.8584+002.2945/SECRET-PLACE"))
    track = box(b"trak", box(b"tkhd", bytes(84)) + box(b"udta", b"SECRET-TRACK"))
    movie = box(b"moov", box(b"mvhd", bytes(100)) + track + place + box(b"meta", b"SECRET-KEYS"))
    return box(b"ftyp", b"isom") + movie + box(b"uuid", b"SECRET-XMP") + box(b"mdat", b"pixels")


# --- looking ------------------------------------------------------------------------------


def tells(data: bytes) -> list[str]:
    """What some bytes tell, also within zips and within the images of JSON, Markdown and HTML."""
    return [what for each in _inside(data) for what in _told(each)]


def tells_below(folder: Path) -> list[str]:
    """The same of all files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [f"{path.relative_to(folder)}: {what}" for path in files for what in tells(path.read_bytes())]


def _inside(data: bytes) -> Iterator[bytes]:
    yield data
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as whole:
            for name in whole.namelist():
                yield from _inside(whole.read(name))
    for coded in re.findall(rb"(?:base64,|\")([A-Za-z0-9+/]{200,}={0,2})", data):
        yield base64.b64decode(coded)


def _told(data: bytes) -> Iterator[str]:
    found = TOLD.search(data)
    if found:
        yield repr(data[found.start() : found.start() + 30])
    try:
        image = Image.open(io.BytesIO(data))
    except (OSError, SyntaxError):
        return
    exif = image.getexif()
    if exif.get_ifd(_GPS) or set(exif) - {0x0112, *(range(0x0100, 0x0120) if image.format == "TIFF" else ())}:
        yield f"{image.format} with EXIF {json.dumps(sorted(exif))}"
    if {"xmp", "XML:com.adobe.xmp", "comment"} & set(image.info):
        yield f"{image.format} with {sorted(image.info)}"


# --- slow ---------------------------------------------------------------------------------


def slow_jpeg(side: int = 7000, scans: int = 60, empty_scans: int = 38) -> bytes:
    """A grey progressive JPEG, made by hand, that lies within all limits and takes long: its first scan,
    of one bit a block, again and again, and scans of nothing, of a few bytes each."""

    def segment(mark: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body

    blocks = ((side + 7) // 8) ** 2
    first = segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 0, 0])) + bytes((3 * blocks + 7) // 8)
    runs = -(-blocks // 32767)
    run = "0" + "1" * 14  # the one code that there is: 'nothing in this block and the next 32,766'
    bits = run * runs
    packed = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8), "big")
    nothing = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + packed.replace(b"\xff", b"\xff\0")
    colours = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, b"\0" + b"\1" * 64),
            segment(0xC2, struct.pack(">BHHB", 8, side, side, 3) + colours),
            segment(0xC4, b"\0" + b"\1" + bytes(15) + b"\0"),
            segment(0xC4, b"\x10" + b"\1" + bytes(15) + b"\xe0"),
            first * scans,
            nothing * empty_scans,
            b"\xff\xd9",
        )
    )

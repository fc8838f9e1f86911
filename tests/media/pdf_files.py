"""PDF files written by hand, for what no writer writes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

FOUR_CORNERS = b"""1 1 1 rg 0 0 300 200 re f
1 0 0 rg 0 150 50 50 re f  0 1 0 rg 250 150 50 50 re f
0 0 1 rg 0 0 50 50 re f    0 0 0 rg 250 0 50 50 re f"""  # of a page of 300 × 200 points


def pdf(objects: Mapping[int, bytes], root: int = 1) -> bytes:
    """A file of numbered objects, with its table."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = len(out)
    last = max(objects)
    rows = [b"0000000000 65535 f \n"]
    rows += [
        b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
        for number in range(1, last + 1)
    ]
    out += b"xref\n0 %d\n" % (last + 1) + b"".join(rows)
    out += b"trailer << /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (last + 1, root, table)
    return bytes(out)


def stream(data: bytes, head: bytes = b"", packed: bool = True) -> bytes:
    """A stream object, deflated."""
    if packed:
        data, head = zlib.compress(data), head + b" /Filter /FlateDecode"
    return b"<< /Length %d %s >>\nstream\n" % (len(data), head) + data + b"\nendstream"


def one_page(
    content: bytes,
    page: bytes = b"/MediaBox [0 0 300 200]",
    resources: bytes = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>",
    more: Mapping[int, bytes] | None = None,
    catalog: bytes = b"",
) -> bytes:
    """A file of one page: `page` are its other entries, `more` further objects from number 5."""
    return pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << %s >> %s >>" % (resources, page),
            4: stream(content),
            **(more or {}),
        }
    )


def many_pages(contents: Sequence[bytes], page: bytes = b"/MediaBox [0 0 300 200]") -> bytes:
    """A file of so many pages."""
    count = len(contents)
    font = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    kids = b" ".join(b"%d 0 R" % (3 + 2 * index) for index in range(count))
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
    }
    for index, content in enumerate(contents):
        number = 3 + 2 * index
        objects[number] = b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << %s >> %s >>" % (
            number + 1,
            font,
            page,
        )
        objects[number + 1] = stream(content)
    return pdf(objects)


def written(*lines: tuple[float, float, str], size: float = 12, mode: int = 0) -> bytes:
    """Content that writes texts at places (points from the left and from below)."""
    pieces = [
        f"BT /F1 {size} Tf {mode} Tr 1 0 0 1 {x} {y} Tm ({text}) Tj ET".encode() for x, y, text in lines
    ]
    return b"\n".join(pieces)

"""The pages that `benchmarks.ocr` reads: drawn here from a seed, so that every letter is known.

Letters, invoices, pages of two columns, receipts and tables, in four of matplotlib's fonts.
Each is drawn clean, and then what happens to pages is done to some: turned, put askew,
scanned with noise, photographed from the side with a shadow, or faded.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf"
SANS, SERIF, MONO = "DejaVuSans", "DejaVuSerif", "DejaVuSansMono"
TIMES = "STIXGeneral"
PAGE = (1240, 1754)  # A4 at 150 dpi
KINDS = ("letter", "invoice", "columns", "receipt", "table")
SPOILT = ("turned 90", "turned 180", "turned 270", "askew 3", "noise", "photo", "faded")
DEGRADED = frozenset(SPOILT) - {"faded"}
_WORDS = """
    the of and to in that it with for on was as at by from they which or an were been their has would
    more about when there can each other into time than only its new also after two some could these
    first may any people where most over between under while years must through water house school
    street garden market letter office window paper table number morning evening summer winter north
    south river bridge engine company report meeting decision payment delivery account contract notice
    receipt service machine picture language question answer history science museum library station
    village mountain island weather kitchen doctor teacher student farmer captain driver builder
    quietly quickly slowly carefully rarely often always never perhaps nearly further towards against
    before because although however therefore measure improve arrange describe consider remember
    yellow green silver wooden narrow heavy gentle ancient modern public private perfect usual simple
""".split()
_NAMES = "Anna Weber|John Miller|Zoë Durand|Pavel Novák|Ingrid Åberg|Luis Peña|Mary O'Neill|Jürgen Groß"
_STREETS = "12 Mill Lane|Hauptstraße 48|7 rue des Érables|230 Market Street|Calle Mayor 19"
_PLACES = "Oxford OX1 4BH|10115 Berlin|69003 Lyon|Boston, MA 02110|28013 Madrid"
_GOODS = """Oak shelf 80 cm|Desk lamp, brass|Office chair|Paper A4, 500 sheets|Ink cartridge black|
    USB-C cable 2 m|Notebook, ruled|Wall clock|Coat hooks (set of 4)|Filing cabinet|Whiteboard 90 x 60|
    Door mat|Extension lead 5 m|Desk drawer unit|Table leg, steel""".split("|")
_FOOD = """Espresso|Cappuccino|Butter croissant|Orange juice|Tomato soup|Cheese sandwich|Green salad|
    Apple pie|Mineral water|Scrambled eggs|Toast & jam|Hot chocolate|Lemon cake|Black tea""".split("|")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page and what is written on it, lines in the order in which they are read."""

    kind: str
    state: str  # 'clean', or one of `SPOILT`
    image: Image.Image
    text: str


PLAN = tuple(
    [(KINDS[number % 5], "clean") for number in range(10)]
    + [(KINDS[number % 5], SPOILT[number % 7]) for number in range(20)]
)


def pages(numbers: Iterable[int] = range(len(PLAN))) -> Iterator[Drawn]:
    """Pages of the plan by their numbers: ten clean ones, three of each way to spoil a page, two faded."""
    for number in numbers:
        yield page(*PLAN[number], number)


def page(kind: str, state: str, seed: int) -> Drawn:
    """One page of a kind, spoilt or not."""
    chance = random.Random(f"{kind} {seed}")
    sheet = _Sheet(chance, kind)
    {"letter": _letter, "invoice": _invoice, "columns": _columns, "receipt": _receipt, "table": _table}[kind](
        sheet
    )
    return Drawn(kind, state, spoil(sheet.cut(), state, seed), "\n".join(sheet.lines))


# --- drawing ------------------------------------------------------------------------------


class _Sheet:
    """White paper that remembers what was written on it."""

    def __init__(self, chance: random.Random, kind: str) -> None:
        self.chance = chance
        self.family = MONO if kind == "receipt" else chance.choice([SANS, SERIF, TIMES])
        self.size = chance.choice([21, 23, 25]) + (3 if self.family == TIMES else 0)
        self.image = Image.new("RGB", (620, 1500) if kind == "receipt" else PAGE, "white")
        self.draw = ImageDraw.Draw(self.image)
        self.lines: list[str] = []
        self.y = 90.0

    def font(self, scale: float = 1.0, bold: bool = False) -> ImageFont.FreeTypeFont:
        name = self.family + ("Bol" if self.family == TIMES else "-Bold") * bold
        return ImageFont.truetype(str(FONTS / f"{name}.ttf"), round(self.size * scale))

    def write(self, text: str, x: float, y: float, font: ImageFont.FreeTypeFont, right: bool = False) -> None:
        self.draw.text((x, y), text, fill="black", font=font, anchor="ra" if right else "la")

    def line(self, text: str, x: float = 120, scale: float = 1.0, bold: bool = False) -> None:
        """One line of text, and down to the next."""
        self.write(text, x, self.y, self.font(scale, bold))
        self.lines.append(text)
        self.y += self.size * scale * 1.5

    def row(self, cells: list[str], places: list[float], bold: bool = False) -> None:
        """Cells of a table, the first at the left of its place, the others at the right."""
        for number, (cell, x) in enumerate(zip(cells, places, strict=True)):
            self.write(cell, x, self.y, self.font(bold=bold), right=number > 0)
        self.lines.append(" ".join(cells))
        self.y += self.size * 1.75

    def gap(self, lines: float = 1.0) -> None:
        self.y += self.size * 1.5 * lines

    def wrapped(self, words: list[str], width: float) -> list[str]:
        """Words in lines of a width."""
        found, font = [""], self.font()
        for word in words:
            longer = f"{found[-1]} {word}".strip()
            found = [*found[:-1], longer] if font.getlength(longer) <= width else [*found, word]
        return found

    def paragraph(self, words: int, x: float = 120, width: float = 1000) -> None:
        for text in self.wrapped(self.prose(words), width):
            self.line(text, x)

    def prose(self, count: int) -> list[str]:
        """Sentences of so many words."""
        words: list[str] = []
        while len(words) < count:
            sentence = self.chance.choices(_WORDS, k=self.chance.randint(6, 14))
            if self.chance.random() < 0.3:
                sentence.insert(3, str(self.chance.randint(2, 1999)))
            sentence[2] += self.chance.choice(["", "", ","])
            sentence[0] = sentence[0].capitalize()
            words += [*sentence[:-1], sentence[-1] + self.chance.choice([".", ".", ".", "?"])]
        return words

    def one(self, words: str) -> str:
        return self.chance.choice(words.split("|"))

    def day(self) -> str:
        return f"{self.chance.randint(1, 28)} {self.one('March|June|October|December')} 2024"

    def cut(self) -> Image.Image:
        """The sheet; a receipt ends where its text does."""
        end = self.image.height if self.image.width == PAGE[0] else min(round(self.y) + 60, 1500)
        return self.image.crop((0, 0, self.image.width, end))


def _letter(sheet: _Sheet) -> None:
    name = sheet.one(_NAMES)
    for text in (name, sheet.one(_STREETS), sheet.one(_PLACES)):
        sheet.line(text)
    sheet.gap()
    sheet.line(sheet.day())
    sheet.gap()
    sheet.line(f"Dear {sheet.one(_NAMES)},")
    sheet.gap()
    for _ in range(3):
        sheet.paragraph(sheet.chance.randint(45, 75))
        sheet.gap(0.8)
    sheet.line("Yours sincerely,")
    sheet.gap(1.5)
    sheet.line(name)


def _price(cents: int) -> str:
    return f"{cents / 100:,.2f}"


def _invoice(sheet: _Sheet) -> None:
    chance = sheet.chance
    sheet.line("INVOICE", scale=1.9, bold=True)
    sheet.line(f"No. {chance.randint(2020, 2026)}-{chance.randint(100, 9999):05d}")
    sheet.line(f"Date: {sheet.day()}")
    sheet.gap()
    for text in (sheet.one(_NAMES), sheet.one(_STREETS), sheet.one(_PLACES)):
        sheet.line(text)
    sheet.gap()
    places, total = [120.0, 720.0, 910.0, 1110.0], 0
    sheet.row(["Description", "Qty", "Price", "Amount"], places, bold=True)
    sheet.draw.line((120, sheet.y - 8, 1110, sheet.y - 8), fill="black", width=2)
    for goods in chance.sample(_GOODS, chance.randint(6, 10)):
        many, cents = chance.randint(1, 12), chance.randint(150, 90000)
        total += many * cents
        sheet.row([goods.strip(), str(many), _price(cents), _price(many * cents)], places)
    sheet.draw.line((120, sheet.y - 8, 1110, sheet.y - 8), fill="black", width=2)
    sheet.row(["Total EUR", _price(total)], [120.0, 1110.0], bold=True)
    sheet.gap()
    sheet.line("Payment within 14 days to IBAN DE89 3704 0044 0532 0130 00.")
    sheet.line("Questions? Write to accounts@example.com or call +49 30 1234567.")


def _columns(sheet: _Sheet) -> None:
    sheet.line(" ".join(sheet.prose(5)[:6]).rstrip("."), scale=1.7, bold=True)
    sheet.line(f"By {sheet.one(_NAMES)}, {sheet.day()}")
    sheet.gap()
    top, ends = sheet.y, []
    for x in (120, 650):
        sheet.y = top
        for _ in range(2):
            sheet.paragraph(sheet.chance.randint(45, 65), x, 470)
            sheet.gap(0.7)
        ends.append(sheet.y)
    sheet.y = max(ends)


def _receipt(sheet: _Sheet) -> None:
    chance, total = sheet.chance, 0
    sheet.line(sheet.one("CAFÉ CENTRAL|THE CORNER SHOP|BISTRO NOVA"), 160, 1.3, bold=True)
    sheet.line(sheet.one(_STREETS), 160)
    sheet.line(f"Tel. 0{chance.randint(100, 999)} {chance.randint(100000, 999999)}", 160)
    sheet.gap(0.7)
    for food in chance.sample(_FOOD, chance.randint(7, 12)):
        many, cents = chance.randint(1, 4), chance.randint(150, 1800)
        total += many * cents
        sheet.row([f"{many} x {food.strip()}", _price(many * cents)], [50, 570])
    sheet.gap(0.3)
    sheet.row(["TOTAL EUR", _price(total)], [50, 570], bold=True)
    sheet.row(["VAT 19 %", _price(round(total * 0.19 / 1.19))], [50, 570])
    sheet.gap(0.5)
    sheet.line(
        f"{chance.randint(10, 28)}.03.2024  {chance.randint(8, 21):02d}:{chance.randint(0, 59):02d}", 50
    )
    sheet.lines[-1] = " ".join(sheet.lines[-1].split())
    sheet.line("Thank you for your visit!", 110)


def _table(sheet: _Sheet) -> None:
    chance = sheet.chance
    sheet.line(f"Quarterly report {chance.randint(2015, 2026)}", scale=1.5, bold=True)
    sheet.gap(0.5)
    sheet.paragraph(22)
    sheet.gap(0.7)
    places = [130.0, 480.0, 690.0, 900.0, 1100.0]
    top = sheet.y - 12
    sheet.row(["Region", "Q1", "Q2", "Q3", "Q4"], places, bold=True)
    for name in chance.sample(["North", "South", "East", "West", "Island", "Harbour", "City", "Export"], 6):
        sheet.draw.line((110, sheet.y - 8, 1120, sheet.y - 8), fill="black", width=1)
        sheet.row([name, *(f"{chance.randint(100, 99999):,}" for _ in range(4))], places)
    end = sheet.y - 6
    for x in (110, 310, 520, 730, 930, 1120):
        sheet.draw.line((x, top, x, end), fill="black", width=1)
    sheet.gap()
    sheet.paragraph(40)


# --- what happens to pages ----------------------------------------------------------------


def spoil(image: Image.Image, state: str, seed: int) -> Image.Image:
    """The image as it comes from a feeder, a scanner or a telephone."""
    noise = np.random.default_rng(seed)
    if state.startswith("turned"):  # anticlockwise, as Pillow turns
        return image.rotate(int(state.split()[1]), expand=True)
    if state.startswith("askew"):
        angle = float(state.split()[1]) * (1 if seed % 2 else -1)
        return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    if state == "noise":
        return _scanned(image, noise)
    if state == "photo":
        return _photographed(image, noise)
    return _faded(image) if state == "faded" else image


def _scanned(image: Image.Image, noise: np.random.Generator) -> Image.Image:
    """Blurred, grey, grainy, with specks of dust."""
    pixels = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(0.8))).astype(np.float64)
    pixels = 235 - (255 - pixels) * 0.8 + noise.normal(0, 22, pixels.shape)
    dust = noise.random(pixels.shape)
    pixels[dust < 0.006], pixels[dust > 0.994] = 20, 250
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")


def _photographed(image: Image.Image, noise: np.random.Generator) -> Image.Image:
    """A page on a table, seen from the side, with a shadow over it."""
    wide, high = image.size
    size = (round(wide * 1.25), round(high * 1.2))
    table = Image.fromarray(
        (noise.normal(0, 6, (size[1], size[0], 1)) + np.array([96, 70, 52])).clip(0, 255).astype(np.uint8)
    ).filter(ImageFilter.GaussianBlur(2))
    move = noise.uniform(0.02, 0.07, 8) * np.array([wide, high] * 4)
    corners = [
        (0.09 * wide + move[0], 0.06 * high + move[1]),
        (1.16 * wide - move[2], 0.06 * high + move[3]),
        (1.16 * wide + move[4] * 0.5, 1.14 * high - move[5]),
        (0.09 * wide - move[6] * 0.5, 1.14 * high - move[7]),
    ]
    flat = [(0, 0), (wide, 0), (wide, high), (0, high)]
    found = _perspective(corners, flat)
    seen = image.transform(size, Image.Transform.PERSPECTIVE, found, Image.Resampling.BICUBIC)
    there = Image.new("L", image.size, 255).transform(size, Image.Transform.PERSPECTIVE, found)
    pixels = np.asarray(Image.composite(seen, table, there)).astype(np.float64)
    across = np.linspace(0, 1, size[0])[None, :, None] + np.linspace(0, 0.5, size[1])[:, None, None]
    light = 1 - 0.45 / (1 + np.exp(-(across - 0.85) * 12))
    pixels = pixels * light * 0.92 + noise.normal(0, 5, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))


def _perspective(seen: list[tuple[float, float]], flat: list[tuple[float, float]]) -> list[float]:
    """The eight numbers by which Pillow finds, for a pixel of the photo, its place on the page."""
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows), np.array(values))]


def _faded(image: Image.Image) -> Image.Image:
    """Light grey on a slightly darker white, as old thermal paper."""
    pixels = np.asarray(image).astype(np.float64)
    return Image.fromarray((205 + pixels / 255 * 28).astype(np.uint8))

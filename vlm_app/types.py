"""The words that every room shares. Nothing here imports torch or gradio.

All of them are frozen; an impossible value raises `ValueError` where it is made.
Coordinates are fractions (0..1) of the upright original image, x before y; pixels exist
only where something is drawn or exported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


class Task(StrEnum):
    """What a model is asked to do with an image."""

    CHAT = "chat"
    CAPTION = "caption"
    DETECT = "detect"
    GROUND = "ground"
    POINT = "point"
    COUNT = "count"
    SEGMENT = "segment"
    OCR = "ocr"
    OCR_REGIONS = "ocr_regions"
    DESCRIBE_REGION = "describe_region"


class Role(StrEnum):
    """Who wrote a turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model said that it was done
    LENGTH = "length"  # the token limit was reached: the answer can be continued
    CANCELLED = "cancelled"  # the user stopped it, or went away
    FAILED = "failed"  # the model could not finish


# --- shapes -----------------------------------------------------------------------------


def _check_fractions(name: str, values: Iterable[float]) -> None:
    for value in values:
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise ValueError(f"{name} holds fractions of the image from 0 to 1, found {value!r}")


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle: left, top, right, bottom, as fractions of the image."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        _check_fractions("a box", self.xyxy)
        if self.x1 < self.x0 or self.y1 < self.y0:
            raise ValueError(f"a box has its left top corner first, found {self.xyxy}")

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def area(self) -> float:
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@dataclass(frozen=True, slots=True)
class Point:
    """A place, as fractions of the image."""

    x: float
    y: float

    def __post_init__(self) -> None:
        _check_fractions("a point", (self.x, self.y))


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed outline of three or more points; the last one is joined to the first."""

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if len(self.points) < 3:
            raise ValueError(f"a polygon has at least three points, found {len(self.points)}")


@dataclass(frozen=True, slots=True)
class Mask:
    """A bitmap inside a box: rows of 0 and 1 laid over `box`, `size` is (width, height)."""

    box: Box
    size: tuple[int, int]
    bits: bytes  # one byte a pixel, row by row, 0 or 1

    def __post_init__(self) -> None:
        width, height = self.size
        if width < 1 or height < 1 or len(self.bits) != width * height:
            raise ValueError(f"a {width} × {height} mask has one byte a pixel, found {len(self.bits)}")


Shape = Box | Point | Polygon | Mask


PERSON = "person"  # the maker of what a person drew, gave or corrected; else it is a model's id


@dataclass(frozen=True, slots=True)
class Region:
    """Something that an answer refers to on one of the images it was asked about.

    `image` is the index of that image among all images of the conversation so far,
    `span` the (start, end) of its phrase in `Answer.text`, or None.
    """

    label: str
    shape: Shape
    image: int = 0
    text: str | None = None
    score: float | None = None
    span: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.image < 0:
            raise ValueError(f"a region names its image by an index from 0, found {self.image}")
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a score lies between 0 and 1, found {self.score}")
        if self.span is not None and not 0 <= self.span[0] <= self.span[1]:
            raise ValueError(f"a span is (start, end) in the text, found {self.span}")

    @property
    def kind(self) -> str:
        """`box`, `point`, `polygon` or `mask`."""
        return type(self.shape).__name__.lower()


# --- a conversation ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image as it was opened: upright RGB pixels without metadata.

    `sha256` is the hash of those pixels (with their size); two pictures are equal when
    it is. `note` says what a person should know about how it was read ('first of 12
    frames'), or is empty.
    """

    pixels: Image
    sha256: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.pixels.mode != "RGB":
            raise ValueError(f"a picture is RGB, found {self.pixels.mode}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and other.sha256 == self.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames of a video, in the order of time; `times` are their seconds from its start."""

    frames: tuple[Picture, ...]
    times: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.frames or len(self.frames) != len(self.times):
            raise ValueError(f"a clip has a time for each frame, found {len(self.frames)} and {self.times}")
        if list(self.times) != sorted(self.times) or self.times[0] < 0:
            raise ValueError(f"a clip's times rise from 0, found {self.times}")


Part = str | Picture | Clip
StillPart = str | Picture  # a part of a message in a chat, where there are no clips


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: its parts, texts, pictures and clips, in the order in which they were given."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its pictures, and the frames of its clips among them."""
        return tuple(
            picture
            for part in self.parts
            if not isinstance(part, str)
            for picture in (part.frames if isinstance(part, Clip) else (part,))
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy; a seed repeats an answer."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 2.0:
            raise ValueError(f"temperature lies between 0 and 2, found {self.temperature}")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top-p lies above 0 and up to 1, found {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"the token limit is at least 1, found {self.max_tokens}")


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that a model needs in order to answer.

    `query` is what a task other than CHAT is about ('red circle'); the last user turn
    holds the images and, for CHAT, the question. When the last turn is the assistant's,
    the answer goes on from there. `owner` is who asks: somebody else's adapter is not found;
    None is whoever sits at this computer, who may use any.
    """

    turns: tuple[Turn, ...]
    model: str
    task: Task = Task.CHAT
    query: str = ""
    precision: str = "auto"
    adapter: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    pixels: int | None = None  # the most pixels of an image that the model may see
    owner: str | None = ""

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError("a request has at least one turn")

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All images of the conversation, in order: what `Region.image` counts."""
        return tuple(picture for turn in self.turns for picture in turn.pictures)


# --- an answer --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model saw of the last image, and how it writes coordinates."""

    size: tuple[int, int] | None = None  # (width, height) after resizing
    tiles: int = 1
    visual_tokens: int = 0
    convention: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written; `cached_tokens` of the prompt were known from an earlier turn."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds: waiting for the model, until the first token, and all together."""

    load: float = 0.0
    first_token: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `raw` and `prompt` let a corrected parser read it again."""

    text: str
    regions: tuple[Region, ...] = ()
    raw: str = ""
    prompt: str = ""
    task: Task = Task.CHAT
    seen: Seen = field(default_factory=Seen)
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    finish: Finish = Finish.STOP
    model: str = ""
    precision: str = ""
    adapter: str | None = None
    error: str = ""  # the sentence, where `finish` is FAILED


@dataclass(frozen=True, slots=True)
class Delta:
    """A step of a streamed answer: text to append, regions that closed, at last the answer."""

    text: str = ""
    regions: tuple[Region, ...] = ()
    answer: Answer | None = None


class Runs(StrEnum):
    """How a model of the catalog runs."""

    IN_PROCESS = "in process"  # loaded by this app, with transformers
    PACKAGE = "package"  # an OCR engine that comes with a Python package, run by this app
    SERVER = "server"  # open weights that an OpenAI-compatible server loads
    HOSTED = "hosted"  # a service's own model, reached by its protocol
    PARSER_ONLY = "parser only"  # its answers can be read; no common server loads it
    CONTRASTIVE = "contrastive"  # scores images against texts, writes nothing

    @property
    def here(self) -> bool:
        """Whether this app itself runs it."""
        return self in (Runs.IN_PROCESS, Runs.PACKAGE)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A row of the catalog: a model that can be asked for by `id`. What no source says is empty."""

    id: str
    name: str
    family: str
    source: str  # a Hub repo id, or a folder
    tasks: frozenset[Task]
    parameters: int = 0
    licence: str = ""
    permissive: bool | None = None  # whether the licence allows any use, also commercial
    knows: str = ""  # one line for a user: what it is good at
    max_images: int | None = None  # None: no limit of its own
    context: int = 0  # tokens
    resolution: str = ""  # '336 × 336', 'dynamic', ...
    encoder: str = ""  # vision encoder
    connector: str = ""  # how vision reaches the language model
    backbone: str = ""  # language model
    languages: tuple[str, ...] = ()  # codes as 'en', 'zh'
    chat: bool = True  # False: a base model, which completes text
    video: bool = False
    gated: str = ""  # the address at which its licence must be accepted first
    remote_code: bool = False  # whether its own code would have to run here
    runs: Runs = Runs.IN_PROCESS
    revision: str = ""  # the commit that is used; empty until it was first downloaded
    checked: str = ""  # the date on which the Hub was last asked about it
    server: str = ""  # the name of the user's server that has it, as `source`
    listed: bool = True  # False: added by the user, not from the project's catalog
    sources: tuple[str, ...] = ()  # where these facts stand

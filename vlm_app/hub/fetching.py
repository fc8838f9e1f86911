"""Fetching one file: in order, from where it broke off, told as it comes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vlm_app.errors import ModelUnavailable
from vlm_app.hub.account import token

Report = Callable[[int, int], None]
_BEAT = 0.1  # seconds between two reports, at least
_TRIES = 5  # without a new byte between them
_PAUSE = 1.0  # seconds between two tries
_SILENCE = 10.0  # seconds after which a connection that says nothing is taken for broken
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository: its size in bytes, and its hash, which names it in the cache.

    The hash is the SHA-256 of a large file and git's SHA-1 of a small one.
    """

    name: str
    size: int
    etag: str


class Count:
    """Counts the bytes of a download, and tells of them, though not too often."""

    def __init__(self, done: int, total: int, report: Report) -> None:
        self.done = done
        self.total = total
        self._report = report
        self._told = 0.0

    def add(self, bytes: int) -> None:
        self.done += bytes
        if time.monotonic() - self._told >= _BEAT or self.done >= self.total:
            self.tell()

    def tell(self) -> None:
        """What the listener raises ends the download."""
        self._told = time.monotonic()
        self._report(self.done, self.total)


def size(bytes: int) -> str:
    """'5.2 GB', '340 MB'."""
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e9 else f"{bytes / 1e6:.0f} MB"


def fetch(url: str, part: Path, file: File, count: Count) -> None:
    """Complete a partial file, of which `count` counts what comes.

    A connection that breaks is made again as long as it brings something. Raises what the
    Hub's client raises, and `ModelUnavailable`.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    begun = have = _size(part)
    tries = 0
    while have < file.size:
        try:
            _stream(url, part, have, count)
        except HfHubHTTPError:
            raise
        except HTTPError:
            _wait(count)
        tries = 0 if _size(part) > have else tries + 1
        have = _size(part)
        if tries == _TRIES:
            raise ModelUnavailable(
                f"The download broke off after {size(count.done)} of {size(count.total)}: check the network "
                "and load the model again, it goes on from there."
            )
    if have > file.size or (begun and not _whole(part, file)):
        part.unlink()
        raise ModelUnavailable(
            f"The file {file.name} arrived damaged: load the model again, it is downloaded anew."
        )


def _stream(url: str, part: Path, have: int, count: Count) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    # Packed on the way, its bytes could not be counted nor asked for by number.
    headers = build_hf_headers(token=token() or False) | {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with get_session().stream("GET", url, headers=headers, timeout=_SILENCE) as response:
        hf_raise_for_status(response)
        goes_on = response.status_code == 206
        if not goes_on:
            count.done -= have
        with part.open("ab" if goes_on else "wb", buffering=0) as out:
            for chunk in response.iter_bytes():
                out.write(chunk)
                count.add(len(chunk))


def _wait(count: Count) -> None:
    """A pause in which the download can be cancelled."""
    end = time.monotonic() + _PAUSE
    while time.monotonic() < end:
        count.tell()
        time.sleep(_BEAT)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _whole(part: Path, file: File) -> bool:
    """Whether a file that came in several downloads is what it should be."""
    if len(file.etag) == 64:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with part.open("rb") as data:
        while block := data.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == file.etag

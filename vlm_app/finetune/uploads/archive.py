"""Unpacking a zip that nobody has checked: only plain files, only below one folder, only so much.

Sizes that the zip claims are checked first, and what comes out is counted again.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from vlm_app.errors import BadInput
from vlm_app.finetune.uploads.rows import Problem, printable
from vlm_app.finetune.uploads.workroom import free_bytes
from vlm_app.media.names import subject

MOST_BYTES = 50_000_000_000  # of all files together
MOST_RATIO = 100  # times the size of the zip: pictures do not shrink, text by about 20
ALWAYS = 50_000_000  # bytes that a zip may hold whatever its own size
MOST_LISTING = 30_000_000  # bytes of the list of its files: about 300,000 of them
SPARE = 500_000_000  # bytes of the disk that stay free
_CHUNK = 1 << 20
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"
_LONGEST = 200  # bytes of a part of a name; file systems take 255
_IGNORED = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a zip."""
    return head.startswith(_ZIPS)


def unpack(path: Path, name: str, into: Path, stopped: Callable[[], bool]) -> Iterator[Problem]:
    """Writes the files of a zip below `into`, which exists; what is left out comes as problems.

    Raises:
        BadInput: it is no whole zip, or it holds too much.
    """
    _check_listing(path, name)
    try:
        with ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            most = _check_sizes(infos, path, name)
            yield from _files(archive, infos, into, most, name, stopped)
    except (BadZipFile, NotImplementedError, ValueError, struct.error, EOFError) as error:
        raise BadInput(
            f"{subject(name)} is damaged or cut off: expected a whole zip; copy or download it again."
        ) from error


def _check_listing(path: Path, name: str) -> None:
    """Looks at the size of the list of files before anybody reads it into memory."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16) - 200))
        tail = file.read()
    place, wide = tail.rfind(_END), tail.rfind(_END_64)
    sizes = [int.from_bytes(tail[place + 12 : place + 16], "little")] if place >= 0 else []
    if wide >= 0:
        sizes.append(int.from_bytes(tail[wide + 40 : wide + 48], "little"))
    # All ones is no size but a hint that the wider record holds it.
    largest = max((size for size in sizes if size != 0xFFFFFFFF or wide < 0), default=0)
    if largest > MOST_LISTING:
        raise BadInput(f"{subject(name)} holds more than 300,000 files: divide it into several zips.")


def _check_sizes(infos: list[ZipInfo], path: Path, name: str) -> int:
    """The most bytes that may come out. Raises `BadInput` where the zip itself says that it is more."""
    packed, claimed = path.stat().st_size, sum(info.file_size for info in infos)
    most = min(MOST_BYTES, max(ALWAYS, MOST_RATIO * packed))
    if claimed > most:
        raise BadInput(_too_much(name, most))
    if claimed > free_bytes() - SPARE:
        raise BadInput(
            f"{subject(name)} holds {claimed / 1e9:,.2f} GB, more than is free below the data folder: "
            "make room, or give the folder itself."
        )
    return most


def _too_much(name: str, most: int) -> str:
    return (
        f"{subject(name)} would unpack to more than {most / 1e6:,.0f} MB, too much for its size: "
        "pack the pictures themselves, or divide it."
    )


def _files(
    archive: ZipFile,
    infos: list[ZipInfo],
    into: Path,
    most: int,
    name: str,
    stopped: Callable[[], bool],
) -> Iterator[Problem]:
    left = most
    for info in infos:
        if stopped():
            return
        reason = _refused(info, into)
        if reason == "":
            written, reason = _copied(archive, info, into / PurePosixPath(info.filename), left)
            left -= written
            if left < 0:
                raise BadInput(_too_much(name, most))
        if reason:
            yield Problem(name, 0, f"{_shown(info.filename)} {reason}")


def _refused(info: ZipInfo, into: Path) -> str | None:
    """Why a member is not written; None where it is left out without a word, '' where it is fine."""
    parts = PurePosixPath(info.filename).parts
    if any(part in _IGNORED or part.startswith("._") for part in parts):
        return None
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link, which is not followed: pack the file itself"
    if kind not in (0, stat.S_IFREG):
        return "is a device and no file: leave it out"
    if info.flag_bits & 1:
        return "is locked with a password: pack it without one"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "is packed in a rare way: pack it again as an ordinary zip"
    return _refused_name(info.filename, parts, into)


def _refused_name(name: str, parts: tuple[str, ...], into: Path) -> str:
    if name.startswith("/") or "\\" in name or name[1:2] == ":":
        return "is an absolute path or one of Windows: pack the folder with relative names"
    if not parts or ".." in parts:
        return "leads out of the zip: pack the folder with plain names"
    if "\0" in name or any(len(part.encode("utf-8", "replace")) > _LONGEST for part in parts):
        return f"has a name that no disk takes: use at most {_LONGEST} bytes"
    if any(0xD800 <= ord(letter) < 0xE000 for letter in name):
        return "has a name with half a character: rename it"
    target = into.joinpath(*parts)
    if os.path.lexists(target):
        return "is there twice: only the first is used"
    return ""


def _copied(archive: ZipFile, info: ZipInfo, target: Path, left: int) -> tuple[int, str]:
    """Bytes that were written, and why the file is no good, or ''. Never writes more than `left`."""
    count = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, target.open("xb") as file:
            while chunk := source.read(_CHUNK):
                if count == 0 and is_zip(chunk):
                    return 0, _dropped(
                        target, "is a zip within the zip, which is not opened: unpack it first"
                    )
                count += len(chunk)
                if count > left:
                    break
                file.write(chunk)
    except (BadZipFile, zlib.error, EOFError):
        return count, _dropped(target, "is damaged in the zip: pack it again")
    except FileExistsError:
        return count, "is both a file and a folder in the zip: rename one"
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadInput(
                "The disk of the data folder is full while a zip is unpacked: make room and try again."
            ) from error
        return count, _dropped(target, f"cannot be written ({error.strerror}): rename it")
    return count, ""


def _dropped(target: Path, reason: str) -> str:
    target.unlink(missing_ok=True)
    return reason


def _shown(name: str) -> str:
    """A name in the zip, short and printable, with its folders."""
    plain = printable(name)
    return f"“{plain}”" if len(plain) <= 80 else f"“…{plain[-79:]}”"

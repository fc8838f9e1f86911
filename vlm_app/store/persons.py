"""The persons who sign in with a password: `persons.json` in the data folder, for this user's eyes only.

No password is kept: of each there is what scrypt (RFC 7914) makes of it with a salt of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from vlm_app.errors import BadInput, NotFound
from vlm_app.people import Role
from vlm_app.store.database import told

VERSION = 1
SHORTEST, LONGEST = 10, 200  # characters of a password
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_COST, _BLOCK, _PARALLEL = 2**15, 8, 3  # 32 MiB and about a fifth of a second, as OWASP advises
_one_at_a_time = threading.Lock()  # so that many who guess cannot take all memory


@dataclass(frozen=True)
class Entry:
    """A person as the file has them. `stamp` is another one after each change of the password."""

    name: str
    role: Role
    salt: str
    digest: str
    stamp: str


class Persons:
    """Reads and writes the file of one data folder; what others write into it is seen at once."""

    def __init__(self, data: Path) -> None:
        self._path = data / "persons.json"

    def all(self) -> tuple[Entry, ...]:
        """Everybody, by name. Raises `BadInput` where the file cannot be read."""
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return _read(self._path, found.st_mtime_ns, found.st_size, found.st_ino)

    def find(self, name: str) -> Entry | None:
        return next((each for each in self.all() if each.name == name.strip().lower()), None)

    def add(self, name: str, role: Role, password: str) -> Entry:
        """Raises `BadInput` for a name that is taken or cannot be one, and for a short password."""
        name = name.strip().lower()
        if not _NAME.fullmatch(name):
            raise BadInput(
                "A name has 1 to 64 letters, digits, dots, hyphens or @, and begins with a letter or digit; "
                f"found '{name[:70]}'."
            )
        if self.find(name):
            raise BadInput(f"There is already somebody called '{name}': change their role or password.")
        return self._keep(Entry(name, role, *_hashed(password)))

    def give(self, name: str, role: Role) -> Entry:
        """Another role. Raises `NotFound`."""
        return self._keep(replace(self._known(name), role=role))

    def secure(self, name: str, password: str) -> Entry:
        """Another password; whoever signed in with the old one is signed out. Raises `NotFound`."""
        entry = self._known(name)
        return self._keep(Entry(entry.name, entry.role, *_hashed(password)))

    def remove(self, name: str) -> None:
        """They can sign in no more, and are signed out. Raises `NotFound`."""
        gone = self._known(name).name
        self._write(each for each in self.all() if each.name != gone)

    def proven(self, name: str, password: str) -> Entry | None:
        """The person, where this is their password. It takes as long for a name that nobody has."""
        entry = self.find(name)
        salt = bytes.fromhex(entry.salt) if entry else b"nobody"
        digest = _scrypt(password[: LONGEST + 1], salt)
        return entry if entry and secrets.compare_digest(digest, entry.digest) else None

    def _known(self, name: str) -> Entry:
        entry = self.find(name)
        if entry is None:
            known = ", ".join(each.name for each in self.all()) or "nobody yet"
            raise NotFound(f"There is nobody called '{name.strip()[:70]}'; there is: {known}.")
        return entry

    def _keep(self, entry: Entry) -> Entry:
        self._write([*(each for each in self.all() if each.name != entry.name), entry])
        return entry

    def _write(self, entries: Iterable[Entry]) -> None:
        """The file appears whole or not at all, readable by this user alone."""
        rows = [asdict(each) for each in sorted(entries, key=lambda each: each.name)]
        with told(self._path.parent):
            self._write_whole(rows)

    def _write_whole(self, rows: Sequence[dict[str, Any]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=".persons", suffix=".partial", dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": VERSION, "persons": rows}, file, indent=1)
            os.replace(partial, self._path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int, file: int) -> tuple[Entry, ...]:
    """Who stands in the file, read once for each state of it."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["version"] != VERSION:
            raise ValueError(f"version {kept['version']}")
        return tuple(Entry(**{**row, "role": Role(row["role"])}) for row in kept["persons"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            "The file 'persons.json' of the data folder cannot be read: put back a copy of it, or remove it "
            "and add everybody again."
        ) from error


def _hashed(password: str) -> tuple[str, str, str]:
    """Salt, digest and stamp of a password. Raises `BadInput`."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadInput(
            f"A password has {SHORTEST} to {LONGEST} characters, found {len(password)}: choose another."
        )
    if any("\ud800" <= letter <= "\udfff" for letter in password):  # bytes that are no UTF-8
        raise BadInput("A password is text in UTF-8, found other bytes: type it, or save its file as UTF-8.")
    salt = secrets.token_bytes(16)
    return salt.hex(), _scrypt(password, salt), secrets.token_hex(8)


def _scrypt(password: str, salt: bytes) -> str:
    with _one_at_a_time:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=2**27, dklen=32
        ).hex()

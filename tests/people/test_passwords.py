"""What of a password is kept, at its real cost."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vlm_app.people import Role
from vlm_app.store.persons import Persons


def test_a_password_is_kept_as_scrypt_makes_it_at_a_cost_that_slows_guessing(tmp_path: Path) -> None:
    entry = Persons(tmp_path).add("anna", Role.MEMBER, "correct horse")
    salt = bytes.fromhex(entry.salt)
    digest = hashlib.scrypt(b"correct horse", salt=salt, n=2**15, r=8, p=3, maxmem=2**27, dklen=32)
    assert (entry.digest, len(salt)) == (digest.hex(), 16)

"""A bare Debian root, and commands inside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fresh import outside

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,make,ca-certificates"  # what the README asks for
USER = 1000
PROJECT = Path("home/someone/project")  # in the root


def build(root: Path, project: Path) -> None:
    """Fill the empty folder `root` with Debian, one user, and a clone of `project`."""
    apt = root.with_suffix(".apt")
    apt.write_text(outside.apt_settings())
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}", f"--aptopt={apt}",
            SUITE, str(root), *outside.apt_sources(SUITE),
        ],
        check=True,
    )  # fmt: skip
    for certificate in outside.certificates({**outside.variables(), **outside.pip_settings_here()}):
        copy = root / certificate.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, copy)
    shutil.copy("/etc/hosts", root / "etc/hosts")
    with (root / "etc/passwd").open("a") as users:
        users.write(f"someone:x:{USER}:{USER}::/home/someone:/bin/sh\n")
    subprocess.run(["git", "clone", "--quiet", "--no-local", project, root / PROJECT], check=True)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", root / "home/someone"], check=True)


def mount(root: Path) -> None:
    """What every system has mounted. Only to be called in a mount namespace of one's own."""
    for kind in ("dev", "sys"):
        subprocess.run(["mount", "--rbind", f"/{kind}", root / kind], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)


def start(
    root: Path, command: str, *, user: int = USER, more: Mapping[str, str] | None = None, **options: object
) -> subprocess.Popen[str]:
    """Start a shell command in the clone inside the root, with a login's environment and no more."""
    home = "/root" if user == 0 else "/home/someone"
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home,
        "LANG": "C.UTF-8",
        **outside.variables(),
        **outside.pip_settings_here(),
        **(more or {}),
    }
    inside: Sequence[str] = ["sh", "-c", f"cd /{PROJECT} && {command}"]
    chroot = ["chroot", f"--userspec={user}:{user}", str(root), *inside]
    return subprocess.Popen(chroot, env=environment, text=True, start_new_session=True, **options)


def is_possible() -> str:
    """A sentence that says what is missing here, or nothing."""
    missing = [tool for tool in ("mmdebstrap", "unshare", "chroot", "git") if not shutil.which(tool)]
    if missing:
        return f"A bare Debian root is made with {', '.join(missing)}: apt-get install mmdebstrap git."
    if os.geteuid() != 0:
        return "A bare Debian root is entered by root only: run `sudo make test-fresh`."
    return ""

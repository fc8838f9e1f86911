"""Says in a sentence what a machine lacks before anything is installed.

`make` runs this file with the Python it was given, which may be older than the app wants:
hence no imports outside the standard library and no syntax newer than Python 3.6.
"""

import importlib
import os
import shutil
import sys
import tempfile
from typing import Dict, Tuple

OLDEST = (3, 11)
VENV_GB = 7.45  # what .venv holds once everything is installed, the tests' tools too
DOWNLOAD_GB = 3.5  # what pip fetches for it, once into TMPDIR and once into its cache
# Both as benchmarks/install.py measures them.


def python_problem(version: Tuple[int, ...]) -> str:
    """A sentence, or nothing: `version` is (major, minor, ...)."""
    if version >= OLDEST:
        return ""
    wanted, found = (".".join(str(number) for number in numbers[:2]) for numbers in (OLDEST, version))
    return (
        f"Python {wanted} or newer is needed, this is {found}: install a newer one and name it, "
        "as in `make run PYTHON=python3.12`."
    )


def venv_problem() -> str:
    """A sentence, or nothing. Debian ships `venv` without the part that puts pip into it."""
    try:
        for module in ("venv", "ensurepip"):
            importlib.import_module(module)
    except ImportError as error:
        return (
            f"Python's venv module is needed and this Python lacks its part `{error.name}`: install it "
            "(Debian and Ubuntu: apt-get install python3-venv) and try again."
        )
    return ""


def disk_problem(venv: str, temporary: str, cache: str) -> str:
    """A sentence, or nothing: is there room in the folders of .venv, of pip's downloads and of its cache?"""
    needed: Dict[int, Tuple[str, float]] = {}
    for folder, gigabytes in ((cache, DOWNLOAD_GB), (temporary, DOWNLOAD_GB), (venv, VENV_GB)):
        while not os.path.isdir(folder):  # it is made in the nearest one that is there
            folder = os.path.dirname(os.path.abspath(folder))
        disk = os.stat(folder).st_dev
        needed[disk] = (folder, gigabytes + needed.get(disk, ("", 0.0))[1])
    for folder, gigabytes in needed.values():
        free = shutil.disk_usage(folder).free / 1e9
        if free < gigabytes:
            return (
                f"Installing needs {gigabytes:.0f} GB of disk in {folder}, where {free:.1f} GB are free: "
                "make room there, or set TMPDIR to a folder on a larger disk."
            )
    return ""


def main() -> int:
    """Prints the first problem there is; 1 if there was one."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problem = (
        python_problem(sys.version_info[:2])
        or venv_problem()
        or disk_problem(here, tempfile.gettempdir(), os.path.expanduser("~"))
    )
    if problem:
        print(problem, file=sys.stderr)
    return int(bool(problem))


if __name__ == "__main__":
    sys.exit(main())

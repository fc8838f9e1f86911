"""`make test-fresh`: make the root, tell the story inside, remove the root."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fresh import root as debian


def main() -> int:
    """0 when every command of the README worked."""
    if problem := debian.is_possible():
        print(problem, file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="vlm-app-fresh-", dir="/var/tmp"))
    try:
        debian.build(folder / "root", Path.cwd())
        # Mounts and processes of the story end with its namespaces, before anything is removed.
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        story = [sys.executable, "-m", "tests.fresh.story", str(folder / "root")]
        return subprocess.run([*namespaces, *story], check=False).returncode
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())

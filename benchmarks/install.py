"""What an installation costs: bytes fetched, bytes kept, seconds.

    python -m benchmarks.install

Installs requirements.txt, then requirements-dev.txt, with the exact versions into a new
environment in the temporary folder, fetching everything anew. Prints a table and writes
benchmarks/install.json. Packages that pip finds in a folder of this machine are not
counted: let it find none.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}


def fetched(log: str) -> float:
    """Bytes of the packages in what pip printed that it downloads."""
    sizes = re.findall(r"Downloading \S+\.(?:whl|gz) \(([\d.]+) (kB|MB|GB)", log)
    return sum(float(number) * UNITS[unit] for number, unit in sizes)


def kept(folder: Path) -> float:
    """Bytes on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def install(environment: Path, requirements: str) -> dict[str, float]:
    """One step of the installation: seconds, and bytes fetched and kept since the beginning."""
    began = time.monotonic()
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--no-cache-dir", "--progress-bar=off"]
    files = ["-r", ROOT / requirements, "-c", ROOT / "constraints.txt"]
    log = subprocess.run([*pip, *files], capture_output=True, text=True, check=True).stdout
    return {"seconds": time.monotonic() - began, "fetched": fetched(log), "kept": kept(environment)}


def main() -> None:
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for requirements in ("requirements.txt", "requirements-dev.txt"):
            rows[requirements] = install(Path(folder), requirements)
    print("requirements           seconds  fetched/GB  kept/GB")
    for name, row in rows.items():
        print(f"{name:22} {row['seconds']:7.0f}  {row['fetched'] / 1e9:10.2f}  {row['kept'] / 1e9:7.2f}")
    result = {"python": platform.python_version(), "machine": platform.machine(), **rows}
    (ROOT / "benchmarks" / "install.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

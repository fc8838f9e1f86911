"""What this machine needs to reach package registries, to be taken into the bare root."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_NAMES = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
_PROXIES = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}
_DEBIAN = Path("/etc/apt/sources.list.d/debian.sources")


def variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables that name proxies and certificates; pip's own are in `pip_settings`."""
    return {name: value for name, value in environment.items() if name in _NAMES or name.lower() in _PROXIES}


def pip_settings(listed: str) -> dict[str, str]:
    """What `pip config list` printed, as pip's environment variables, less what is on this disk only.

    Packages that lie in a folder here would make the root's installation unlike a stranger's.
    """
    settings = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):  # these win
        name, _, value = line.partition("=")
        words = [word for word in str(ast.literal_eval(value)).split() if not _is_local(name, word)]
        if words:
            key = name.rpartition(".")[2].replace("-", "_").upper()
            settings[f"PIP_{key}"] = " ".join(words)
    return settings


def _is_local(name: str, word: str) -> bool:
    here = word.startswith(("file:", "/", ".")) or os.path.exists(word)
    return here and not name.endswith("cert")  # certificates are copied


def pip_settings_here() -> dict[str, str]:
    """`pip_settings` of this machine."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    return pip_settings(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def certificates(settings: Mapping[str, str]) -> list[Path]:
    """The files that those variables name."""
    return sorted(
        {Path(value) for value in settings.values() if value.startswith("/") and Path(value).is_file()}
    )


def apt_settings() -> str:
    """How apt fetches here (proxy, certificates, limits), as a configuration file."""
    return subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    ).stdout


def apt_sources(suite: str) -> list[str]:
    """This machine's list of Debian mirrors where it holds `suite`, or nothing: Debian's own then."""
    return [str(_DEBIAN)] if _DEBIAN.is_file() and suite in _DEBIAN.read_text() else []

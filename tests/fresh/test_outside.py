"""What is taken into the bare root, and what must stay outside."""

from __future__ import annotations

from pathlib import Path

from tests.fresh.outside import certificates, pip_settings, variables


def test_pip_reaches_the_same_index_with_the_same_certificate() -> None:
    listed = "global.cert='/etc/own.pem'\nglobal.index-url='https://index.example/simple'\n"
    assert pip_settings(listed) == {
        "PIP_CERT": "/etc/own.pem",
        "PIP_INDEX_URL": "https://index.example/simple",
    }


def test_packages_on_this_disk_stay_outside() -> None:
    listed = "global.cache-dir='/kept'\nglobal.index-url='file:///a https://b.example/simple'\n"
    assert pip_settings(listed) == {"PIP_INDEX_URL": "https://b.example/simple"}


def test_the_environment_wins_over_a_file() -> None:
    assert pip_settings(":env:.timeout='9'\nglobal.timeout='60'\n") == {"PIP_TIMEOUT": "9"}


def test_proxies_and_certificates_go_along_and_nothing_else() -> None:
    here = {"https_proxy": "http://proxy.example", "SSL_CERT_FILE": "/ca.pem", "VLM_APP_DATA": "/data"}
    assert variables(here) == {"https_proxy": "http://proxy.example", "SSL_CERT_FILE": "/ca.pem"}


def test_only_certificates_that_exist_are_copied(tmp_path: Path) -> None:
    there = tmp_path / "ca.pem"
    there.touch()
    assert certificates({"PIP_CERT": str(there), "SSL_CERT_FILE": "/not/there.pem"}) == [there]

"""Cookies as a browser sends them."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from vlm_app.api import cookies


@pytest.mark.parametrize(("first", "second"), [("whole.host", "one.path"), ("one.path", "whole.host")])
def test_of_two_apps_on_one_host_that_of_the_longer_path_comes_first(first: str, second: str) -> None:
    sent = Headers({"cookie": f"a=b; owner={first}; owner={second}; owners=x"})
    assert cookies.read(sent, "owner") == first
    assert cookies.read(sent, "a") == "b"


@pytest.mark.parametrize("sent", [{}, {"cookie": ""}, {"cookie": "owners=x; a=owner"}])
def test_a_cookie_that_was_not_sent_is_none(sent: dict[str, str]) -> None:
    assert cookies.read(Headers(sent), "owner") is None

"""Gradio is imported without writing stubs for editors, and is otherwise whole."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import ast
parsed, parse = [], ast.parse
ast.parse = lambda code, *given, **named: parsed.append(str(code)) or parse(code, *given, **named)
from vlm_app.ui import stubs
stubs.write_none()
import gradio
with gradio.Blocks() as page:
    gradio.Dropdown().change(len, None, None)
print(any("class Dropdown" in code for code in parsed), len(page.fns))
"""


def test_no_component_is_read_again_to_describe_it_to_editors() -> None:
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "1"]

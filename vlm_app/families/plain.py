"""What a model is asked that has no form of its own for a task: a question in words."""

from __future__ import annotations

from collections.abc import Mapping

from vlm_app.types import Task

_IN_WORDS: Mapping[Task, str] = {
    Task.DETECT: "Where is {}?",
    Task.GROUND: "Where is {}?",
    Task.POINT: "Where is {}?",
    Task.SEGMENT: "Where is {}?",
    Task.COUNT: "How many of these are there: {}?",
    Task.OCR: "What text is in the image?",
    Task.OCR_REGIONS: "What text is in the image?",
    Task.CAPTION: "Describe the image.",
    Task.DESCRIBE_REGION: "What is in the part of the image from {} (left, top, right, bottom)?",
}


def task_in_words(task: Task, query: str) -> str:
    """What a task asks for, as a person would."""
    return _IN_WORDS.get(task, "{}").format(query or "each thing")

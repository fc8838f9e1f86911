"""The three networks of RapidOCR's package: where text stands, whether it stands on its head, what it says.

PP-OCRv6 small (detection, recognition) and the classifier of PP-OCR mobile v2.0. They are
given by their paths inside the package, so that RapidOCR has no reason to download anything,
and run on the CPU.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlm_app.errors import ModelUnavailable

FILES = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
_MOST_THREADS = 4  # more gain little, and the page wants to answer meanwhile
_AS_IT_IS = 1_000_000  # pixels of a side: our own scaling is not undone
_TALLEST = 96  # pixels of a line: recognition sees 48, and takes every second pixel above twice that
_BATCH = 6  # lines that are classified at once

Pixels = Any  # numpy, (height, width, 3), BGR


class Networks:
    """The loaded networks. Their methods may be called from one thread at a time."""

    def __init__(self) -> None:
        settings = _settings()
        from rapidocr.ch_ppocr_cls import TextClassifier
        from rapidocr.ch_ppocr_det import TextDetector
        from rapidocr.ch_ppocr_rec import TextRecognizer

        self._finder = TextDetector(settings.Det)
        self._classifier = TextClassifier(settings.Cls)
        self._recognizer = TextRecognizer(settings.Rec)

    def find(self, pixels: Pixels) -> tuple[Any, list[float]]:
        """Quads of text, (n, 4, 2) in pixels, from the left top corner clockwise, and their scores."""
        import numpy as np

        if min(pixels.shape[:2]) < 16:  # less than half a step of the network
            return np.zeros((0, 4, 2), np.float32), []
        found: Any = self._finder(pixels)
        if found.boxes is None:
            return np.zeros((0, 4, 2), np.float32), []
        return np.asarray(found.boxes, np.float32), [float(score) for score in found.scores]

    def upside_down(self, lines: Sequence[Pixels]) -> list[float]:
        """For each cut line how surely it stands on its head, 0..1."""
        if not lines:
            return []
        found: Any = self._classifier(list(lines))
        return [score if label == "180" else 1 - score for label, score in found.cls_res]

    def read(self, line: Pixels) -> tuple[str, float]:
        """The text of a cut line and its score."""
        import cv2
        from rapidocr.ch_ppocr_rec import TextRecInput

        height, width = line.shape[:2]
        if height > _TALLEST:
            size = (max(round(width * _TALLEST / height), 1), _TALLEST)
            line = cv2.resize(line, size, interpolation=cv2.INTER_AREA)
        found: Any = self._recognizer(TextRecInput(img=[line]))
        return found.txts[0], float(found.scores[0])


def folder() -> Path:
    """Where the package keeps its networks. Raises `ModelUnavailable` where one is missing."""
    package = importlib.util.find_spec("rapidocr")
    place = Path(package.origin).parent / "models" if package and package.origin else None
    if place is None or not all((place / name).is_file() for name in FILES.values()):
        raise ModelUnavailable(
            "RapidOCR cannot be loaded: the package 'rapidocr' with its three networks is expected, and it "
            "or one of them is missing; install it again with 'pip install --force-reinstall rapidocr'."
        )
    return place


def threads() -> int:
    """Threads for a network: all cores but for what the page needs, and few where there are many."""
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(_MOST_THREADS, able))


def _settings() -> Any:
    """RapidOCR's own settings, with paths instead of names of models, and quiet."""
    place = folder()
    from rapidocr import main
    from rapidocr.utils.parse_parameters import ParseParams

    log = logging.getLogger("RapidOCR")  # which writes to the terminal by itself, below all settings of ours
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.WARNING)
    settings = ParseParams.load(main.DEFAULT_CFG_PATH)
    settings.EngineConfig.onnxruntime.intra_op_num_threads = threads()
    settings.EngineConfig.onnxruntime.inter_op_num_threads = 1
    for part, name in FILES.items():
        settings[part].engine_cfg = settings.EngineConfig.onnxruntime
        settings[part].model_path = str(place / name)
    settings.Det.limit_type, settings.Det.limit_side_len = "max", _AS_IT_IS
    settings.Cls.cls_batch_num, settings.Cls.cls_thresh = _BATCH, 2.0  # above 1: it never turns them itself
    settings.Rec.font_path = None
    return settings

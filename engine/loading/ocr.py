"""Pixels -> lines of text with their boxes, by PP-OCRv4 models through ONNX Runtime (RapidOCR); no network, one thread.

Runs inside the child of `engine.loading.process`, like everything that touches a file.
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from engine.errors import MissingDependency

MIN_SCORE = 0.5  # mean probability of a line's characters below which it is taken for a stain
# Blank columns, as shares of a line's height: the recogniser was trained on Chinese and leaves out spaces of narrow type.
_SPACE = 0.16
_SPACE_AT_DIGIT = 0.3
_WIDE = 0.11  # the gap inside a word that is no reason for a space, in type that is spaced out

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """A run of text and its box as shares of the picture: left, top, right, bottom."""

    text: str
    box: Box


class Recogniser:
    """The three models, loaded once (about 0.5 s). Not thread-safe."""

    def __init__(self) -> None:
        try:
            import cv2
            from rapidocr_onnxruntime import RapidOCR
            from rapidocr_onnxruntime.utils.infer_engine import OrtInferSession
        except ImportError as error:
            raise MissingDependency(
                "text recognition is not installed", hint="Install rapidocr-onnxruntime and process the document again."
            ) from error
        cv2.setNumThreads(1)
        usual = OrtInferSession._init_sess_opts

        def with_arena(config: Any) -> Any:
            options = usual(config)
            options.enable_cpu_mem_arena = True  # three times as fast; the child's memory is bounded anyway
            return options

        OrtInferSession._init_sess_opts = staticmethod(with_arena)
        self._models = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
        # One line at a time: batches are padded to their longest line, which costs more than they save without threads.
        self._models.text_rec.rec_batch_num = 1

    def read(self, picture: Image.Image) -> list[Seen]:
        """Return what stands on the picture, in no particular order."""
        models = self._models
        pixels = np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1])
        height, width = pixels.shape[:2]
        padded, padding = models.maybe_add_letterbox(pixels, {})
        boxes, _ = models.auto_text_det(padded)
        if boxes is None:
            return []
        crops, _, _ = models.text_cls(models.get_crop_img_list(padded, boxes))
        lines, _ = models.text_rec(crops, return_word_box=True)
        corners = models._get_origin_points(boxes, padding, height, width)
        found = []
        for (text, score, places), crop, corner in zip(lines, crops, corners, strict=True):
            if score < MIN_SCORE:
                continue
            shares = corner / (width, height)
            (left, top), (right, bottom) = shares.min(axis=0).tolist(), shares.max(axis=0).tolist()
            text = clean(spaced(text, places, crop))
            if text and left < right and top < bottom:
                found.append(Seen(text, (left, top, right, bottom)))
        return found


def clean(text: str) -> str:
    """Return NFC without control characters and with single spaces."""
    kept = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in unicodedata.normalize("NFC", text))
    return " ".join(kept.split())


def spaced(text: str, places: Any, crop: Any) -> str:
    """Return `text` with spaces where the picture of the line has a gap as wide as one and the recogniser saw none.

    `places` is what RapidOCR tells of a line: the number of columns it looked at, and in which one it found each character.
    """
    columns = list(itertools.chain.from_iterable(places[2]))
    if len(columns) != len(text) or not places[0]:
        return text
    height, width = crop.shape[:2]
    gaps = _gaps(crop)
    at = [column / places[0] * width for column in columns]
    parts = [text[:1]]
    widths = [0.0]
    for index in range(1, len(text)):
        left, right = at[index - 1], at[index]
        between = (min(end, right) - max(start, left) for start, end in gaps if start < right and left < end)
        widths.append(max(between, default=0.0))
    inner = [w for w, one, two in zip(widths[1:], text, text[1:], strict=False) if one.isalnum() and two.isalnum()]
    usual = float(np.median(inner)) if inner else 0.0
    for index in range(1, len(text)):
        before, after = text[index - 1], text[index]
        digits = before.isdigit() or after.isdigit()
        least = (_SPACE_AT_DIGIT if digits else _SPACE) * height
        wide = widths[index] > least and widths[index] > usual + _WIDE * height
        if wide and not before.isspace() and not after.isspace() and before.isascii() and after.isascii():
            parts.append(" ")
        parts.append(after)
    return "".join(parts)


def _gaps(crop: Any) -> list[tuple[int, int]]:
    """Return [start, end) of the runs of columns without ink."""
    grey = crop.mean(axis=2)
    paper = np.median(grey)
    low, high = grey.min(), grey.max()
    ink = np.abs(grey - paper) > 0.35 * max(1.0, max(high - paper, paper - low))
    blank = np.concatenate(([False], ~ink.any(axis=0), [False])).astype(np.int8)
    edges = np.diff(blank)
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))

"""Which text of a PDF page nobody sees: off the page, invisible, drawn by nothing, covered, too small, or like its ground.

Whole text objects are judged, not characters, so that a page without any costs little. In doubt text stays: invisible text
over a picture is what text recognition leaves, and white text over anything drawn may be seen.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium

MIN_POINTS = 1.5
PICTURE_SHARE = 0.4
"""Share of the page that a picture covers at which invisible text is taken for recognised text."""
BLANK = "text in a font that draws nothing"
MAX_OBJECTS = 50_000
MAX_SHEETS = 200  # filled rectangles that are compared with text
MIN_SHEET = 6.0  # points: what is thinner is a rule and hides no line of text
_INVISIBLE = frozenset({pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP})

# PDFium writes into these; made once, for each of a page's objects is asked. PDFium is not thread-safe anyway.
_SIDES = tuple(ctypes.c_float() for _ in range(4))
_PARTS = tuple(ctypes.c_uint() for _ in range(4))
_SIZE, _MATRIX = ctypes.c_float(), pdfium.FS_MATRIX()

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in points."""
Fill = tuple[int, int, int, int]
"""Red, green, blue, opacity; 0 to 255."""


def hidden_objects(page: Any) -> dict[int, str]:
    """Return address of a text object -> why it is not seen, for those that are not."""
    frame = pdfium.FS_RECTF()
    if not pdfium.FPDF_GetPageBoundingBox(page, frame):
        return {}
    bounds = (frame.left, frame.bottom, frame.right, frame.top)
    found: dict[int, str] = {}
    white: list[tuple[int, Box]] = []
    drawn: list[Box] = []
    recognised = False
    sheets: list[tuple[int, Any, Box]] = []  # large paths, and where in the order of painting
    texts: list[tuple[int, Any, Box, Fill | None]] = []
    for order, one in enumerate(_objects(page)):
        kind, box = pdfium.FPDFPageObj_GetType(one), _box(one)
        if kind != pdfium.FPDF_PAGEOBJ_TEXT:
            if box and kind == pdfium.FPDF_PAGEOBJ_PATH and len(sheets) < MAX_SHEETS and _is_large(box):
                sheets.append((order, one, box))
            if box and _paints(one, kind):
                drawn.append(box)
            recognised = recognised or bool(box and kind == pdfium.FPDF_PAGEOBJ_IMAGE and _share(box, bounds) > PICTURE_SHARE)
        elif reason := _reason(one, box, bounds):
            found[_address(one)] = reason
        elif box:
            fill = _fill(one)
            if fill and (min(fill[:3]) >= 250 or fill[3] < 8) and not _is_stroked(one):
                white.append((_address(one), box))
            texts.append((order, one, box, fill))
    found |= {key: "white text" for key, box in white if not any(_covers(other, box) for other in drawn)}
    found |= _behind(texts, sheets, drawn) if sheets else {}
    return {key: reason for key, reason in found.items() if not (recognised and reason in ("invisible text", BLANK))}


def _behind(
    texts: list[tuple[int, Any, Box, Fill | None]], sheets: list[tuple[int, Any, Box]], drawn: list[Box]
) -> dict[int, str]:
    """Return the texts that a later rectangle covers, or that have the colour of the one rectangle that they stand on."""
    found: dict[int, str] = {}
    for order, one, box, fill in texts:
        # Most pages paint their grounds first, and black text stands on none that is black.
        first = next((at for at in range(len(sheets), 0, -1) if sheets[at - 1][0] < order), 0)
        if any(_holds(sheet, box) and _opaque(path) for _, path, sheet in sheets[first:]):
            found[_address(one)] = "covered text"
            continue
        under = [path for _, path, sheet in sheets[:first] if _holds(sheet, box)]
        # Anything else there, or another sheet on top, may set the text off.
        same = under and fill and fill == _fill(under[-1]) == _opaque(under[-1])
        if same and sum(_covers(other, box) for other in drawn) == len(under):
            found[_address(one)] = "text in the colour of what it stands on"
    return found


def hidden_characters(text_page: Any, raw: str, objects: dict[int, str]) -> Iterator[tuple[int, str]]:
    """Yield (offset in `raw`, reason) of each character of the `objects`; of blank ones no space, for it parts words."""
    unit = 0
    for offset, character in enumerate(raw):
        index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, unit)
        owner = pdfium.FPDFText_GetTextObject(text_page, index) if index >= 0 else None
        reason = objects.get(_address(owner)) if owner else None
        if reason and (reason != BLANK or not character.isspace()):
            yield offset, reason
        unit += 2 if character > "\uffff" else 1


def _objects(page: Any) -> Iterator[Any]:
    for index in range(min(pdfium.FPDFPage_CountObjects(page), MAX_OBJECTS)):
        yield pdfium.FPDFPage_GetObject(page, index)


def _address(one: Any) -> int:
    return ctypes.cast(one, ctypes.c_void_p).value or 0


def _box(one: Any) -> Box | None:
    if not pdfium.FPDFPageObj_GetBounds(one, *_SIDES):
        return None
    left, bottom, right, top = _SIDES
    return left.value, bottom.value, right.value, top.value


def _reason(one: Any, box: Box | None, page: Box) -> str:
    if pdfium.FPDFTextObj_GetTextRenderMode(one) in _INVISIBLE:
        return "invisible text"
    if box and (box[2] < page[0] or box[0] > page[2] or box[3] < page[1] or box[1] > page[3]):
        return "text off the page"
    if 0 < _points(one) < MIN_POINTS:
        return "text too small to see"
    return BLANK if box and min(box[2] - box[0], box[3] - box[1]) <= 0 and _is_embedded(one) else ""


def _is_embedded(text: Any) -> bool:
    """Whether the glyphs are the file's own: others may just be missing on this machine."""
    font = pdfium.FPDFTextObj_GetFont(text)
    return bool(font) and pdfium.FPDFFont_GetIsEmbedded(font) == 1


def _points(one: Any) -> float:
    if not pdfium.FPDFTextObj_GetFontSize(one, _SIZE) or not pdfium.FPDFPageObj_GetMatrix(one, _MATRIX):
        return 0.0
    return float(abs(_SIZE.value) * abs(_MATRIX.a * _MATRIX.d - _MATRIX.b * _MATRIX.c) ** 0.5)


def _fill(one: Any) -> Fill | None:
    if not pdfium.FPDFPageObj_GetFillColor(one, *_PARTS):
        return None
    red, green, blue, alpha = _PARTS
    return red.value, green.value, blue.value, alpha.value


def _is_stroked(one: Any) -> bool:
    return pdfium.FPDFTextObj_GetTextRenderMode(one) in {1, 2, 5, 6}


def _paints(one: Any, kind: int) -> bool:
    """Return whether an object puts something other than white on the page; in doubt it does."""
    if kind != pdfium.FPDF_PAGEOBJ_PATH:
        return True
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if pdfium.FPDFPath_GetDrawMode(one, mode, stroke) and mode.value == pdfium.FPDF_FILLMODE_NONE:
        return False
    fill = _fill(one)
    return fill is None or min(fill[:3]) < 250


def _is_large(box: Box) -> bool:
    return box[2] - box[0] >= MIN_SHEET and box[3] - box[1] >= MIN_SHEET


def _opaque(one: Any) -> Fill | None:
    """Return the fill of a plain filled rectangle that lets nothing through and is not clipped; in doubt None."""
    if not 4 <= pdfium.FPDFPath_CountSegments(one) <= 6:
        return None
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(one, mode, stroke) or mode.value == pdfium.FPDF_FILLMODE_NONE:
        return None
    fill = _fill(one)
    if fill is None or fill[3] < 255 or pdfium.FPDFPageObj_HasTransparency(one) or not _is_rectangle(one):
        return None
    clip = pdfium.FPDFPageObj_GetClipPath(one)
    return None if clip and pdfium.FPDFClipPath_CountPaths(clip) > 0 else fill


def _is_rectangle(one: Any) -> bool:
    """Return whether the path has only level and upright sides."""
    matrix, x, y = pdfium.FS_MATRIX(), ctypes.c_float(), ctypes.c_float()
    if not pdfium.FPDFPageObj_GetMatrix(one, matrix) or (matrix.b, matrix.c) != (0, 0):
        return False
    points = []
    for index in range(pdfium.FPDFPath_CountSegments(one)):
        segment = pdfium.FPDFPath_GetPathSegment(one, index)
        if pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_BEZIERTO:
            return False
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        points.append((x.value, y.value))
    level = all(one[0] == two[0] or one[1] == two[1] for one, two in pairwise([*points, points[0]]))
    return level and len({x for x, _ in points}) == len({y for _, y in points}) == 2


def _holds(sheet: Box, box: Box) -> bool:
    return sheet[0] <= box[0] and sheet[1] <= box[1] and sheet[2] >= box[2] and sheet[3] >= box[3]


def _covers(one: Box, other: Box) -> bool:
    across, up = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return one[0] <= across <= one[2] and one[1] <= up <= one[3]


def _share(box: Box, page: Box) -> float:
    area = (page[2] - page[0]) * (page[3] - page[1])
    return (box[2] - box[0]) * (box[3] - box[1]) / area if area else 0.0

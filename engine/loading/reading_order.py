"""In which order the lines of a page are read: columns of prose one after the other, everything else row by row.

A recursive X-Y cut (Nagy and Seth, "Hierarchical representation of optically scanned documents", 1984) that only cuts where
both sides look like columns of prose: a table has white gutters too, and its rows must stay rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; downwards, as shares of the page."""

MIN_LINES = 3  # in each of two columns
MIN_WIDTH = 0.15  # of a column, as a share of the page
MIN_FILLED = 0.55  # of a column's width that its middle line fills
MIN_OVERLAP = 0.5  # of the shorter column that stands beside the other
_MAX_DEPTH = 6


def reading_order(boxes: Sequence[Box]) -> list[list[list[int]]]:
    """Return blocks of rows of indices into `boxes`: a row is what stands side by side, a block ends where a wide gap is."""
    blocks: list[list[list[int]]] = []
    for column in _columns(list(range(len(boxes))), boxes, _MAX_DEPTH):
        blocks += _blocks(_rows(column, boxes), boxes)
    return blocks


def has_columns(boxes: Sequence[Box]) -> bool:
    """Return whether there are columns of prose beside each other."""
    return _gutter(range(len(boxes)), boxes) is not None


def _columns(members: list[int], boxes: Sequence[Box], depth: int) -> list[list[int]]:
    """Return groups of indices, to be read one after the other."""
    cut = _gutter(members, boxes) if depth else None
    if cut is None:
        return [members] if members else []
    # Lines that cross the gutter (titles, captions) part the page into bands: what is above is read before what is below.
    crossing = sorted((one for one in members if boxes[one][0] < cut < boxes[one][2]), key=lambda one: _middle(boxes[one]))
    rest = sorted((one for one in members if not boxes[one][0] < cut < boxes[one][2]), key=lambda one: _middle(boxes[one]))
    groups: list[list[int]] = []
    for wall in (*crossing, None):
        above = rest if wall is None else [one for one in rest if _middle(boxes[one]) < _middle(boxes[wall])]
        rest = rest[len(above) :]
        left = [one for one in above if boxes[one][2] <= cut]
        right = [one for one in above if boxes[one][0] >= cut]
        if len(left) < MIN_LINES or len(right) < MIN_LINES:
            groups.append(above)
        else:
            groups += [*_columns(left, boxes, depth - 1), *_columns(right, boxes, depth - 1)]
        if wall is not None:
            groups.append([wall])
    return _joined([group for group in groups if group])


def _joined(groups: list[list[int]]) -> list[list[int]]:
    """Join lone lines that follow each other, so that their rows and gaps are seen together."""
    joined: list[list[int]] = []
    lone = False
    for group in groups:
        small = len(group) < MIN_LINES
        if joined and small and lone:
            joined[-1] = joined[-1] + group
        else:
            joined.append(group)
        lone = small
    return joined


def _gutter(members: Sequence[int], boxes: Sequence[Box]) -> float | None:
    """Return the abscissa of the best white gutter between two columns of prose."""
    best, found = 0, None
    # A gutter lies just right of where some line ends.
    for cut in sorted({round(boxes[one][2] + 0.004, 3) for one in members}):
        left = [one for one in members if boxes[one][2] <= cut]
        right = [one for one in members if boxes[one][0] >= cut]
        crossing = len(members) - len(left) - len(right)
        score = min(len(left), len(right)) - 2 * crossing
        if min(len(left), len(right)) >= MIN_LINES and score > best and _beside(left, right, boxes):
            best, found = score, cut
    return found


def _beside(left: Sequence[int], right: Sequence[int], boxes: Sequence[Box]) -> bool:
    spans = []
    for side in (left, right):
        start, end = min(boxes[one][0] for one in side), max(boxes[one][2] for one in side)
        widths = [boxes[one][2] - boxes[one][0] for one in side]
        if end - start < MIN_WIDTH or median(widths) < MIN_FILLED * (end - start):
            return False
        spans.append((min(boxes[one][1] for one in side), max(boxes[one][3] for one in side)))
    (top, bottom), (other_top, other_bottom) = spans
    shorter = min(bottom - top, other_bottom - other_top)
    return min(bottom, other_bottom) - max(top, other_top) > MIN_OVERLAP * shorter


def _rows(members: Sequence[int], boxes: Sequence[Box]) -> list[list[int]]:
    rows: list[list[int]] = []
    for one in sorted(members, key=lambda one: _middle(boxes[one])):
        box = boxes[one]
        last = boxes[rows[-1][0]] if rows else None
        if last and min(box[3], last[3]) - max(box[1], last[1]) > 0.5 * min(box[3] - box[1], last[3] - last[1]):
            rows[-1].append(one)
        else:
            rows.append([one])
    for row in rows:
        row.sort(key=lambda one: boxes[one][0])
    return rows


def _blocks(rows: list[list[int]], boxes: Sequence[Box]) -> list[list[list[int]]]:
    if not rows:
        return []
    tops = [min(boxes[one][1] for one in row) for row in rows]
    bottoms = [max(boxes[one][3] for one in row) for row in rows]
    gaps = [top - bottom for top, bottom in zip(tops[1:], bottoms, strict=False)]
    height = median(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    wide = min(2.0 * height, max(0.6 * height, (median(gaps) if gaps else 0.0) + 0.35 * height))
    blocks = [[rows[0]]]
    for gap, row in zip(gaps, rows[1:], strict=True):
        if gap > wide:
            blocks.append([])
        blocks[-1].append(row)
    return blocks


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2

"""The part of a page that is shown first holds everything that is marked."""

import io

import pytest
from PIL import Image

from engine.documents import PageImage
from ui.components.page_part import around_marks


def picture(boxes):
    """A page of 100 x 200 pixels whose marks are red."""
    page = Image.new("RGB", (100, 200), "white")
    for left, top, right, bottom in boxes:
        page.paste((255, 0, 0), (round(left * 100), round(top * 200), round(right * 100), round(bottom * 200)))
    out = io.BytesIO()
    page.save(out, format="PNG")
    return PageImage(png=out.getvalue(), width=100, height=200, boxes=tuple(boxes))


def red(png):
    with Image.open(io.BytesIO(png)) as part:
        return sum(pixel == (255, 0, 0) for pixel in part.convert("RGB").get_flattened_data()), part.size


@pytest.mark.parametrize(
    "boxes",
    [
        [(0.1, 0.0, 0.9, 0.02)],
        [(0.1, 0.5, 0.9, 0.55)],
        [(0.1, 0.96, 0.9, 1.0)],
        [(0.1, 0.1, 0.9, 0.15), (0.1, 0.8, 0.9, 0.85)],
    ],
    ids=["top", "middle", "bottom", "far apart"],
)
def test_all_marks_are_in_the_part_that_is_shown(boxes):
    whole = picture(boxes)
    marked, _ = red(whole.png)
    shown, (width, height) = red(around_marks(whole))
    assert shown == marked
    assert width == 100
    assert 78 <= height <= 200


def test_a_page_without_marks_is_shown_whole():
    whole = picture([])
    assert around_marks(whole) == whole.png

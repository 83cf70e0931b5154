"""Images as documents: pages of a TIFF, bombs, and pictures of pages."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from engine.documents import Line
from engine.errors import BrokenFile, FileTooLarge
from engine.loading.image import ImageLoader
from engine.loading.preview import render
from engine.loading.recognise import boxes_of, recognise
from engine.sections import Ingestion, Limits


def png(width: int, height: int) -> bytes:
    """Return a PNG whose header tells this size and that holds nothing."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")


def test_a_tiff_has_a_page_for_each_frame_and_each_can_be_drawn(tmp_path):
    path = tmp_path / "a.tiff"
    Image.new("L", (300, 200), 255).save(path, save_all=True, append_images=[Image.new("L", (200, 300), 0)])
    document = ImageLoader().load(path, name="a.tiff")
    assert [(page.number, page.text, page.has_image) for page in document.pages] == [(1, "", True), (2, "", True)]
    lines = [Line(start=0, end=10, box=(0.1, 0.2, 0.9, 0.3))]
    image = render(path, media_type="image/tiff", page=2, highlight=[(0, 5)], lines=lines, width=100, limits=Limits())
    assert (image.width, image.height) == (100, 150)
    assert image.boxes == (pytest.approx((0.1, 0.2, 0.5, 0.3)),)
    assert Image.open(io.BytesIO(image.png)).getpixel((5, 5)) == (0, 0, 0)


@pytest.mark.parametrize(("data", "error"), [(png(60_000, 60_000), FileTooLarge), (png(100, 100)[:50], BrokenFile)])
def test_bombs_and_cut_off_images_are_refused(tmp_path: Path, data: bytes, error: type[Exception]):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(error):
        ImageLoader().load(tmp_path / "a.png", name="a.png")


def test_a_page_that_takes_too_long_is_passed_over(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (50, 50), 255).save(path)
    rules = Ingestion(ocr_page_seconds=0.05)
    (page,) = recognise(path, media_type="image/png", pages=[1], rules=rules, limits=Limits())
    assert (page.number, page.text, page.recognised) == (1, "", True)


def test_a_span_of_two_lines_has_two_boxes():
    lines = [Line(start=0, end=4, box=(0.0, 0.0, 0.4, 0.1)), Line(start=5, end=9, box=(0.0, 0.2, 0.4, 0.3))]
    assert boxes_of(lines, (2, 7)) == [pytest.approx((0.2, 0.0, 0.4, 0.1)), pytest.approx((0.0, 0.2, 0.2, 0.3))]

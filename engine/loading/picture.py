"""Image files by Pillow: few formats, bounded pixels, upright; and the marking of boxes on a picture."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from engine.documents import PageImage
from engine.errors import BrokenFile, EngineError, FileTooLarge, NotFound
from engine.loading.image_types import FORMATS

MAX_IMAGE_PIXELS = 100_000_000
"""An A3 page at 600 dots per inch has 70 million. The size is in the file's header, so a bomb is refused before it unfolds."""
MAX_PIXELS = 16_000_000
"""Of a picture that is drawn for people."""
_INK = (255, 236, 110)

Box = tuple[float, float, float, float]


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Yield the image; nothing but its header was read. Raises BrokenFile, FileTooLarge."""
    Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with path.open("rb") as file, Image.open(file, formats=sorted(set(FORMATS.values()))) as image:
                yield image
    except EngineError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileTooLarge(f"the image has more than {MAX_IMAGE_PIXELS // 1_000_000} million pixels") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError) as error:
        raise BrokenFile("the image is damaged and cannot be read") from error


def frames(image: Image.Image) -> int:
    """Return how many pages it has. Only a TIFF has pages; what moves in other formats is one picture."""
    return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def upright(image: Image.Image, number: int, *, longest: int = 0) -> Image.Image:
    """Return page `number` (from 1) as RGB on white, turned as its camera held it, at most `longest` pixels long.

    Raises NotFound, FileTooLarge.
    """
    if not 1 <= number <= frames(image):
        raise NotFound(f"the file has no page {number}")
    image.seek(number - 1)
    if image.width * image.height > MAX_IMAGE_PIXELS:
        raise FileTooLarge(f"the image has more than {MAX_IMAGE_PIXELS // 1_000_000} million pixels")
    if longest:
        image.draft("RGB", (longest, longest))
    picture = image
    if longest and max(image.size) > longest:
        picture = image.copy() if image.mode in {"RGB", "L"} else image.convert("RGBA" if _has_alpha(image) else "RGB")
        picture.thumbnail((longest, longest))
    if _has_alpha(picture):
        sheet = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        sheet.alpha_composite(picture.convert("RGBA"))
        picture = sheet
    return ImageOps.exif_transpose(picture).convert("RGB")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info


def render_picture(*, path: str, page: int, boxes: Sequence[Box], width: int) -> PageImage:
    """Return page `page` of an image file at most `width` pixels wide, with `boxes` marked. Raises as `upright`."""
    with open_picture(Path(path)) as image:
        picture = upright(image, page)
    width = max(16, min(width, picture.width))
    height = max(1, round(picture.height * width / picture.width))
    if width * height > MAX_PIXELS:
        shrink = (MAX_PIXELS / (width * height)) ** 0.5
        width, height = max(1, int(width * shrink)), max(1, int(height * shrink))
    return marked(picture.resize((width, height)), boxes)


def marked(image: Image.Image, boxes: Sequence[Box]) -> PageImage:
    """Return `image` with `boxes` marked as with a felt pen."""
    for left, top, right, bottom in boxes:
        area = (
            max(0, round(left * image.width) - 1),
            max(0, round(top * image.height) - 1),
            min(image.width, round(right * image.width) + 1),
            min(image.height, round(bottom * image.height) + 1),
        )
        if area[0] < area[2] and area[1] < area[3]:
            part = image.crop(area)
            image.paste(ImageChops.multiply(part, Image.new("RGB", part.size, _INK)), area[:2])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return PageImage(png=buffer.getvalue(), width=image.width, height=image.height, boxes=tuple(boxes))

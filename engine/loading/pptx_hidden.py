"""Which slides and shapes of a presentation an audience does not see: hidden ones, and those that lie beside the slide."""

from __future__ import annotations

from lxml import etree

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"


def slide_size(presentation: etree._Element) -> tuple[int, int]:
    """Return width and height of the slides; 0 when the file does not tell."""
    size = presentation.find(_P + "sldSz")
    return (_number(size, "cx"), _number(size, "cy")) if size is not None else (0, 0)


def is_hidden(slide: etree._Element) -> bool:
    """Return whether a slide is skipped in the show."""
    return slide.get("show", "1") in {"0", "false"}


def hidden_reason(shape: etree._Element, size: tuple[int, int]) -> str:
    """Return why a shape outside of groups is not seen, or ""."""
    names = next((node for node in shape.iter(_P + "cNvPr")), None)
    if names is not None and names.get("hidden") in {"1", "true"}:
        return "hidden shapes"
    frame = shape.find(f"{_P}spPr/{_A}xfrm")
    frame = shape.find(_P + "xfrm") if frame is None else frame
    if frame is None or not all(size) or next(shape.iterancestors(_P + "grpSp"), None) is not None:
        return ""
    place, extent = frame.find(_A + "off"), frame.find(_A + "ext")
    if place is None or extent is None:
        return ""
    left, top = _number(place, "x"), _number(place, "y")
    outside = left >= size[0] or top >= size[1] or left + _number(extent, "cx") <= 0 or top + _number(extent, "cy") <= 0
    return "shapes beside the slide" if outside else ""


def _number(node: etree._Element, name: str) -> int:
    value = node.get(name, "0")
    return int(value) if value.lstrip("-").isdigit() else 0

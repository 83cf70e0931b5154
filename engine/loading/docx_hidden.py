"""Which runs of a Word document are not seen on paper: hidden, white on white, or too small."""

from __future__ import annotations

from lxml import etree

from engine.loading.hidden import Hidden, is_white

MIN_HALF_POINTS = 4
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# What may put another colour than white behind a text, also through a style that is not looked up.
_COLORED = frozenset({_W + "tbl", _W + "txbxContent"})


def drop_hidden_runs(root: etree._Element, hidden: Hidden) -> None:
    """Take the runs that nobody sees out of the tree, and note their text."""
    ground = root.find(_W + "background") is not None
    for run in list(root.iter(_W + "r")):
        properties = run.find(_W + "rPr")
        if properties is None:
            continue
        if reason := _reason(run, properties, ground=ground):
            hidden.add(reason, "".join(text.text or "" for text in run.iter(_W + "t")))
            for text in list(run.iter(_W + "t")):
                text.text = ""


def _reason(run: etree._Element, properties: etree._Element, *, ground: bool) -> str:
    vanish = properties.find(_W + "vanish")
    if vanish is not None and vanish.get(_W + "val", "true") not in {"0", "false", "off"}:
        return "text formatted as hidden"
    size = _value(properties, "sz")
    if size.isdigit() and int(size) < MIN_HALF_POINTS:
        return "text too small to see"
    if not ground and is_white(_value(properties, "color")) and not _shaded(run, properties):
        return "white text"
    return ""


def _value(properties: etree._Element, name: str) -> str:
    found = properties.find(_W + name)
    return found.get(_W + "val", "") if found is not None else ""


def _shaded(run: etree._Element, properties: etree._Element) -> bool:
    if properties.find(_W + "shd") is not None or properties.find(_W + "highlight") is not None:
        return True
    return any(
        parent.tag in _COLORED or (parent.tag == _W + "p" and parent.find(f"{_W}pPr/{_W}shd") is not None)
        for parent in run.iterancestors()
    )

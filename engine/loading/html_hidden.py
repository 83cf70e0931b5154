"""Which elements of an HTML page a browser does not show, judged by attributes and inline styles alone.

Style sheets are not read: what only they hide is kept, and scored like any other text. Text for screen readers (alternative
texts, `aria-hidden`) is no secret and stays as it is.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from engine.loading.hidden import Hidden, is_white

MAX_COUNTED = 500
_NOT_SHOWN = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0?\.?0+(?![.\d])|(?:text-indent|left|top|right|margin-left):-\d{3,}"
    r"|clip(?:-path)?:(?:rect\(0|inset\((?:50|100)%)|(?:max-)?(?:height|width):0(?:px)?;?.{0,60}overflow:hidden"
)
_TINY = re.compile(r"font-size:(?:0(?:\.\d+)?|1)(?:px|pt|em|rem|%)?(?![.\d])")
_COLOR = re.compile(r"(?:^|;)color:([^;]+)")


def mark_hidden(tree: LexborHTMLParser, hidden: Hidden, *, where: str = "") -> None:
    """Give what is not shown the attribute `hidden`, and note its text."""
    if tree.body is None:
        return
    styled = tree.css_first("style, link[rel=stylesheet]") is not None
    for node in tree.body.css("[hidden], [style]"):
        if reason := _reason(node, styled=styled):
            node.attrs["hidden"] = ""
            if hidden.passages < MAX_COUNTED and not _inside_hidden(node):
                hidden.add(reason, node.text(separator=" "), where=where)


def _reason(node: LexborNode, *, styled: bool) -> str:
    attributes = node.attributes
    if "hidden" in attributes:
        return "text that the page does not show"
    style = "".join((attributes.get("style") or "").lower().split()).replace("!important", "")
    if _NOT_SHOWN.search(style):
        return "text that the page does not show"
    if _TINY.search(style):
        return "text too small to see"
    color = _COLOR.search(style)
    # A style sheet may put it on a dark ground.
    return "white text" if color and is_white(color[1]) and not styled and not _on_color(node) else ""


def _on_color(node: LexborNode) -> bool:
    at: LexborNode | None = node
    for _ in range(100):
        if at is None:
            return False
        if at.attributes.get("bgcolor") or "background" in (at.attributes.get("style") or "").lower():
            return True
        at = at.parent
    return True


def _inside_hidden(node: LexborNode) -> bool:
    at = node.parent
    for _ in range(100):
        if at is None:
            return False
        if "hidden" in at.attributes:
            return True
        at = at.parent
    return False

"""The heading path in force at each position of a page."""

from __future__ import annotations

from bisect import bisect_right

from engine.documents import Page


class Outline:
    """Sections of one page, from `page.section` and its heading blocks. A heading belongs to the section that it opens."""

    def __init__(self, page: Page) -> None:
        self.starts: list[int] = []
        self._paths: list[tuple[str, ...]] = [page.section]
        path = [(level, title) for level, title in enumerate(page.section, start=1)]
        for block in page.blocks:
            title = " ".join(page.text[block.start : block.end].split()).strip("# ")
            if block.kind != "heading" or not title:
                continue
            level = max(1, block.level)
            path = [*(entry for entry in path if entry[0] < level), (level, title)]
            self.starts.append(block.start)
            self._paths.append(tuple(name for _, name in path))

    def at(self, position: int) -> tuple[str, ...]:
        """Return the heading path in force at `position`, outermost first."""
        return self._paths[bisect_right(self.starts, position)]

"""What becomes of a file: pages with their text, pieces of it, and chunks with an identity. Offsets as in `engine.types`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A structural piece of one page, found by the loader. Blocks are in order and do not overlap.

    `kind` is "heading" (with `level` 1..6), "table" (rows are lines of the page's text; `header` holds the header row's text,
    which may itself lie outside the block), "code" (never reflowed) or "paragraph".
    """

    start: int
    end: int
    kind: str = "paragraph"
    level: int = 0
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a recognised line lies: its span in the page's text, and left, top, right, bottom as shares of the page (0..1)."""

    start: int
    end: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page (PDF), slide, sheet, or the whole of a document that has no pages.

    `text` is what offsets count in; it never changes after parsing. `section` is the heading path in force where the page
    begins (PDF outline, sheet name, slide title). `has_image` tells a scan from an empty page. `recognised`: the text was
    read from
    a picture, and `lines` tell where on it.
    """

    number: int
    text: str
    section: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    has_image: bool = False
    recognised: bool = False
    lines: tuple[Line, ...] = ()

    @property
    def has_text(self) -> bool:
        """Whether anything on the page can be read (at least one letter or digit)."""
        return any(character.isalnum() for character in self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a loader makes of a file. `title` is for people and for search; it may be empty."""

    name: str
    media_type: str
    pages: tuple[Page, ...]
    title: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def text_coverage(self) -> float:
        """Share of pages that have text, 0..1 (0 for a document without pages)."""
        return sum(page.has_text for page in self.pages) / len(self.pages) if self.pages else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a chunker returns: `page.text[start:end] == text` holds exactly, and a piece never crosses a page.

    `section` is the heading path in force at `start`; `context` is text that gives the slice its meaning but lies outside
    it (the header row of a table).
    """

    page: int
    start: int
    end: int
    text: str
    section: tuple[str, ...] = ()
    context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A stretch of a passage that tries to command its reader; `start`/`end` count in the passage's own text."""

    kind: str
    start: int
    end: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece with its identity: which document, which version of it, in which collection.

    `findings` are what is suspicious in it and not released by a person: no answer quotes it, no model reads it.
    """

    id: str
    collection_id: str
    document_id: str
    document_name: str
    version: int
    version_id: str
    ordinal: int
    page: int
    start: int
    end: int
    text: str
    section: tuple[str, ...] = ()
    context: str = ""
    media_type: str = ""
    title: str = ""
    recognised: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageImage:
    """A rendered page: PNG bytes, pixel size, and the boxes highlighted on it (left, top, right, bottom; 0..1)."""

    png: bytes
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...] = ()

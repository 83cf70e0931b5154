"""Office files as zip archives: parts are read within an unpacked-size budget, XML without entities, DTDs and network."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from lxml import etree

from engine.errors import BrokenFile, FileTooLarge, PasswordNeeded
from engine.loading.budget import BUDGET
from engine.loading.zips import open_zip

MAX_ENTRIES = 50_000
_REL = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_MAIN = "/officeDocument"


def xml_parser() -> etree.XMLParser:
    """Return a parser that expands nothing and fetches nothing."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


class OfficeArchive:
    """An OOXML package (ECMA-376 part 2). Raises FileTooLarge, PasswordNeeded, BrokenFile, zipfile.BadZipFile."""

    def __init__(self, path: Path) -> None:
        self._zip = open_zip(path)
        self._budget = BUDGET.get()
        self._read = 0
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise FileTooLarge(f"the archive has more than {MAX_ENTRIES:,} parts")
        # zipfile never returns more than the declared size, so the sum is a bound for honest and lying archives alike.
        self._budget.check_unpacked(sum(entry.file_size for entry in entries))
        if any(entry.flag_bits & 1 for entry in entries):
            raise PasswordNeeded("the archive is encrypted")
        self._names = {entry.filename.lstrip("/").lower(): entry.filename for entry in entries}

    def __enter__(self) -> OfficeArchive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def __contains__(self, part: str) -> bool:
        return part.lstrip("/").lower() in self._names

    def open(self, part: str) -> IO[bytes]:
        """Open a part; what is opened counts against the unpacked-size budget. Raises BrokenFile when it is missing."""
        if part not in self:
            raise BrokenFile(f"the file lacks its part {posixpath.basename(part)}")
        info = self._zip.getinfo(self._names[part.lstrip("/").lower()])
        self._read += info.file_size
        self._budget.check_unpacked(self._read)
        return self._zip.open(info)

    def tree(self, part: str) -> etree._Element:
        """Return the root of an XML part. Raises BrokenFile on a DTD, which the format forbids."""
        with self.open(part) as file:
            tree = etree.parse(file, xml_parser())
        if tree.docinfo.doctype:
            raise BrokenFile("the file defines XML entities, which Office files must not do")
        return tree.getroot()

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Return id -> (type, target part) of the internal relationships of `part` ("" = the package)."""
        folder, base = posixpath.split(part)
        name = posixpath.join(folder, "_rels", f"{base}.rels")
        if name not in self:
            return {}
        return {
            relation.get("Id", ""): (relation.get("Type", ""), _resolve(folder, relation.get("Target", "")))
            for relation in self.tree(name).iter(_REL)
            if relation.get("TargetMode") != "External"
        }

    def main_part(self) -> str:
        """Return the part that holds the document itself. Raises BrokenFile."""
        for kind, target in self.relations("").values():
            if kind.endswith(_MAIN):
                return target
        raise BrokenFile("the file does not name its main part")

    def targets(self, part: str, kind: str) -> Iterator[str]:
        """Yield the related parts of a type that ends in `kind` and that exist."""
        for found, target in self.relations(part).values():
            if found.endswith(kind) and target in self:
                yield target


def _resolve(folder: str, target: str) -> str:
    # Resolved inside the package only: ".." above the root stays at the root, and nothing is ever written to disk.
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def core_title(archive: OfficeArchive) -> str:
    """Return the title of the document properties, or ""."""
    for part in archive.targets("", "/core-properties"):
        node = archive.tree(part).find("{http://purl.org/dc/elements/1.1/}title")
        return " ".join((node.text or "").split())[:200] if node is not None else ""
    return ""

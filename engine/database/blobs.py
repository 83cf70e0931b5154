"""Original files on disk, under names of our own. What a client calls a file never becomes part of a path."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import faults
from engine.errors import FileTooLarge, NotFound, StoreError

PART_BYTES = 1 << 20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A stored file: its key, SHA-256 and size."""

    key: str
    sha256: str
    size_bytes: int


class Blobs:
    """A folder of originals. Blocking; callers use a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, source: bytes | Path, *, max_bytes: int) -> Blob:
        """Store a copy and return it once it is safely on disk. Raises FileTooLarge, and StoreError for a full disk.

        Then nothing is left behind.
        """
        key = uuid.uuid4().hex
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".part")
        try:
            blob = self._copy(source, temporary, key=key, max_bytes=max_bytes)
            faults.point("blob.written")
            temporary.replace(target)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise StoreError(
                f"the file could not be stored: {error.strerror}",
                hint="Nothing of it was kept and nothing else is lost. An operator has to make room; then upload it again.",
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        # The name itself must survive a power cut before SQL is told of it, and so must that of a folder made for it.
        for folder in (target.parent, self._folder):
            _sync(folder)
        faults.point("blob.renamed")
        return blob

    def _copy(self, source: bytes | Path, temporary: Path, *, key: str, max_bytes: int) -> Blob:
        digest, size = hashlib.sha256(), 0
        with temporary.open("wb") as out:
            for part in _parts(source):
                size += len(part)
                if size > max_bytes:
                    raise FileTooLarge(f"the file is larger than {max_bytes // (1 << 20)} MB")
                digest.update(part)
                out.write(part)
            out.flush()
            os.fsync(out.fileno())
        return Blob(key=key, sha256=digest.hexdigest(), size_bytes=size)

    def path(self, key: str) -> Path:
        """Return where a blob lies. Raises NotFound for anything that is not one of our keys."""
        if len(key) != 32 or not all(character in "0123456789abcdef" for character in key):
            raise NotFound("there is no such file")
        return self._folder / key[:2] / key

    def read(self, key: str) -> bytes:
        """Return the content. Raises NotFound when the file is gone."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotFound("the original file is gone from the data folder", hint="Restore it from a backup.") from error

    def heal(self, key: str, blob: Blob) -> None:
        """Remove `blob`, which has the bytes that `key` should have; where that is gone or altered, put it in its place."""
        if self.holds(key, size_bytes=blob.size_bytes, sha256=blob.sha256):
            self.delete(blob.key)
            return
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path(blob.key).replace(target)
        for folder in (target.parent, self._folder):
            _sync(folder)

    def delete(self, key: str) -> None:
        """Remove a blob; quiet when it is gone."""
        self.path(key).unlink(missing_ok=True)

    def holds(self, key: str, *, size_bytes: int, sha256: str = "") -> bool:
        """Whether a blob is there with this size and, when given, this SHA-256 (hexadecimal)."""
        path = self.path(key)
        try:
            if path.stat().st_size != size_bytes:
                return False
            with path.open("rb") as file:
                return not sha256 or hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def files(self, *, before: float) -> list[Path]:
        """Return all files in the folder, temporary ones too, that were last written before that moment (Unix seconds)."""
        found = []
        for path in self._folder.glob("*/*"):
            try:
                if path.stat().st_mtime < before:
                    found.append(path)
            except FileNotFoundError:  # an upload that ended just now
                continue
        return found


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parts(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part

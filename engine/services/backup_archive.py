"""The file of a backup or of an exported collection: a tar file whose every bit is covered by a checksum.

Members as they come, then `manifest.json` with path, size and SHA-256 of each, then `SHA256`: the digest of everything before
it. That is last because sizes and digests are known only when they were written, and so that a file that was cut off lacks
it. Any tar program reads the file; ours is stricter: members are plain files, nothing follows the end, padding is zero. What
is encrypted is the whole tar file (`engine.security.sealed_stream`). Blocking; callers use a thread.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from engine.errors import BrokenFile, InputError, PasswordNeeded, StoreError
from engine.security.sealed_stream import SealedReader, SealingWriter, is_sealed

MANIFEST = "manifest.json"
DIGEST = "SHA256"
UNFINISHED = ".part"  # behind the name of a file that is being written
PART = 1 << 20
MAX_MANIFEST = 256 << 20
_BLOCK = tarfile.BLOCKSIZE
_DAMAGED = "Use another copy of the file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside."""

    path: str
    size: int
    sha256: str


class _Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int: ...


class _Source(Protocol):
    """Gives bytes."""

    def read(self, size: int, /) -> bytes: ...


class ArchiveWriter:
    """Writes `path`. Nothing of that name appears before `finish`; without it, leaving the block leaves nothing behind."""

    def __init__(self, path: Path, *, at: datetime, passphrase: str = "") -> None:
        """Raises InputError when there is a file already, or when none can be written there."""
        self.path, self._at = path, int(at.timestamp())
        self.members: list[Member] = []
        self._part = path.with_name(path.name + UNFINISHED)
        if path.exists():
            raise InputError(f"there is already a file {path.name}", hint="Name another, or move that one away.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._part.unlink(missing_ok=True)  # of a process that ended in the middle
            self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}", hint="Name another place.") from error
        self._seal = SealingWriter(self._file, passphrase) if passphrase else None
        self._out: _Sink = self._seal or self._file
        self._sha256 = hashlib.sha256()

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, path: str, source: BinaryIO) -> Member:
        """Add what `source`, a file of this machine, holds now. Raises StoreError when it changes meanwhile."""
        size = os.fstat(source.fileno()).st_size
        return self._add(path, source, size)

    def add_bytes(self, path: str, data: bytes) -> Member:
        """Add a small member."""
        return self._add(path, io.BytesIO(data), len(data))

    def finish(self, manifest: Mapping[str, Any]) -> int:
        """Add the manifest and the digest, put the file safely in its place, and return its size in bytes."""
        whole = {**manifest, "members": [asdict(one) for one in self.members]}
        self.add_bytes(MANIFEST, json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n")
        self.add_bytes(DIGEST, self._sha256.hexdigest().encode() + b"\n")
        self._out.write(bytes(2 * _BLOCK))
        if self._seal:
            self._seal.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        os.link(self._part, self.path)  # not a rename: who made a file of that name meanwhile keeps it
        self._part.unlink()
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self.path.stat().st_size

    def _add(self, path: str, source: BinaryIO, size: int) -> Member:
        self._put(_header(path, size, self._at))
        digest, left = hashlib.sha256(), size
        while left:
            data = source.read(min(PART, left))
            if not data:
                raise StoreError(f"{path} became shorter while it was copied", hint="Try again.")
            digest.update(data)
            self._put(data)
            left -= len(data)
        self._put(bytes(-size % _BLOCK))
        made = Member(path=path, size=size, sha256=digest.hexdigest())
        self.members.append(made)
        return made

    def _put(self, data: bytes) -> None:
        self._sha256.update(data)
        self._out.write(data)


class Entry:
    """A member while it is read: `read` gives its bytes, and never those of another."""

    def __init__(self, archive: ArchiveReader, path: str, size: int) -> None:
        self.path, self.size = path, size
        self._archive, self._left, self._sha256 = archive, size, hashlib.sha256()

    def read(self, size: int = PART) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        data = self._archive._take(min(size, self._left))
        self._left -= len(data)
        self._sha256.update(data)
        return data

    def member(self) -> Member:
        """Read what is left, and say what it was."""
        while self.read():
            pass
        return Member(path=self.path, size=self.size, sha256=self._sha256.hexdigest())


class ArchiveReader:
    """Reads a file member by member; at the end `manifest` is there and `problems` tell what is not as it was written.

    Iterating raises BrokenFile where the file cannot be read on. `members` maps paths to what was really there.
    """

    def __init__(self, path: Path, *, passphrase: str = "") -> None:
        """Raises InputError: no such file, no archive, a passphrase that is missing or wrong."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path.name} cannot be read: {error.strerror}", hint="Name another file.") from error
        self.encrypted = is_sealed(self._file.read(16))
        self._file.seek(0)
        self.manifest: dict[str, Any] = {}
        self.members: dict[str, Member] = {}
        self.problems: list[str] = []
        self._sha256 = hashlib.sha256()
        try:
            if self.encrypted and not passphrase:
                raise PasswordNeeded("this file is encrypted", hint="Give its passphrase.")
            self._source: _Source = SealedReader(self._file, passphrase) if self.encrypted else self._file
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Entry]:
        while True:
            digest = self._sha256.hexdigest()
            entry = self._entry()
            if entry.path == DIGEST:
                self._end(digest, entry)
                return
            if entry.path == MANIFEST:
                self._read_manifest(entry)
            else:
                yield entry
            if entry.path in self.members:
                raise BrokenFile(f"the file holds {entry.path} twice", hint=_DAMAGED)
            self.members[entry.path] = entry.member()
            if any(self._take(-entry.size % _BLOCK)):
                self.problems.append(f"bytes after {entry.path} were altered")

    def _entry(self) -> Entry:
        header = self._take(_BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise BrokenFile("the file is damaged or cut off, or is none of ours", hint=_DAMAGED) from None
        # Less than nothing can be written as a size, too. Else: bits that a tar program would not look at, links, devices.
        if info.size < 0 or header != _header(info.name, info.size, int(info.mtime)):
            raise BrokenFile("the file is damaged, or holds something that is not a plain file", hint=_DAMAGED)
        return Entry(self, info.name, info.size)

    def _read_manifest(self, entry: Entry) -> None:
        if entry.size > MAX_MANIFEST:
            raise BrokenFile("the manifest is too large", hint=_DAMAGED)
        try:
            data = json.loads(b"".join(iter(entry.read, b"")))
        except (ValueError, RecursionError):
            raise BrokenFile("the manifest is damaged", hint=_DAMAGED) from None
        if not isinstance(data, dict) or not isinstance(data.get("members"), list):
            raise BrokenFile("the manifest is damaged", hint=_DAMAGED)
        self.manifest = data

    def _end(self, digest: str, entry: Entry) -> None:
        told = entry.read(128)
        if told != digest.encode() + b"\n" or any(self._take(-entry.size % _BLOCK)):
            self.problems.append("the file is not as it was written: its SHA-256 differs")
        if any(self._take(2 * _BLOCK)) or self._source.read(1):
            self.problems.append("something follows the end of the file")
        if not self.manifest:
            raise BrokenFile("the file has no manifest", hint=_DAMAGED)
        wanted = {one.get("path", ""): one for one in self.manifest["members"] if isinstance(one, dict)}
        for path, one in wanted.items():
            if path not in self.members:
                self.problems.append(f"{path} is missing")
            elif asdict(self.members[path]) != one:
                self.problems.append(f"{path} was altered")
        self.problems += [f"{path} is not in the manifest" for path in self.members if path not in {*wanted, MANIFEST}]

    def _take(self, size: int) -> bytes:
        data = self._source.read(size) if size else b""
        if len(data) < size:
            raise BrokenFile("the file was cut off", hint=_DAMAGED)
        self._sha256.update(data)
        return data


def _header(path: str, size: int, at: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size, at, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")

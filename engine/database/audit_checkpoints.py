"""Signed checkpoints outside of the database: how many rows there were, and the hash of the newest, at a moment.

A chain whose tail was cut off is still whole; only somebody who knows how long it was can tell. One line of JSON each, signed
with the key of the audit and linked to the line before it.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from engine.database.audit_chain import sign
from engine.errors import StoreError

_TAIL_BYTES = 65_536  # far more than one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The audit had `rows` chained rows at `at`, the newest of them number `seq` with this hash."""

    at: datetime
    rows: int
    seq: int
    hash: str


class Checkpoints:
    """The file of checkpoints: only appended to, under a lock of the file, and on the disk when `append` returns."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._key = key

    def append(self, checkpoint: Checkpoint) -> bool:
        """Add a line, and tell whether: one that is not newer than the last adds nothing. Raises StoreError."""
        try:
            new = not self.path.exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                end, last = self._last(file)
                if last.get("seq", 0) >= checkpoint.seq:
                    return False
                file.truncate(end)
                file.seek(end)
                file.write(self._line(checkpoint, previous=last.get("mac", "")))
                file.flush()
                os.fsync(file.fileno())
            if new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"no checkpoint of the audit could be written to {self.path.name}: {error.strerror}",
                hint="Make its folder writable, or set audit.checkpoint_file to another place.",
            ) from error
        return True

    def read(self) -> tuple[list[Checkpoint], str]:
        """Return the checkpoints up to the first damaged line, and what is wrong with that line ("" = nothing).

        Raises StoreError when there is a file that cannot be read.
        """
        found: list[Checkpoint] = []
        previous: str | None = None  # the file may begin anywhere: a former part may be kept elsewhere
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    values = self._parsed(line) if line.endswith(b"\n") else {}
                    if not values:
                        return found, f"line {number} of the checkpoint file is damaged"
                    if previous is not None and values["previous"] != previous:
                        return found, f"a line is missing before line {number} of the checkpoint file"
                    previous = values["mac"]
                    found.append(_checkpoint(values))
        except FileNotFoundError:
            return [], ""
        except OSError as error:
            raise StoreError(f"the checkpoint file cannot be read: {error.strerror}", hint="See docs/audit.md.") from error
        return found, ""

    def _last(self, file: BinaryIO) -> tuple[int, dict[str, Any]]:
        """Return where the last whole line ends, and what it holds; nothing of it when it is not ours."""
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        tail = file.read()
        # What follows the last end of a line was being written when the machine stopped: it never was a checkpoint.
        whole = tail[: tail.rfind(b"\n") + 1]
        if start and not whole:
            raise StoreError("the checkpoint file of the audit is damaged", hint="Move it away and keep it; see docs/audit.md.")
        return start + len(whole), self._parsed(whole.rstrip(b"\n").rpartition(b"\n")[2])

    def _line(self, checkpoint: Checkpoint, *, previous: str) -> bytes:
        values: dict[str, Any] = {
            "at": checkpoint.at.isoformat(),
            "rows": checkpoint.rows,
            "seq": checkpoint.seq,
            "hash": checkpoint.hash,
            "previous": previous,
        }
        return json.dumps(values | {"mac": sign(self._key, _signed(values))}).encode() + b"\n"

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            values = json.loads(line)
            mac = values.pop("mac")
            genuine = hmac.compare_digest(sign(self._key, _signed(values)), mac)
        except (ValueError, TypeError, KeyError, AttributeError):
            return {}
        return {**values, "mac": mac} if genuine else {}


def _signed(values: Mapping[str, Any]) -> bytes:
    # The word in front keeps a checkpoint from ever being taken for a row, which the same key signs.
    return b"checkpoint\0" + json.dumps(values, sort_keys=True, separators=(",", ":")).encode()


def _checkpoint(values: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(at=datetime.fromisoformat(values["at"]), rows=values["rows"], seq=values["seq"], hash=values["hash"])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

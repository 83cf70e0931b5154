"""A file that exists in memory only, for loaders, which take paths: the process that parses may write no file."""

from __future__ import annotations

import io
import os
from pathlib import Path, PosixPath
from typing import Any


class MemoryFile(PosixPath):
    """Stands for an attachment. Loaders may `open`, `read_bytes`, ask `stat().st_size` and nothing else of it."""

    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Path:
        """Return a path-like with that content."""
        made = cls("attachment")
        made.data = data
        return made

    def open(self, *arguments: Any, **options: Any) -> Any:
        """Return the content as a binary file."""
        return io.BytesIO(self.data)

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self.data

    def stat(self, **options: Any) -> os.stat_result:
        """Return a result that tells the size alone."""
        return os.stat_result((0o100400, 0, 0, 1, 0, 0, len(self.data), 0, 0, 0))

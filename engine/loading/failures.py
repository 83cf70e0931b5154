"""Exceptions of parsing libraries -> our error tree, in one place for all loaders."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import BrokenFile, FileTooLarge

# What Python's own and third-party parsers raise on content they did not expect. Our errors are no subclass of these.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,  # lxml's XMLSyntaxError is one
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Translate parser failures inside the block. Raises BrokenFile or FileTooLarge."""
    try:
        yield
    except MemoryError as error:
        raise FileTooLarge(f"{what} needs more memory than allowed (limit parse_memory_mb)") from error
    except _BROKEN as error:
        raise BrokenFile(f"{what} is damaged and cannot be read ({type(error).__name__})") from error

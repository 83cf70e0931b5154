"""Vectors as bytes, exactly: the kind, the shape and the numbers."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Vectors: TypeAlias = np.ndarray[Any, Any] | list[Any]

_MAGIC = b"V1"
_TYPES = {b"f": "<f4", b"d": "<f8"}
MAX_DIMENSIONS = 8


def encode_vectors(value: object) -> bytes | None:
    """Return `value` as bytes; None when it is no numpy array of float32 or float64 and no list (of lists) of floats.

    A list takes four bytes a number where that loses nothing, else eight.
    """
    import numpy as np

    if isinstance(value, np.ndarray):
        kind, array = b"n", value
    elif isinstance(value, list) and (made := _array(value)) is not None:
        kind, array = b"l", made
    else:
        return None
    if array.dtype not in (np.float32, np.float64) or array.ndim > MAX_DIMENSIONS:
        return None
    code = b"f" if array.dtype == np.float32 else b"d"
    numbers = np.ascontiguousarray(array, dtype=_TYPES[code]).tobytes()
    return _MAGIC + kind + code + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape) + numbers


def decode_vectors(raw: bytes) -> Vectors | None:
    """Return what was encoded, as a numpy array or as lists like it was; None for bytes that are damaged."""
    import numpy as np

    kind, code = raw[2:3], raw[3:4]
    if raw[:2] != _MAGIC or kind not in (b"n", b"l") or code not in _TYPES or len(raw) < 5 or len(raw) < 5 + 4 * raw[4]:
        return None
    shape = struct.unpack_from(f"<{raw[4]}I", raw, 5)
    start, kept = 5 + 4 * raw[4], np.dtype(_TYPES[code])
    if len(raw) - start != math.prod(shape) * kept.itemsize:
        return None
    array = np.frombuffer(raw, dtype=kept, offset=start).reshape(shape).astype(kept.newbyteorder("="))
    if kind == b"n":
        return array
    plain: list[Any] = array.tolist()
    return plain


def _array(value: list[Any]) -> Any:
    """Return the list as an array that gives the same list again, None when there is none."""
    import numpy as np

    try:
        exact = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        return None
    if not _same(exact.tolist(), value):
        return None
    with np.errstate(over="ignore"):
        short = exact.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), exact, equal_nan=True) else exact


def _same(one: Any, other: Any) -> bool:
    """Whether both are the same floats in the same lists: 1 and True are no floats."""
    if isinstance(one, list):
        return type(other) is list and len(one) == len(other) and all(map(_same, one, other))
    return type(other) is float and (one == other or (math.isnan(one) and math.isnan(other)))

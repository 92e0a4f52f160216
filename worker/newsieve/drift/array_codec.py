"""Encodes arrays as text and decodes them bit by bit the same, for snapshots, which are JSON."""

from __future__ import annotations

import base64
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

LITTLE_ENDIAN: Final = "<"
LEVEL: Final = 6


def encode_array(array: npt.NDArray[Any]) -> str:
    """Return the array's values as text. Whoever decodes them has to know dtype and shape."""
    raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(LITTLE_ENDIAN)).tobytes()
    return base64.b64encode(zlib.compress(raw, LEVEL)).decode()


def decode_array(text: str, dtype: Any = np.float64) -> npt.NDArray[Any]:
    """Return the values that `encode_array` has encoded as a flat, writable array."""
    kind = np.dtype(dtype)
    raw = zlib.decompress(base64.b64decode(text))
    return np.frombuffer(raw, dtype=kind.newbyteorder(LITTLE_ENDIAN)).astype(kind)

"""Undoes what a file is wrapped in: gzip, zstd, and encodings of text other than UTF-8.

What is inside, this module does not know.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from backports import zstd

BUFFER_BYTES: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ENCODINGS: Final = {  # by first bytes; a longer mark stands before one that it begins with
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"{\0": "utf-16-le",
    b"[\0": "utf-16-le",
    b"\0{": "utf-16-be",
    b"\0[": "utf-16-be",
}
_ERRORS: Final = "surrogatepass"  # a lone surrogate makes its record not UTF-8, and no other
_MOST_WRAPPINGS: Final = 3
_MOST_HEAD_BYTES: Final = 1 << 23  # of what a head unfolds to

BROKEN: Final = (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError, UnicodeError)
"""What reading raises where wrapped data are broken."""


class Wrapping(NamedTuple):
    """One way of wrapping: its name, and what opens a stream. Whatever reads the opened one raises
    one of BROKEN where its data are broken."""

    name: str
    open: Callable[[io.BufferedReader], io.BufferedIOBase]


class OpenedHead(NamedTuple):
    """What the first bytes of a stream are wrapped in, outermost first, and what is inside, up to a
    place where the data are broken or cut off, if there is one."""

    wrappings: list[Wrapping]
    inside: bytes
    problem: Exception | None


def opened_head(head: bytes) -> OpenedHead:
    """Return what is in the first bytes of a stream."""
    wrappings: list[Wrapping] = []
    problem = None
    while len(wrappings) < _MOST_WRAPPINGS and (wrapping := _wrapping_of(head)) is not None:
        wrappings.append(wrapping)
        stream = wrapping.open(io.BufferedReader(io.BytesIO(head)))
        head = b""
        try:
            while len(head) < _MOST_HEAD_BYTES and (part := stream.read1(BUFFER_BYTES)):
                head += part
        except BROKEN as error:
            problem = error
    return OpenedHead(wrappings, head, problem)


def _wrapping_of(head: bytes) -> Wrapping | None:
    if head.startswith(_GZIP):
        return Wrapping("gzip", lambda stream: gzip.GzipFile(fileobj=stream))
    if head.startswith(_ZSTD):
        return Wrapping("zstd", zstd.ZstdFile)
    for mark, encoding in _ENCODINGS.items():
        if head.startswith(mark):
            return Wrapping(encoding.upper(), _recoding(encoding))
    return None


def _recoding(encoding: str) -> Callable[[io.BufferedReader], io.BufferedIOBase]:
    make_decoder = codecs.getincrementaldecoder(encoding)
    return lambda stream: io.BufferedReader(_Recoded(stream, make_decoder(_ERRORS)), BUFFER_BYTES)


class _Recoded(io.RawIOBase):
    """A text's bytes in UTF-8. Raises UnicodeError where the text is broken."""

    def __init__(self, stream: io.BufferedReader, decoder: codecs.IncrementalDecoder) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = decoder
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        while not self._left:
            part = self._stream.read1(BUFFER_BYTES)
            text = self._decoder.decode(part, final=not part)
            self._left = text.encode("utf-8", _ERRORS)
            if not part and not self._left:
                return 0
        part = self._left[: len(view)]
        self._left = self._left[len(part) :]
        view[: len(part)] = part
        return len(part)

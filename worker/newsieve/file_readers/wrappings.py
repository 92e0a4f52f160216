"""Undoes what a file is wrapped in: gzip, zstd, and encodings of text other than UTF-8.

What is inside, this module does not know.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from backports import zstd

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

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
    """One way of wrapping: its name, the opening of a stream, and of a stream's first bytes."""

    name: str
    open: Callable[[io.BufferedReader], io.BufferedIOBase]
    open_head: Callable[[bytes], bytes]


def opened_head(head: bytes) -> tuple[list[Wrapping], bytes]:
    """Return what the first bytes of a stream are wrapped in, outermost first, and what is inside.

    Raises one of BROKEN.
    """
    wrappings: list[Wrapping] = []
    while len(wrappings) < _MOST_WRAPPINGS and (wrapping := _wrapping_of(head)) is not None:
        wrappings.append(wrapping)
        head = wrapping.open_head(head)
    return wrappings, head


def _wrapping_of(head: bytes) -> Wrapping | None:
    if head.startswith(_GZIP):
        return Wrapping("gzip", lambda stream: gzip.GzipFile(fileobj=stream), _gzip_head)
    if head.startswith(_ZSTD):
        return Wrapping("zstd", zstd.ZstdFile, _zstd_head)
    for mark, encoding in _ENCODINGS.items():
        if head.startswith(mark):
            return _encoding(encoding)
    return None


def _encoding(name: str) -> Wrapping:
    def decoder() -> codecs.IncrementalDecoder:
        return codecs.getincrementaldecoder(name)(_ERRORS)

    return Wrapping(
        name.upper(),
        lambda stream: io.BufferedReader(_Recoded(stream, decoder()), BUFFER_BYTES),
        lambda head: _recoded(decoder(), head),
    )


class _Recoded(io.RawIOBase):
    """A text's bytes in UTF-8. Raises UnicodeError where the text is broken."""

    def __init__(self, stream: io.BufferedReader, decoder: codecs.IncrementalDecoder) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = decoder
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._left:
            part = self._stream.read1(BUFFER_BYTES)
            self._left = _recoded(self._decoder, part, is_last=not part)
            if not part and not self._left:
                return 0
        part = self._left[: len(view)]
        self._left = self._left[len(part) :]
        view[: len(part)] = part
        return len(part)


def _recoded(decoder: codecs.IncrementalDecoder, part: bytes, *, is_last: bool = False) -> bytes:
    return decoder.decode(part, is_last).encode("utf-8", _ERRORS)


def _gzip_head(head: bytes) -> bytes:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, _MOST_HEAD_BYTES)


def _zstd_head(head: bytes) -> bytes:
    return zstd.ZstdDecompressor().decompress(head, _MOST_HEAD_BYTES)

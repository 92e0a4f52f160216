"""Unfolds record values that a producer compressed itself, never beyond a limit.

gzip and zstd are told by their first bytes, which no JSON text begins with. A value is one gzip
member or one zstd frame: many small ones would cost by the piece. It does not know what is inside.
"""

from __future__ import annotations

import zlib
from typing import Final

from backports import zstd

from newsieve.errors import DamagedCompression, TooLarge

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS  # 16: with gzip's header and trailer
_GZIP_SIZE_BYTES: Final = 4  # at the end: how long the unfolded bytes are
# 8 MiB, the window that RFC 8878 asks every decoder to support; a frame could ask for 2 GiB.
_ZSTD_WINDOW: Final = {int(zstd.DecompressionParameter.window_log_max): 23}


def compression_of(value: bytes) -> str | None:
    """Return `gzip` or `zstd`; None for a value that is not compressed."""
    if value.startswith(GZIP):
        return "gzip"
    return "zstd" if value.startswith(ZSTD) else None


def unfolded(value: bytes, compression: str, max_bytes: int) -> bytes:
    """Return what the compressed value unfolds to. Raises TooLarge or DamagedCompression; no more
    than `max_bytes` and a little are ever unfolded."""
    said = declared_size(value)
    most = max_bytes if said is None else min(said, max_bytes)
    try:
        text, rest, is_whole = _unfold(value, compression, most + 1)
    except (zlib.error, zstd.ZstdError) as error:
        raise DamagedCompression(f"{compression} that is damaged: {error}") from None
    if len(text) > most:
        if most == max_bytes:
            raise TooLarge(f"{compression} that unfolds to more than the limit of {most:,} bytes")
        raise DamagedCompression(f"{compression} that unfolds to more than the {most:,} it says")
    if not is_whole:
        raise DamagedCompression(f"{compression} that ends too early")
    if rest:
        raise DamagedCompression(
            f"{compression} with {len(rest):,} bytes behind its end: compress a value in one piece"
        )
    return text


def declared_size(value: bytes) -> int | None:
    """Return how many bytes a value has, unfolded where it is compressed: what it says itself,
    which `unfolded` holds it to. None for zstd that does not say it.

    A value that is not whole says anything."""
    if value.startswith(GZIP):
        return int.from_bytes(value[-_GZIP_SIZE_BYTES:], "little")
    if value.startswith(ZSTD):
        try:
            return zstd.get_frame_info(value).decompressed_size
        except zstd.ZstdError:  # which says so again when it is unfolded
            return len(value)
    return len(value)


def _unfold(value: bytes, compression: str, most: int) -> tuple[bytes, bytes, bool]:
    """Return up to `most` bytes, what is behind the end, and whether the end was reached."""
    if compression == "gzip":
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        text = inflater.decompress(value, most)
        return text, inflater.unused_data, inflater.eof
    decompressor = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
    text = decompressor.decompress(value, most)
    return text, decompressor.unused_data, decompressor.eof

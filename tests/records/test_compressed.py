"""Compressed values are unfolded whole or not at all, within the limit of records."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from backports import zstd

from newsieve.errors import DamagedCompression, TooLarge
from newsieve.records.compressed import declared_size
from tests.support.envelopes import ARTICLE, LIMIT, article

BOMB = b'{"title": "' + b"t" * 50_000_000 + b'"}'


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_what_unfolds_to_more_than_a_record_may_be_is_refused(compress: Any) -> None:
    """The limit of records is that of what they unfold to, and no more is unfolded."""
    assert article(compress(json.dumps(ARTICLE).encode())).id == "7"
    compressed = compress(BOMB)
    tracemalloc.start()
    with pytest.raises(TooLarge, match="unfolds to more than the limit of 100,000 bytes"):
        article(compressed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10 * LIMIT


def test_a_bomb_that_lies_about_its_size_is_unfolded_no_further_than_it_says() -> None:
    """50 MB that say they were 20 bytes, or nothing, take no memory."""
    lying = gzip.compress(BOMB)[:-4] + (20).to_bytes(4, "little")
    compressor = zstd.ZstdCompressor()
    silent = compressor.compress(BOMB) + compressor.flush()
    assert declared_size(silent) is None

    tracemalloc.start()
    with pytest.raises(DamagedCompression, match="more than the 20 it says"):
        article(lying)
    with pytest.raises(TooLarge, match="more than the limit"):
        article(silent)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10 * LIMIT


@pytest.mark.parametrize(
    "value",
    [
        b"\x1f\x8b",
        gzip.compress(b"{}")[:-9],
        gzip.compress(b"{}")[:-4] + b"\x09\0\0\0",
        gzip.compress(json.dumps(ARTICLE).encode()) + b"garbage",
        gzip.compress(b"{") + gzip.compress(b"}"),
        zstd.compress(b"{}")[:-1],
        zstd.compress(b"{}") + b"x",
        zstd.compress(b"{}") * 1_000,
        b"\x28\xb5\x2f\xfd",
        b"\x28\xb5\x2f\xfd" + b"\xff" * 50,
    ],
    ids=range(10),  # gzip has the time in it, and all processes of a run want the same names
)
def test_a_damaged_or_continued_value_is_refused(value: bytes) -> None:
    """One member or frame, whole, with nothing behind it."""
    with pytest.raises(DamagedCompression):
        article(value)


def test_a_window_beyond_what_decoders_must_support_is_refused() -> None:
    """A frame of a few bytes may not ask for gigabytes of memory."""
    options = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    value = compressor.compress(b"{}") + compressor.flush()

    with pytest.raises(DamagedCompression):
        article(value)


def test_streamed_gzip_is_read() -> None:
    """A producer that writes a stream has no other trailer."""
    compressor = zlib.compressobj(wbits=31)
    value = compressor.compress(json.dumps(ARTICLE).encode()) + compressor.flush()

    assert article(value).envelopes == ("gzip",)

"""Files of every format that is read give the same articles; those that are not are refused."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from backports import zstd

from newsieve.errors import InputFileInvalid
from tests.support.file_records import MOST_BYTES, POLICY, problems_of, records_of, values_of

ARTICLES = [
    {"id": f"a{n}", "title": f"School {n} reopens", "content": "Neighbours; rebuilt,\nit | all."}
    for n in range(3)
]
OBJECTS = [json.dumps(article).encode() for article in ARTICLES]
LINES = b"\n".join(OBJECTS) + b"\n"


def table(delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    rows = csv.writer(text, delimiter=delimiter)
    rows.writerow(["id", " Title", "CONTENT"])
    rows.writerows(article.values() for article in ARTICLES)
    return text.getvalue().encode()


FORMATS = {
    "JSON Lines": LINES,
    "JSON Lines with a mark and CRLF": b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n"),
    "JSON Lines with blank lines": b"\n \n" + LINES.replace(b"\n", b"\n\r\n"),
    "JSON Lines without a last line end": LINES.strip(),
    "an array": json.dumps(ARTICLES).encode(),
    "a pretty array": json.dumps(ARTICLES, indent=4).encode(),
    "an array on each line": b"".join(b"[" + item + b"]\n" for item in OBJECTS),
    "pretty objects": b"\n".join(json.dumps(item, indent=2).encode() for item in ARTICLES),
    "objects side by side": b"".join(OBJECTS),
    "objects and commas": b",\n".join(OBJECTS),
    "a text sequence": b"".join(b"\x1e" + item + b"\n" for item in OBJECTS),
    "lines ended by CR": b"\r".join(OBJECTS),
    "CSV": table(","),
    "CSV with a mark": b"\xef\xbb\xbf" + table(","),
    "CSV with semicolons": table(";"),
    "CSV with bars": table("|"),
    "tab-separated values": table("\t"),
    "UTF-16": LINES.decode().encode("utf-16"),
    "UTF-16 without a mark": LINES.decode().encode("utf-16-be"),
    "UTF-32": LINES.decode().encode("utf-32"),
    "a table in UTF-16": table("\t").decode().encode("utf-16"),
    "gzip": gzip.compress(LINES),
    "gzip of two members": gzip.compress(LINES[:50]) + gzip.compress(LINES[50:]),
    "zstd": zstd.compress(LINES),
    "zstd of two frames": zstd.compress(LINES[:50]) + zstd.compress(LINES[50:]),
    "gzip of an array": gzip.compress(json.dumps(ARTICLES).encode()),
    "gzip of UTF-16": gzip.compress(LINES.decode().encode("utf-16")),
    "zstd of gzip": zstd.compress(gzip.compress(LINES)),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
def test_a_format_is_told_by_its_bytes_and_gives_the_same_articles(
    name: str, *, is_pipe: bool
) -> None:
    """Also from a pipe that brings little at a time; what is skipped does not come."""
    found = records_of(FORMATS[name], is_pipe=is_pipe)
    rest = records_of(FORMATS[name], skipped=2, is_pipe=is_pipe)

    assert [json.loads((item.value or b"").lstrip(b"\xef\xbb\xbf")) for item in found] == ARTICLES
    assert rest == found[2:]


REFUSED = {
    "xz": (b"\xfd7zXZ\x00rest", "looks like xz. Make JSON Lines of it first: xz -dc < f"),
    "bzip2": (bz2.compress(LINES), "bzip2 -dc"),
    "Parquet": (b"PAR1\x15\x04", "Parquet"),
    "XML": (b'<?xml version="1.0"?><rss></rss>', "XML or HTML"),
    "text": (b"School reopens\n", "plain text"),
    "another encoding": ('{"title": "Café"}\n'.encode("latin-1"), "iconv -f WINDOWS-1252"),
    "Python": (f"{ARTICLES[0]}\n".encode(), "as Python prints them"),
    "one broken object": (b'{"title": "School reop\n', "broken at character 11"),
    "a number": (b"17\n", "a JSON value that is not an object"),
    "random bytes": (random.Random(1).randbytes(2_000), "binary data"),
    "nothing": (b"", "f is empty"),
    "blank lines": (b"\n \r\n", "f is empty"),
    "packed nothing": (gzip.compress(b""), "f is empty"),
    "packed xz": (gzip.compress(b"\xfd7zXZ\x00rest"), "gzip data, and inside xz"),
    "a broken head": (b"\x1f\x8b\x08\x00" + b"\xff" * 50, "f is broken"),
    "unknown columns": (b"when,where\n1,2\n", "f has no column with a title or a text"),
    "a column twice": (b"title,Title\n1,2\n", "f has more than one column title"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name_before_anything_is_sent(name: str) -> None:
    """With the command that helps, where there is one."""
    content, said = REFUSED[name]

    with pytest.raises(InputFileInvalid) as refused:
        records_of(content)

    assert said in str(refused.value) and str(refused.value).startswith("f")


def test_lines_are_lines_whatever_they_look_like_if_that_is_wanted() -> None:
    """What cannot be read costs nothing but itself."""
    as_lines = replace(POLICY, is_lines=True, keeps_bad_lines=True)

    for content in (json.dumps(ARTICLES, indent=2).encode(), gzip.compress(LINES), b"", b"x\n\ny"):
        lines = [line for line in content.split(b"\n") if line.strip()]
        found = records_of(content, as_lines)
        assert [item.value for item in found] == lines and all(item.as_is for item in found)


@pytest.mark.parametrize(
    "first", [b'{"title": "cut o', b'{"title":', b'{"title": tru}', b'{"title": "x"} rest']
)
def test_a_bad_first_line_is_a_bad_line_where_the_second_is_good(first: bytes) -> None:
    """As any other is; alone it is no format."""
    assert values_of(first + b"\n" + LINES) == [first, *OBJECTS]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_first_line_beyond_the_limit_is_a_bad_line(pack: Callable[[bytes], bytes]) -> None:
    """However much longer it is, and though its end was not looked for."""
    huge = b'{"title": "' + b"x" * 9_000_000 + b'"}\n'

    assert problems_of(pack(huge + LINES)) == [("line 1", "more than the limit of 4,000 bytes")]
    assert values_of(pack(huge + LINES))[1:] == OBJECTS


def test_a_line_beyond_the_limit_is_named_and_its_neighbours_are_read() -> None:
    """The first, and another; one that has just the limit is read."""
    just = b'{"content": "' + b"x" * (MOST_BYTES - 15) + b'"}'
    long = b'{"content": "' + b"x" * 3 * MOST_BYTES + b'"}\n'

    content = long + OBJECTS[0] + b"\n" + long + just + b"\n" + OBJECTS[1]

    assert values_of(content) == [None, OBJECTS[0], None, just, OBJECTS[1]]
    said = "more than the limit of 4,000 bytes"
    assert problems_of(content) == [("line 1", said), ("line 3", said)]


def checked_zstd(content: bytes) -> bytes:
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


@pytest.mark.parametrize("pack", [gzip.compress, checked_zstd], ids=["gzip", "zstd"])
def test_what_comes_before_broken_data_is_kept(pack: Callable[[bytes], bytes]) -> None:
    """Cut off, with garbage behind, and with a wrong byte: the place is said."""
    noise = b'{"title": "' + random.Random(2).randbytes(20_000).hex().encode() + b'"}\n'
    many = replace(POLICY, most_bytes=100_000)
    packed = pack(LINES) + pack(noise)
    broken = bytearray(packed)
    broken[-10_000] ^= 0xFF

    for content in (packed[:-50], packed + b"garbage", bytes(broken)):
        *good, last = records_of(content, many)

        assert [item.value for item in good][:3] == OBJECTS
        assert last.value is None and "data are broken" in (last.problem or "")
        assert last.place.startswith("byte ") and "its rest is not read" in (last.problem or "")


def test_text_in_utf_16_that_is_cut_off_is_kept_up_to_there() -> None:
    """A lone surrogate spoils its own line."""
    text = LINES.decode().replace("School 1", "School \ud800")

    found = records_of(text.encode("utf-16", "surrogatepass")[:-1])

    assert [item.value for item in found[:1]] == OBJECTS[:1]
    assert b"\xed\xa0\x80" in (found[1].value or b"")  # no UTF-8: whoever decodes it says so
    assert "its UTF-16 data are broken" in (found[-1].problem or "")

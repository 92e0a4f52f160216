"""Pages of web archives become articles; a record that is broken costs itself."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from backports import zstd
from fastwarc.warc import ArchiveIterator

from tests.support.file_records import MOST_BYTES, problems_of, records_of
from tests.support.web_archive import warc_record

PAGES = [warc_record(n, b"page %d " % n + b"x" * 300) for n in range(4)]


def numbers(content: bytes) -> list[int]:
    """The pages that came."""
    values = (record.value for record in records_of(content))
    return [int(value.split(b"page ")[1].split()[0]) for value in values if value is not None]


def whole(records: Sequence[bytes]) -> bytes:
    return gzip.compress(b"".join(records))


PACKINGS: dict[str, Callable[[Sequence[bytes]], bytes]] = {
    "plain": b"".join,
    "gzip": lambda records: b"".join(map(gzip.compress, records)),
    "zstd": lambda records: b"".join(map(zstd.compress, records)),
    "one gzip member": whole,
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
def test_each_page_is_an_article_with_its_address(packing: str, *, is_pipe: bool) -> None:
    """Whatever the archive is packed in; those that are skipped do not come."""
    content = PACKINGS[packing](PAGES)

    found = records_of(content, is_pipe=is_pipe)

    assert [(item.value or b"")[:54] for item in found] == [
        b'{"url":"https://example.org/%d","content":"page %d xxxxx' % (n, n) for n in range(4)
    ]
    assert found[0].place == "WARC record at byte 0"
    assert records_of(content, skipped=3, is_pipe=is_pipe) == found[3:]


def test_what_is_no_page_is_passed_over() -> None:
    """Requests are not counted; pictures, errors, redirects and pages without a text are."""
    others = [
        warc_record(1, b"GET /", kind="request"),
        warc_record(2, b"x", content_type="image/png"),
        warc_record(3, b"x" * 3 * MOST_BYTES, content_type="image/png"),
        warc_record(4, b"x", status="404 Not Found"),
        warc_record(5, b"x", status="301 Moved"),
        warc_record(6, b""),
    ]

    found = records_of(b"".join([*others, PAGES[0]]))

    assert [(item.value is None, item.problem) for item in found] == [(True, None)] * 5 + [
        (False, None)
    ]


def test_a_page_that_cannot_be_read_is_named() -> None:
    """Too large, cut off, of another digest, no HTTP, and one that its reader gives up."""
    bad = [
        warc_record(1, b"x" * 2 * MOST_BYTES),
        warc_record(2, b"x", digest_of=b"another"),
        warc_record(3, b"bad"),
    ]
    content = b"".join([*bad, PAGES[0], PAGES[1][:-100]])

    assert [problem for _, problem in problems_of(content)] == [
        "more than the limit of 4,000 bytes",
        "its digest is not that of its bytes",
        "took too long",
        "cut off: 270 of its 366 bytes are there",
    ]
    assert numbers(content) == [0]


BROKEN_BODIES = [
    ("Transfer-Encoding: chunked", b"zz\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("Content-Encoding: br", b"\xff\xff\xff\xff"),
]


@pytest.mark.parametrize(("header", "body"), BROKEN_BODIES)
def test_a_body_that_is_broken_is_one_bad_record(header: str, body: bytes) -> None:
    """The records around it are read."""
    bad = warc_record(1, body, content_type=f"text/html\r\n{header}")

    found = records_of(PAGES[0] + bad + PAGES[2])

    assert [item.value is None for item in found] == [False, True, False]
    assert "not an HTTP answer: " in (found[1].problem or "")


def test_a_panic_of_the_archives_library_is_a_bad_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no Exception, and costs the record that it happens in."""
    is_over: list[bool] = []

    class PanicException(BaseException):
        """What Rust raises in Python."""

    def panicking(*arguments: Any, **named: Any) -> Any:
        iterator = iter(ArchiveIterator(*arguments, **named))
        yield next(iterator)
        if not is_over:
            is_over.append(True)
            raise PanicException("slice index starts at 9")
        yield from iterator

    monkeypatch.setattr("newsieve.file_readers.web_archive.ArchiveIterator", panicking)

    assert problems_of(b"".join(PAGES)) == [
        ("behind the WARC record at byte 0", "not a WARC record: slice index starts at 9")
    ]
    is_over.clear()
    assert numbers(b"".join(PAGES)) == [0, 1, 2, 3]


def broken(record: bytes) -> bytes:
    """A record in which bytes are wrong."""
    middle = len(record) // 2
    return record[:middle] + b"\0\xff" * 10 + record[middle + 20 :]


DAMAGES: dict[str, list[bytes]] = {
    "junk between records": [PAGES[0], b"junk\r\n\r\n", *PAGES[1:]],
    "a header that is none": [PAGES[0], b"WARC/1.0\r\nno colon\r\n\r\nx\r\n\r\n", *PAGES[1:]],
    "a header without an end": [PAGES[0], b"WARC/1.0\r\nX: " + b"y" * 100_000, b"\r\n", *PAGES[1:]],
    "a broken gzip member": [*map(gzip.compress, PAGES[:1]), broken(gzip.compress(PAGES[1])),
                             *map(gzip.compress, PAGES[1:])],
    "a gzip member that is cut off": [gzip.compress(PAGES[0]), gzip.compress(PAGES[1])[:100],
                                      *map(gzip.compress, PAGES[1:])],
    "a broken zstd frame": [zstd.compress(PAGES[0]), b"\x28\xb5\x2f\xfd\xff\xff\xff\xff",
                            *map(zstd.compress, PAGES[1:])],
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_behind_a_broken_stretch_the_next_record_is_read(damage: str) -> None:
    """One record stands for the stretch, and skipping counts it."""
    content = b"".join(DAMAGES[damage])

    found = records_of(content)

    assert numbers(content) == [0, 1, 2, 3]
    assert [item.problem is not None for item in found] == [False, True, False, False, False]
    assert found[1].place == "behind the WARC record at byte 0"
    assert "not a WARC record" in (found[1].problem or "")
    for skipped in range(5):
        assert records_of(content, skipped=skipped) == found[skipped:]


def test_a_length_that_is_wrong_costs_its_record_alone() -> None:
    """Too long, it takes in the next one; too short, it leaves a rest."""
    for wrong in (b"Content-Length: 9", b"Content-Length: 1"):
        liar = PAGES[1].replace(b"Content-Length: 3", wrong)

        assert numbers(PAGES[0] + liar + PAGES[2] + PAGES[3]) == [0, 2, 3]


def test_noise_in_an_archive_ends_nothing() -> None:
    """Whatever bytes behind its first record are wrong, the reader comes to its end."""
    source = random.Random(7)
    for packing in ("plain", "gzip", "zstd"):
        content = PACKINGS[packing](PAGES * 3)
        for _ in range(100):
            noisy = bytearray(content)
            for _ in range(source.randint(1, 5)):
                noisy[source.randrange(len(content) // 10, len(noisy))] = source.randrange(256)
            found = records_of(bytes(noisy))
            assert len(found) <= 2 * 12 + 1
            assert records_of(bytes(noisy), skipped=2) == found[2:]

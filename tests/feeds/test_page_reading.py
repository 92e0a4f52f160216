"""The text of a page: its charset, its paragraphs."""

from __future__ import annotations

import msgspec
import pytest

from newsieve.feeds.page_questions import Page
from newsieve.feeds.page_reading import decoded
from newsieve.limited_process import LimitedProcesses
from tests.support.feed_server import FeedServer, gzipped
from tests.support.full_text_pages import PARAGRAPHS, article, page, reading

SAID = "Größe, “quoted”, Łódź"


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (SAID.encode(), None, SAID),
        (SAID.encode(), "iso-8859-1", SAID),  # UTF-8 is nothing else, whatever is said
        (b"\xef\xbb\xbf" + SAID.encode(), "utf-16", SAID),
        (b"\xff\xfe" + SAID.encode("utf-16-le"), "utf-8", SAID),
        (b"\xfe\xff" + SAID.encode("utf-16-be"), None, SAID),
        (SAID.encode("cp1250"), "windows-1250", SAID),
        (b'<meta charset="windows-1250">' + SAID.encode("cp1250"), None, SAID),
        (
            b'<meta http-equiv="content-type" content="text/html; charset=windows-1250">'
            + SAID.encode("cp1250"),
            "no-such-charset",
            SAID,
        ),
        ("naïve, “quoted”".encode("cp1252"), "ISO-8859-1", "naïve, “quoted”"),
        ("naïve, “quoted”".encode("cp1252"), None, "naïve, “quoted”"),
        ("naïve".encode("cp1252"), "hex", "naïve"),  # codecs that are none of text
        ("naïve".encode("cp1252"), "undefined", "naïve"),
        ("日本".encode("shift-jis"), "Shift_JIS", "日本"),
    ],
)
def test_a_page_is_decoded_as_browsers_do_and_utf_8_always(
    body: bytes, charset: str | None, text: str
) -> None:
    """What a server says of its pages is often wrong, and sometimes meant to be."""
    assert decoded(Page(body, charset)).endswith(text)


def test_a_compressed_page_in_an_old_charset_is_read(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """As its Content-Type says."""
    paragraph = "Öğretmenler dün akşam okulun bahçesinde buluştu, ve şarkılar söylendi. " * 4
    body = page(paragraph).replace('<meta charset="utf-8">', "").encode("cp1254", "ignore")
    reply = gzipped(body).with_headers(Content_Type="text/html;charset='windows-1254'")
    with reading(child) as texts:
        (read,) = texts.complete([article(server.serve("/1", reply))])

    assert read["content"] == paragraph.strip()


def test_paragraphs_lists_quotations_and_tables_stay_apart(child: LimitedProcesses) -> None:
    """Blank lines lie between them."""
    body = (
        f"<html><body><article><p>{PARAGRAPHS[0]}</p><h2>What it costs</h2><ul>"
        f"<li>Three coins by day</li><li>Three coins by night</li></ul>"
        f"<blockquote><p>{PARAGRAPHS[2]}</p></blockquote>"
        f"<table><tr><td>Monday</td><td>closed</td></tr></table><p>{PARAGRAPHS[1]}</p></article>"
    )
    answer = child.call(msgspec.msgpack.encode(Page(body.encode(), None)))

    assert msgspec.msgpack.decode(answer).split("\n\n") == [
        PARAGRAPHS[0],
        "What it costs",
        "- Three coins by day",
        "- Three coins by night",
        PARAGRAPHS[2],
        "| Monday | closed |",
        PARAGRAPHS[1],
    ]

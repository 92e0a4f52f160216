"""Lists of feeds: OPML, and one URL a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from newsieve.errors import InputFileInvalid
from newsieve.feeds.feed import Feed
from newsieve.feeds.feed_list import MAX_NAMED, FeedList, parse_feed_lines, read_feed_list
from newsieve.web.feed_entries import Feed as PublishedFeed
from newsieve.web.feed_formats import opml

OPML = """<?xml version="1.0"?>
<opml version="2.0"><head><title>Mine</title></head><body>
<outline text="Harbours"><outline text="North">
  <outline type="rss" text="Ferries" xmlUrl="https://a.example/feed"/>
  <outline text="t" title="Cranes &amp; Co" XMLURL=" http://b.example/ " newsieveFullText="true"/>
</outline></outline>
<outline text="A note"/><outline text="" xmlUrl="https://c.example/?x=1" newsieveFullText="no"/>
</body></opml>"""


def listed(folder: Path, content: str | bytes) -> FeedList:
    path = folder / "list"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_feed_list(path)


def refused(folder: Path, content: str | bytes) -> str:
    with pytest.raises(InputFileInvalid) as error:
        listed(folder, content)
    return str(error.value).replace(str(folder / "list"), "LIST")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_opml_names_feeds_at_any_depth(tmp_path: Path, encoding: str) -> None:
    """With their titles, and whether their pages are read; outlines without `xmlUrl` group."""
    assert listed(tmp_path, OPML.encode(encoding)) == FeedList(
        [
            Feed("https://a.example/feed", "Ferries"),
            Feed("http://b.example/", "Cranes & Co", full_text=True),
            Feed("https://c.example/?x=1"),
        ],
        [],
    )


def test_the_list_of_newsieves_own_feeds_can_be_read(tmp_path: Path) -> None:
    """What the pages export is what this reads."""

    def published(title: str, url: str) -> PublishedFeed:
        return PublishedFeed("urn:x", title, "All of it", url, "https://n.example/", [])

    url = "https://n.example/feeds/uplifting.atom?tier=high&language=en"
    exported = opml("newsieve", {"uplifting": [published("Uplifting: high", url)]})
    assert listed(tmp_path, exported).feeds == [Feed(url, "Uplifting: high")]


def test_a_list_of_addresses_has_comments_and_flags(tmp_path: Path) -> None:
    """An address may have a `#` in it; line ends are of any system."""
    content = """\ufeff# my feeds\r
https://a.example/feed   # ferries
\thttps://b.example/feed full-text # cranes

https://c.example/#news\r
"""
    assert listed(tmp_path, content).feeds == [
        Feed("https://a.example/feed"),
        Feed("https://b.example/feed", full_text=True),
        Feed("https://c.example/#news"),
    ]


def test_the_lists_of_the_documentation_are_lists(tmp_path: Path) -> None:
    """Both name the same feeds."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "ingest-feeds.md"
    blocks = re.findall(r"```(?:text|xml)\n(.*?)```", page.read_text(), re.DOTALL)
    lines, opml_feeds = (listed(tmp_path, block).feeds for block in blocks)
    assert lines == [
        Feed("https://harbour.example/feed.xml"),
        Feed("https://ferries.example/rss", full_text=True),
    ]
    assert [feed._replace(title=None) for feed in opml_feeds] == lines


def test_a_setting_lists_feeds_as_lines_do() -> None:
    """What is wrong is named by its place in the setting."""
    lines = ["https://a.example/", "http://b.example/ full-text"]
    assert parse_feed_lines("ingest.feeds", lines).feeds == [
        Feed("https://a.example/"),
        Feed("http://b.example/", full_text=True),
    ]
    with pytest.raises(InputFileInvalid, match=r"^ingest\.feeds\[1\]: 'b\.example': only http"):
        parse_feed_lines("ingest.feeds", ["https://a.example/", "b.example"])


def test_a_feed_that_is_listed_twice_is_asked_once(tmp_path: Path) -> None:
    """Spellings of one address are one feed; what any of its entries says of it holds, and the
    places of both are told."""
    content = """https://a.example/feed?utm_source=x
https://A.example:443/feed#top full-text
http://a.example/feed
"""
    feeds, warnings = listed(tmp_path, content)
    assert feeds == [
        Feed("https://a.example/feed?utm_source=x", full_text=True),
        Feed("http://a.example/feed"),
    ]
    place = tmp_path / "list"
    assert warnings == [
        f"{place}, line 2: https://A.example:443/feed#top is listed before, in {place}, line 1"
    ]


def test_every_entry_that_is_wrong_is_named(tmp_path: Path) -> None:
    """By file, line and reason, all at once."""
    assert refused(
        tmp_path,
        "https://a.example/\nftp://b.example/\nhttps://me:word@c.example/\nhttps://d.example:22/",
    ).splitlines() == [
        "LIST, line 2: 'ftp://b.example/': only http:// and https:// are asked",
        "LIST, line 3: 'https://me:word@c.example/': it has a user name or password in it",
        "LIST, line 4: 'https://d.example:22/': port 22 is none of web servers: 80, 443, or 1024 "
        "and above",
    ]
    assert refused(tmp_path, OPML.replace("https://a.example/feed", "feed.xml")) == (
        "LIST, line 4: 'feed.xml': only http:// and https:// are asked"
    )
    assert "a URL has at most 2,048 characters" in refused(tmp_path, f"https://a/{'x' * 2_048}")
    assert refused(tmp_path, "\nhttps://a.example/ fulltext") == (
        "LIST, line 2: behind a URL stands nothing, or full-text: 'https://a.example/ fulltext'"
    )


def test_of_many_wrong_entries_the_first_are_named(tmp_path: Path) -> None:
    """A list of something else is not repeated as an error of a megabyte."""
    message = refused(tmp_path, "\n".join(f"site-{number}.example" for number in range(3_021)))
    assert message.splitlines()[MAX_NAMED - 1 :] == [
        f"LIST, line {MAX_NAMED}: 'site-{MAX_NAMED - 1}.example': only http:// and https:// are "
        "asked",
        "and 3,001 more",
    ]


def test_an_address_that_no_topic_can_have_is_refused() -> None:
    """A variable of the environment that is not in UTF-8 has such characters."""
    with pytest.raises(InputFileInvalid, match=r"^ingest\.feeds\[0\]: .* it is no URL"):
        parse_feed_lines("ingest.feeds", ["https://a.example/\udcff"])


BOMB = """<?xml version="1.0"?><!DOCTYPE opml [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><opml><body><outline text="&b;" xmlUrl="https://a/"/>
</body></opml>"""
EXTERNAL = """<!DOCTYPE opml [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<opml><body><outline text="&a;" xmlUrl="https://a.example/"/></body></opml>"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, "line 1: it declares a document type"),
        (EXTERNAL, "line 1: it declares a document type"),
        ("<!DOCTYPE opml><opml/>", "line 1: it declares a document type"),
        ("<opml>\n<body>", "line 2: no element found"),
        ("<opml>\n<outline xmlUrl=x/></opml>", "line 2: not well-formed"),
        ("<opml>&nbsp;</opml>", "undefined entity"),
        ("<rss version='2.0'/>", "it is XML, but no OPML: its root is 'rss'"),
        ("<html><body/></html>", "its root is 'html'"),
        (b"<?xml version='1.0' encoding='no-such'?><opml/>", "unknown encoding"),
        (b"\xff\xfeh\x00", "it is neither OPML nor text in UTF-8"),
        (b"https://a.example/\n\xe9", "it is neither OPML nor text in UTF-8"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    """With the file's name and the line; nothing that is declared unfolds or is fetched."""
    message = refused(tmp_path, content)
    assert message.startswith("LIST")
    assert reason in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(InputFileInvalid, match="none: cannot be read: No such file"):
        read_feed_list(tmp_path / "none")
    with pytest.raises(InputFileInvalid, match="cannot be read: Is a directory"):
        read_feed_list(tmp_path)


def test_a_deep_outline_is_read_as_any(tmp_path: Path) -> None:
    """Depth costs nothing."""
    deep = "<outline>" * 20_000 + '<outline xmlUrl="https://a.example/"/>' + "</outline>" * 20_000
    assert listed(tmp_path, f"<opml><body>{deep}</body></opml>").feeds == [
        Feed("https://a.example/")
    ]

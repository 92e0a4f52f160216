"""Documents of every format of feeds, and documents that are none."""

from __future__ import annotations

import orjson
import pytest

from newsieve.feeds.feed import FeedDocument, FeedItem, FeedUnreadable, ParsedFeed
from newsieve.feeds.parse_feed import parse_feed
from tests.feeds.malformed import MALFORMED

URL = "https://a.example/news/feed"


def parsed(body: str | bytes, **values: str) -> ParsedFeed:
    return parse_feed(
        FeedDocument(body if isinstance(body, bytes) else body.encode(), URL, **values)
    )


def item(body: str | bytes) -> FeedItem:
    [only] = parsed(body).items
    return only


def rss(item: str, channel: str = "", root: str = "") -> str:
    return f'<rss version="2.0" {root}><channel>{channel}<item>{item}</item></channel></rss>'


def atom(entry: str, feed: str = "", root: str = "") -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom" {root}>{feed}<entry>{entry}</entry></feed>'


def test_rss_is_read() -> None:
    """The content behind a description comes first, as it stands."""
    found = parsed(
        rss(
            "<title>Ferry &amp;amp; crane</title><link>/ferry</link><guid>7</guid>"
            "<description>Short.</description><category>Ships</category><category>Ships</category>"
            "<content:encoded><![CDATA[<p onclick='x()'>A &amp; b <img src='c.png'></p>]]>"
            "</content:encoded><pubDate>Mon, 02 Mar 2026 10:00:00 +0100</pubDate>",
            channel="<title>Harbour &lt;b&gt;News&lt;/b&gt;</title><language>en-GB</language>"
            "<ttl>60</ttl>",
            root='xmlns:content="http://purl.org/rss/1.0/modules/content/"',
        )
    )
    assert found == ParsedFeed(
        "Harbour News",
        "en-GB",
        3_600,
        (
            FeedItem(
                guid="7",
                url="https://a.example/ferry",
                title="Ferry & crane",
                content="<p onclick='x()'>A &amp; b <img src='c.png'></p>",
                published_at="2026-03-02T09:00:00Z",
                tags=("Ships",),
            ),
        ),
    )


def test_atom_is_read() -> None:
    """With its bases, languages, and two dates."""
    found = parsed(
        atom(
            '<id>urn:x:7</id><title type="html">A &lt;i&gt;ferry&lt;/i&gt; &amp;amp; more</title>'
            '<link rel="alternate" href="ferry"/><link rel="self" href="self"/>'
            '<summary>Short.</summary><content type="xhtml" xml:lang="nl">'
            '<div xmlns="http://www.w3.org/1999/xhtml"><p>Een pont</p></div></content>'
            "<published>2026-03-02T09:00:00Z</published>"
            "<updated>2026-03-02T12:00:00+02:00</updated>"
            '<category term="ships" label="Ships"/>',
            feed="<title>Harbour</title>",
            root='xml:lang="de" xml:base="https://b.example/x/"',
        )
    )
    assert (found.title, found.language) == ("Harbour", "de")
    [entry] = found.items
    assert entry._replace(content=None) == FeedItem(
        guid="urn:x:7",
        url="https://b.example/x/ferry",
        title="A ferry & more",
        language="nl",
        published_at="2026-03-02T09:00:00Z",
        updated_at="2026-03-02T10:00:00Z",
        tags=("Ships",),
    )
    assert "<p>Een pont</p>" in str(entry.content)


def test_rdf_and_cdf_are_read() -> None:
    """They are old, and still there."""
    rdf = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
      xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
      <channel rdf:about="https://a.example/"><title>Harbour</title></channel>
      <item rdf:about="https://a.example/7"><title>Ferry</title><link>https://a.example/7</link>
      <dc:date>2026-03-02</dc:date><dc:language>nl</dc:language></item></rdf:RDF>"""
    found = item(rdf)
    assert (found.title, found.url, found.language) == ("Ferry", "https://a.example/7", "nl")
    assert "2026-03-02T00:00:00Z" in (found.published_at, found.updated_at)
    cdf = """<CHANNEL HREF="https://a.example/"><TITLE>Harbour</TITLE>
      <ITEM HREF="https://a.example/7"><TITLE>Ferry</TITLE><ABSTRACT>A piano.</ABSTRACT></ITEM>
      </CHANNEL>"""
    assert item(cdf).content == "A piano."


@pytest.mark.parametrize("version", ["1", "1.1"])
def test_json_feed_is_read(version: str) -> None:
    """As leniently as real ones need: ids that are numbers, values of other types."""
    feed = {
        "version": f"https://jsonfeed.org/version/{version}",
        "title": "Harbour",
        "language": "en",
        "items": [
            {
                "id": 7,
                "url": "/ferry",
                "title": "A < b",
                "content_html": "<p>A piano.</p>",
                "content_text": "A piano.",
                "date_published": "2026-03-02T10:00:00+01:00",
                "date_modified": "2026-03-02T12:00:00Z",
                "tags": ["ships", 7, "ships"],
                "language": "en-GB",
            },
            {"id": "8", "external_url": "https://b.example/8", "summary": "Short.", "tags": "x"},
            {"id": None, "title": ["x"], "content_text": "Text", "date_published": "soon"},
            "no item",
        ],
    }
    assert parsed(b"\xef\xbb\xbf\n" + orjson.dumps(feed)) == ParsedFeed(
        "Harbour",
        "en",
        None,
        (
            FeedItem(
                "7",
                "https://a.example/ferry",
                "A < b",
                "<p>A piano.</p>",
                "en-GB",
                "2026-03-02T09:00:00Z",
                "2026-03-02T12:00:00Z",
                ("ships",),
            ),
            FeedItem("8", "https://b.example/8", content="Short."),
            FeedItem(content="Text"),
        ),
    )


@pytest.mark.parametrize(
    ("declared", "encoding", "content_type"),
    [
        ("utf-8", "utf-8", None),
        ("utf-8", "utf-8", "text/xml"),  # by RFC 3023 that would be ASCII
        ("iso-8859-1", "iso-8859-1", "application/rss+xml"),
        ("utf-8", "iso-8859-1", "application/rss+xml"),  # it lies
        ("iso-8859-1", "utf-8", "application/rss+xml; charset=utf-8"),  # the header wins
        ("utf-16", "utf-16", None),
        ("windows-1252", "windows-1252", "text/plain"),
    ],
)
def test_a_text_is_decoded_as_feeds_mean_it(
    declared: str, encoding: str, content_type: str | None
) -> None:
    """By the header, the declaration, or what the bytes can only be."""
    body = f'<?xml version="1.0" encoding="{declared}"?>{rss("<title>Fähre über Nacht</title>")}'
    document = FeedDocument(body.encode(encoding), URL, content_type)
    assert [each.title for each in parse_feed(document).items] == ["Fähre über Nacht"]


@pytest.mark.parametrize(
    ("date", "published_at"),
    [
        ("Mon, 02 Mar 2026 10:00:00 EST", "2026-03-02T15:00:00Z"),
        ("2026-03-02T10:00:00+01:00", "2026-03-02T09:00:00Z"),
        ("2026-03-02", "2026-03-02T00:00:00Z"),
        ("Mon, 02 Mar 0000 10:00:00 GMT", None),
        ("Mon, 45 Foo 2026", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_said_in_utc_or_not_at_all(date: str, published_at: str | None) -> None:
    """An impossible one is no reason to lose the item."""
    assert item(rss(f"<title>x</title><pubDate>{date}</pubDate>")).published_at == published_at


def test_links_are_absolute_and_of_the_web() -> None:
    """Others are no url."""
    for link, url in (
        ("https://b.example/7", "https://b.example/7"),
        ("//b.example/7", "https://b.example/7"),
        ("?p=7", "https://a.example/news/feed?p=7"),
        ("javascript:alert(1)", None),
        ("mailto:a@b.example", None),
        ("http://[", None),
        ("https://b.example/" + "x" * 2_048, None),
    ):
        assert item(rss(f"<title>x</title><link>{link}</link>")).url == url


def test_a_guid_that_is_a_permalink_is_the_link_where_there_is_none() -> None:
    """As RSS says."""
    guid = "<guid>https://a.example/7</guid>"
    assert item(rss(f"<title>x</title>{guid}")).url == "https://a.example/7"
    permanent = '<guid isPermaLink="false">https://a.example/7</guid>'
    assert item(rss(f"<title>x</title>{permanent}")).url is None


def test_an_id_is_what_the_feed_says() -> None:
    """It is no link: where the feed was read, which may change, is not in it."""
    assert item(rss("<title>x</title><guid>7</guid>"))[:2] == ("7", None)
    assert item(atom("<title>x</title><id>post/7</id><link href='7'/>"))[:2] == (
        "post/7",
        "https://a.example/news/7",
    )


def test_a_title_is_plain_text() -> None:
    """Where its format says that it is markup, that goes; what only looks like it stays."""
    for title, plain in (
        ("<title>a &lt; b &amp;amp; c</title>", "a < b & c"),
        ('<title type="text">if a &lt;b&gt; c</title>', "if a <b> c"),
        ("<title>\n two\n lines </title>", "two lines"),
        ("<title><![CDATA[<b>Bold</b> move]]></title>", "Bold move"),
        ("<title>&amp;#8220;Ferry&amp;#8221;</title>", "“Ferry”"),
    ):
        body = atom(title) if "type" in title else rss(title + "<description>x</description>")
        assert item(body).title == plain, title


@pytest.mark.parametrize("item", ["item", "a:item", "entry"])
def test_an_archive_is_not_read_beyond_the_items_that_are_published(
    monkeypatch: pytest.MonkeyPatch, item: str
) -> None:
    """Not but for one, which tells that there are more; what stands behind the items is read."""
    monkeypatch.setattr("newsieve.feeds.xml_feed.MAX_ITEMS", 2)
    items = "".join(f"<{item}><title>{n}</title></{item}>\n" for n in range(9))
    body = f"<rss xmlns:a='http://purl.org/rss/1.0/'><channel>{items}<title>Harbour</title></channel></rss>".encode()
    parsed = parse_feed(FeedDocument(body, "https://a.example/"))
    assert [item.title for item in parsed.items] == ["0", "1", "2"]
    assert parsed.title == "Harbour"


def test_no_file_or_address_that_a_body_names_is_opened() -> None:
    """A body is text, whatever it looks like."""
    for body in ("/etc/passwd", "http://127.0.0.1:9/", "file:///etc/passwd"):
        with pytest.raises(FeedUnreadable, match="neither RSS, Atom nor JSON Feed"):
            parsed(body)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_feed_ends_in_items_or_a_reason(name: str) -> None:
    """Each has the titles that can be saved, or says what is wrong."""
    body, expected = MALFORMED[name]
    try:
        found: object = [each.title for each in parsed(body).items]
    except FeedUnreadable as error:
        found = str(error)
    if isinstance(expected, str):
        assert isinstance(found, str)
        assert expected in found
    else:
        assert found == expected

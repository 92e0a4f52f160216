"""Items of feeds as raw articles, and their ids."""

from __future__ import annotations

import uuid

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.feeds.canonical_url import canonical_url
from newsieve.feeds.feed import Feed, FeedItem, ParsedFeed
from newsieve.feeds.items import MAX_CONTENT_CHARACTERS, MAX_ITEMS, articles_of
from newsieve_schemas.article import RawArticle

FEED = Feed("https://a.example/feed")
FERRY = FeedItem(
    guid="https://a.example/?p=7",
    url="https://a.example/ferry?utm_source=rss",
    title="Ferry",
    content="<p>A piano.</p>",
    published_at="2026-03-02T09:00:00Z",
    tags=("ships",),
)


def articles(*items: FeedItem, feed: Feed = FEED) -> list[dict[str, object]]:
    parsed = ParsedFeed("Harbour News", "en", None, items)
    return [each.article for each in articles_of(feed, parsed)]


def ids(*items: FeedItem, feed: Feed = FEED) -> list[object]:
    """The ids in the document's order."""
    return [article["id"] for article in reversed(articles(*items, feed=feed))]


def test_an_item_becomes_a_raw_article() -> None:
    """With what its feed says of it; what it lacks is absent."""
    assert articles(FERRY) == [
        {
            "id": "https://a.example/?p=7",
            "title": "Ferry",
            "content": "<p>A piano.</p>",
            "url": "https://a.example/ferry?utm_source=rss",
            "source": "Harbour News",
            "language": "en",
            "published_at": "2026-03-02T09:00:00Z",
            "tags": ["ships"],
        }
    ]
    bare = FeedItem(guid="urn:x:1", title="Ferry", language="de", updated_at="2026-01-01T00:00:00Z")
    assert articles(bare, feed=FEED._replace(title="Harbours")) == [
        {
            "id": "urn:x:1",
            "title": "Ferry",
            "source": "Harbours",
            "language": "de",
            "published_at": "2026-01-01T00:00:00Z",
        }
    ]


def test_the_oldest_item_comes_first() -> None:
    """Feeds begin with the newest."""
    items = [FERRY._replace(guid=f"urn:x:{number}") for number in (3, 2, 1)]
    assert [article["id"] for article in articles(*items)] == ["urn:x:1", "urn:x:2", "urn:x:3"]


def test_an_item_without_text_is_no_article() -> None:
    """Nothing of it could be scored."""
    assert articles(FERRY._replace(title=None, content=None)) == []


@pytest.mark.parametrize(
    "guid",
    [
        "https://b.example/7", "HTTP://b.example/", "urn:isbn:7", "tag:b.example,2026:7",
        "app://x/7", "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    ],
)  # fmt: skip
def test_an_id_that_is_unique_in_the_world_is_kept(guid: str) -> None:
    """Whichever feed has it: two feeds of one site give one article."""
    assert ids(FERRY._replace(guid=f" {guid} ")) == [guid]


@pytest.mark.parametrize("guid", ["7", "post-7", "yt:video:x", "http://", "urn:", "a b", "tag:"])
def test_an_id_of_a_feed_alone_is_said_of_it(guid: str) -> None:
    """Else the sevenths of two feeds would be versions of one article."""
    assert ids(FERRY._replace(guid=guid)) == [f"https://a.example/feed#{guid}"]
    other = Feed("https://b.example/feed")
    assert ids(FERRY._replace(guid=guid), feed=other) == [f"https://b.example/feed#{guid}"]


def test_without_an_id_the_address_is_it_and_without_one_the_text() -> None:
    """The address in its one spelling; the text for as long as it stays the same."""
    item = FERRY._replace(guid=None)
    assert ids(item) == ["https://a.example/ferry"]
    [first] = ids(item._replace(url=None))
    assert uuid.UUID(str(first)).version == 5
    assert ids(item._replace(url=None, tags=())) == [first]
    assert ids(item._replace(url=None, title="Ferries")) != [first]
    assert ids(item._replace(url=None), feed=Feed("https://b.example/")) != [first]


def test_an_id_that_is_too_long_is_shortened_to_a_uuid() -> None:
    """A raw article with it would be a dead letter."""
    [long] = ids(FERRY._replace(guid="urn:" + "x" * 2_048))
    assert uuid.UUID(str(long)).version == 5
    assert [long] != ids(FERRY._replace(guid="urn:" + "x" * 2_049))


def test_an_id_that_items_share_is_none_of_theirs() -> None:
    """A site's address as each item's id; then each link's; then each text."""
    items = [
        FERRY._replace(guid="https://a.example/", title=f"Ferry {n}", url=f"https://a.example/{n}")
        for n in range(3)
    ]
    assert ids(*items) == ["https://a.example/0", "https://a.example/1", "https://a.example/2"]
    linked = [item._replace(url="https://a.example/") for item in items]
    assert len(set(ids(*linked))) == 3
    assert all(uuid.UUID(str(each)).version == 5 for each in ids(*linked))


def test_of_two_versions_of_an_item_the_later_one_counts() -> None:
    """Atom may list both; where no date tells, the one above does."""
    old = FERRY._replace(content="old", updated_at="2026-03-02T10:00:00Z")
    new = FERRY._replace(content="new", updated_at="2026-03-02T11:00:00Z")
    for document in ((old, new), (new, old), (FERRY._replace(content="new"), FERRY)):
        assert [article["content"] for article in articles(*document)] == ["new"]


def test_an_item_has_changed_when_what_is_read_has() -> None:
    """Markup, whose addresses many feeds renew each time, dates and tags are not read."""

    def text_hash(item: FeedItem) -> bytes:
        [article] = articles_of(FEED, ParsedFeed(None, None, None, (item,)))
        return article.seen.text_hash

    same = text_hash(FERRY)
    pixel = '<p class="x">A  piano.</p><img src="https://t.example/?nonce=81">'
    for item in (
        FERRY._replace(content=pixel),
        FERRY._replace(tags=(), updated_at="2027-01-01T00:00:00Z", url=None, language="nl"),
    ):
        assert text_hash(item) == same
    for item in (
        FERRY._replace(content="<p>Two pianos.</p>"),
        FERRY._replace(title="Ferries"),
        FERRY._replace(content="A piano < B"),
        FERRY._replace(content=None),
    ):
        assert text_hash(item) != same


def test_a_content_beyond_what_a_record_holds_is_cut() -> None:
    """Pictures within it go first, so that its text stays."""
    picture = "<img src='data:image/png;base64," + "A" * MAX_CONTENT_CHARACTERS + "'>"
    [article] = articles(FERRY._replace(content=f"{picture}<p>A piano.</p>"))
    assert article["content"] == "<img src='data:,'><p>A piano.</p>"
    for character in ("é", "\x01", "\U0001f3b9"):
        [article] = articles(FERRY._replace(content=character * (MAX_CONTENT_CHARACTERS + 1)))
        assert len(str(article["content"])) == MAX_CONTENT_CHARACTERS
        assert len(orjson.dumps(article)) < 1_000_000


def test_of_an_endless_document_the_first_items_are_read() -> None:
    """They are the newest."""
    items = (FERRY._replace(guid=f"urn:x:{number}") for number in range(MAX_ITEMS + 5))
    found = articles(*items)
    assert len(found) == MAX_ITEMS
    assert found[-1]["id"] == "urn:x:0"


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            FeedItem,
            guid=st.sampled_from(["7", "urn:x:7", "https://a.example/", None, " ", "x" * 3_000]),
            url=st.sampled_from(["https://a.example/", "https://b.example/", None]),
            title=st.sampled_from(["Ferry", "Crane", None]),
            content=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
            updated_at=st.sampled_from(["2026-01-01T00:00:00Z", None]),
        ),
        max_size=6,
    )
)
def test_every_article_can_be_sent_and_has_an_id_of_its_own(items: list[FeedItem]) -> None:
    """Whatever its items have."""
    found = articles(*items)
    assert len({str(article["id"]) for article in found}) == len(found)
    for article in found:
        orjson.dumps(article)
        if not str(article.get("title") or article["content"]).isspace():
            RawArticle.model_validate(article)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://A.Example:443/x#y", "https://a.example/x"),
        ("http://a.example", "http://a.example/"),
        ("http://a.example:8080/", "http://a.example:8080/"),
        ("https://a.example/?utm_source=x&id=7&UTM_Medium=y", "https://a.example/?id=7"),
        ("https://a.example/?fbclid=x&gclid=y", "https://a.example/"),
        ("https://a.example/X/?b=2&a=1&b=1", "https://a.example/X/?b=2&a=1&b=1"),
        ("https://a.example/?utmost=1", "https://a.example/?utmost=1"),
        ("https://a.example./", "https://a.example/"),
        ("http://[2606:4700::1]:80/", "http://[2606:4700::1]/"),
        ("https://a.example:x/", "https://a.example:x/"),
        ("nothing", "nothing"),
    ],
)
def test_spellings_of_an_address_become_one(url: str, canonical: str) -> None:
    """What may tell pages apart is kept."""
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical

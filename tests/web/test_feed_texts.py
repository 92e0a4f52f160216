"""Whatever others wrote, a feed is whole, and what they wrote is text in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsieve.store.reader import StoredOutcome
from newsieve.web.feed_entries import Feed, entry_of, moment, web_address
from newsieve.web.feed_formats import atom, json_feed
from tests.support.scored_records import START_MS, identity, scored
from tests.support.served import Served, fill, make_served
from tests.web.test_feeds import ATOM_NS, TIER, entries, items, xml


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path)
    fill(served)
    yield served
    served.close()


HOSTILE = [
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "]]> <!-- --> <?xml version='1.0'?> <!DOCTYPE x>",
    "&amp; &lt; &#0; &nbsp;",
    "nul \x00 esc \x1b[31m bell \x07 \x0b",
    "not characters \ufffe \uffff \U0001fffe",
    "right to left \u202e gnp.exe \u2066 x \u2069",
    "line\nends\r\n\u2028 and \u0085 tabs\t",
    "quotes \" ' `",
    "m" * 1_000_000,
]


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_and_texts_are_text_in_every_format(served: Served, title: str) -> None:
    """No reader sees a broken document, a tag of the article's, or a character that hides."""
    served.add(title, title, a_source=title, a_language="x" * 90, ms=START_MS + 90_000)

    (entry,) = [e for e in entries(served, f"{TIER}.atom") if e.published > moment(START_MS + 6e4)]
    document = xml(served.get(f"{TIER}.atom?limit=1").content)
    item = items(served, f"{TIER}.json?limit=1")[0]

    shown = document.findtext(f"{ATOM_NS}entry/{ATOM_NS}title")
    assert shown == item["title"]
    assert shown is not None and shown.isprintable()
    assert len(shown) <= 301
    assert "<script" not in item["content_html"]
    assert "<svg" not in item["content_html"]
    assert item["content_html"].isprintable()
    assert "language" not in item
    assert entry.id == item["id"]


@settings(max_examples=60, deadline=None)
@given(
    title=st.text(alphabet=st.characters(codec=None), max_size=40),
    content=st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    url=st.text(max_size=30).map("https://".__add__),
)
def test_no_text_breaks_a_document(title: str, content: str, url: str) -> None:
    """Atom is well-formed, and JSON is JSON, whatever an article says."""
    safe = title.encode(errors="replace").decode()
    record = scored(identity(safe, content, url=url.encode(errors="replace").decode()))
    outcome = StoredOutcome(
        1, 1, 1, bool(1), 0, "uplifting", "connection", 6.1, None, None, record.value or b"",
        uuid.uuid4().bytes, START_MS, START_MS, "a1",
    )  # fmt: skip
    entry = entry_of(outcome, title + content)
    assert entry is not None
    feed = Feed("urn:x", "title", "subtitle", "http://x/a", "http://x/", [entry])

    root = xml(atom(feed))
    item = json.loads(json_feed(feed))["items"][0]

    assert root.findtext(f"{ATOM_NS}entry/{ATOM_NS}title") == entry.title == item["title"]
    link = root.find(f"{ATOM_NS}entry/{ATOM_NS}link")
    assert link is not None and link.get("href") == entry.url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://news.example/a?b=1&c=%20", "https://news.example/a?b=1&c=%20"),
        ("HTTP://News.example/ü", "HTTP://News.example/ü"),
        ("https://news.example/a b\n\u202e", "https://news.example/a%20b%0A%E2%80%AE"),
        ("javascript:alert(1)", None),
        (" https://news.example/", None),
        ("data:text/html,x", None),
        ("//news.example/", None),
        (None, None),
    ],
)
def test_a_link_leads_to_the_web_or_nowhere(text: str | None, address: str | None) -> None:
    """Scripts and files are no links; what no address may have is written as percent signs."""
    assert web_address(text) == address


def test_an_article_without_a_title_link_or_readable_date_is_an_entry(served: Served) -> None:
    """What is missing is left out; a date in the future is that of its scoring."""
    fields = {"a_url": None, "a_source": None, "a_language": None}
    served.add("", "x", ms=START_MS + 90_000, a_published_at="9999-12-31T00:00:00Z", **fields)

    entry = entries(served, f"{TIER}.atom?limit=1")[0]
    item = items(served, f"{TIER}.json?limit=1")[0]

    assert entry.title == "(no title)"
    assert entry.get("links", []) == []
    assert entry.author == "newsieve"
    assert entry.published == entry.updated == moment(START_MS + 90_000)
    assert not {"url", "authors", "language"} & set(item)


def test_a_record_of_another_shape_costs_its_neighbours_nothing(served: Served) -> None:
    """Others may write to the topic: what is no ScoredArticle has no entry."""
    served.add("Strange", scores="high", ms=START_MS + 90_000)

    titles = [entry.title for entry in entries(served, f"{TIER}.atom")]

    assert len(titles) == 24
    assert "Strange" not in titles

"""Feeds say what the store has, in words that every reader of feeds understands."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import feedparser
import pytest

from tests.support.scored_records import START_MS
from tests.support.served import Served, fill, make_served, rows_of

TIER = "/feeds/uplifting/connection"

ATOM_NS = "{http://www.w3.org/2005/Atom}"

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = make_served(tmp_path)
    fill(served)
    yield served
    served.close()


def entries(served: Served, target: str) -> list[Any]:
    answer = served.get(target)
    assert answer.status_code == 200, answer.text
    found = feedparser.parse(answer.content)
    assert not found.bozo, found.get("bozo_exception")
    return list(found.entries)


def xml(document: bytes) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 - it is ours


def items(served: Served, target: str) -> list[dict[str, Any]]:
    answer = served.get(target)
    assert answer.headers["content-type"] == "application/feed+json"
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_feedparser_reads_back_what_an_outcome_says(served: Served) -> None:
    """Title, link, source, times, tier and the reasons are there, and the text's beginning."""
    served.add(
        "A village opens a library",
        "The old mill has books now. " * 100,
        a_url="https://news.example/library?a=1&b=2",
        a_source="village.example",
        a_language="de-AT",
        scores={"agency": 8.25, "progress": 2.5, "connection": 9.0, "collective_benefit": 7.0},
        score=7.4,
        weighted_average=8.1,
        gates=["thin_text"],
        caps=["opinion"],
        content_rules=["opinion"],
        truncated=True,
        tokens=512,
        ms=START_MS + 60_000,
    )

    answer = served.get(f"{TIER}.atom")
    feed = feedparser.parse(answer.content)
    entry = feed.entries[0]

    assert not feed.bozo
    assert answer.headers["content-type"] == "application/atom+xml"
    assert feed.version == "atom10"
    assert feed.feed.title == "uplifting: connection"
    links = {link.rel: link.href for link in feed.feed.links}
    assert links["self"] == f"http://localhost:8080{TIER}.atom"
    assert links["alternate"] == "http://localhost:8080/articles?filter=uplifting&tier=connection"
    assert feed.feed.updated == entry.updated
    assert entry.title == "A village opens a library"
    assert entry.link == "https://news.example/library?a=1&b=2"
    assert entry.author == "village.example"
    assert entry.published == "2026-11-20T08:00:00Z" or entry.published <= entry.updated
    assert [tag.term for tag in entry.tags] == ["uplifting", "connection"]
    for said in (
        "connection of uplifting v4: 7.4 of 10, confidence 80 %.",
        "Highest: connection 9.0, agency 8.2, collective_benefit 7.0.",
        "Limited by gate thin_text, cap opinion; without, 8.1.",
        "Content rules: opinion.",
        "Only the first 512 tokens were read.",
    ):
        assert said in entry.summary
    content = entry.content[0]
    assert content.type == "text/html"
    assert content.language == "de-AT"
    assert "The old mill has books now." in content.value
    assert len(content.value) < 1_000, "an excerpt, not the article"


def test_a_json_feed_has_what_its_specification_asks_for(served: Served) -> None:
    """JSON Feed 1.1: version, title, items with id and content, dates as RFC 3339, an extension
    whose name begins with an underscore."""
    document = served.get(f"{TIER}.json?limit=100").json()

    assert document["version"] == "https://jsonfeed.org/version/1.1"
    assert document["title"] == "uplifting: connection"
    assert document["feed_url"] == f"http://localhost:8080{TIER}.json?limit=100"
    known = {
        "id", "url", "title", "content_html", "summary", "date_published", "date_modified",
        "authors", "tags", "language", "_newsieve",
    }  # fmt: skip
    assert len(document["items"]) == 24
    for item in document["items"]:
        assert set(item) == known
        assert uuid.UUID(item["id"])
        assert MOMENT.fullmatch(item["date_published"])
        assert MOMENT.fullmatch(item["date_modified"])
        assert item["authors"][0].keys() == {"name"}
        assert item["tags"] == ["uplifting", "connection"]
    newest = document["items"][0]["_newsieve"]
    assert newest["story"] == served.get("/v1/articles").json()["articles"][0]["story"]
    assert newest["score"] == 9.5
    assert newest["scores"]["agency"] == 6.25
    assert newest["tier_confidence"] == 0.8


def test_atom_and_json_have_the_same_articles_with_the_same_ids(served: Served) -> None:
    """The newest first, and only those of the tier, or of all tiers that are no block."""
    served.write(rows_of("Blocked", outcome="blocked", tier=None, score=None, scores=None))

    of_tier = [entry.id for entry in entries(served, f"{TIER}.atom")]
    of_filter = [entry.id for entry in entries(served, "/feeds/uplifting.atom")]

    assert of_tier == [item["id"] for item in items(served, f"{TIER}.json")]
    assert of_filter == [item["id"] for item in items(served, "/feeds/uplifting.json")]
    assert len(of_tier) == 24
    assert len(of_filter) == 30
    assert len(set(of_filter)) == 30


def test_ids_stay_when_articles_arrive_and_when_it_starts_anew(tmp_path: Path) -> None:
    """A reader shows each article as new once: also from a store that is filled anew."""
    first = make_served(tmp_path)
    fill(first, 10)
    before = {entry.title: entry.id for entry in entries(first, "/feeds/uplifting.atom")}
    feed_id = feedparser.parse(first.get("/feeds/uplifting.atom").content).feed.id
    first.add("One more", ms=START_MS + 90_000)
    more = {entry.title: entry.id for entry in entries(first, "/feeds/uplifting.atom")}
    first.close()
    folder = tmp_path / "anew"
    folder.mkdir()
    second = make_served(folder)
    second.add("First this time")
    fill(second, 10)
    after = {entry.title: entry.id for entry in entries(second, "/feeds/uplifting.atom")}

    assert len(before) == 10
    assert more.items() >= before.items()
    assert after.items() >= before.items()
    assert feedparser.parse(second.get("/feeds/uplifting.atom").content).feed.id == feed_id
    second.close()


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ("limit=3", [29, 28, 27]),
        ("min_score=8.5&limit=4", [29, 28, 19, 18]),
        ("language=de&limit=3", [27, 24, 21]),
        ("language=de&min_score=7&limit=3", [27, 18, 9]),
        ("language=&min_score=&limit=2", [29, 28]),
        ("language=fr", []),
    ],
)
def test_parameters_choose_articles(served: Served, parameters: str, numbers: list[int]) -> None:
    """By the least score, the language, and their number."""
    found = entries(served, f"{TIER}.atom?{parameters}")

    assert [int(entry.title.split()[1]) for entry in found] == numbers


def test_what_there_is_not_is_said_with_what_there_is(served: Served) -> None:
    """An unknown filter or tier is 404 with the names; blocked articles have no feed; a misspelt
    parameter is 422."""
    no_filter = served.get("/feeds/uplifing.atom")
    no_tier = served.get("/feeds/uplifting/conection.json")

    assert no_filter.status_code == no_tier.status_code == 404
    assert no_filter.json()["filters"] == ["uplifting"]
    assert no_tier.json()["tiers"] == ["impact", "connection", "not_uplifting"]
    assert served.get("/feeds/uplifting/blocked.atom").status_code == 404
    assert served.get("/feeds/uplifting.rss").status_code == 404
    assert served.get(f"{TIER}.atom?minscore=3").status_code == 422
    assert served.get(f"{TIER}.atom?min_score=11").status_code == 422
    assert entries(served, "/feeds/uplifting/not_uplifting.atom") == []


def test_the_list_names_every_feed(served: Served) -> None:
    """Each address of the OPML answers with a feed of that title."""
    document = served.get("/feeds/opml")
    root = xml(document.content)
    outlines = [item for item in root.iter("outline") if item.get("type") == "rss"]
    addresses = [item.attrib["xmlUrl"] for item in outlines]

    assert document.headers["content-type"].startswith("text/x-opml")
    assert root.attrib == {"version": "2.0"}
    assert [address.removeprefix("http://localhost:8080/feeds/") for address in addresses] == [
        "uplifting.atom",
        "uplifting/impact.atom",
        "uplifting/connection.atom",
        "uplifting/not_uplifting.atom",
    ]
    for outline in outlines:
        feed = feedparser.parse(served.get(outline.attrib["xmlUrl"]).content)
        assert not feed.bozo
        assert feed.feed.title == outline.attrib["text"] == outline.attrib["title"]
        assert feed.feed.subtitle == outline.attrib["description"]


def test_addresses_are_those_that_people_use(tmp_path: Path) -> None:
    """With `serve.url` behind a reverse proxy, links do not name the machine behind it."""
    served = make_served(tmp_path, {"SERVE__URL": "https://reader.example/news/"})

    feed = feedparser.parse(served.get(f"{TIER}.atom").content).feed

    links = {link.rel: link.href for link in feed.links}
    assert links["self"] == f"https://reader.example/news{TIER}.atom"
    assert links["alternate"].startswith("https://reader.example/news/articles?")
    served.close()


@pytest.mark.parametrize("target", [f"{TIER}.atom", f"{TIER}.json", "/feeds/opml"])
def test_who_has_it_is_told_so_without_a_body(served: Served, target: str) -> None:
    """If-None-Match in all its spellings, with headers that a cache keeps."""
    first = served.get(target)
    tag = first.headers["etag"]

    for said in (tag, f"W/{tag}", f'"other", W/"x,y" , {tag}', "*"):
        answer = served.get(target, {"if-none-match": said})
        assert (answer.status_code, answer.content) == (304, b""), said
        for name in ("etag", "cache-control", "content-security-policy"):
            assert answer.headers[name] == first.headers[name]
    for said in ('"other"', tag.strip('"'), f'"{tag}"', 'W/"', ""):
        answer = served.get(target, {"if-none-match": said})
        assert (answer.status_code, answer.content) == (200, first.content), said
    assert "max-age=60" in first.headers["cache-control"]
    head = served.ask("HEAD", target)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == tag
    assert head.headers["content-length"] == str(len(first.content))


def test_a_304_renders_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is known from the rows; no record is read for it."""
    tag = served.get(f"{TIER}.atom").headers["etag"]
    monkeypatch.setattr("newsieve.web.feeds.entry_of", None)

    assert served.get(f"{TIER}.atom", {"if-none-match": tag}).status_code == 304
    assert served.get(f"{TIER}.atom").status_code == 500


def test_the_tag_changes_with_whatever_the_document_says(served: Served) -> None:
    """A new article, a copy of one, a text that comes late, another parameter: each is new."""
    tags = [served.get(f"{TIER}.atom").headers["etag"]]
    tags.append(served.get(f"{TIER}.atom?limit=49").headers["etag"])
    tags.append(served.get(f"{TIER}.json").headers["etag"])
    text, outcome = rows_of("A late text", "that came after its outcome", ms=START_MS + 90_000)
    for rows in (
        [outcome],
        [text],
        rows_of("A late text", "that came after its outcome", a_id="b"),
    ):
        served.write(rows)
        tags.append(served.get(f"{TIER}.atom").headers["etag"])

    assert len(set(tags)) == len(tags)
    assert tags[-1] == served.get(f"{TIER}.atom").headers["etag"]


def test_a_date_says_it_where_there_is_no_tag(served: Served) -> None:
    """If-Modified-Since counts alone, and what is no date does not count."""
    first = served.get(f"{TIER}.atom")
    modified = first.headers["last-modified"]
    earlier = formatdate(START_MS / 1_000, usegmt=True)

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return served.get(f"{TIER}.atom", named).status_code

    assert modified == formatdate(START_MS / 1_000 + 29, usegmt=True)
    assert status(if_modified_since=modified) == 304
    assert status(if_modified_since=earlier) == 200
    assert status(if_modified_since=modified, if_none_match='"other"') == 200
    assert status(if_modified_since="yesterday") == 200
    assert status(if_modified_since="Mon, 99 Sep 99999999999 25:00:00 GMT") == 200
    assert status(if_modified_since="") == 200

"""The text of the pages behind a feed's summaries, in how many fetches, and how far apart."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from newsieve.feeds import full_text
from newsieve.feeds.feed import Feed
from newsieve.feeds.fetcher import HttpFeedFetcher
from newsieve.feeds.full_text import FullText
from newsieve.feeds.parse_feed import parse_feed
from newsieve.limited_process import LimitedProcesses
from newsieve.outgoing.public_address import parse_allowed
from newsieve.outgoing.web_reader import WebReader
from newsieve_schemas.ingest import FeedState
from tests.support.feed_server import FeedReply, FeedServer, conditional, redirect, rss, rss_item
from tests.support.full_text_pages import (
    NOON,
    PARAGRAPHS,
    SUMMARY,
    TEXT,
    WALL,
    article,
    html,
    page,
    reading,
)


def test_a_summary_is_replaced_by_the_text_of_its_page(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """Without menus, notices, comments and the title, which the article has already."""
    given = article(server.serve("/1", html(page())), language="en", tags=["traffic"])
    with reading(child) as texts:
        (read,) = texts.complete([given])

    assert read == {**given, "content": TEXT, "full_text": "read"}
    (request,) = server.asked("/1")
    assert request.headers["accept"] == "text/html, application/xhtml+xml"
    assert request.headers["user-agent"].startswith("newsieve/")
    assert [request.path for request in server.requests] == ["/robots.txt", "/1"]


def test_what_has_its_text_is_left_alone(child: LimitedProcesses, server: FeedServer) -> None:
    """Nothing is asked for it; markup does not count as text."""
    url = server.serve("/1", html(page()))
    whole = article(url, f"<p>{'A word. ' * 20}</p>")
    short = article(url, f"<p class='{'a' * 500}'>{'A word. ' * 10}</p>")
    with reading(child, summary_characters=150) as texts:
        assert texts.complete([whole]) == [whole]
        assert server.requests == []
        assert texts.complete([short])[0]["full_text"] == "read"


def test_an_item_without_any_text_gets_its_pages(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """As of feeds that have titles and links alone."""
    with reading(child) as texts:
        (read,) = texts.complete([article(server.serve("/1", html(page())), content=None)])

    assert (read["content"], read["full_text"]) == (TEXT, "read")


def test_a_page_is_not_asked_for_where_the_robots_txt_forbids_it(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """Nor is its text used where it is the end of a redirect."""
    robots = b"User-agent: newsieve\nDisallow: /private/\n"
    server.serve("/robots.txt", FeedReply(robots, headers={"Content-Type": "text/plain"}))
    forbidden = article(server.serve("/private/1", html(page())))
    leads_there = article(server.serve("/2", redirect("/private/2")))
    server.serve("/private/2", html(page()))
    allowed = article(server.serve("/3", html(page())))
    with reading(child) as texts:
        marks = [each["full_text"] for each in texts.complete([forbidden, leads_there, allowed])]

    assert marks == ["refused: robots.txt does not allow it"] * 2 + ["read"]
    assert server.asked("/private/1") == []
    assert len(server.asked("/robots.txt")) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_is_asked_too_much_is_left_in_peace(
    child: LimitedProcesses, server: FeedServer, status: int
) -> None:
    """The other articles of this fetch keep their summaries, unasked."""
    articles = [article(server.serve("/1", html("wait", status=status)))]
    articles += [article(server.serve(f"/{number}", html(page()))) for number in (2, 3)]
    with reading(child) as texts:
        kept = texts.complete(articles)
        later = texts.complete(articles[1:])

    mark = f"{'refused' if status == 429 else 'failed'}: the server answers {status}"
    assert [each["full_text"] for each in kept] == [mark] * 3
    assert [each["content"] for each in kept] == [SUMMARY] * 3
    assert [each["full_text"] for each in later] == ["read"] * 2


def test_a_summary_that_is_longer_than_its_page_stays(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """The page behind it shows its first lines only to who has not paid."""
    summary = f"<p>{PARAGRAPHS[0]}</p><p>{PARAGRAPHS[1]}</p>"
    with reading(child) as texts:
        (kept,) = texts.complete(
            [article(server.serve("/1", html(page(PARAGRAPHS[0], WALL))), summary)]
        )

    assert kept["content"] == summary
    assert kept["full_text"] == "failed: the page has no more text than the feed"


def test_one_fetch_reads_a_bounded_number_of_pages_and_the_oldest_first(
    child: LimitedProcesses, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after is left for the next fetch, also what would need no page: order is kept."""
    monkeypatch.setattr(full_text, "MAX_PAGES", 2)
    pages = [article(server.serve(f"/{number}", html(page()))) for number in range(3)]
    whole = article(server.url("/whole"), "A word. " * 200)
    with reading(child) as texts:
        assert [each["id"] for each in texts.complete([whole, *pages, whole])] == [
            each["id"] for each in (whole, *pages[:2])
        ]
        assert len(texts.complete([pages[2], whole])) == 2


def test_a_fetch_whose_time_is_over_has_read_one_page_at_least(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """So that a slow site's articles all come in the end."""
    pages = [article(server.serve(f"/{number}", html(page()))) for number in range(3)]
    with reading(child, fetch_seconds=0.0) as texts:
        assert [each["id"] for each in texts.complete(pages)] == [pages[0]["id"]]
        assert [each["id"] for each in texts.complete(pages[1:])] == [pages[1]["id"]]


def test_pages_of_one_host_lie_apart_whatever_feed_they_are_of(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """Threads take turns."""
    pages = [article(server.serve(f"/{number}", html(page()))) for number in range(4)]
    with reading(child, least_delay_seconds=0.1) as texts:
        threads = [threading.Thread(target=texts.complete, args=(pages[n::2],)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    moments = sorted(each.at for each in server.requests if each.path != "/robots.txt")
    assert len(moments) == 4
    assert moments[-1] - moments[0] >= 3 * 0.1 - 0.05


def test_closing_ends_a_fetch_that_waits_for_its_turn(server: FeedServer) -> None:
    """What it leaves out is asked for again by the next program."""
    pages = [article(server.serve(f"/{number}", html("no", status=403))) for number in range(2)]
    completed: list[dict[str, Any]] = []
    with closing(WebReader(parse_allowed(["127.0.0.1"]))) as web:
        texts = FullText(web, summary_characters=1_000, least_delay_seconds=50.0)
        thread = threading.Thread(target=lambda: completed.extend(texts.complete(pages)))
        thread.start()
        while not server.asked("/0"):
            time.sleep(0.005)
        texts.close()
        thread.join(5)

    assert not thread.is_alive()
    assert [each["id"] for each in completed] == [pages[0]["id"]]


def test_a_feed_gives_whole_articles_in_several_answers_and_each_once(
    child: LimitedProcesses, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until all are told, its document is read again soon and whole; a page that differs at each
    visit makes no new version."""
    monkeypatch.setattr(full_text, "MAX_PAGES", 1)
    visits = itertools.count()
    pages = [
        server.serve(f"/{number}", lambda _: html(page(*PARAGRAPHS, f"Visit {next(visits)}.")))
        for number in (1, 2)
    ]
    items = [
        rss_item(number, SUMMARY).replace(
            f"https://harbour.example/news/{number}?utm_source=rss", url
        )
        for number, url in enumerate(pages)
    ]
    url = server.serve("/feed", conditional(lambda: rss(reversed(items), extra="<ttl>600</ttl>")))
    asked, waits = [], []
    with closing(WebReader(parse_allowed(["127.0.0.1"]))) as web:
        texts = FullText(web, summary_characters=200, least_delay_seconds=0, children=child)
        fetcher = HttpFeedFetcher(web, parse=parse_feed, full_text=texts, now=lambda: NOON)
        state: FeedState | None = None
        for _ in range(3):
            fetched = fetcher.fetch(Feed(url, full_text=True), state)
            state = fetched.state
            asked.append((fetched.outcome, [each["title"] for each in fetched.articles]))
            waits.append((dt.datetime.fromisoformat(state.next_at) - NOON).total_seconds())
            assert all(each["full_text"] == "read" for each in fetched.articles)

    assert asked == [("read", ["Ferry 0"]), ("read", ["Ferry 1"]), ("unchanged", [])]
    assert waits[0] == 900
    assert waits[1] >= 36_000
    assert next(visits) == 2
    assert "if-none-match" not in server.asked("/feed")[1].headers


def test_a_feed_that_does_not_want_it_has_no_page_read(
    child: LimitedProcesses, server: FeedServer
) -> None:
    """Its articles have no mark either."""
    url = server.serve("/feed", FeedReply(rss([rss_item(1, SUMMARY)])))
    with closing(WebReader(parse_allowed(["127.0.0.1"]))) as web:
        texts = FullText(web, summary_characters=1_000, children=child)
        fetcher = HttpFeedFetcher(web, parse=parse_feed, full_text=texts)
        fetched = fetcher.fetch(Feed(url), None)

    assert "full_text" not in fetched.articles[0]
    assert [request.path for request in server.requests] == ["/feed"]

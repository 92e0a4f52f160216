"""The text of the pages behind a feed's summaries, and what is kept where it cannot be had."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import escape
from typing import Any

import msgspec
import pytest

from newsieve.feeds import full_text
from newsieve.feeds.feed import Feed
from newsieve.feeds.fetcher import HttpFeedFetcher
from newsieve.feeds.full_text import CHILD_FUNCTION, CHILD_LIMITS, FullText
from newsieve.feeds.page_questions import Page
from newsieve.feeds.page_reading import decoded
from newsieve.feeds.parse_feed import parse_feed
from newsieve.limited_process import LimitedProcesses
from newsieve.outgoing.public_address import AllowedTargets, parse_allowed
from newsieve.outgoing.web_reader import WebReader
from newsieve_schemas.ingest import FeedState
from tests.support.feed_server import (
    Behaviour,
    FeedReply,
    FeedServer,
    conditional,
    feed_server,
    gzip_bomb,
    gzipped,
    redirect,
    rss,
    rss_item,
)

SUMMARY = "<p>The town gets a night bus. <a href='#'>Read more</a></p>"
PARAGRAPHS = [
    "From March on a night bus connects the harbour with the villages on the other shore. It runs "
    "every hour until four, and costs as much as by day.",
    "The council decided so on Tuesday, by eleven votes to four. Two years ago it had still found "
    "the plan too dear; since then the brewery and the hospital have promised a third of the cost.",
    "“My people come home now without waiting for the first ferry”, says Ilse Brandt, who runs the "
    "laundry of the hospital. For the drivers the company is looking for eight persons.",
]
TEXT = "\n\n".join(PARAGRAPHS)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
TITLE = "Night bus for the harbour"
HTML = {"Content-Type": "text/html; charset=utf-8"}


def page(*paragraphs: str, title: str = TITLE) -> str:
    """A page as sites have them: with a menu, a notice about cookies, related news and a foot."""
    text = "".join(f"<p>{escape(each)}</p>" for each in paragraphs or PARAGRAPHS)
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{escape(title)} - The Harbour Courier</title><script>var page = "<p>no text</p>";</script>
</head><body><div id="cookie-banner"><p>We use cookies to give you the best experience.</p>
<button>Accept all</button></div><header><nav><ul><li><a href="/">News</a></li>
<li><a href="/sport">Sport</a></li></ul></nav></header><main><article><h1>{escape(title)}</h1>
<figure><img src="bus.jpg"><figcaption>The bus. Photo: Courier</figcaption></figure>{text}
</article><aside class="related"><h3>Related stories</h3><ul><li><a href="/1">Ten recipes for a
rainy weekend</a></li></ul></aside></main><section id="comments"><h3>2 comments</h3><p>Nobody asked
the people who live there, as usual.</p></section><footer><p>Subscribe to our newsletter and never
miss a story.</p><p>All rights reserved.</p></footer></body></html>"""


@pytest.fixture(scope="module")
def child() -> Iterator[LimitedProcesses]:
    """One process for all tests: to start it takes as long as all that it does for them."""
    with closing(LimitedProcesses(CHILD_FUNCTION, CHILD_LIMITS)) as made:
        yield made


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


@contextmanager
def reading(
    child: LimitedProcesses,
    allowed: AllowedTargets | None = None,
    *,
    summary_characters: int = 1_000,
    least_delay_seconds: float = 0.0,
) -> Iterator[FullText]:
    targets = parse_allowed(["127.0.0.1"]) if allowed is None else allowed
    with closing(WebReader(targets)) as web:
        yield FullText(
            web,
            summary_characters=summary_characters,
            least_delay_seconds=least_delay_seconds,
            children=child,
        )


def article(url: str | None, content: str | None = SUMMARY, **fields: Any) -> dict[str, Any]:
    """A raw article as a feed's item becomes one."""
    values = {"id": url or "1", "title": TITLE, "content": content, "url": url, **fields}
    return {name: value for name, value in values.items() if value is not None}


def html(body: str, content_type: str = HTML["Content-Type"], status: int = 200) -> FeedReply:
    return FeedReply(body.encode(), status, {"Content-Type": content_type})


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


WALL = "Subscribe to read on. You have read all free articles of this month."
REFUSED: list[tuple[str, FeedReply | Behaviour, str]] = [
    ("forbidden", html("no", status=403), "refused: the server answers 403"),
    ("paid", html(page(), status=402), "refused: the server answers 402"),
    ("unknown", html("no", status=401), "refused: the server answers 401"),
    ("missing", html("no", status=404), "failed: the server answers 404"),
    ("broken", html(page(), status=500), "failed: the server answers 500"),
    ("pdf", html(page(), "application/pdf"), "failed: the page is application/pdf, not HTML"),
    ("wall", html(page(WALL)), "failed: the page has no more text than the feed"),
    ("empty", html(""), "failed: the page has no more text than the feed"),
    (
        "refresh",
        html('<html><head><meta http-equiv="refresh" content="0;url=/forbidden"></head></html>'),
        "failed: the page has no more text than the feed",
    ),
    (
        "private",
        redirect("http://169.254.169.254/latest/meta-data"),
        "failed: 169.254.169.254 is not asked: ",
    ),
    ("loop", redirect("/loop"), "failed: it is redirected more than 5 times"),
    ("bomb", gzip_bomb(5 * 2**20), "failed: it has more than 4,194,304 bytes"),
    ("cut", FeedReply(b"<p>", headers=HTML, missing_bytes=9), "failed: no answer: broken off"),
    (
        "long",
        html(page(*(f"So it went on at {hour}. " * 1_000 for hour in range(9)))),
        "failed: the page has more than 150,000",
    ),
]


@pytest.mark.parametrize(("name", "reply", "mark"), REFUSED, ids=[each[0] for each in REFUSED])
def test_a_page_that_is_not_to_be_had_leaves_the_summary_with_a_mark(
    child: LimitedProcesses,
    server: FeedServer,
    name: str,
    reply: FeedReply | Behaviour,
    mark: str,
) -> None:
    """The mark says why; the other articles of the feed get their text."""
    bad = article(server.serve(f"/{name}", reply))
    good = article(server.serve("/good", html(page())))
    with reading(child) as texts:
        kept, read = texts.complete([bad, good])

    assert kept == {**bad, "full_text": kept["full_text"]}
    assert kept["full_text"].startswith(mark)
    assert read["full_text"] == "read"


@pytest.mark.parametrize(
    ("url", "mark"),
    [
        (None, "failed: the item has no url"),
        ("ftp://a.example/1", "failed: the item's url is not asked: only http"),
        ("http://[bad", "failed: the item's url is not asked: it is no URL"),
        ("http://a.example/\ud800", "failed: the item's url is not asked: it is no URL"),
        ("http://me:secret@a.example/", "failed: the item's url is not asked: it has a user"),
        ("http://10.0.0.1/1", "refused: robots.txt: 10.0.0.1 is not asked: "),
    ],
)
def test_an_item_whose_url_is_not_asked_keeps_its_summary(
    child: LimitedProcesses, url: str | None, mark: str
) -> None:
    """No feed leads to where newsieve must not ask."""
    with reading(child, AllowedTargets()) as texts:
        (kept,) = texts.complete([article(url)])

    assert kept["content"] == SUMMARY
    assert kept["full_text"].startswith(mark)


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
    child: LimitedProcesses, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a slow site's articles all come in the end."""
    monkeypatch.setattr(full_text, "FETCH_SECONDS", 0.0)
    pages = [article(server.serve(f"/{number}", html(page()))) for number in range(3)]
    with reading(child) as texts:
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


PARAGRAPH = f"<p>{PARAGRAPHS[0]}</p>"
ENTITIES = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
HOSTILE: dict[str, tuple[str, str]] = {
    "nested divs": ("<html><body>" + "<div>" * 400_000 + PARAGRAPH, "failed: the page has no"),
    "nested tables": ("<table><tr><td>" * 250_000, "failed: the page has no more text"),
    "unclosed tags": ("<p" * 2_000_000, "failed: the page has no more text"),
    "entity bomb": (
        f'<!DOCTYPE html [<!ENTITY e0 "aaaaaaaaaa">{ENTITIES}]><p>&e12;</p>{page()}',
        "read",
    ),
    "file": (
        '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        f"<p>&x;</p>{page()}",
        "read",
    ),
    "nothing": ("\x00" * 1_000_000, "failed: the page has no more text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_costs_its_own_text_alone(
    child: LimitedProcesses, server: FeedServer, name: str
) -> None:
    """Megabytes of tags and entities that unfold end in a mark, and the next page is read."""
    body, mark = HOSTILE[name]
    articles = [
        article(server.serve("/bad", html(body))),
        article(server.serve("/1", html(page()))),
    ]
    with reading(child) as texts:
        bad, good = texts.complete(articles)

    assert bad["full_text"].startswith(mark)
    assert "root:" not in bad["content"]
    assert len(bad["content"]) < 2 * len(TEXT)
    assert good["full_text"] == "read"


@pytest.fixture(scope="module")
def hasty_child() -> Iterator[LimitedProcesses]:
    """Has less time than hostile pages take, so that nobody waits for its limits."""
    with closing(LimitedProcesses(CHILD_FUNCTION, CHILD_LIMITS._replace(seconds=0.5))) as made:
        yield made


def test_a_page_that_takes_too_long_is_given_up_with_its_host(
    hasty_child: LimitedProcesses, server: FeedServer
) -> None:
    """A hundred thousand attributes take minutes to read: the child process ends before, and the
    host's other pages of this fetch are not asked for."""
    attributes = " ".join(f"a{number}" for number in range(100_000))
    articles = [
        article(server.serve("/bad", html(f"<article {attributes}>{PARAGRAPH * 9}</article>"))),
        article(server.serve("/1", html(page()))),
    ]
    with reading(hasty_child) as texts:
        marks = [each["full_text"] for each in texts.complete(articles)]

    assert marks == ["failed: the page's text: took longer than 0.5 s"] * 2
    assert server.asked("/1") == []


def test_a_robots_txt_that_takes_too_long_is_given_up(
    hasty_child: LimitedProcesses, server: FeedServer
) -> None:
    """Rules of thousands of agents each are read by the parser for minutes, in gigabytes."""
    agents = "".join(f"User-agent: a{number}\n" for number in range(12_000))
    rules = "".join(f"Disallow: /{number}\n" for number in range(12_000))
    server.serve("/robots.txt", html(agents + rules, "text/plain"))
    with reading(hasty_child) as texts:
        (kept,) = texts.complete([article(server.serve("/1", html(page())))])

    assert kept["full_text"] == "refused: robots.txt cannot be read: took longer than 0.5 s"
    assert server.asked("/1") == []


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        (redirect("http://192.168.0.1/robots.txt"), "192.168.0.1 is not asked"),
        (gzip_bomb(3 * 2**20), "it has more than 2,048,000 bytes"),
        (redirect("/robots.txt"), "it is redirected more than 5 times"),
    ],
)
def test_a_robots_txt_is_asked_for_within_the_limits_of_all_requests(
    child: LimitedProcesses, server: FeedServer, robots: FeedReply, reason: str
) -> None:
    """One that is not had within them allows nothing."""
    server.serve("/robots.txt", robots)
    with reading(child) as texts:
        (kept,) = texts.complete([article(server.serve("/1", html(page())))])

    assert kept["full_text"].startswith(f"refused: robots.txt: {reason}")
    assert server.asked("/1") == []


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
        f"<html><body><article>{PARAGRAPH}<h2>What it costs</h2><ul><li>Three coins by day</li>"
        f"<li>Three coins by night</li></ul><blockquote><p>{PARAGRAPHS[2]}</p></blockquote>"
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

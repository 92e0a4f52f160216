"""What is kept where a page cannot be had, may not be read, or is an attack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from newsieve.feeds.full_text import CHILD_FUNCTION, CHILD_LIMITS
from newsieve.limited_process import LimitedProcesses
from newsieve.outgoing.public_address import AllowedTargets
from tests.support.feed_server import Behaviour, FeedReply, FeedServer, gzip_bomb, redirect
from tests.support.full_text_pages import (
    HTML,
    PARAGRAPHS,
    SUMMARY,
    TEXT,
    WALL,
    article,
    html,
    page,
    reading,
)

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

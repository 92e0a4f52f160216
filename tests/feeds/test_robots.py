"""What a site's robots.txt allows, and for how long that is known (RFC 9309)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from newsieve.feeds import robots
from newsieve.feeds.host_gaps import MAX_HOSTS, HostGaps
from newsieve.feeds.page_reading import answer as read_here
from newsieve.feeds.robots import READ_BYTES, Disallowed, RobotsRules
from newsieve.limited_process import TimedOut
from newsieve.outgoing.web_reader import Unanswered, WebAnswer, WebLimits

PAGE = "https://harbour.example/news/1"
ROBOTS = "https://harbour.example/robots.txt"


class Site:
    """Answers every robots.txt alike, and keeps which it was asked for."""

    def __init__(self, body: str = "", status: int = 200, failure: str | None = None) -> None:
        self.body, self.status, self.failure = body, status, failure
        self.asked: list[str] = []
        self.limits: WebLimits | None = None

    def read(
        self, url: str, headers: Mapping[str, str], limits: WebLimits | None = None
    ) -> WebAnswer:
        assert "text/plain" in headers["accept"]
        self.asked.append(url)
        self.limits = limits
        if self.failure is not None:
            raise Unanswered(self.failure)
        return WebAnswer(self.status, httpx2.Headers(), self.body.encode(), url, None)


def allows(site: Site, url: str = PAGE) -> bool:
    try:
        RobotsRules(site, read_here).check(url)
    except Disallowed:
        return False
    return True


@pytest.mark.parametrize(
    ("robots_txt", "is_allowed"),
    [
        ("", True),
        ("User-agent: *\nDisallow: /private/", True),
        ("User-agent: *\nDisallow: /news/", False),
        ("User-agent: *\nDisallow: /news/\nAllow: /news/1", True),
        ("User-agent: *\nDisallow: /*/1$", False),
        ("User-agent: newsieve\nDisallow: /\n\nUser-agent: *\nDisallow:", False),
        ("User-agent: newsieve\nAllow: /\n\nUser-agent: *\nDisallow: /", True),
        ("USER-AGENT: NewSieve\nDISALLOW: /news", False),
        ("User-agent: other\nDisallow: /", True),
        ("\ufeffUser-agent: *\r\nDisallow: / # nobody\r\n", False),
        ("<!doctype html><p>There is no such page.</p>", True),
        ("\x00\x01 nothing", True),
    ],
)
def test_a_robots_txt_decides_for_newsieve_by_name_or_for_all(
    robots_txt: str, *, is_allowed: bool
) -> None:
    """The longest rule that fits decides; what is no robots.txt forbids nothing."""
    assert allows(Site(robots_txt)) == is_allowed


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_site_without_a_robots_txt_allows_all(status: int) -> None:
    """The server's answer is that there is none for us."""
    assert allows(Site("User-agent: *\nDisallow: /", status))


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (Site(status=500), "robots.txt: the server answers 500"),
        (Site(status=503), "robots.txt: the server answers 503"),
        (Site(status=429), "robots.txt: the server answers 429"),
        (Site(failure="no answer: refused"), "robots.txt: no answer: refused"),
    ],
)
def test_a_robots_txt_that_is_not_to_be_had_allows_nothing_for_an_hour(
    site: Site, reason: str
) -> None:
    """Then it is asked for again."""
    now = [0.0]
    rules = RobotsRules(site, read_here, clock=lambda: now[0])

    for now[0] in (0.0, 3_599.0):
        with pytest.raises(Disallowed) as refused:
            rules.check(PAGE)
        assert str(refused.value) == reason
    assert site.asked == [ROBOTS]
    site.status, site.failure, now[0] = 404, None, 3_600.0
    rules.check(PAGE)
    assert site.asked == [ROBOTS] * 2


def test_a_site_is_asked_once_a_day_for_all_its_pages() -> None:
    """Another scheme, port or host is another site; large and small letters are not."""
    now = [0.0]
    site = Site("User-agent: *\nDisallow: /private/")
    rules = RobotsRules(site, read_here, clock=lambda: now[0])
    for page in (PAGE, "https://Harbour.example/news/2?a=1", "https://harbour.example"):
        rules.check(page)
    assert site.asked == [ROBOTS]

    others = ["http://harbour.example", "https://harbour.example:8443", "https://a.example"]
    for other in others:
        rules.check(f"{other}/news/1")
    assert site.asked[1:] == [f"{other}/robots.txt" for other in others]

    now[0] = 86_400.0
    rules.check(PAGE)
    assert site.asked[4:] == [ROBOTS]
    assert rules._kept_bytes == 4 * len(site.body)


@pytest.mark.parametrize(
    ("wish", "delay"),
    [("", 1.0), ("Crawl-delay: 0.2", 1.0), ("Crawl-delay: 4", 4.0), ("Crawl-delay: 86400", 10.0)],
)
def test_pages_lie_as_far_apart_as_the_site_wishes_within_bounds(wish: str, delay: float) -> None:
    """A second at least, ten at most."""
    assert RobotsRules(Site(f"User-agent: *\n{wish}\n"), read_here).check(PAGE) == delay


def test_a_robots_txt_is_read_so_far_and_not_larger_than_can_be_explained() -> None:
    """Half a megabyte of it counts."""
    rule = "Disallow: /news/\n"
    padding = "#" * (READ_BYTES - len("User-agent: *\n\n"))
    site = Site(f"User-agent: *\n{rule}{padding}\n")
    assert not allows(site)
    assert allows(Site(f"User-agent: *\n{padding}\n{rule}"))
    assert site.limits is not None
    assert site.limits.body_bytes == 4 * READ_BYTES
    assert site.limits.redirects == 5


def test_a_robots_txt_that_cannot_be_read_within_limits_allows_nothing_and_is_not_tried_again() -> (
    None
):
    """Until the hour is over."""
    calls = []

    def fails(question: bytes) -> bytes:
        calls.append(question)
        raise TimedOut("took longer than 10 s")

    rules = RobotsRules(Site("User-agent: *"), fails)
    for _ in range(2):
        with pytest.raises(Disallowed, match=r"robots\.txt cannot be read: took longer than 10 s"):
            rules.check(PAGE)
    assert len(calls) == 1


def test_what_is_kept_of_many_sites_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and by bytes; what was needed last stays."""
    monkeypatch.setattr(robots, "MAX_SITES", 3)
    monkeypatch.setattr(robots, "MAX_KEPT_BYTES", 1_000)
    site = Site("#" * 400)
    rules = RobotsRules(site, read_here)

    for name in ("a", "b", "a", "c", "a", "b"):  # two of them have room
        rules.check(f"https://{name}.example/")
    assert [url[8] for url in site.asked] == ["a", "b", "c", "b"]

    site.body = ""
    for number in range(5):
        rules.check(f"https://{number}.example/")
    assert len(rules._sites) == 3
    assert rules._kept_bytes == 0


def test_requests_to_one_host_take_turns() -> None:
    """Whichever threads make them; another host does not wait."""
    gaps = HostGaps(lambda: 100.0)
    with ThreadPoolExecutor(4) as threads:
        waits = list(threads.map(lambda _: gaps.reserve("a.example", 2.0, 60.0), range(10)))

    assert sorted(wait or 0.0 for wait in waits) == [2.0 * number for number in range(10)]
    assert gaps.reserve("b.example", 2.0, 60.0) == 0


def test_a_turn_that_comes_too_late_is_not_taken() -> None:
    """So that whoever can wait gets it; a host whose time is over is asked at once."""
    now = [100.0]
    gaps = HostGaps(lambda: now[0])
    assert gaps.reserve("a.example", 10.0, 0.0) == 0

    assert gaps.reserve("a.example", 10.0, 9.0) is None
    assert gaps.reserve("a.example", 10.0, 10.0) == 10
    now[0] = 150.0
    assert gaps.reserve("a.example", 10.0, 0.0) == 0


def test_hosts_whose_time_is_over_are_forgotten() -> None:
    """A program that runs for years asks many."""
    ticks = itertools.count()
    gaps = HostGaps(lambda: float(next(ticks)))
    for number in range(2 * MAX_HOSTS):
        gaps.reserve(f"{number}.example", 2.0, 60.0)

    assert len(gaps._next) <= MAX_HOSTS

"""Addresses: one host and one form, however they are written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.address import canonical_address, host_of

SAME_PAGE = [
    "https://arxiv.org/abs/1",
    "https://arxiv.org./abs/1",
    "https://ARXIV.ORG:443/abs/1",
    "https://www.arxiv.org/abs/1/",
    "//arxiv.org/abs/1",
    "arxiv.org/abs/1",
    "https://reader:pw@arxiv.org/abs/1",
    "https://user@name:pw@arxiv.org/abs/1",
    "https:/arxiv.org/abs/1",
    "https:arxiv.org/abs/1",
    "https:\\\\arxiv.org\\abs\\1",
    "http://https://arxiv.org/abs/1",
    "http://https//arxiv.org/abs/1",
    "http:http:http://arxiv.org/abs/1",
    "https://arxiv.org%2fabs/1",
    "https://arxiv.org%2Fabs/1#top",
    "https://%61rxiv.org/abs/1",
    "\u200bhttps://arxiv.org/abs/1",
    "https://arxiv.org\u200b/abs/1",
    "https://arxiv\u3002org/abs/1",
    "https://\uff41\uff52\uff58\uff49\uff56.org/abs/1",
    "https://arxiv.org\uff0fabs/1",
    "https://arxiv\uff0eorg/abs/1?utm_source=x",
    "<https://arxiv.org/abs/1>",
    " https://arxiv.org/abs/1 ",
    "https://ar\txiv.org/abs/1",
    "https://arxiv\n.org/abs/1",
    "view-source:https://arxiv.org/abs/1",
    "feed:https://arxiv.org/abs/1",
]


@pytest.mark.parametrize("url", SAME_PAGE)
def test_one_page_has_one_address_and_one_host(url: str) -> None:
    """Domain rules and the search for duplicates see the same."""
    assert canonical_address(url) == "arxiv.org/abs/1?"
    assert host_of(url).removeprefix("www.") == "arxiv.org"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://notarxiv.org/", "notarxiv.org"),
        ("https://arxiv.org.evil.com/", "arxiv.org.evil.com"),
        ("https://news.example/?u=https://arxiv.org/abs/1", "news.example"),
        ("https://news.example/https://arxiv.org/abs/1", "news.example"),
        ("https://arxiv.org@news.example/", "news.example"),
        ("https://http.cat/arxiv.org", "http.cat"),
        ("https://xn--arxiv-.org/", "xn--arxiv-.org"),
        ("https://xn--arxiv-1.org/", "xn--arxiv-1.org"),
        ("HTTPS://EXAMPLE.org\\x", "example.org"),
        ("https://[::1]:80/github.com", "[::1]"),
        ("https://[::1", ""),
        ("https://", ""),
        ("", ""),
        ("\u0000", ""),
        ("https://" + "a." * 200, ""),
    ],
)
def test_a_host_is_what_a_browser_would_ask(url: str, host: str) -> None:
    """And nothing that only looks like it; no host has more than 253 characters."""
    assert host_of(url) == host


def test_punycode_and_letters_are_one_host() -> None:
    """Composed or not, in whatever case."""
    forms = ["http://xn--brse-5qa.de/x", "https://BÖRSE.de/x", "https://bo\u0308rse.de:443/x"]

    assert {host_of(form) for form in forms} == {"börse.de"}
    assert {canonical_address(form) for form in forms} == {"börse.de/x?"}


@pytest.mark.parametrize(
    "url", ["nan", "n/a", "-", "", "mailto:a@b.org", "urn:isbn:1", "tag:b.com,1999:x", "http://"]
)
def test_what_is_no_address_of_the_web_has_none(url: str) -> None:
    """Two articles with such a one are not one article."""
    assert canonical_address(url) is None


def test_what_names_another_page_is_another_address() -> None:
    """Port, host, path, parameters, a fragment that is a path."""
    pages = [
        "https://a.example/x",
        "https://a.example:8080/x",
        "https://b.a.example/x",
        "https://a.example/X",
        "https://a.example/x?id=1",
        "https://a.example/x?id=2",
        "https://a.example/x#/1",
        "https://a.example/x#!2",
    ]

    assert len({canonical_address(page) for page in pages}) == len(pages)


@given(st.text() | st.text(alphabet="htps:/\\@[]%2fxn-.a\u0301\u3002 ", max_size=60))
def test_whatever_stands_for_an_address_raises_nothing(url: str) -> None:
    """And blanks around it change nothing."""
    assert host_of(f" {url} ") == host_of(url)
    assert canonical_address(f" {url} ") == canonical_address(url)


def test_a_lone_surrogate_in_a_query_raises_nothing() -> None:
    """JSON may have one, and two of them are two pages."""
    one, other = (canonical_address(f"https://a.example/x?q={c}") for c in "\ud800\udfff")

    assert one is not None and one != other


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "a." * 500_000,
        "." * 1_000_000,
        "http:" * 200_000,
        "http://" + "%2f" * 300_000,
        "http://" + "xn--" * 250_000,
        "http://a" + "\u0301\u0316" * 250_000,
        "a." * 500_000 + "@",
    ],
    ids=["dots", "only dots", "schemes", "slashes", "punycode", "marks", "bare"],
)
def test_a_megabyte_of_address_costs_little(url: str) -> None:
    """Linear in the address, whatever it is made of."""
    started = time.process_time()
    host_of(url)
    canonical_address(url)

    assert time.process_time() - started < 2.0

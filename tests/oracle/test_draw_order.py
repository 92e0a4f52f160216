"""Where a request stands in the draw, whose it is, and what is no worker's request."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from newsieve.errors import InvalidRequest
from newsieve.filters.rendering import content_hash
from newsieve.filters.sampling import LOW, SURFACED, Sampler, SamplingPolicy
from newsieve.filters.secret_key import SecretKey
from newsieve.oracle.draw_order import DrawPosition, DrawPositions, source_of
from newsieve_schemas.oracle import OracleRequest
from tests.support.requests import EPOCH, request

KEY, OTHER, OWN = (SecretKey(letter * 32) for letter in "abc")
PI = 0.2


def policy(key: SecretKey | None) -> SamplingPolicy:
    return SamplingPolicy("p1", EPOCH, {LOW: PI, SURFACED: PI}, key)


BASE = OracleRequest.model_validate_json(json.dumps(request("a")))


def asked(
    article_id: str, url: str | None = None, source: str | None = None, **sampling: Any
) -> OracleRequest:
    """A request about an article of this id."""
    of = {"id": article_id, "content_hash": content_hash(article_id), "url": url, "source": source}
    article = BASE.article.model_copy(update=of)
    changed = BASE.sampling.model_copy(update=sampling)
    return BASE.model_copy(update={"article": article, "sampling": changed})


def keyed(article_id: str, key: SecretKey = KEY, **changes: Any) -> OracleRequest:
    """As a worker with this key writes it, whether or not it was drawn."""
    return asked(article_id, policy=policy(key).name, u=None, pi=PI, **changes)


def drawn(count: int, key: SecretKey = KEY) -> list[OracleRequest]:
    """As many requests that a worker with this key makes."""
    found: list[OracleRequest] = []
    sampler = Sampler(policy(key))
    for n in range(100 * count):
        item = keyed(f"a{n}", key)
        if sampler.draw(item.article.id, item.article.content_hash, SURFACED).selected:
            found.append(item)
        if len(found) == count:
            break
    return found


def test_with_the_workers_key_a_request_stands_where_the_worker_drew_it() -> None:
    """u is in no record; the same key computes it from id and content."""
    for item in drawn(20):
        article = item.article
        u = Sampler(policy(KEY)).draw(article.id, article.content_hash, SURFACED).u

        position = DrawPositions(KEY, OWN).position_of(item)

        assert position.rank == pytest.approx(u / PI) and position.rank < 1
        assert position.other_key is None


def test_a_request_that_the_draw_did_not_choose_is_no_workers() -> None:
    """Whoever may write requests cannot ask for what he likes: the same check finds a u that is
    published and does not choose."""
    chosen = {item.article.id for item in drawn(50)}
    draw_positions = DrawPositions(KEY, OWN)
    forged = [keyed(f"a{n}") for n in range(100) if f"a{n}" not in chosen]
    assert len(forged) > 50

    for item in [*forged, asked("a", u=0.2, pi=0.2), asked("a", u=0.0, pi=0.0)]:
        with pytest.raises(InvalidRequest, match="its draw does not choose it"):
            draw_positions.position_of(item)


@pytest.mark.parametrize("key", [None, OTHER])
def test_without_the_workers_key_ranks_are_drawn_anew_and_it_is_said(
    key: SecretKey | None,
) -> None:
    """Uniformly, whatever the request says, the same for it again, and by nobody else's choice."""
    requests = drawn(400)

    found = [DrawPositions(key, OWN).position_of(item) for item in requests]

    assert {item.other_key for item in found} == {KEY.fingerprint}
    assert found == [DrawPositions(key, OWN).position_of(item) for item in requests]
    assert found != [DrawPositions(key, OTHER).position_of(item) for item in requests]
    deciles = Counter(int(item.rank * 10) for item in found)
    assert set(deciles) == set(range(10)) and max(deciles.values()) < 70


def test_a_draw_without_a_key_stands_as_it_says() -> None:
    """Requests of before there was a key still wait when an oracle gets one."""
    for key in (None, KEY):
        assert DrawPositions(key, OWN).position_of(asked("a", u=0.05, pi=0.2)).rank == 0.25


def test_anchors_come_first_and_are_no_sources() -> None:
    """The monitor asks for them."""
    item = asked("a", purpose="anchor", u=0.0, url="https://news.example/a")

    assert DrawPositions(KEY, OWN).position_of(item) == DrawPosition(0.0, None)


def test_a_source_is_its_host_however_that_is_written() -> None:
    """Where there is none, what the article says of its source; where it says nothing, one for
    all of those."""
    same = (
        "https://news.example/a",
        "http://WWW.News.example:8080/b?c",
        "https://user@news.example./x",
        "news.example/bare",
    )
    hosts = {source_of(asked("a", url=url, source=url).article) for url in same}
    assert len(hosts) == 1
    others = {
        source_of(asked("a", url=url, source=source).article)
        for url, source in (
            ("https://other.example/a", None),
            ("https://sub.news.example/a", None),
            (None, "news.example"),
            (None, "other.example"),
            (None, None),
        )
    }
    assert len(others) == 5 and not others & hosts
    nothing = asked("b", url="https://", source=None).article
    assert source_of(nothing) == source_of(asked("a").article)
    assert len(source_of(asked("a", source="s" * 10_000).article)) == 16

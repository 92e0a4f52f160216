"""Which items are news, and how long an item that has left is remembered."""

from __future__ import annotations

import random
from collections.abc import Iterable

from newsieve.feeds.known_items import (
    MAX_REMEMBERED_ITEMS,
    REMEMBERED_ITEMS,
    KnownItems,
    Seen,
)


def seen(numbers: Iterable[int], text: str = "") -> list[Seen]:
    return [Seen.of(f"https://a.example/{number}", f"{number} {text}") for number in numbers]


def through(known: KnownItems, documents: Iterable[Iterable[int]]) -> tuple[KnownItems, list[int]]:
    """Return what is known after these documents, through a state each, and how many items of each
    were news."""
    news = []
    for numbers in documents:
        document = seen(numbers)
        news.append(sum(map(known.is_news, document)))
        known = known.after(document)
        known = KnownItems.parse(known.format(), known.current, known.return_depth)
    return known, news


def test_an_item_is_news_when_it_is_new_or_has_changed() -> None:
    """And not when it is in the document again."""
    known = KnownItems({}).after(seen([1, 2]))
    assert [known.is_news(item) for item in seen([1, 2, 3])] == [False, False, True]
    assert [known.is_news(item) for item in seen([1, 2], "anew")] == [True, True]
    known = known.after(seen([1, 2], "anew"))
    assert [known.is_news(item) for item in seen([1, 2])] == [True, True]


def test_a_state_keeps_what_is_known() -> None:
    """In some 21 bytes an item."""
    known = KnownItems({}).after(seen(range(100))).after(seen(range(50, 150)))
    text = known.format()
    assert KnownItems.parse(text, known.current, known.return_depth) == known
    assert len(text) == 150 * 16 * 4 / 3


def test_of_a_damaged_state_no_item_is_known() -> None:
    """They are sent again, which is better than not at all."""
    assert KnownItems.parse("no base64!", 3, 0) == KnownItems({})


def test_a_usual_feed_is_told_once_and_its_memory_is_bounded() -> None:
    """Ten new items push out the ten oldest, for months."""
    documents = (range(start, start + 50) for start in range(0, 2_000, 10))
    known, news = through(KnownItems({}), documents)
    assert news == [50] + [10] * 199
    assert len(known.hashes) == 50 + REMEMBERED_ITEMS


def test_servers_that_disagree_cost_no_memory() -> None:
    """An item is there in turns."""
    documents = (range(start + start % 2, start + 50) for start in range(1_200))
    known, news = through(KnownItems({}), documents)
    assert sum(news) == 1_249
    assert len(known.hashes) <= 51 + REMEMBERED_ITEMS


def test_a_document_of_all_its_items_is_known_whole() -> None:
    """In whatever order it has them."""
    numbers = list(range(MAX_REMEMBERED_ITEMS))
    known = KnownItems({}).after(seen(numbers))
    random.Random(1).shuffle(numbers)
    assert not any(map(known.is_news, seen(numbers)))


def test_an_archive_that_is_shown_at_random_is_told_once() -> None:
    """Ten thousand items, some at a time: what comes back says how far back it can come."""
    chance = random.Random(1)
    documents = [chance.sample(range(10_000), 300) for _ in range(60)]
    known, news = through(KnownItems({}), documents)
    assert sum(news) == len({number for document in documents for number in document})
    assert len(known.hashes) <= 300 + MAX_REMEMBERED_ITEMS


def test_an_archive_that_is_shown_in_order_is_told_once_up_to_the_memory() -> None:
    """A thousand items that go round; more that never come back early are told again."""
    rounds = [range(start, start + 100) for start in range(0, 1_000, 100)] * 3
    assert sum(through(KnownItems({}), rounds)[1]) == 1_000
    longer = [range(start, start + 100) for start in range(0, 3_000, 100)] * 2
    assert sum(through(KnownItems({}), longer)[1]) == 6_000

"""Lists are in pages, searches find what they should, and no question takes for ever."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from newsieve.errors import StoreFailed, WrongUsage
from newsieve.store.counts import recent_latencies, recent_values
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import SEARCHES, QueryTooSlow, StoreReader
from newsieve.store.rows import Row, outcome_row
from newsieve.store.writer import StoreWriter
from tests.store.test_writer import text
from tests.support.scored_records import START_MS, identity, scored

DAY_MS = 24 * 3_600_000


@pytest.fixture
def filled(writer: StoreWriter, reader: StoreReader) -> StoreReader:
    """Thirty articles, one a day, of three sources, two languages and two tiers."""
    rows: list[Row] = []
    for number in range(30):
        title = f"Number {number} {'even' if number % 2 == 0 else 'odd'}"
        article = identity(
            title, f"common words {number * 7}", source=f"s{number % 3}.example",
            language="de" if number % 5 == 0 else "en", published_at=None,
        )  # fmt: skip
        tier = "impact" if number % 10 == 0 else "connection"
        rows.append(text(title, f"common words {number * 7}"))
        rows.append(
            outcome_row(scored(article, tier=tier, score=number / 3, ms=START_MS + number * DAY_MS))
        )
    writer.write(rows, {})
    return reader


def titles(reader: StoreReader, query: ArticleQuery) -> list[int]:
    found = reader.articles(query).outcomes
    return [int(item.record.split(b'"Number ')[1].split()[0]) for item in found]


def test_pages_have_every_article_once_the_newest_first(filled: StoreReader) -> None:
    """A cursor leads from page to page, also through a search."""
    for text_ in (None, "common"):
        seen: list[int] = []
        before = None
        while True:
            query = ArticleQuery(text=text_, before=before, limit=7)
            seen += titles(filled, query)
            before = filled.articles(query).next
            if before is None:
                break
        assert seen == list(range(29, -1, -1))


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (ArticleQuery(tier="impact"), [20, 10, 0]),
        (ArticleQuery(filter="uplifting", tier="impact", source="s1.example"), [10]),
        (ArticleQuery(language="de", min_score=8), [25]),
        (ArticleQuery(max_score=0.5), [1, 0]),
        (ArticleQuery(since_ms=START_MS + 27 * DAY_MS), [29, 28]),
        (ArticleQuery(until_ms=START_MS + DAY_MS), [1, 0]),
        (ArticleQuery(text="even", language="de"), [20, 10, 0]),
        (ArticleQuery(text="even -10", tier="impact"), [20, 0]),
        (ArticleQuery(text="words 203"), [29]),
        (ArticleQuery(text="even", source="s1.example"), [28, 22, 16, 10, 4]),
        (ArticleQuery(text="..."), []),
        (ArticleQuery(filter="other"), []),
    ],
)
def test_each_condition_narrows_a_list(
    filled: StoreReader, query: ArticleQuery, numbers: list[int]
) -> None:
    """Filter, tier, source, language, score, date and words, alone and together."""
    assert titles(filled, query) == numbers


def test_a_search_in_a_source_finds_the_same_whether_it_is_rare(
    filled: StoreReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ways lead to an answer, and the reader of a large store sees no difference."""
    query = ArticleQuery(text="common -15", source="s0.example", limit=4)
    pages = []
    for few in (1_000, 0):
        monkeypatch.setattr("newsieve.store.reader.FEW_OUTCOMES", few)
        first = filled.articles(query)
        rest = titles(filled, dataclasses.replace(query, before=first.next))
        pages.append((titles(filled, query), rest))
    assert pages[0] == pages[1] == ([27, 24, 21, 18], [12, 9, 6, 3])


def test_what_came_after_an_outcome_is_in_its_order(filled: StoreReader) -> None:
    """Whoever was away reads on where they were."""
    after = filled.outcomes_after(20, 5)
    assert [item.id for item in after] == [21, 22, 23, 24, 25]
    impact = filled.outcomes_after(5, 5, ArticleQuery(tier="impact"))
    assert [item.id for item in impact] == [11, 21]


def test_a_cursor_that_is_none_is_wrong_usage(reader: StoreReader) -> None:
    """Nobody's words reach the database as a cursor."""
    with pytest.raises(WrongUsage):
        reader.articles(ArticleQuery(before="1; DROP TABLE outcomes"))


def test_a_question_that_takes_too_long_is_broken_off(filled: StoreReader, path: Path) -> None:
    """A reader of a large store waits for seconds and no longer; the next question is answered."""
    impatient = StoreReader(path, query_seconds=-1.0)
    try:
        with pytest.raises(QueryTooSlow):
            impatient.rows(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                "SELECT max(i) FROM n"
            )
    finally:
        impatient.close()
    assert filled.articles(ArticleQuery(limit=1)).outcomes


def test_a_store_that_is_gone_is_said(tmp_path: Path) -> None:
    """A reader of a file that is not there gets a sentence."""
    with pytest.raises(StoreFailed, match="cannot be read"):
        StoreReader(tmp_path / "none.db").last_outcome()


def test_recent_values_and_latencies_are_of_the_newest(filled: StoreReader) -> None:
    """Pages suggest what there is, and say how long outcomes take."""
    assert sorted(recent_values(filled, "language")) == ["de", "en"]
    assert set(recent_latencies(filled)) == {500}


def test_searches_wait_for_each_other_and_not_for_ever(filled: StoreReader, path: Path) -> None:
    """So many are under way at a time; whoever is beyond them is told, and lists go on."""
    reader = StoreReader(path, query_seconds=0.01)
    for _ in range(SEARCHES):
        reader._searches.acquire()
    with pytest.raises(QueryTooSlow, match="too many searches"):
        reader.articles(ArticleQuery(text="common"))
    assert reader.articles(ArticleQuery(limit=1)).outcomes
    reader._searches.release()
    assert reader.articles(ArticleQuery(text="common", limit=1)).outcomes
    assert filled.last_outcome() == 30
    reader.close()

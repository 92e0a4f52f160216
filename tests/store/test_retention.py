"""What is too old goes, what makes the store too large goes, and the rest stays whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsieve.store import retention
from newsieve.store.queries import ArticleQuery
from newsieve.store.reader import StoreReader
from newsieve.store.retention import Retention, remove_expired
from newsieve.store.rows import label_row, outcome_row
from newsieve.store.schema import store_bytes
from newsieve.store.writer import StoreWriter
from tests.store.test_writer import STORY, text
from tests.support.scored_records import START_MS, identity, labelled, scored

DAY_MS = 24 * 3_600_000
ROOMY = 10**12


def test_what_is_old_goes_with_its_text(
    writer: StoreWriter, reader: StoreReader, path: Path
) -> None:
    """Outcomes, labels, texts and their words go together, in batches."""
    for number in range(40):
        content = f"words {number} " + " ".join(f"w{number}x{word}" for word in range(number))
        article = identity(f"Title {number}", content)
        ms = START_MS + number * DAY_MS
        row = text(f"Title {number}", content)._replace(came_ms=ms)
        label = label_row(labelled(article, {"agency": 3}, ms=ms))
        writer.write([row, outcome_row(scored(article, ms=ms)), label], {})
    now = START_MS + 40 * DAY_MS
    while remove_expired(writer, path, Retention(10 * DAY_MS, ROOMY), now):
        pass
    assert [item.id for item in reader.articles(ArticleQuery()).outcomes] == list(range(40, 30, -1))
    assert [item.id for item in reader.articles(ArticleQuery(text="words")).outcomes] == list(
        range(40, 30, -1)
    )
    for table in ("texts", "labels", "outcomes"):
        assert writer.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 10  # noqa: S608
    bands = writer.connection.execute("SELECT count(DISTINCT text_id) FROM story_bands").fetchone()
    assert bands[0] == 10
    writer.connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")


def test_a_store_that_is_too_large_loses_the_oldest(
    writer: StoreWriter, reader: StoreReader, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of bytes holds, whatever the age; the newest stay."""
    monkeypatch.setattr(retention, "BATCH_ROWS", 20)
    for number in range(200):
        content = " ".join(f"w{number * 400 + word}" for word in range(400))
        article = identity(f"Title {number}", content)
        row = text(f"Title {number}", content)
        writer.write([row, outcome_row(scored(article, ms=START_MS + number))], {})
    full = store_bytes(path)
    while remove_expired(writer, path, Retention(ROOMY, full // 2), START_MS + DAY_MS):
        pass
    left = [item.id for item in reader.articles(ArticleQuery(limit=200)).outcomes]
    assert full // 4 < store_bytes(path) <= full // 2
    assert left == list(range(200, 200 - len(left), -1))


def test_records_of_the_future_keep_nobody_else(
    writer: StoreWriter, reader: StoreReader, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is years ahead stands in the way neither of age nor of size."""
    monkeypatch.setattr(retention, "BATCH_ROWS", 5)
    for number in range(30):
        article = identity(f"Title {number}", f"words {number}")
        ms = START_MS + (10**6 * DAY_MS if number < 10 else number)
        writer.write([outcome_row(scored(article))._replace(scored_ms=ms)], {})
    while remove_expired(writer, path, Retention(0, ROOMY), START_MS + 20):
        pass
    left = [item.id for item in reader.articles(ArticleQuery()).outcomes]
    assert left == [*range(30, 20, -1), *range(10, 0, -1)]
    assert remove_expired(writer, path, Retention(ROOMY, 1), START_MS + DAY_MS) > 0


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["a", "b"]), st.integers(0, 2)), max_size=14
    ),
    st.integers(0, 14),
)
def test_every_story_stays_listed_once_in_each_tier(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, str, int]], kept: int
) -> None:
    """Whatever comes, is decided anew or expires: each story has one listed outcome in a tier that
    has any, with the number of its copies."""
    path = tmp_path_factory.mktemp("store") / "store.db"
    writer = StoreWriter(path)
    try:
        for number, (story, tier, version) in enumerate(records):
            content = STORY.replace("harbour", f"harbour{story}")
            title = f"Heading {number % 5}"
            article = identity(title, content, id=f"{story}/{number % 5}")
            digest = f"sha256:{version:064x}"
            outcome = scored(article, tier=tier, filter_hash=digest, ms=START_MS + number)
            writer.write([text(title, content), outcome_row(outcome)], {})
        age = len(records) - min(kept, len(records))
        remove_expired(writer, path, Retention(0, ROOMY), START_MS + age)
        groups = writer.connection.execute(
            "SELECT sum(is_listed), max(copies), count(*) FROM outcomes "
            "WHERE superseded_by IS NULL GROUP BY story, filter, tier"
        ).fetchall()
        assert all((listed, copies) == (1, count - 1) for listed, copies, count in groups)
        hidden = "SELECT count(*) FROM outcomes WHERE superseded_by IS NOT NULL AND is_listed"
        assert writer.connection.execute(hidden).fetchone()[0] == 0
    finally:
        writer.close()


def test_a_story_keeps_its_name_as_long_as_it_has_copies(
    writer: StoreWriter, reader: StoreReader, path: Path
) -> None:
    """The first article goes, and its copies are still called after it; then the name goes, too."""
    articles = [identity(f"Heading {number}", STORY) for number in range(3)]
    for number, article in enumerate(articles):
        ms = START_MS + number * DAY_MS
        row = text(f"Heading {number}", STORY)._replace(came_ms=ms)
        writer.write([row, outcome_row(scored(article, ms=ms))], {})
    keep_a_day = Retention(DAY_MS, ROOMY)
    while remove_expired(writer, path, keep_a_day, START_MS + 3 * DAY_MS - 1):
        pass
    (listed,) = reader.articles(ArticleQuery()).outcomes
    assert (listed.copies, listed.first_article) == (0, articles[0]["id"])
    while remove_expired(writer, path, keep_a_day, START_MS + 5 * DAY_MS):
        pass
    for table in ("texts", "stories", "story_bands"):
        assert writer.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0  # noqa: S608 - names alone

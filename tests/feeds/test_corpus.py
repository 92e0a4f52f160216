"""feedparser's own test documents, where a folder with them is named.

They are others', so they are not here. Whoever has the source of feedparser runs
`FEEDPARSER_CORPUS=…/feedparser/tests .venv/bin/pytest tests/feeds/test_corpus.py`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest

from newsieve.feeds.feed import Feed, FeedDocument, FeedUnreadable
from newsieve.feeds.items import articles_of
from newsieve.feeds.parse_feed import parse_feed

VARIABLE = "FEEDPARSER_CORPUS"
SECONDS = 2.0  # the slowest takes a hundredth of it
URL = "https://a.example/feed"


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder")
def test_every_document_of_feedparsers_corpus_ends_in_items_or_a_reason() -> None:
    """None raises anything else or takes long, and every article of them can be sent."""
    folder = Path(os.environ[VARIABLE])
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix not in {".py", ".pyc"}]
    outcomes: Counter[str] = Counter()
    for path in paths:
        if not path.is_file():
            continue
        started = time.process_time()
        try:
            parsed = parse_feed(FeedDocument(path.read_bytes(), URL))
            articles = articles_of(Feed(URL), parsed)
            assert all(orjson.dumps(each.article) for each in articles)
            outcomes["articles" if articles else "no articles"] += 1
        except FeedUnreadable as error:
            assert str(error), path
            outcomes["reasons"] += 1
        assert time.process_time() - started < SECONDS, path
    assert outcomes.total() > 2_000, "this is not the folder"
    assert outcomes["articles"] > 800

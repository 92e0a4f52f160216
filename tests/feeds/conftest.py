"""Fixtures for feeds: a server of them, and the process that reads pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from newsieve.feeds.full_text import CHILD_FUNCTION, CHILD_LIMITS
from newsieve.limited_process import LimitedProcesses
from tests.support.feed_server import FeedServer, feed_server


@pytest.fixture(scope="session")
def child() -> Iterator[LimitedProcesses]:
    """One for all tests: to start it takes as long as all that it does for them."""
    with closing(LimitedProcesses(CHILD_FUNCTION, CHILD_LIMITS)) as made:
        yield made


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made

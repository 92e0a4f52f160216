"""Fixtures for documents of the web: a server of them, a reader, and why it reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from newsieve.outgoing.public_address import parse_allowed
from newsieve.outgoing.web_reader import Unanswered, WebLimits, WebReader
from tests.support.feed_server import FeedServer, feed_server

LOCAL: Final = parse_allowed(["127.0.0.1"])
TEXT: Final = b"the ferry took a piano. " * 100


@pytest.fixture(scope="module")
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


@pytest.fixture(scope="module")
def reader() -> Iterator[WebReader]:
    with closing(WebReader(LOCAL)) as made:
        yield made


def reason(reader: WebReader, url: str, limits: WebLimits | None = None) -> str:
    with pytest.raises(Unanswered) as error:
        reader.read(url, {}, limits)
    return str(error.value)

"""A stream per test, with the tiny student for uplifting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.devbroker.broker import Broker
from tests.support.stream import Stream


@pytest.fixture
def stream(broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path) -> Iterator[Stream]:
    found = Stream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tiny_student})
    yield found
    found.close()

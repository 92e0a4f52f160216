"""A stream per test, with the tiny student for uplifting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.devbroker.broker import Broker
from tests.support.fork_server import ForkServer
from tests.support.stream import Stream
from tests.support.workers import WorkerProcess


@pytest.fixture(autouse=True)
def _forked(fork_server: ForkServer | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs need not import their libraries anew, unless a test takes `started`."""
    monkeypatch.setattr(WorkerProcess, "fork_server", fork_server)


@pytest.fixture
def started(_forked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are started from nothing, as an operator starts them."""
    monkeypatch.setattr(WorkerProcess, "fork_server", None)


@pytest.fixture
def stream(broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path) -> Iterator[Stream]:
    found = Stream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tiny_student})
    yield found
    found.close()

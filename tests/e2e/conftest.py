"""A stream per test, with the tiny student for uplifting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.devbroker.broker import Broker
from tests.support.drift_stream import DriftStream
from tests.support.fork_server import ForkServer
from tests.support.secure_broker import SecureBroker, secure_broker
from tests.support.secure_user import User
from tests.support.stream import Stream
from tests.support.topics import unique_prefix
from tests.support.workers import WorkerProcess


@pytest.fixture(autouse=True)
def _forked(fork_server: ForkServer | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs need not import their libraries anew, unless a test takes `started`."""
    monkeypatch.setattr(WorkerProcess, "fork_server", fork_server)


@pytest.fixture
def started(_forked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are started from nothing, as an operator starts them."""
    monkeypatch.setattr(WorkerProcess, "fork_server", None)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker with TLS, SASL and an authorizer."""
    with secure_broker(tmp_path_factory.mktemp("secure")) as broker:
        yield broker


@pytest.fixture
def user(secured: SecureBroker, prefix: str, tmp_path: Path, tiny_student: Path) -> Iterator[User]:
    """Somebody without rights, beside a stream whose records are the administrators'."""
    stream = DriftStream(secured.administrators, prefix, tmp_path, {"uplifting": tiny_student})
    name = unique_prefix()
    yield User(name, secured.user(name), secured, stream)
    stream.close()


@pytest.fixture
def stream(broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path) -> Iterator[Stream]:
    found = Stream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tiny_student})
    yield found
    found.close()

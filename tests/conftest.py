"""Fixtures for all tests: one broker a session, tiny students, a clean environment."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsieve.devbroker.broker import Broker, find_or_start
from newsieve.devbroker.java_broker import JavaBroker
from newsieve.errors import BrokerMissing
from newsieve.filters.registry import Filter
from tests.support.filters import load
from tests.support.fork_server import ForkServer
from tests.support.topics import unique_prefix
from tests.support.workers import ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sabotage", help="A defect of tests/faults/sabotage.py.")


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--sabotage")
    if name:
        from tests.faults.sabotage import DEFECTS
        from tests.support.workers import WorkerProcess

        DEFECTS[name].apply()
        WorkerProcess.sabotage = name


LONG_FILES = ("faults", "e2e", "training", "packaging", "inference", "docs", "kafka", "web")
"""Folders whose files take longest. What comes last has to be short, or one process works alone."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let the garbage collector rest while torch and the rest are imported, and never walk what
    they made: it would for as long as the tests run, and free none of it."""
    gc.disable()
    yield
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries that count their objects report leaks at the end
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the long ones."""
    rank = {ROOT / "tests" / name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.path.parent, len(rank)))


ON_CI = bool(os.environ.get("CI"))


@contextmanager
def _or_skip() -> Iterator[None]:
    """Tests fail on CI without a broker; on a laptop they are skipped."""
    try:
        yield
    except BrokerMissing as error:
        if ON_CI:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A real broker, for all tests."""
    with (
        _or_skip(),
        find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as found,
    ):
        yield found


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer | None]:
    """Has the libraries of newsieve's programs imported; None where a fork would not do."""
    if sys.platform != "linux":
        yield None
        return
    with ForkServer() as server:
        yield server


@contextmanager
def java_broker(
    settings: Mapping[str, str], listeners: Mapping[str, int] | None = None
) -> Iterator[JavaBroker]:
    """One for a single test, which may stop, stall or configure it."""
    with _or_skip(), JavaBroker(settings, listeners=listeners) as found:
        yield found


@pytest.fixture
def prefix() -> str:
    """A topic prefix of the test's own."""
    return unique_prefix()


@pytest.fixture(scope="session")
def uplifting() -> Filter:
    return load("uplifting")


@pytest.fixture(scope="session")
def investment_risk() -> Filter:
    return load("investment_risk")


@pytest.fixture(scope="session")
def sustainability() -> Filter:
    return load("sustainability")


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory, uplifting: Filter) -> Path:
    """A student of uplifting with random weights, BERT-like."""
    from tests.support.tiny_student import make_student

    return make_student(tmp_path_factory.mktemp("tiny-bert"), uplifting, "bert")


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory, uplifting: Filter) -> Path:
    """A student of uplifting with random weights, Qwen2's architecture."""
    from tests.support.tiny_student import make_student

    return make_student(tmp_path_factory.mktemp("tiny-qwen2"), uplifting, "qwen2")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's reaches a test, nor a newsieve.toml."""
    for name in list(os.environ):
        if name.startswith("NEWSIEVE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

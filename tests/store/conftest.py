"""An empty store for each test, with its writer and its reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.store.reader import StoreReader
from newsieve.store.writer import StoreWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def writer(path: Path) -> Iterator[StoreWriter]:
    store = StoreWriter(path)
    yield store
    store.close()


@pytest.fixture
def reader(writer: StoreWriter, path: Path) -> Iterator[StoreReader]:  # noqa: ARG001 - it makes the file
    store = StoreReader(path)
    yield store
    store.close()

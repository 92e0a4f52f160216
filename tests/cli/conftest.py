"""A status to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drift_records import student_folder
from tests.support.status import Commands


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    student_folder(tmp_path / "student")
    return Commands(monkeypatch, tmp_path)

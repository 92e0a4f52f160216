"""The tiny student that the tests of the engine share."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsieve.filters.registry import Filter
from newsieve.inference.student import Student, load_student


@pytest.fixture(scope="session")
def student(tiny_student: Path, uplifting: Filter) -> Student:
    return load_student(uplifting, tiny_student, dtype="fp32")

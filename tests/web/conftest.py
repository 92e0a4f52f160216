"""A drift status to look at."""

from __future__ import annotations

from tests.support.drift_status import commands  # noqa: F401 - a fixture
from tests.support.pages import client, store  # noqa: F401 - fixtures

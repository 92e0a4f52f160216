"""A drift status to look at."""

from __future__ import annotations

from tests.support.drift_status import commands  # noqa: F401 - a fixture
from tests.support.full_site import browser, drift, full_store, site  # noqa: F401 - fixtures
from tests.support.pages import client, store  # noqa: F401 - fixtures

"""A site with something on each page, served on a port, and a browser to look at it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from newsieve.web.refreshed import Refreshed
from newsieve.web.site import DriftReport
from tests.support.browser import chromium
from tests.support.drift_records import student_folder
from tests.support.drift_status import Commands, drifting
from tests.support.filled_store import SAME, Filled
from tests.support.site import Served, make_site, serve_settings, served

HOSTILE = "<script>alert(1)</script><svg onload=alert(2)>\x1b[31m\u202e" + "W" * 3_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def drift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriftReport]:
    """What a monitor has on record that has found one filter's drift."""
    folder = tmp_path_factory.mktemp("drift")
    student_folder(folder / "student")
    with pytest.MonkeyPatch.context() as patch:
        commands = Commands(patch, folder)
        commands.monitor(drifting(commands))
        now = time.time_ns() // 1_000_000
        yield DriftReport(commands.scene.on_record(now), commands.group, now)


@pytest.fixture(scope="module")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with Filled(tmp_path_factory.mktemp("site") / "store.db") as filled:
        filled.article("first", "A heron came back to the river", label=3)
        filled.article("evil", HOSTILE, url="javascript:alert(3)", suspect=["instruction"])
        for number in range(40):
            filled.article(f"n{number}", filter_="sustainability", level=7.0)
        for number in range(3):
            filled.article(f"c{number}", f"A village opens library {number}", SAME)
        for number in range(2):
            filled.article(f"r{number}", filter_="investment_risk")
        filled.letter(b'{"id": 1, "title": 5}')
        filled.letter(b"\xff\xfe" * 100, error="NotUtf8", stage="decode")
        filled.alert("pending", "ok")
        filled.alert("alert", "pending", example_article_ids=["first"])
        filled.canaries()
        yield filled


@pytest.fixture(scope="module")
def site(full_store: Filled, drift: DriftReport) -> Iterator[Served]:
    settings = serve_settings(full_store.path)
    with served(make_site(settings, drift=Refreshed(lambda: drift, 60.0))) as server:
        yield server

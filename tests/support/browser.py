"""A real Chromium for tests, and what a page of ours must never do in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MILLISECONDS = 8_000
GRAVE = {"serious", "critical", "error", "warning"}
LOOKS_ALONE = {"runOnly": ["color-contrast"]}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start one; tests are skipped on a laptop without it, and fail on CI."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def visit(browser: Browser, *, is_missing: bool = False, **options: Any) -> Iterator[Page]:
    """Open a page. In the end it has to have said nothing on the console, opened no dialog, and
    broken no policy; `is_missing` is for pages and servers that are not there, which the browser
    says on its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in GRAVE else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    try:
        yield page
    finally:
        context.close()
    if is_missing:
        said = [text for text in said if not text.startswith("Failed to load resource")]
    assert said == [], said


def require_accessible(page: Page, *, looks_alone: bool = False) -> None:
    """Require that axe finds nothing serious or critical in what a page shows, or in its colours
    alone."""
    options = {"resultTypes": ["violations"], **(LOOKS_ALONE if looks_alone else {})}
    found = Axe().run(page, options=options).response["violations"]
    grave = [
        (item["id"], [(node["html"][:200], node["failureSummary"]) for node in item["nodes"][:3]])
        for item in found
        if item["impact"] in GRAVE
    ]
    assert grave == [], (page.url, grave)


def require_fits(page: Page) -> None:
    """Require that a page is not wider than its window."""
    over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert over <= 0, f"{page.url} is {over} pixels too wide"


def brightness(page: Page) -> float:
    """The brightness of a page's ground, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

"""Reviewing in a real Chromium: by digits alone, in the dark, on a narrow screen, and by axe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.support.browser import chromium, require_accessible, require_fits, visit
from tests.support.reviewers import TOKEN, reviews, sampled
from tests.support.reviews import NAMES
from tests.support.site import make_site, serve_settings, served

DIGITS = ("7", "10", "0", "1", "5", "9", "2", "3")
NARROW = ViewportSize(width=360, height=740)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return sampled(tmp_path / "store.db")


@pytest.fixture
def page(store: Path) -> Iterator[Page]:
    """A page on a narrow screen in the dark, whose browser is refused at first."""
    settings = serve_settings(store, review_token=TOKEN)
    with (
        served(make_site(settings)) as site,
        chromium() as browser,
        visit(
            browser, is_missing=True, color_scheme="dark", viewport=NARROW, base_url=site.address
        ) as opened,
    ):
        yield opened


def test_a_person_reviews_with_the_keyboard_and_sees_the_comparison_and_the_report(
    store: Path, page: Page
) -> None:
    """A digit scores the dimension that has the focus; what is not scored yet is not sent."""
    page.goto("/articles")
    page.get_by_role("navigation").get_by_role("link", name="Review").click()
    require_fits(page)
    page.get_by_role("link", name="Sign in with a token that allows reviews").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Name").fill("ann")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/review")
    require_accessible(page)
    require_fits(page)
    page.get_by_role("button", name="Save and go on").click()
    assert page.url.endswith("/review")  # the browser says what is missing

    page.locator("fieldset.rating input").first.focus()
    for score in DIGITS:
        for digit in score:
            page.keyboard.press(digit)
        page.keyboard.press("Tab")
    page.keyboard.type("because 10 of 10")
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_role("link", name="Compare it with student and oracle").click()
    expect(page.get_by_role("row", name="agency 7 7.3 2")).to_be_visible()
    require_accessible(page)
    require_fits(page)

    page.get_by_role("link", name="Next article").click()
    page.get_by_role("button", name="I cannot judge it").click()
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_text("ann: 1 scored, 1 that cannot be judged")).to_be_visible()
    require_accessible(page)
    require_fits(page)

    scored, refused = reviews(store)
    assert scored.oracle_scores == dict(zip(NAMES, map(int, DIGITS), strict=True))
    assert (scored.reasoning, refused.status) == ("because 10 of 10", "refused")

"""The pages in a real Chromium: clicked through, live, by keyboard, dark, narrow, and by axe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browser import brightness, require_accessible, require_fits, visit
from tests.support.filled_store import Filled
from tests.support.site import Served, make_site, serve_settings, served, until

CHOSEN = "filter=uplifting&tier=connection&q=village&min_score=1"
PAGES = (
    "/articles?limit=6", f"/articles?{CHOSEN}", "/articles/2", "/dead-letters", "/dead-letters/1",
    "/drift", "/drift/incidents/0f8fad5b-d9cb-469f-a165-70867728950e", "/students", "/status",
    "/sign-in", "/nowhere",
)  # fmt: skip
WIDE = ViewportSize(width=1280, height=900)
NARROW = ViewportSize(width=360, height=740)


def live(page: Page, address: str) -> None:
    """Open a list, and wait until it is told of news."""
    page.goto(address)
    expect(page.locator("#connection")).to_have_text("Live")


def headings(page: Page, count: int) -> list[str]:
    return page.locator("#articles h2").all_inner_texts()[:count]


def test_articles_are_chosen_by_clicks(browser: Browser, site: Served) -> None:
    """Tabs of filters and tiers, the search, and what narrows it down."""
    with visit(browser) as page:
        page.goto(site.address)
        expect(page).to_have_url(re.compile("filter=uplifting$"))
        page.get_by_role("link", name="sustainability").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("sustainability")
        page.get_by_role("link", name="high 40").click()
        expect(page.get_by_role("article")).to_have_count(30)
        page.get_by_role("link", name="Older").click()
        expect(page.get_by_role("article")).to_have_count(10)
        page.get_by_role("link", name="all filters").click()
        page.get_by_role("searchbox").fill("heron river")
        page.keyboard.press("Enter")
        expect(page.get_by_role("article")).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_contain_text("heron river")
        page.get_by_text("Narrow down").click()
        page.get_by_label("Lowest score").fill("9.5")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_text("No article here matches yet.")).to_be_visible()
        page.get_by_role("link", name="Clear all").click()
        expect(page.get_by_role("article")).to_have_count(30)


def test_a_card_unfolds(browser: Browser, site: Served) -> None:
    """What decided, the oracle's reasons, the copies; then the article's own page."""
    with visit(browser) as page:
        page.goto(f"{site.address}/articles?filter=uplifting&q=village")
        card = page.get_by_role("article").first
        expect(card.get_by_text("needs score >= 4.0")).to_be_hidden()
        card.get_by_text("Why connection").click()
        expect(card.get_by_text("needs score >= 4.0")).to_be_visible()
        card.get_by_text("+2 copies").click()
        card.get_by_role("link", name="library 1").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("A village opens library 1")
        page.goto(f"{site.address}/articles/1")
        expect(page.get_by_text("Neighbours help each other.").first).to_be_visible()
        page.get_by_text("Outcome of uplifting").click()
        expect(page.get_by_text('"tier_confidence": 0.83')).to_be_visible()


def test_new_articles_come_by_themselves(
    browser: Browser, site: Served, full_store: Filled
) -> None:
    """Those of the list alone, at its top, and told to a screen reader as a number."""
    with visit(browser) as page:
        live(page, f"{site.address}/articles?filter=uplifting&tier=impact")
        expect(page.locator("#empty")).to_be_visible()
        full_store.article("live1", "First of all", level=8.0)
        full_store.article("live2", "Not of this tier", level=5.0)
        full_store.article("live3", "Second of all", level=8.0)
        site.notify()
        expect(page.locator("#articles > li")).to_have_count(2)
        assert headings(page, 3) == ["Second of all", "First of all"]
        expect(page.locator("#empty")).to_have_count(0)
        expect(page.get_by_role("status")).to_have_text("2 new articles")


def test_nothing_is_missed_after_a_pause(
    browser: Browser, site: Served, full_store: Filled
) -> None:
    """What comes meanwhile waits behind a button, for a reader who paused or scrolled down."""
    with visit(browser, viewport={"width": 900, "height": 500}) as page:
        live(page, f"{site.address}/articles?filter=sustainability")
        before = headings(page, 1)
        page.get_by_role("button", name="Pause").click()
        for number in range(3):
            full_store.article(f"paused{number}", filter_="sustainability")
        site.notify()
        expect(page.get_by_role("button", name="3 new")).to_be_visible()
        assert headings(page, 1) == before
        page.get_by_role("button", name="Resume").click()
        assert headings(page, 4) == [f"Title of paused{n}" for n in (2, 1, 0)] + before

        page.mouse.wheel(0, 2_000)
        until(lambda: page.evaluate("window.scrollY") > 300)
        full_store.article("scrolled", filter_="sustainability")
        site.notify()
        page.get_by_role("button", name="1 new").click()
        until(lambda: page.evaluate("window.scrollY") == 0)
        assert headings(page, 1) == ["Title of scrolled"]
        expect(page.get_by_role("button", name="new")).to_have_count(0)


def test_a_long_pause_costs_neither_articles_nor_memory(
    browser: Browser, site: Served, full_store: Filled
) -> None:
    """Beyond 500 the stream rests; the rest comes when the first ones have been looked at, and the
    link to older ones goes on where the page ends."""
    with visit(browser) as page:
        live(page, f"{site.address}/articles?filter=investment_risk&limit=1")
        page.get_by_role("button", name="Pause").click()
        full_store.articles([f"long{number}" for number in range(510)], "investment_risk")
        site.notify()
        expect(page.get_by_role("button", name="More than 500 new")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(page.locator("#articles h2").first).to_have_text("Title of long509")
        assert headings(page, 300) == [f"Title of long{n}" for n in range(509, 209, -1)]
        page.get_by_role("link", name="Older").click()
        expect(page.locator("#articles h2")).to_have_text(["Title of long209"])


def test_nothing_is_missed_while_the_server_is_restarted(browser: Browser, tmp_path: Path) -> None:
    """The page says that it is cut off, comes again, and shows what came meanwhile, once."""
    with Filled(tmp_path / "store.db") as store, visit(browser, is_missing=True) as page:
        store.article("before")
        settings = serve_settings(store.path)
        with served(make_site(settings)) as first:
            live(page, f"{first.address}/articles?filter=uplifting")
            store.article("told")
            first.notify()
            expect(page.locator("#articles > li")).to_have_count(2)
        expect(page.locator("#connection")).to_contain_text("lost")
        store.article("meanwhile")
        with served(make_site(settings), first.port) as second:
            expect(page.locator("#articles > li")).to_have_count(3)
            expect(page.locator("#connection")).to_have_text("Live")
            store.article("after")
            second.notify()
            expect(page.locator("#articles > li")).to_have_count(4)
        assert headings(page, 4) == [
            f"Title of {name}" for name in ("after", "meanwhile", "told", "before")
        ]


def test_a_dead_letter_is_found_and_downloaded(browser: Browser, site: Served) -> None:
    """Byte for byte, with the command that puts it back."""
    with visit(browser) as page:
        page.goto(site.address)
        page.get_by_role("link", name="Dead letters").click()
        page.get_by_role("link", name="NotUtf8").click()
        expect(page.get_by_text("newsieve dlq replay --stage decode --error")).to_be_visible()
        expect(page.locator(".dump")).to_contain_text("000000  ff fe ff fe")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download its bytes").click()
        assert Path(download.value.path()).read_bytes() == b"\xff\xfe" * 100


def test_drift_leads_to_incidents_and_their_articles(browser: Browser, site: Served) -> None:
    """From the state of the monitors to what to do, and to an example."""
    with visit(browser) as page:
        page.goto(f"{site.address}/drift")
        expect(page.get_by_role("img", name=re.compile("Evidence of drift")).first).to_be_visible()
        page.get_by_role("link", name=re.compile("error has risen")).click()
        expect(page.get_by_text("Train a new student.")).to_be_visible()
        page.get_by_role("link", name="first").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("A heron came back to the river")


def test_students_and_status_are_shown(browser: Browser, site: Served, full_store: Filled) -> None:
    """A model card unfolds, and the status follows what comes, in the place where it is read."""
    with visit(browser, is_missing=True) as page:
        page.goto(f"{site.address}/students")
        page.get_by_text("Model card").first.click()
        expect(page.get_by_role("heading", name="Intended use").first).to_be_visible()

        page.clock.install()
        page.goto(f"{site.address}/status")
        figure = page.locator(".figures dd").first
        before = int(figure.inner_text())
        page.get_by_role("link", name="high").focus()
        full_store.article("counted", filter_="investment_risk", level=2.0)
        page.clock.fast_forward(6_000)
        expect(figure).to_have_text(str(before + 1))
        expect(page.get_by_role("link", name="high")).to_be_focused()
        page.route("**/status", lambda route: route.abort())
        page.clock.fast_forward(6_000)
        expect(page.get_by_text("Not updated since")).to_be_visible()


def test_visitors_sign_in_and_out(browser: Browser, full_store: Filled) -> None:
    """They are led to where they wanted to go."""
    token = "s" * 32
    settings = serve_settings(full_store.path, read_token=token)
    with served(make_site(settings)) as server, visit(browser, is_missing=True) as page:
        page.goto(f"{server.address}/articles?filter=uplifting")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#connection")).to_have_text("Live")
        expect(page).to_have_url(re.compile("/articles.filter=uplifting$"))
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile("/sign-in$"))


@pytest.mark.parametrize("path", PAGES)
def test_each_page_fits_and_is_accessible(browser: Browser, site: Served, path: str) -> None:
    """Wide and light, narrow and dark, with all that unfolds; nothing on the console."""
    missing = path == "/nowhere"  # which the browser itself says on the console
    with visit(browser, is_missing=missing, viewport=WIDE, reduced_motion="reduce") as page:
        page.goto(site.address + path)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        require_fits(page)
        require_accessible(page)
        assert brightness(page) > 200

        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(NARROW)
        require_fits(page)
        require_accessible(page, looks_alone=True)
        assert brightness(page) < 50


def test_all_is_reached_by_keyboard(browser: Browser, site: Served) -> None:
    """The first stop skips to the content; none holds the focus; Enter unfolds."""
    with visit(browser) as page:
        page.goto(f"{site.address}/articles?filter=uplifting&q=heron")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            name = page.evaluate(
                "document.activeElement === document.body ? '' : "
                "document.activeElement.innerText || document.activeElement.name || '?'"
            )
            if not name:
                break
            reached.append(name)
            if name.startswith("Why"):
                page.keyboard.press("Enter")
                expect(page.get_by_text("Neighbours help each other.")).to_be_visible()
        assert name == ""
        for wanted in ("q", "Search", "Narrow down", "A heron came back to the river", "Feeds"):
            assert wanted in reached


def test_pages_work_without_scripts(browser: Browser, site: Served) -> None:
    """Links, forms and what unfolds; no button that does nothing."""
    with visit(browser, java_script_enabled=False) as page:
        page.goto(site.address)
        expect(page.get_by_role("button", name="Pause")).to_be_hidden()
        page.get_by_role("searchbox").fill("heron")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("article")).to_have_count(1)
        page.get_by_text("Why connection").click()
        expect(page.get_by_text("Neighbours help each other.")).to_be_visible()

"""People at the pages of reviews, each with a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.testclient import TestClient

from newsieve.programs.reviewing.service import Reviewing, SampleWanted
from newsieve.store.reviews import ReviewStore
from newsieve.web.access import COOKIE, Access
from tests.support.reviews import FILTER, NAMES
from tests.support.site import Filled, app_of, make_site, serve_settings

TOKEN = "a-token-for-reviewers-0123456789"
HOST = "http://localhost:8080"
FORM = "application/x-www-form-urlencoded"
SCORES = {f"score-{name}": "6" for name in NAMES}


class Browser(TestClient):
    """Somebody's browser, signed in with a session that allows reviews, or with none."""

    def __init__(self, path: Path, name: str | None = None, **serve: Any) -> None:
        settings = serve_settings(path, review_token=TOKEN, **serve)
        super().__init__(app_of(make_site(settings)), HOST, follow_redirects=False)
        if name is not None:
            cookie = Access(settings.serve).session_cookie("review", name)
            self.cookies.set(COOKIE, cookie)

    def text_of(self, filter_: str = "uplifting") -> str:
        """Return the hash of the text that the page gives next."""
        page = self.get("/review", params={"filter": filter_}).text
        found = re.search(r'name="text" value="([0-9a-f]{64})"', page)
        assert found is not None, page
        return found[1]

    def submit(self, **fields: Any) -> Any:
        """Send a form with a score of 6 for each dimension, but for `fields`."""
        form = {"filter": "uplifting", "action": "save", "note": "", **SCORES, **fields}
        form = {name: value for name, value in form.items() if value is not None}
        form.setdefault("text", self.text_of() if "text" not in fields else "")
        return self.post(
            "/review",
            content=urlencode(form),
            headers={"content-type": FORM, "origin": HOST},
        )


def reviews(path: Path) -> list[Any]:
    """Return the reviews in a store, oldest first."""
    return Reviewing(ReviewStore(path)).reviews(FILTER)


def sampled(path: Path, level: float = 7.3179, label: float = 2, **record: Any) -> Path:
    """Make a store with one sample of three articles, whose records have what nobody may see."""
    with Filled(path, now_ms=1_790_000_000_000) as store:
        for number in range(3):
            store.article(
                f"a{number}", f"Title {number}", f"Content {number} of a story.", level=level,
                label=label, source="gazette.example", **record,
            )  # fmt: skip
    Reviewing(ReviewStore(path)).draw(FILTER, SampleWanted(3, seed="s"))
    return path

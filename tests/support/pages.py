"""The pages of a site, read as a browser would, and what must hold of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from newsieve.web.guarded import CONTENT_SECURITY_POLICY
from tests.support.filled_store import Filled
from tests.support.html_page import Element, read_page
from tests.support.site import app_of, make_site, serve_settings

HTML = {"accept": "text/html"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Filled]:
    with Filled(tmp_path / "store.db") as filled:
        yield filled


@pytest.fixture
def client(store: Filled) -> Iterator[TestClient]:
    with client_of(store) as made:
        yield made


def client_of(store: Filled, replaced: dict[str, Any] | None = None, **serve: Any) -> TestClient:
    site = make_site(serve_settings(store.path, **serve), **(replaced or {}))
    return TestClient(
        app_of(site), base_url="http://localhost", headers=HTML, follow_redirects=False
    )


def shown(client: TestClient, address: str, status: int = 200) -> Element:
    """What a page's elements are. Each page has its headers, one heading, and no script in it."""
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = read_page(answer.text)
    assert len(page.all("h1")) == 1
    for item in page.below():
        assert not any(name == "style" or name.startswith("on") for name in item.attributes)
        for name in ("href", "src", "action"):
            if name in item.attributes:
                assert re.match(r"https?://|/|#|\?", item.attributes[name]), item
        if item.tag == "script":
            assert item.attributes["src"].startswith("/static/") and item.text == ""
        assert item.tag not in {"style", "iframe", "object", "embed", "base", "img"}
    return page


def titles(page: Element) -> list[str]:
    return [item.all("h2")[0].text for item in page.all("article")]

"""Signing in with a token, and out again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from newsieve.web.sign_in import local_address
from tests.support.filled_store import Filled
from tests.support.pages import client_of, shown

TOKEN, REVIEW_TOKEN = "r" * 32, "w" * 32


def test_signing_in_sets_a_cookie_that_scripts_cannot_read(store: Filled) -> None:
    """And leads to where the visitor wanted to go; a wrong token does neither."""
    with client_of(store, read_token=TOKEN, review_token=REVIEW_TOKEN) as client:
        answer = client.get("/articles?filter=uplifting")
        assert answer.status_code == 303
        address = answer.headers["location"]
        assert parse_qs(urlsplit(address).query)["next"] == ["/articles?filter=uplifting"]
        form = shown(client, address).all("form")[0]
        fields = {i.attributes["name"]: i.attributes.get("value", "") for i in form.all("input")}

        wrong = client.post("/sign-in", data=fields | {"token": "x" * 32})
        assert wrong.status_code == 403 and "set-cookie" not in wrong.headers
        right = client.post("/sign-in", data=fields | {"token": TOKEN, "name": "Ada"})
        assert (right.status_code, right.headers["location"]) == (303, fields["next"])
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
        assert TOKEN not in cookie

        page = shown(client, "/articles")
        assert "Ada" in page.text and "Sign out" in page.text
        out = client.post("/sign-out")
        assert out.headers["location"] == "/sign-in"
        assert client.get("/articles").status_code == 303


def test_a_cookie_is_for_https_alone_where_the_site_is(store: Filled) -> None:
    """Behind a trusted proxy that says so, or by serve.url."""
    with client_of(store, read_token=TOKEN, url="https://localhost/") as client:
        answer = client.post("/sign-in", data={"token": TOKEN})
        assert "Secure" in answer.headers["set-cookie"]


def test_another_sites_page_cannot_sign_anybody_in(store: Filled) -> None:
    """Nor out, and a form of another kind is refused."""
    with client_of(store, read_token=TOKEN) as client:
        foreign = {"origin": "https://evil.example"}
        answer = client.post("/sign-in", data={"token": TOKEN}, headers=foreign)
        assert answer.status_code == 403
        assert client.post("/sign-in", json={"token": TOKEN}).status_code == 415


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\nb", "/\t/evil",
     "javascript:alert(1)", "/ä"],
)  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(address: str) -> None:
    """What is no address of this site is the first page's."""
    assert local_address(address) == "/"

"""Who may read and who may review, however a request says who sends it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from starlette.datastructures import Headers

from newsieve.errors import SettingsInvalid
from newsieve.settings.loader import load_settings
from newsieve.web import access as access_module
from newsieve.web.access import COOKIE, READ, REVIEW, Access, Visitor
from tests.support.served import REVIEW_TOKEN, TOKEN

BOTH = {"READ_TOKEN": TOKEN, "REVIEW_TOKEN": REVIEW_TOKEN}
ALL = "0.0.0.0"  # noqa: S104 - nothing listens here
PROXY = {
    "USER_HEADER": "X-Forwarded-User",
    "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
    "URL": "https://news.example/",
}


def access(**serve: str) -> Access:
    named = {f"NEWSIEVE_SERVE__{name}": value for name, value in serve.items()}
    return Access(load_settings(None, named).serve)


def ask(
    judge: Access, address: str = "192.0.2.7", cookie: str | None = None, **headers: str
) -> Visitor:
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return judge.visitor(named, {} if cookie is None else {COOKIE: cookie}, address)


def rights(visitor: Visitor) -> tuple[bool, bool]:
    return visitor.may_read, visitor.may_review


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def signed(key: bytes, payload: Any) -> str:
    """A cookie as somebody makes it who guesses the key."""
    body = base64.urlsafe_b64encode(json.dumps(payload).encode())
    return f"{body.decode()}.{hmac.new(key, body, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {TOKEN}", (True, False)),
        (f"bearer   {TOKEN} ", (True, False)),
        (f"Bearer {REVIEW_TOKEN}", (True, True)),
        (f"Bearer {TOKEN}x", (False, False)),
        (f"Bearer {TOKEN[:-1]}", (False, False)),
        ("Bearer ", (False, False)),
        ("Bearer", (False, False)),
        ("Bearer \xe9\xff", (False, False)),
        (TOKEN, (False, False)),
        (basic("anybody", TOKEN), (True, False)),
        (basic("", TOKEN), (True, False)),
        (basic("anybody", REVIEW_TOKEN), (True, False)),
        (basic(TOKEN, "anything"), (False, False)),
        (basic("anybody", ""), (False, False)),
        ("Basic ???", (False, False)),
        ("Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), (False, False)),
        (f"Digest {TOKEN}", (False, False)),
    ],
)
def test_a_token_opens_what_it_is_for(authorization: str, expected: tuple[bool, bool]) -> None:
    """As a bearer token, or as a password, which only reads; anything else opens nothing."""
    assert rights(ask(access(**BOTH), authorization=authorization)) == expected


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison of a secret goes through hmac.compare_digest."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return bool(one == other)

    monkeypatch.setattr(access_module.hmac, "compare_digest", compare)
    judge = access(**BOTH)
    assert ask(judge, authorization="Bearer wrong").may_read is False
    assert len(compared) == 2
    assert ask(judge, cookie=judge.session_cookie(READ, None)).may_read is True
    assert len(compared) == 3


def test_a_session_says_who_signed_in_for_what() -> None:
    """Also after a restart with the same tokens."""
    cookie = access(**BOTH).session_cookie(REVIEW, "Ada")
    again = access(**BOTH)

    assert ask(again, cookie=cookie) == Visitor(
        may_read=True, may_review=True, name="Ada", has_session=True
    )
    assert rights(ask(again, cookie=again.session_cookie(READ, None))) == (True, False)


def test_a_session_ends_with_its_time_and_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen days later, or under another token, it is nobody's."""
    judge = access(**BOTH)
    cookie = judge.session_cookie(REVIEW, None)

    for other in (BOTH | {"READ_TOKEN": TOKEN + "2"}, BOTH | {"REVIEW_TOKEN": REVIEW_TOKEN + "2"}):
        assert rights(ask(access(**other), cookie=cookie)) == (False, False)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + access_module.SESSION_SECONDS + 1)
    assert rights(ask(judge, cookie=cookie)) == (False, False)


def test_a_forged_session_is_nobodys() -> None:
    """Another payload, another signature, none, or text that is no cookie of ours."""
    judge = access(**BOTH)
    payload, _, signature = judge.session_cookie(READ, None).partition(".")
    more = base64.urlsafe_b64encode(json.dumps([REVIEW, "", 2**40]).encode()).decode()

    for cookie in (
        f"{more}.{signature}", f"{payload}.{signature[:-1]}", f"{payload}.", payload, ".", "",
        "é.é", f"{payload}.{signature}.{signature}", f".{signature}", "a" * 4_000,
        f"{payload}.\udc80",
        signed(b"", [REVIEW, "", 2**40]), signed(hashlib.sha256(b"").digest(), [REVIEW, "", 2**40]),
    ):  # fmt: skip
        assert rights(ask(judge, cookie=cookie)) == (False, False), cookie


def test_without_a_token_no_session_counts() -> None:
    """Nobody can sign in there, and the key would be one that everybody knows."""
    for judge in (access(), access(HOST=ALL, **PROXY)):
        for secret in (b"", b"\n", b"newsieve session\n\n"):
            known = [secret, hashlib.sha256(secret).digest()]
            known.append(hashlib.scrypt(secret, salt=b"newsieve session", n=2**14, r=8, p=1))
            for key in known:
                visitor = ask(judge, cookie=signed(key, [REVIEW, "root", 2**40]))
                assert visitor.may_review is False
                assert visitor.name is None
                assert visitor.may_read is judge.is_open


def test_a_proxys_header_counts_from_that_proxy_alone() -> None:
    """From elsewhere, empty or twice it says nothing: the client may have written one of them."""
    judge = access(HOST=ALL, **PROXY)
    twice = Headers(raw=[(b"x-forwarded-user", b"root"), (b"x-forwarded-user", b"ada")])

    assert ask(judge, "10.1.2.3", x_forwarded_user="ada") == Visitor(
        may_read=True, may_review=False, name="ada", has_session=False
    )
    assert ask(judge, "::ffff:10.1.2.3", x_forwarded_user="ada").name == "ada"
    for address in ("192.0.2.7", "::2", "", "testclient"):
        visitor = ask(judge, address, x_forwarded_user="ada")
        assert (visitor.may_read, visitor.name) == (False, None)
    assert ask(judge, "10.1.2.3", x_forwarded_user="").may_read is False
    assert judge.visitor(twice, {}, "10.1.2.3").may_read is False
    assert ask(judge, "10.1.2.3", x_forwarded_user="n" * 5_000).name == "n" * 80


@pytest.mark.parametrize(
    ("forwarded", "peer", "client"),
    [
        (["203.0.113.9"], "10.0.0.1", "203.0.113.9"),
        (["198.51.100.1, 203.0.113.9, 10.0.0.2"], "10.0.0.1", "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "10.0.0.1", "203.0.113.9"),
        (["198.51.100.1"], "203.0.113.9", "203.0.113.9"),
        (["203.0.113.9:4711"], "10.0.0.1", "203.0.113.9"),
        (["[2001:db8:1:2::5]:443"], "::1", "2001:db8:1:2::/64"),
        (["2001:db8:1:2:ffff::6"], "::1", "2001:db8:1:2::/64"),
        (["::ffff:203.0.113.9"], "::ffff:10.0.0.1", "203.0.113.9"),
        (["x" * 9_000], "10.0.0.1", "10.0.0.1"),
        (["203.0.113.9, unknown"], "10.0.0.1", "10.0.0.1"),
        ([""], "10.0.0.1", "10.0.0.1"),
        ([], "10.0.0.1", "10.0.0.1"),
        ([",".join(["10.0.0.2"] * 9_000)], "10.0.0.1", "10.0.0.2"),
    ],
)
def test_a_client_is_the_last_that_no_proxy_of_ours_speaks_for(
    forwarded: list[str], peer: str, client: str
) -> None:
    """What a client writes itself stands further left; an IPv6 client is its network."""
    assert access(HOST=ALL, **PROXY).client_of(forwarded, peer) == client


@pytest.mark.parametrize(
    ("host", "more"),
    [
        (ALL, {}),
        ("::", {}),
        ("192.0.2.7", {"REVIEW_TOKEN": REVIEW_TOKEN}),
        ("news.example", {}),
    ],
)
def test_a_server_for_others_than_this_machine_needs_a_token(
    host: str, more: dict[str, str]
) -> None:
    """Or a reverse proxy that signs people in; by default it is for this machine alone."""
    assert load_settings(None, {}).serve.host == "127.0.0.1"
    with pytest.raises(SettingsInvalid, match="read_token"):
        access(HOST=host, **more)
    assert access(HOST=host, READ_TOKEN=TOKEN).is_open is False
    assert access(HOST=host, **PROXY).is_open is False
    for name in ("TRUSTED_PROXIES", "URL"):
        some = {key: value for key, value in PROXY.items() if key != name}
        with pytest.raises(SettingsInvalid, match="trusted_proxies"):
            access(HOST=host, **some)

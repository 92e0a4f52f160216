"""The key goes to the address that is set, and to no other: not to proxies, not in the open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from newsieve.bootstrap.labeling import make_provider
from newsieve.errors import SettingsInvalid
from newsieve.oracle.providers.base import ProviderResponse
from newsieve.settings.loader import load_settings
from newsieve.stream import logs
from tests.support.cli import newsieve
from tests.support.oracle_calls import KEY, QUESTION
from tests.support.oracle_server import OracleServer, good, serving

ELSEWHERE = "http://api.example:9"  # what only a proxy could reach


def ask(endpoint: str, environment: Mapping[str, str]) -> ProviderResponse:
    settings = load_settings(
        None,
        {
            "NEWSIEVE_ORACLE__PROVIDER": "openai",
            "NEWSIEVE_ORACLE__MODEL": "m",
            "NEWSIEVE_ORACLE__API_KEY": KEY,
            "NEWSIEVE_ORACLE__ENDPOINT": endpoint,
            "NEWSIEVE_ORACLE__TIMEOUT_SECONDS": "2",
            **environment,
        },
    )
    with closing(make_provider(settings)) as provider:
        return provider.complete(QUESTION)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> object:
    """A proxy that the environment names; it would answer by itself what it is given."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(good()) as server:
        monkeypatch.setenv("ALL_PROXY", server.url.removesuffix("/v1"))
        yield server


def said(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines() if "proxies" in line]


def test_the_environments_proxy_is_not_used_unless_that_is_set(
    proxy: OracleServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would read the key. That there is one is said, since somebody may have relied on it."""
    logs.configure()

    reply = ask(ELSEWHERE, {"NEWSIEVE_ORACLE__ALLOW_PLAIN_HTTP": "true"})

    assert reply.outcome == "busy" and proxy.calls == []
    (line,) = said(capfd)
    assert (line["event"], line["of"]) == ("proxies.ignored", ["ALL_PROXY"])


def test_a_proxy_that_is_to_be_used_is_said(
    proxy: OracleServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the name of its variable: its address may have a password."""
    logs.configure()
    wanted = {
        "NEWSIEVE_ORACLE__ALLOW_PLAIN_HTTP": "true",
        "NEWSIEVE_ORACLE__USE_PROXIES": "true",
    }

    assert ask(ELSEWHERE, wanted).outcome == "answered"
    assert len(proxy.calls) == 1
    (line,) = said(capfd)
    assert (line["event"], line["of"]) == ("proxies.used", ["ALL_PROXY"])


def test_no_proxy_reads_what_is_sent_to_this_machine(proxy: OracleServer) -> None:
    """By http://, which is allowed there, it would read the key."""
    with serving(good()) as server:
        reply = ask(server.url, {"NEWSIEVE_ORACLE__USE_PROXIES": "true"})

    assert reply.outcome == "answered" and proxy.calls == []


def test_a_tunnel_does_not_show_the_key(proxy: OracleServer) -> None:
    """Of https:// a proxy is told the host alone. This one refuses: nothing was sent."""
    reply = ask("https://api.example", {"NEWSIEVE_ORACLE__USE_PROXIES": "true"})

    assert reply.outcome == "busy" and proxy.calls == []


def test_a_proxy_that_cannot_be_used_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address, which may have a password, is not quoted."""
    monkeypatch.setenv("ALL_PROXY", "gopher://user:hunter2@proxy:1")

    with pytest.raises(SettingsInvalid, match=r"oracle\.use_proxies") as raised:
        ask("https://api.example", {"NEWSIEVE_ORACLE__USE_PROXIES": "true"})

    assert "hunter2" not in str(raised.value)


def test_credentials_of_a_netrc_do_not_take_the_keys_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tools share that file; none of it is ours to send."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(good()) as server:
        ask(server.url, {"NEWSIEVE_ORACLE__USE_PROXIES": "true"})

    headers = {name.lower(): value for name, value in server.calls[0].headers.items()}
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://api.example/v1",
        "http://10.0.0.7:8000/v1",
        "http://0.0.0.0:8000",
        "http://localhost.example/v1",
        "http://127.0.0.1.example",
        "http://[::2]/v1",
        "http://[::ffff:10.0.0.7]/v1",
        "http://0177.0.0.1",
    ],
)
def test_a_key_in_the_open_is_refused(endpoint: str) -> None:
    """Before anything is sent, with what to do; the key is not quoted."""
    done = newsieve(
        "doctor",
        env={"NEWSIEVE_ORACLE__API_KEY": KEY, "NEWSIEVE_ORACLE__ENDPOINT": endpoint},
    )

    assert done.code == 2
    assert "allow_plain_http" in done.err and KEY not in done.err


@pytest.mark.parametrize(
    "environment",
    [
        {"NEWSIEVE_ORACLE__ENDPOINT": "http://127.0.0.1:8000/v1"},
        {"NEWSIEVE_ORACLE__ENDPOINT": "http://127.8.8.8/v1"},
        {"NEWSIEVE_ORACLE__ENDPOINT": "http://[::1]:8000/v1"},
        {"NEWSIEVE_ORACLE__ENDPOINT": "http://localhost:8000/v1"},
        {"NEWSIEVE_ORACLE__ENDPOINT": "https://api.example/v1"},
        {
            "NEWSIEVE_ORACLE__ENDPOINT": "http://llm:8000/v1",
            "NEWSIEVE_ORACLE__ALLOW_PLAIN_HTTP": "true",
        },
        {"NEWSIEVE_ORACLE__ENDPOINT": "http://llm:8000/v1", "NEWSIEVE_ORACLE__API_KEY": ""},
    ],
)
def test_a_key_that_stays_here_or_unread_is_taken(environment: dict[str, str]) -> None:
    """This machine, TLS, a network that may read it; and no key at all."""
    load_settings(None, {"NEWSIEVE_ORACLE__API_KEY": KEY, **environment})


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://api.openai.com@evil.example/v1",
        "https://evil.example\\@api.openai.com",
        "https://evil.example\\.api.openai.com/",
        "https://api.openai.com:443@evil.example",
        "https://\uff41pi.openai.com/v1",
        "https://api\u3002example/v1",
        "https://api.example%2eevil.example",
        "http://127.0.0.1:80:90/",
        "https://api.example/v1?key=x",
        "https://api.example/v1#x",
        "https:///v1",
        "//api.example",
        "ftp://api.example",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused(endpoint: str) -> None:
    """Users, backslashes, letters that fold to others: whose host that is, nobody should guess."""
    with pytest.raises(SettingsInvalid, match="NEWSIEVE_ORACLE__ENDPOINT"):
        load_settings(None, {"NEWSIEVE_ORACLE__ENDPOINT": endpoint})

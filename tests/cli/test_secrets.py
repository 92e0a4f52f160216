"""Secrets in the settings: what is taken, what is refused, and that none is ever shown."""

from __future__ import annotations

import base64
import json
import logging
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from newsieve.errors import AccessDenied, SettingsInvalid
from newsieve.kafka.config import (
    Cluster,
    make_admin,
    make_consumer,
    make_producer,
)
from newsieve.kafka.retry import last_client_error
from newsieve.oracle.circuit_breaker import CircuitBreaker
from newsieve.settings.loader import load_settings
from newsieve.settings.oracle import OracleSettings
from newsieve.stream import logs
from tests.support.bulk import articles, label
from tests.support.cli import newsieve
from tests.support.echoes import ECHOES, KEY, key_of
from tests.support.oracle_server import serving
from tests.support.spellings import found

API_KEY = "NEWSIEVE_ORACLE__API_KEY"
OPTIONS = "NEWSIEVE_KAFKA__OPTIONS"
SECRET = "planted-secret-of-this-test"
SECRET_OPTIONS = (
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.jaas.config",
    "basic.auth.user.info",
)


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        repr(KEY),
        repr(KEY.encode()),
        json.dumps({"reason": KEY}),
        json.dumps({"log": json.dumps({"reason": KEY})}),
        quote(KEY),
        quote(KEY, safe="").lower(),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"user:{KEY}".encode()).decode(),
        f"cut to size: {KEY[:20]}",
    ],
)
def test_the_search_finds_a_secret_however_it_is_spelled(text: str) -> None:
    """Or the tests that search would find nothing whatever leaks."""
    assert found({"key": KEY}, {"text": f"before {text} behind"})
    assert not found({"key": KEY}, {"text": "an honest text"})


@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\t\n"])
def test_white_space_around_an_api_key_is_taken_off(around: str) -> None:
    """A secret that was written by `echo`, or mounted from a file, ends in a line end."""
    settings = load_settings(None, {API_KEY: f"{around}{KEY}{around}"})

    assert settings.oracle.api_key is not None
    assert settings.oracle.api_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("sk-{}\nsk-b", "a line end"),
        ("sk-{}\rsk-b", "a line end"),
        ("Bearer {}", "character 7 is white space"),
        ("sk-\u00a0{}", "character 4 is a no-break space"),
        ("sk-{}\u00a0", "a no-break space"),
        ("\ufeffsk-{}", "character 1 is a byte order mark"),
        ("“sk-{}”", "character 1 is a typographic quotation mark"),
        ("«sk-{}»", "a typographic quotation mark"),
        ('"sk-{}"', "begins or ends with a quotation mark"),
        ("sk-{}\x01", "a control character"),
        ("sk-{}\x7f", "a control character"),
        ("sk-{}é", "outside ASCII"),
        ("sk-{}\u2028", "outside ASCII"),
        ("sk-{}\udcff", "NEWSIEVE_ORACLE__API_KEY"),
        (" \n", "nothing but white space"),
    ],
)
@pytest.mark.parametrize(
    "command", [["oracle"], ["oracle", "label", "a.jsonl", "--out", "b"], ["doctor"], ["worker"]]
)
def test_an_api_key_that_no_header_takes_is_refused_without_being_shown(
    key: str, complaint: str, command: list[str]
) -> None:
    """Exit 2, with the name of the setting, what is wrong and where; no traceback."""
    settings = {API_KEY: key.format(SECRET), "NEWSIEVE_ORACLE__MODEL": "m"}

    done = newsieve(*command, env=settings)

    assert done.code == 2
    assert complaint in done.err and API_KEY in done.err
    assert "Traceback" not in done.err and len(done.err.splitlines()) == 1
    assert not found({"key": SECRET}, {"stdout": done.out, "stderr": done.err})


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_key_with_a_line_end_labels_a_file_and_is_nowhere_in_what_it_left(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the provider sends back: the key comes without its line end, and is not shown."""
    impatient = partial(CircuitBreaker, first_seconds=0.01)
    monkeypatch.setattr("newsieve.oracle.call_pool.CircuitBreaker", impatient)
    Path("articles.jsonl").write_bytes(articles(len(ECHOES)))
    with serving(*ECHOES) as server:
        done = label(server, provider=provider, api_key=f"{KEY}\n", concurrency=1)

    assert len(server.calls) >= len(ECHOES)
    assert {key_of(call) for call in server.calls} == {KEY}
    assert done.code == 1 and API_KEY in done.err
    places = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert "labels.jsonl" in places
    assert not found({"key": KEY}, places | {"stdout": done.out, "stderr": done.err})


@pytest.mark.parametrize("name", SECRET_OPTIONS)
def test_a_secret_option_reaches_librdkafka_and_is_masked_where_settings_are_shown(
    name: str,
) -> None:
    """Without the line end that a mounted file adds, also where it stands in the JSON as it is."""
    for line_end in ("", "\\n", "\\r\\n", "\n"):
        settings = load_settings(None, {OPTIONS: f'{{"{name}": "{SECRET}{line_end}"}}'})

        cluster = Cluster("b:1", settings.kafka.options)

        assert cluster.admin()[name] == SECRET
        shown = f"{settings} {settings!r} {settings.model_dump()} {cluster!r}"
        shown += settings.model_dump_json()
        assert not found({name: SECRET}, {"settings": shown})


def test_what_a_password_may_have_is_left_as_it_is() -> None:
    """A blank at its end, letters beyond ASCII; digits alone come as a number."""
    for given, taken in (("é “x” ", "é “x” "), (" a", " a"), (12345, "12345")):
        settings = load_settings(None, {OPTIONS: json.dumps({"sasl.password": given})})

        assert Cluster("b:1", settings.kafka.options).producer()["sasl.password"] == taken


def test_a_key_in_pem_keeps_its_lines() -> None:
    """Only what follows the last of them goes."""
    pem = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    settings = load_settings(None, {OPTIONS: json.dumps({"ssl.key.pem": pem + "\n"})})

    assert Cluster("b:1", settings.kafka.options).admin()["ssl.key.pem"] == pem


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"sasl.password": f"a\n{SECRET}"}, "sasl.password: character 2 is a line end"),
        ({"sasl.password": f"{SECRET}\0b"}, "a control character"),
        ({"sasl.password": f"\ufeff{SECRET}"}, "character 1 is a byte order mark"),
        ({"sasl.password": f"{SECRET}\ud800"}, "not UTF-8"),
        ({"ssl.key.pem": f"{SECRET}\u00a0"}, "a no-break space"),
        ({"ssl.key.password": [SECRET]}, "ssl.key.password: not a string"),
        ({"ssl.key.password": {"value": SECRET}}, "ssl.key.password: not a string"),
        ({"sasl.password": SECRET, "transactional.id": SECRET}, "exactly-once rests on it"),
    ],
)
def test_a_secret_option_that_is_a_slip_is_refused_without_being_shown(
    option: dict[str, Any], complaint: str
) -> None:
    """Exit 2, and which option it is."""
    done = newsieve("topics", "check", env={OPTIONS: json.dumps(option)})

    assert done.code == 2
    assert OPTIONS in done.err and complaint in done.err and "Traceback" not in done.err
    assert not found({"secret": SECRET}, {"stderr": done.err})


def test_no_error_about_broken_settings_shows_a_part_of_them(tmp_path: Path) -> None:
    """JSON and TOML that break off at any place, before and behind a secret."""
    options = json.dumps({"sasl.username": "u", "sasl.password": f"{SECRET}\\"})
    file = tmp_path / "n.toml"
    wrong = [{OPTIONS: options[:end]} for end in range(1, len(options))]
    wrong += [{OPTIONS: options.replace(character, "\\x")} for character in '":,{}']
    for environment_ in wrong:
        with pytest.raises(SettingsInvalid) as raised:
            load_settings(None, environment_)
        assert not found({"secret": SECRET}, {"error": f"{raised.value} {raised.value!r}"})
    text = f'[kafka]\noptions = {{ "sasl.password" = "{SECRET}" }}\n[oracle]\nmodel = "m"\n'
    for end in range(len(text)):
        for broken in (text[:end], text[:end] + "=" + text[end:], text[:end] + "\x01"):
            file.write_text(broken)
            try:
                load_settings(file, {})
            except SettingsInvalid as error:
                assert not found({"secret": SECRET}, {"error": str(error)})


def test_the_error_of_the_library_that_checks_settings_quotes_none() -> None:
    """Whoever raises or logs it as it is."""
    with pytest.raises(ValidationError) as raised:
        OracleSettings.model_validate({"api_key": f"“{SECRET}", "model": [SECRET], "port": SECRET})

    assert raised.value.error_count() == 3
    assert not found({"secret": SECRET}, {"error": f"{raised.value} {raised.value!r}"})


def test_what_librdkafka_quotes_of_secrets_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """In errors, in its log, and in an address with a user's password."""
    options = {
        "debug": "all",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.password": SECRET,
        "client.id": f"named after the {SECRET}",  # librdkafka shows it in every line
    }
    unsecured = {
        "enable.sasl.oauthbearer.unsecure.jwt": True,
        "sasl.oauthbearer.config": "principal=me the-planted-word of-this",
    }
    by_address = {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "me",
        "sasl.oauthbearer.client.secret": SECRET,
        "sasl.oauthbearer.token.endpoint.url": "http://user:the-planted-number@127.0.0.1:1/",
    }
    caplog.set_level(logging.DEBUG, "newsieve.kafka")
    complaints = [
        _complaint(make_admin(Cluster("127.0.0.1:1", options | more).admin()))
        for more in (unsecured, by_address)
    ]

    assert "beginning at: ***" in complaints[0]
    assert "http://***@127.0.0.1:1/" in caplog.text and "named after the ***" in caplog.text
    secrets = {"secret": SECRET, "config": "the-planted-word", "address": "the-planted-number"}
    assert not found(secrets, {"complaints": " ".join(complaints), "log": caplog.text})


def _complaint(client: Any) -> str:
    """The first thing that a client has to say."""
    deadline = time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            client.poll(0.1)
            if reason := last_client_error(client):
                return reason
    except AccessDenied as error:
        return str(error)
    raise AssertionError("it says nothing")


@pytest.mark.parametrize("make", [make_consumer, make_producer, make_admin])
def test_what_librdkafka_refuses_is_said_without_the_secrets(make: Any) -> None:
    """It quotes the values of the others."""
    config = {"group.id": "g", "security.protocol": f"my {SECRET}", "sasl.password": SECRET}

    with pytest.raises(SettingsInvalid, match=r'kafka.options: Invalid value "my \*\*\*"'):
        make(config)


def test_a_traceback_on_a_terminal_shows_no_local_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any library may log one, and somewhere above stands a configuration."""
    handlers = logging.getLogger().handlers
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.configure()
    config = {"sasl.password": SECRET}
    try:
        raise RuntimeError(f"{len(config)} options")
    except RuntimeError:
        logging.getLogger("newsieve.any").exception("it broke")
    finally:
        logging.getLogger().handlers = handlers

    shown = capsys.readouterr().err
    assert "RuntimeError: 1 options" in shown
    assert not found({"secret": SECRET}, {"traceback": shown})

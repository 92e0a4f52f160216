"""The key of a provider: in a header, and in nothing that is shown."""

from __future__ import annotations

import base64
import ssl
from contextlib import closing

import httpx2
import pytest
from pydantic import SecretStr

from newsieve.errors import SettingsInvalid
from newsieve.oracle.answer import read_answer
from newsieve.oracle.prompt import OracleConfig
from newsieve.oracle.providers.http import Endpoint
from newsieve.oracle.providers.openai_chat import OpenAIChat, OpenAIOptions
from tests.support.oracle_calls import KEY, NAMES, QUESTION, Shape, ask, ask_at
from tests.support.oracle_server import (
    fails,
    good,
    serving,
)

# As it might come back from a provider, or the library of one.
SPELLINGS = [
    KEY,
    base64.b64encode(KEY.encode()).decode().rstrip("="),
    base64.b64encode(f"user:{KEY}!".encode()).decode(),
]


@pytest.fixture(params=["gemini", "openai"])
def shape(request: pytest.FixtureRequest) -> Shape:
    found: Shape = request.param
    return found


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_that_is_sent_back_is_masked(status: int, spelling: str) -> None:
    """In all that is shown, however it is written there."""
    text = ask("openai", fails(status, f"the key {spelling} is bad")).reason

    assert "***" in text and spelling not in text


@pytest.mark.parametrize("version", [KEY, f"model-{KEY}"])
def test_a_version_that_holds_the_key_is_masked(shape: Shape, version: str) -> None:
    """It goes into every record; the answer itself stays as it came."""
    reply = ask(shape, good(version=version, reasoning=f"you sent {KEY}"))

    assert KEY not in reply.model_version and reply.model_version.endswith("***")
    assert KEY in reply.text and KEY not in repr(reply.mask)


@pytest.mark.parametrize("key", ["1", "-", "4"])
def test_a_key_of_one_character_changes_no_answer(shape: Shape, key: str) -> None:
    """It is no secret, and stands in every answer."""
    with serving(good(version="model-4-1")) as server:
        reply = ask_at(server.url, shape, key=key)

    assert read_answer(reply.text, NAMES).scores == dict.fromkeys(NAMES, 6)
    assert reply.model_version == "model-4-1"


@pytest.mark.parametrize(
    "key",
    [
        "sk-secret-0123\n",
        "sk-\u201csecret-0123\u201d",
        "sk-\u00a0secret-0123",
        "\ufeffsk-secret",
        "sk-secret-0123\x00",
        "sk\r\nX-Evil: secret",
    ],
)
def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(key: str) -> None:
    """Before anything is sent; what the client library would say of it quotes it."""
    with pytest.raises(SettingsInvalid, match="NEWSIEVE_ORACLE__API_KEY") as raised:
        Endpoint("http://127.0.0.1:1", SecretStr(key), OpenAIChat.key_header, 5)

    assert "secret" not in str(raised.value) and raised.value.__cause__ is None


class Raising(httpx2.AsyncBaseTransport):
    """A client library that quotes the key in whatever goes wrong."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:  # noqa: ARG002
        raise self._error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx2.ConnectError(f"{KEY}"), "busy"),
        (httpx2.ConnectTimeout(f"{KEY}"), "busy"),
        (httpx2.ProxyError(f"{KEY}"), "busy"),
        (httpx2.ReadTimeout(f"{KEY}"), "unanswered"),
        (httpx2.RemoteProtocolError(f"{KEY}"), "unanswered"),
        (httpx2.LocalProtocolError(f"Illegal header value b'Bearer {KEY}'"), "denied"),
        (ValueError(f"{KEY}"), "denied"),
        (RuntimeError(f"{KEY}"), "denied"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_no_word_of_the_client_library_is_passed_on(error: Exception, outcome: str) -> None:
    """What went wrong is said in ours."""
    endpoint = Endpoint(
        "http://h", SecretStr(KEY), OpenAIChat.key_header, 5, transport=Raising(error)
    )
    with closing(
        OpenAIChat(endpoint, OracleConfig("openai", "m", None, None), 9, OpenAIOptions())
    ) as asked:
        reply = asked.complete(QUESTION)

    assert reply.outcome == outcome
    assert reply.reason and KEY not in repr(reply) and KEY not in reply.reason


def test_a_certificate_that_cannot_be_verified_is_for_a_person() -> None:
    """Waiting does not mend it."""
    error = httpx2.ConnectError("no")
    error.__cause__ = ssl.SSLCertVerificationError("no")
    endpoint = Endpoint("https://h", None, OpenAIChat.key_header, 5, transport=Raising(error))
    with closing(
        OpenAIChat(endpoint, OracleConfig("openai", "m", None, None), 9, OpenAIOptions())
    ) as asked:
        reply = asked.complete(QUESTION)

    assert reply.outcome == "denied"
    assert "certificate" in reply.reason and "SSL_CERT_FILE" in reply.reason

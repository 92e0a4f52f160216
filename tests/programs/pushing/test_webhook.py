"""One attempt against a real server: what an answer means, what is not shown, not followed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from newsieve.programs.pushing.events import DELIVERED, Attempt
from newsieve.programs.pushing.loop import DeliveryLoop, RetryPolicy
from newsieve.programs.pushing.shapes import SHAPES, json_body
from newsieve.programs.pushing.signature import key_of
from newsieve.programs.pushing.webhook import MAX_ANSWER_BYTES, WebhookDeliverer
from tests.support.pushing import ARTICLE, EVENT, Observer, Source, stored
from tests.support.webhook_server import OK, Reply, WebhookServer, webhook

TOKEN = "T0123-secret-token"
SECRET = "whsec_" + "Q2FuIHlvdSBrZWVwIGEgc2VjcmV0LCBvciB0d28/"


@contextmanager
def deliverer(server: WebhookServer, seconds: float = 5.0) -> Iterator[WebhookDeliverer]:
    address = f"http://me:{TOKEN}-user@127.0.0.1:{server.port}/services/{TOKEN}?key={TOKEN}-query"
    with closing(WebhookDeliverer(address, json_body, None, seconds)) as made:
        yield made


def attempt(reply: Reply, seconds: float = 5.0) -> tuple[Attempt, WebhookServer]:
    """What comes of one attempt that is answered so."""
    with webhook(lambda *_: reply) as server, deliverer(server, seconds) as made:
        return made.deliver(stored(ARTICLE, EVENT)), server


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, "delivered") for status in (200, 201, 202, 204)],
        *[(status, "unavailable") for status in (408, 425, 429, 500, 502, 503, 504)],
        *[(status, "refused") for status in (301, 302, 308, 400, 401, 403, 404, 410, 413, 422)],
    ],
)
def test_an_answer_means_taken_later_or_refused(status: int, outcome: str) -> None:
    """5xx, 408, 425 and 429 say "later"; other 4xx and redirects will say the same again."""
    headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
    found, server = attempt(Reply(status, b"", headers))

    assert found.outcome == outcome
    assert found.reason == "" if outcome == "delivered" else str(status) in found.reason
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed_and_its_target_is_shown_by_its_host() -> None:
    """Records and signature are for the address that was given."""
    with webhook() as other:
        to = {"Location": f"http://127.0.0.1:{other.port}/{TOKEN}"}
        found, _ = attempt(Reply(307, headers=to))

        assert other.requests == []
        assert found.reason.endswith(f"to http://127.0.0.1:{other.port}: not followed")


def test_a_receiver_says_when_to_come_again() -> None:
    """In seconds, or as a date."""
    found, _ = attempt(Reply(503, headers={"Retry-After": "17"}))
    assert found.retry_after_seconds == 17
    found, _ = attempt(Reply(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert found.retry_after_seconds == 0


def test_nothing_stretches_an_attempt() -> None:
    """A receiver that drips its answer, or gives none, is given up in time; but once it has said
    that it took the record, the record is taken."""
    for reply, outcome in (
        (Reply(500, b"x" * 1_000, trickle_seconds=0.05), "unavailable"),
        (Reply(delay_seconds=3), "unavailable"),
        (Reply(200, b"x" * 1_000, trickle_seconds=0.05), "delivered"),
    ):
        started = time.monotonic()
        found, _ = attempt(reply, seconds=0.3)
        assert found.outcome == outcome
        assert time.monotonic() - started < 1.5


def test_no_connection_is_said_without_the_address() -> None:
    """The port is closed, or the name is not known."""
    with webhook() as server:
        pass
    with deliverer(server) as made:
        found = made.deliver(stored(ARTICLE, EVENT))
        assert found == Attempt("unavailable", "no answer: refused")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and it is tried again: a certificate may be renewed. SSL_CERT_FILE names
    those of one's own."""
    file = tmp_path / "both.pem"
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file)
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    made = ["openssl", "req", "-x509", *key, *name, "-out", tmp_path / "certificate.pem"]
    subprocess.run(made, check=True, capture_output=True)
    with file.open("a") as both:
        both.write((tmp_path / "certificate.pem").read_text())

    with webhook(certificate=file) as server:
        found = []
        for authorities in (None, str(tmp_path / "certificate.pem")):
            if authorities is not None:
                monkeypatch.setenv("SSL_CERT_FILE", authorities)
            address = f"https://localhost:{server.port}/"
            with closing(WebhookDeliverer(address, json_body, None, 5.0)) as trusting:
                found.append(trusting.deliver(stored(ARTICLE, EVENT)))

    assert found == [
        Attempt("unavailable", "no answer: the certificate cannot be verified"),
        DELIVERED,
    ]
    assert len(server.requests) == 1


def test_an_answer_is_read_to_a_bound_and_shown_without_secrets_or_control_characters() -> None:
    """Some frameworks send the path back in an error."""
    echo = (
        f"Cannot POST /services/{TOKEN}?key={TOKEN}-query \x1b[31m\u202e me {TOKEN}-user".encode()
    )
    found, _ = attempt(Reply(404, echo + b"x" * 10 * MAX_ANSWER_BYTES))

    assert TOKEN not in found.reason
    assert "\x1b" not in found.reason and "\u202e" not in found.reason
    assert len(found.reason) < 300


def test_a_connection_is_used_again_and_a_user_in_the_address_is_sent_as_credentials() -> None:
    """The body is the value; the id is the event's; nothing asks for compression."""
    with webhook() as server, deliverer(server) as made:
        for _ in range(3):
            assert made.deliver(stored(ARTICLE, EVENT)).outcome == "delivered"

    assert len(server.connections) == 1
    (first, *_) = server.requests
    assert first.body == stored(ARTICLE).record.value
    assert first.headers["authorization"].startswith("Basic ")
    assert first.headers["accept-encoding"] == "identity"
    assert first.event == EVENT["ce_id"].decode()
    assert first.headers["content-type"] == "application/json"
    assert "webhook-signature" not in first.headers


def test_the_environments_proxies_are_not_used_unless_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor are the credentials of a .netrc."""
    with webhook() as proxy, webhook(lambda *_: OK) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        for is_used in (False, True):
            made = WebhookDeliverer(server.url, json_body, None, 5.0, uses_proxies=is_used)
            with closing(made):
                assert made.deliver(stored(ARTICLE, EVENT)).outcome == "delivered"
            assert (len(server.requests), len(proxy.requests)) == (1, int(is_used))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_request_is_signed_as_the_published_library_expects(shape: str) -> None:
    """The signature is of the body as it is sent, and of the time of the attempt; with another
    secret it is refused."""
    with webhook() as server:
        made = WebhookDeliverer(server.url, SHAPES[shape], key_of(SECRET), 5.0)
        with closing(made):
            assert made.deliver(stored(ARTICLE, EVENT)).outcome == "delivered"

    (request,) = server.requests
    assert Webhook(SECRET).verify(request.body, dict(request.headers)) == json.loads(request.body)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook("whsec_" + "A" * 32).verify(request.body, dict(request.headers))
    for name in ("webhook-id", "webhook-timestamp"):
        changed = {**request.headers, name: str(int(time.time()) + 1)}
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.body, changed)


def test_a_retry_after_is_waited_for() -> None:
    """429 is no refusal: the record is tried again when the webhook said, and not before."""
    busy = Reply(429, headers={"Retry-After": "1"})
    source = Source(1)
    with (
        webhook(lambda _, number: busy if number == 0 else OK) as server,
        deliverer(server) as made,
    ):
        policy = RetryPolicy(max_pause_seconds=0.01)
        loop = DeliveryLoop(source, lambda _: True, made, Observer(), policy, lambda: 1.0)
        loop.run(lambda: False)

    early, late = server.requests
    assert early.event == late.event
    assert late.at - early.at >= 1.0
    assert source.committed == 1

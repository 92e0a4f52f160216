"""Where documents of the web are read: what is asked, by the address that a name leads to."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from newsieve.outgoing.guarded_transport import GuardedTransport
from newsieve.outgoing.public_address import AllowedTargets, parse_allowed
from newsieve.outgoing.web_reader import WebReader
from tests.outgoing.conftest import LOCAL, TEXT, reason
from tests.support.feed_server import FeedReply, FeedServer, feed_server, redirect


@contextmanager
def names(
    *answers: list[str], allowed: AllowedTargets = LOCAL, context: ssl.SSLContext | None = None
) -> Iterator[tuple[WebReader, list[str]]]:
    """A reader for which each name has these addresses in turn, and the names it looked up."""
    left = list(answers)
    asked: list[str] = []

    def look_up(host: str, _port: int) -> list[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    transport = GuardedTransport(allowed, look_up=look_up, ssl_context=context)
    with closing(WebReader(allowed, transport=transport)) as made:
        yield made, asked


def test_a_name_of_a_private_address_is_not_asked(server: FeedServer) -> None:
    """It is looked up, judged, and no connection is made."""
    before = len(server.requests)
    with names(["127.0.0.1"], allowed=AllowedTargets()) as (reader, asked):
        assert reason(reader, f"http://news.example:{server.port}/plain") == (
            "news.example is not asked: its address 127.0.0.1 is not of the public Internet"
        )
    assert asked == ["news.example"]
    assert len(server.requests) == before


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:7f00:1]"]
)
def test_every_spelling_of_this_machine_is_refused(server: FeedServer, host: str) -> None:
    """The address that a spelling leads to is judged, not the spelling."""
    before = len(server.requests)
    with closing(WebReader(AllowedTargets())) as reader:
        assert "is not of the public Internet" in reason(reader, f"http://{host}:{server.port}/")
    assert len(server.requests) == before


def test_a_second_answer_of_the_name_server_leads_nowhere_else(server: FeedServer) -> None:
    """A name is looked up once for a connection, which goes to the address that was judged: the
    name cannot be bound to another in between."""
    server.serve("/bound", FeedReply(TEXT))
    with names(["127.0.0.1"], ["10.0.0.1"]) as (reader, asked):
        assert reader.read(f"http://news.example:{server.port}/bound", {}).body == TEXT
        assert asked == ["news.example"]


def test_of_several_addresses_only_public_ones_are_tried(server: FeedServer) -> None:
    """One that is refused neither is asked nor keeps from the others; one that does not answer is
    followed by the next."""
    server.serve("/several", FeedReply(TEXT))
    allowed = parse_allowed(["127.0.0.1", "127.0.0.2"])
    with names(["10.0.0.1", "127.0.0.2", "127.0.0.1"], allowed=allowed) as (reader, _):
        assert reader.read(f"http://news.example:{server.port}/several", {}).body == TEXT


def test_an_allowed_host_may_have_any_address(server: FeedServer) -> None:
    """It is the user's own."""
    server.serve("/own", FeedReply(TEXT))
    with names(["127.0.0.1"], allowed=parse_allowed(["feeds.intern"])) as (reader, _):
        assert reader.read(f"http://feeds.intern:{server.port}/own", {}).body == TEXT
        assert "not of the public" in reason(reader, f"http://other.intern:{server.port}/own")


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("http://10.0.0.1/", "10.0.0.1 is not asked: it is not of the public Internet"),
        ("http://169.254.169.254/latest", "169.254.169.254 is not asked"),
        ("file:///etc/passwd", "only http:// and https:// are asked"),
        ("http://a:b@127.0.0.1/", "it has a user name or password in it"),
        ("http://a.example:port/", "it is redirected to what is no URL"),
    ],
)
def test_each_redirect_is_checked(server: FeedServer, reader: WebReader, to: str, why: str) -> None:
    """As the first address was."""
    assert why in reason(reader, server.serve("/away", redirect(to, 302)))


def test_a_certificate_is_checked_for_the_name_that_was_asked(tmp_path: Path) -> None:
    """Although the connection is made to an address."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    name = ("-subj", "/CN=x", "-addext", "subjectAltName=DNS:news.example")
    out = ("-keyout", tmp_path / "both.pem", "-out", tmp_path / "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", *key, *name, *out], check=True, capture_output=True)
    with (tmp_path / "both.pem").open("a") as both:
        both.write((tmp_path / "certificate.pem").read_text())
    context = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))

    with (
        feed_server(certificate=tmp_path / "both.pem") as server,
        names(["127.0.0.1"], context=context) as (reader, _),
    ):
        server.serve("/tls", FeedReply(TEXT))
        assert reader.read(f"https://news.example:{server.port}/tls", {}).body == TEXT
        assert reason(reader, f"https://other.example:{server.port}/tls") == (
            "no answer: the certificate cannot be verified"
        )

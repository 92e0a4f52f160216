"""Documents of the web: where they are read, and what each may take."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from newsieve.outgoing.guarded_transport import GuardedTransport
from newsieve.outgoing.public_address import AllowedTargets, parse_allowed
from newsieve.outgoing.web_reader import Unanswered, WebAnswer, WebLimits, WebReader
from tests.support.feed_server import (
    FeedReply,
    FeedRequest,
    FeedServer,
    feed_server,
    gzip_bomb,
    gzipped,
    redirect,
)

LOCAL = parse_allowed(["127.0.0.1"])
TEXT = b"the ferry took a piano. " * 100


@pytest.fixture(scope="module")
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


@pytest.fixture(scope="module")
def reader() -> Iterator[WebReader]:
    with closing(WebReader(LOCAL)) as made:
        yield made


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


def reason(reader: WebReader, url: str, limits: WebLimits | None = None) -> str:
    with pytest.raises(Unanswered) as error:
        reader.read(url, {}, limits)
    return str(error.value)


def test_a_document_is_read_with_its_headers(server: FeedServer, reader: WebReader) -> None:
    """And no cookie of it is sent to anyone."""
    url = server.serve("/plain", FeedReply(TEXT, headers={"ETag": "x", "Set-Cookie": "a=b"}))
    assert reader.read(url, {"accept": "text/x"}) == WebAnswer(
        200, reader.read(url, {}).headers, TEXT, url, None
    )
    first, second = server.asked("/plain")
    assert first.headers["accept"] == "text/x"
    assert first.headers["accept-encoding"] == "gzip"
    assert first.headers["user-agent"].startswith("newsieve/")
    assert "cookie" not in second.headers


def test_the_body_of_a_refusal_is_not_read(server: FeedServer, reader: WebReader) -> None:
    """Its status says all that is asked for."""
    answer = reader.read(server.serve("/no", FeedReply(b"go away", 403)), {})
    assert (answer.status, answer.body) == (403, b"")


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


def test_redirects_are_followed_and_counted(server: FeedServer, reader: WebReader) -> None:
    """Relative ones, too; five at most."""
    server.serve("/end", FeedReply(TEXT))
    server.serve("/hop/1", redirect("/end#top", 302))
    for hop in range(2, 7):
        server.serve(f"/hop/{hop}", redirect(f"{hop - 1}", 307))

    answer = reader.read(server.url("/hop/5"), {})
    assert (answer.body, answer.url, answer.moved_to) == (TEXT, server.url("/end"), None)
    assert reason(reader, server.url("/hop/6")) == "it is redirected more than 5 times"


def test_only_permanent_redirects_from_the_first_on_are_a_move(
    server: FeedServer, reader: WebReader
) -> None:
    """What a temporary one leads to may be elsewhere tomorrow."""
    server.serve("/end", FeedReply(TEXT))
    for path, to, status in (
        ("/moved", "/moved/2", 301),
        ("/moved/2", "/end", 308),
        ("/half", "/half/2", 301),
        ("/half/2", "/end", 302),
        ("/late", "/moved", 303),
    ):
        server.serve(path, redirect(to, status))

    moves = {
        path: reader.read(server.url(path), {}).moved_to for path in ("/moved", "/half", "/late")
    }
    assert moves == {"/moved": server.url("/end"), "/half": server.url("/half/2"), "/late": None}


def test_a_body_that_is_too_large_is_not_taken(server: FeedServer, reader: WebReader) -> None:
    """Whether it says so or not, and whatever it unfolds to."""
    limits = WebLimits(body_bytes=len(TEXT))
    assert reader.read(server.serve("/fits", FeedReply(TEXT)), {}, limits).body == TEXT
    assert reader.read(server.serve("/folded", gzipped(TEXT)), {}, limits).body == TEXT
    for reply in (FeedReply(TEXT + b"!"), gzipped(TEXT + b"!"), gzip_bomb(50_000_000)):
        started = time.process_time()
        assert "it has more than 2,400 bytes" in reason(
            reader, server.serve("/huge", reply), limits
        )
        assert time.process_time() - started < 1


def test_gzip_is_unfolded_whole(server: FeedServer, reader: WebReader) -> None:
    """In several members, too; and what is broken is said, not taken for the whole."""
    folded = {"Content-Encoding": "gzip"}
    members = gzip.compress(TEXT) + gzip.compress(b"!")
    assert reader.read(server.serve("/z", FeedReply(members, headers=folded)), {}).body == (
        TEXT + b"!"
    )
    padded = FeedReply(gzip.compress(TEXT) + bytes(512), headers=folded)
    assert reader.read(server.serve("/z", padded), {}).body == TEXT
    for body, why in (
        (gzip.compress(TEXT)[:-9], "it is broken off"),
        (b"<rss/> is no gzip, but says so", "what is said to be gzip is not"),
    ):
        assert reason(reader, server.serve("/z", FeedReply(body, headers=folded))) == why
    for other in ("br", "deflate", "gzip, gzip"):
        reply = FeedReply(TEXT, headers={"Content-Encoding": other})
        assert "not asked for" in reason(reader, server.serve("/z", reply))


def test_nothing_stretches_an_answer(server: FeedServer, reader: WebReader) -> None:
    """Neither a silence, nor drops, nor redirects that each take their time."""
    limits = WebLimits(seconds=0.3)
    server.serve("/round", FeedReply(b"", 302, {"Location": "/round"}, delay_seconds=0.1))
    server.serve("/silent", FeedReply(delay_seconds=1))
    server.serve("/drops", FeedReply(TEXT, trickle_seconds=0.1))
    for path in ("/round", "/silent", "/drops"):
        started = time.monotonic()
        assert reason(reader, server.url(path), limits) == (
            "there was no whole answer within 0.3 s"
        )
        assert time.monotonic() - started < 1


def test_what_breaks_off_is_no_answer(server: FeedServer, reader: WebReader) -> None:
    """Half a document must not be taken for one whose other items were withdrawn."""
    url = server.serve("/cut", FeedReply(TEXT, missing_bytes=10))
    assert reason(reader, url) == "no answer: broken off, or no HTTP"
    with feed_server() as closed:
        pass
    assert reason(reader, closed.url("/")) == "no answer: refused"
    assert reason(reader, "http://nobody.invalid/") == "no answer: the host's name is not known"


STATUS = b"HTTP/1.1 200 OK\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x16\x03\x01",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"<rss/>",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
        STATUS + b"X: " + b"x" * 300_000,
        STATUS + b"Content-Length: -1\r\n\r\n",
        STATUS + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        STATUS + "Content-Length: ٣\r\n\r\nabc".encode(),
        STATUS + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        STATUS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        STATUS + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
        STATUS + b"Content-Encoding: \xff\r\nContent-Length: 1\r\n\r\nx",
        STATUS + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
        MOVED + b"\xff\xfe\r\n\r\n",
        MOVED + b"http://\xc3\xa9.invalid/\r\n\r\n",
        MOVED + b"http://xn--a.invalid/\r\n\r\n",
        MOVED + b"http://%00/\r\n\r\n",
        MOVED + b"http://" + b"a" * 300 + b".invalid/\r\n\r\n",
        MOVED + b"http://a..invalid/\r\n\r\n",
        MOVED + b"http:///\r\n\r\n",
        MOVED + b"//[fe80::1%25eth0]/\r\n\r\n",
        MOVED + b"\r\n\r\n",
    ],
)
def test_whatever_a_server_says_is_an_answer_or_a_reason(reader: WebReader, said: bytes) -> None:
    """No error of a library gets through."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65_536)
                        connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            assert reader.read(url, {}, WebLimits(seconds=2)).body == b""
        except Unanswered as error:
            assert str(error)
            assert "2 s" not in str(error)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


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


def test_closing_breaks_off_what_is_under_way(server: FeedServer) -> None:
    """Whoever waits is told, and so is whoever comes later."""
    asked = threading.Event()

    def behaviour(_: FeedRequest) -> FeedReply:
        asked.set()
        return FeedReply(delay_seconds=1)

    url = server.serve("/wait", behaviour)
    told: list[str] = []
    reader = WebReader(LOCAL)
    thread = threading.Thread(target=lambda: told.append(reason(reader, url)))
    thread.start()
    assert asked.wait(5)
    reader.close()
    thread.join(5)
    assert [*told, reason(reader, url)] == ["the program ends", "the program ends"]

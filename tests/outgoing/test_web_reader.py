"""Documents of the web: what is read of an answer, and what each may take."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from contextlib import suppress

import pytest

from newsieve.outgoing.web_reader import Unanswered, WebAnswer, WebLimits, WebReader
from tests.outgoing.conftest import LOCAL, TEXT, reason
from tests.support.feed_server import (
    FeedReply,
    FeedRequest,
    FeedServer,
    feed_server,
    gzip_bomb,
    gzipped,
    redirect,
)


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

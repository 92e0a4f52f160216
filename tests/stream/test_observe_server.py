"""The port of metrics and health."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client import CollectorRegistry

from newsieve.errors import SettingsInvalid
from newsieve.stream import observe_server as observe_http
from newsieve.stream.health import Health
from newsieve.stream.metrics import Metrics
from newsieve.stream.observe_server import ObserveServer


def answer(port: int, method: str, page: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, page)
    found = connection.getresponse()
    headers = {name.title(): text for name, text in found.getheaders()}
    headers.pop("Date")
    body = found.read()
    connection.close()
    return found.status, headers, body


def test_health_follows_its_checks_and_other_pages_are_not_there() -> None:
    """503 while not ready; no page but the three."""
    server = ObserveServer("127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: False)
    base = f"http://127.0.0.1:{server.port}"

    assert urllib.request.urlopen(f"{base}/livez").status == 200
    for page, status in (("readyz", 503), ("secrets", 404)):
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(f"{base}/{page}")
        assert failed.value.code == status
        failed.value.close()
    server.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.0\n\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["without a host", "HTTP/1.0", "with one"],
)
def test_a_simple_health_check_is_answered(request_: bytes) -> None:
    """Also by what a load balancer sends that writes no headers."""
    with observed() as port, socket.create_connection(("127.0.0.1", port)) as probe:
        probe.sendall(request_)

        found = said(probe)
        assert found.startswith(b"HTTP/1.1 200 ") and found.endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize("page", ["/livez", "/readyz", "/metrics", "/nowhere"])
def test_head_has_the_headers_of_get_and_no_body(page: str) -> None:
    """Load balancers ask by HEAD; a 501 would take a healthy program out of service."""
    server = ObserveServer("127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: False)

    got, head = answer(server.port, "GET", page), answer(server.port, "HEAD", page)

    assert head[:2] == got[:2]
    assert head[2] == b"" and head[1]["Content-Length"] == str(len(got[2]))
    server.close()


def test_a_probe_that_hangs_up_is_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a traceback on stderr nor an end of the server."""
    registry = CollectorRegistry()
    server = ObserveServer("127.0.0.1", 0, registry, lambda: True, lambda: True)
    reset_on_close = struct.pack("ii", 1, 0)
    for request in (b"", b"GET /livez", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
            probe.sendall(request)

    assert answer(server.port, "GET", "/livez")[0] == 200
    server.close()
    assert capfd.readouterr().err == ""


def test_a_program_that_starts_is_alive_and_not_ready() -> None:
    """However long loading takes; then ready is what the loop says, and the metric says the same.
    Alive is a matter of heartbeats from the start of the watch on."""
    with Health("127.0.0.1", 0, Metrics()) as health:
        health.watchdog._silence = 0.0  # as if loading had taken for ever
        is_member = False

        def ready() -> float | None:
            return health.metrics.registry.get_sample_value("newsieve_ready")

        assert answer(health.port, "GET", "/livez")[0] == 200
        assert answer(health.port, "GET", "/readyz")[0] == 503
        assert ready() == 0
        health.ready_when(lambda: is_member)
        assert answer(health.port, "GET", "/readyz")[0] == 503
        is_member = True
        assert answer(health.port, "GET", "/readyz")[0] == 200
        assert ready() == 1
        health.watchdog._is_watching = True
        assert answer(health.port, "GET", "/livez")[0] == 503


def test_metrics_say_what_runs_since_when() -> None:
    """A program's versions, and when its process started: restarts are seen by it."""
    metrics = Metrics()
    (build,) = (f for f in metrics.registry.collect() if f.name == "newsieve_build")
    labels = build.samples[0].labels

    assert build.samples[0].name == "newsieve_build_info" and build.samples[0].value == 1
    assert labels.keys() == {"version", "python", "confluent_kafka", "torch"}
    assert all(labels.values())
    started_at = metrics.registry.get_sample_value("process_start_time_seconds")
    assert started_at is None or 0 < time.time() - started_at < 24 * 3_600


def test_a_program_that_has_committed_nothing_says_so() -> None:
    """Without a sample no rule can ask for it: a worker that never commits would raise no alarm."""
    metrics = Metrics()

    for outcome in ("committed", "aborted"):
        labels = {"outcome": outcome}
        assert metrics.registry.get_sample_value("newsieve_transactions_total", labels) == 0


def test_a_taken_port_is_a_settings_error() -> None:
    """It says which setting."""
    first = ObserveServer("127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: True)

    with pytest.raises(SettingsInvalid, match="NEWSIEVE_OBSERVE__PORT"):
        ObserveServer("127.0.0.1", first.port, CollectorRegistry(), lambda: True, lambda: True)
    first.close()


@contextmanager
def observed(
    host: str = "127.0.0.1", connection_seconds: float = observe_http.CONNECTION_SECONDS
) -> Iterator[int]:
    """A server that is alive and ready, by its port."""
    server = ObserveServer(
        host, 0, CollectorRegistry(), lambda: True, lambda: True, connection_seconds
    )
    try:
        yield server.port
    finally:
        server.close()


def said(probe: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    probe.settimeout(10)
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := probe.recv(65_536):
            found += chunk
    return found


def test_idle_connections_change_nothing_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs no thread, the oldest makes room, and whoever asks is answered at once."""
    monkeypatch.setattr(observe_http, "MOST_CONNECTIONS", 20)
    with observed() as port, ExitStack() as held:
        threads = threading.active_count()
        idle = []
        for _ in range(60):
            probe = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            probe.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
            idle.append(probe)
            if len(idle) % 20 == 0:
                assert answer(port, "GET", "/livez")[0] == 200

        assert said(idle[0]) == b""
        assert threading.active_count() == threads


def test_a_request_that_drips_is_cut_off() -> None:
    """However many bytes come: its time counts from the opening of the connection."""
    with (
        observed(connection_seconds=0.3) as port,
        socket.create_connection(("127.0.0.1", port)) as probe,
    ):
        probe.sendall(b"GET /livez HTTP/1.1\r\n")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10:
                probe.sendall(b"x")
                time.sleep(0.02)

        assert time.monotonic() - began < 5
        assert answer(port, "GET", "/livez")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
        b"x" * 200_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["request line", "one header", "many headers", "no line end", "TLS"],
)
def test_what_is_no_request_of_ours_is_refused(
    head: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """By size as by form, without a word in the log."""
    with observed() as port, socket.create_connection(("127.0.0.1", port)) as probe:
        with contextlib.suppress(ConnectionError):
            probe.sendall(head)
        assert b" 200 " not in said(probe)

        assert answer(port, "GET", "/livez")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_connection_is_for_one_request() -> None:
    """Others behind it get no answer: nobody keeps one busy with a thousand."""
    with observed() as port, socket.create_connection(("127.0.0.1", port)) as probe:
        probe.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

        assert said(probe).count(b"HTTP/1.1 200 OK") == 1


def test_other_methods_are_refused_without_reading_what_they_bring() -> None:
    """405, where GET and HEAD are allowed."""
    with observed() as port, socket.create_connection(("127.0.0.1", port)) as probe:
        probe.sendall(b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nx")
        found = said(probe)

        assert found.startswith(b"HTTP/1.1 405 ") and b"allow: GET, HEAD" in found


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_the_port_opens_on_any_host(host: str) -> None:
    """IPv6 too."""
    with observed(host) as port:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request("GET", "/livez")

        assert connection.getresponse().status == 200
        connection.close()


def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    """Where a cluster has both, a scraper comes by either."""
    with observed("::") as port:
        assert answer(port, "GET", "/livez")[0] == 200


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_a_settings_error(host: str) -> None:
    """It says which setting."""
    with pytest.raises(SettingsInvalid, match="NEWSIEVE_OBSERVE__HOST"), observed(host):
        pass

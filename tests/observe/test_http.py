"""The port of metrics and health."""

from __future__ import annotations

import http.client
import socket
import struct
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from worker.errors import SettingsInvalid
from worker.observe.health import Health
from worker.observe.http import ObserveServer
from worker.observe.metrics import Metrics


def answer(port: int, method: str, page: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, page)
    found = connection.getresponse()
    headers = {name: text for name, text in found.getheaders() if name != "Date"}
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

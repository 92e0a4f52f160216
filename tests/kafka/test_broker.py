"""The broker of the demo and the tests: which one it is, and what is left of it."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from confluent_kafka.admin import ConfigResource, NewTopic

from worker.errors import BrokerMissing
from worker.kafka.broker import find_or_start
from worker.kafka.client import Cluster, make_admin
from worker.kafka.java_broker import JavaBroker, require_java


class EngineWithoutImages(BaseHTTPRequestHandler):
    """Docker's API: it answers, but no image is to be had."""

    def do_GET(self) -> None:
        if self.path.endswith(("/version", "/_ping")):
            self._answer(200, {"ApiVersion": "1.44"})
        else:
            self._refuse()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._refuse()

    def _refuse(self) -> None:
        self._answer(404, {"message": "No such image:\npull access denied"})

    def _answer(self, status: int, answer: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine_without_images(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), EngineWithoutImages)
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the only programs there are: none yet."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.usefixtures("engine_without_images", "programs")
def test_where_docker_cannot_start_the_image_java_is_next() -> None:
    """After one line that says what Docker said."""
    said: list[str] = []

    with (
        pytest.raises(BrokerMissing, match=r"\(not found: java, mvn\)"),
        find_or_start({}, said.append),
    ):
        pass

    assert len(said) == 2
    assert "so Java it is" in said[1] and "pull access denied" in said[1]
    assert "\n" not in said[1]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "found: Java 11"),
        ('java version "1.8.0_292"', "found: Java 8"),
        ("No Java runtime present.", "java -version says: No Java runtime present."),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "16.0.1"', "found: Java 16"),
        ('openjdk version "17.0.15" 2025-04-15', None),
        ('openjdk version "26-ea" 2026-03-17', None),
    ],
)
def test_a_java_too_old_for_kafka_is_refused(
    programs: Path, said: str, complaint: str | None
) -> None:
    """By the version it says it is, and with the version that is needed."""
    for name in ("java", "mvn"):
        (programs / name).write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        (programs / name).chmod(0o755)

    if complaint is None:
        require_java()
        return
    with pytest.raises(BrokerMissing, match="Java 17 or later") as refused:
        require_java()
    assert complaint in str(refused.value)


@pytest.fixture
def _java() -> None:
    try:
        require_java()
    except BrokerMissing as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("_java")
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"process.roles": "king"}, "could not format"), ({}, "no broker answers")],
)
def test_a_broker_that_does_not_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], complaint: str
) -> None:
    """No folder and no process, whether its storage or its start went wrong."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("worker.kafka.java_broker.START_SECONDS", 0)
    broker = JavaBroker(settings)

    with pytest.raises(BrokerMissing, match=complaint), broker:
        pass

    assert list(tmp_path.iterdir()) == []
    if not settings:
        assert broker.process.returncode is not None


@pytest.mark.usefixtures("_java")
def test_a_broker_with_settings_of_its_own_is_killed_and_started_again() -> None:
    """It takes the settings, and finds its data again."""
    # Until the dead one's session has ended, a broker does not get its id back: 9 s by default.
    settings = {"broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "200"}
    with JavaBroker(settings) as broker:
        admin = make_admin(Cluster(broker.bootstrap_servers, {}).admin())
        admin.create_topics([NewTopic("kept", 1)])["kept"].result(10)
        broker.process.kill()
        broker.process.wait(10)

        broker.start()

        assert "kept" in admin.list_topics(timeout=10).topics
        itself = ConfigResource(ConfigResource.Type.BROKER, "1")
        found = admin.describe_configs([itself])[itself].result(10)
        assert {name: found[name].value for name in settings} == settings
    assert broker.process.returncode is not None

"""The broker of the demo and the tests: which one it is, and what is left of it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from confluent_kafka.admin import ConfigResource, NewTopic

from newsieve.devbroker.broker import find_or_start
from newsieve.devbroker.java_broker import JavaBroker, _libraries, require_java
from newsieve.errors import BrokerMissing
from newsieve.kafka.config import Cluster, make_admin


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


JAVA = """#!/bin/sh
echo 'openjdk version "17.0.15" 2025-04-15' >&2
"""
MAVEN = """#!/bin/sh
for argument; do
  case "$argument" in
    -DoutputDirectory=*) folder="${argument#*=}" ;;
  esac
done
/bin/mkdir "$folder"
printf kafka > "$folder/kafka.jar"
printf scala > "$folder/scala.jar"
"""


@pytest.mark.parametrize(
    ("tested", "wrong"),
    [
        ({"kafka.jar": b"kafka", "scala.jar": b"scala"}, None),
        ({"kafka.jar": b"another", "scala.jar": b"scala"}, "lists: kafka.jar. Do not run it"),
        ({"kafka.jar": b"kafka"}, "lists: scala.jar. Do not run it"),
        ({"kafka.jar": b"kafka", "scala.jar": b"scala", "zstd.jar": b""}, "zstd.jar"),
    ],
    ids=["the tested ones", "another file", "one more", "one less"],
)
def test_what_maven_fetches_is_what_was_tested(
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tested: dict[str, bytes],
    wrong: str | None,
) -> None:
    """Each jar by its SHA-256; otherwise nothing of it is kept, or the next start would run it."""
    for name, script in {"java": JAVA, "mvn": MAVEN}.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    jars = tmp_path / "jars.sha256"
    jars.write_text(
        "".join(f"{hashlib.sha256(jar).hexdigest()}  {name}\n" for name, jar in tested.items())
    )
    monkeypatch.setattr("newsieve.devbroker.java_broker.JARS", jars)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    with pytest.raises(BrokerMissing, match=wrong) if wrong else nullcontext():
        _libraries(lambda _: None)

    kept = [path.name for path in (tmp_path / "cache" / "newsieve").glob("*/*")]
    assert sorted(kept) == ([] if wrong else sorted(tested))


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
    broker = JavaBroker(settings, start_seconds=0)

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

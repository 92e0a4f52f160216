"""Runs Apache Kafka on this machine's Java, from its published artifacts: KRaft mode, no root."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from confluent_kafka import KafkaException

from newsieve.deadline import Deadline
from newsieve.errors import BrokerMissing
from newsieve.kafka.config import Cluster, make_admin

POM: Final = Path(str(files("newsieve.devbroker") / "pom.xml"))
JARS: Final = POM.with_name("jars.sha256")
START_SECONDS: Final = 60
STOP_SECONDS: Final = 30
JAVA_VERSION: Final = 17  # the oldest that Kafka 4 runs on
ENVIRONMENT: Final = "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS"

SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(9 * 1024 * 1024),
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
}

Say = Callable[[str], None]


def require_java() -> None:
    """Raise BrokerMissing unless a Java that is new enough, Maven and the pom are there."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing or not POM.is_file():
        lacking = f"not found: {', '.join(missing) or POM}"
    else:
        done = subprocess.run(["java", "-version"], capture_output=True, check=False)
        said = done.stderr.decode(errors="replace")
        found = re.search(r'version "(?:1\.)?(\d+)', said)  # Java 8 calls itself 1.8
        if found and int(found[1]) >= JAVA_VERSION:
            return
        lacking = f"found: Java {found[1]}" if found else f"java -version says: {said.strip()}"
    raise BrokerMissing(
        f"no Kafka broker: provide one of (1) {ENVIRONMENT}, (2) a running Docker engine, "
        f"(3) Java {JAVA_VERSION} or later and Maven ({lacking})"
    )


class JavaBroker:
    """Apache Kafka in a process and a folder of its own, which both end with the block.

    `settings` override the default ones; `listeners` are further listeners with their ports. A
    caller that kills the process may `start()` it again on the same data.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        say: Say = lambda _: None,
        listeners: Mapping[str, int] | None = None,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._start_seconds = start_seconds
        self._libraries = _libraries(say)
        self._folder = Path(tempfile.mkdtemp(prefix="newsieve-kafka-"))
        self._port, controller_port = free_port(), free_port()
        self._config = self._folder / "server.properties"
        self.log = self._folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._say = say
        self.bootstrap_servers = f"127.0.0.1:{self._port}"
        open_to_all = {"PLAINTEXT": self._port, **(listeners or {})}
        advertised = [f"{name}://127.0.0.1:{port}" for name, port in open_to_all.items()]
        lines = SETTINGS | {
            "listeners": ",".join([*advertised, f"CONTROLLER://127.0.0.1:{controller_port}"]),
            "advertised.listeners": ",".join(advertised),
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "log.dirs": str(self._folder / "data"),
            **(settings or {}),
        }
        self._config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))

    def __enter__(self) -> JavaBroker:
        with contextlib.ExitStack() as on_error:
            on_error.push(self)
            self._say("formatting and starting Apache Kafka …")
            self._format()
            self.start()
            on_error.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process started last, for sending it signals. Raises BrokerMissing."""
        if self._process is None:
            raise BrokerMissing("the broker was not started")
        return self._process

    def _format(self) -> None:
        cluster_id = uuid.uuid4().hex[:22]
        arguments = ["format", "-t", cluster_id, "-c", str(self._config)]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", *arguments), capture_output=True, check=False
        )
        if done.returncode != 0:
            raise BrokerMissing(
                f"Kafka could not format its storage: {done.stderr.decode()[-500:]}"
            )

    def start(self) -> None:
        """Start the broker and wait until it answers. Raises BrokerMissing."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._config)),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call, no locks
            )
        process = self._process
        require_answer(
            self.bootstrap_servers,
            self._start_seconds,
            is_alive=lambda: process.poll() is None,
            why=lambda: self.log.read_text(errors="replace")[-1_000:],
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def configure(self, *arguments: str) -> None:
        """Change settings of the running broker, as kafka-configs does. Raises BrokerMissing."""
        servers = ["--bootstrap-server", self.bootstrap_servers]
        command = self._java("kafka.admin.ConfigCommand", *servers, *arguments)
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            raise BrokerMissing(f"Kafka could not be configured: {done.stderr.decode()[-500:]}")

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            "java",
            "-Xms256m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # half the work of a start, and no slower afterwards
            "-cp",
            f"{self._libraries}/*",
            main,
            *arguments,
        ]


def require_answer(
    bootstrap_servers: str,
    seconds: float,
    is_alive: Callable[[], bool] = lambda: True,
    why: Callable[[], str] = lambda: "",
) -> None:
    """Wait until the broker answers. Raises BrokerMissing if it does not in time."""
    deadline = Deadline(seconds)
    admin = make_admin(Cluster(bootstrap_servers, {"socket.timeout.ms": 2_000}).admin())
    while not deadline.is_over and is_alive():
        try:
            if admin.list_topics(timeout=2).brokers:
                return
        except KafkaException:
            time.sleep(0.1)
    raise BrokerMissing(f"no broker answers at {bootstrap_servers}. {why()}".strip())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _libraries(say: Say) -> Path:
    """Return the folder with Kafka's jars, which Maven fetches once per version."""
    require_java()
    namespace = {"m": "http://maven.apache.org/POM/4.0.0"}
    version = ET.parse(POM).findtext("m:properties/m:kafka.version", "", namespace)  # noqa: S314
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "newsieve" / f"kafka-{version}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            # Maven's own cache is made for one at a time.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                say(f"fetching Apache Kafka {version} with Maven …")
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    """Fetch all jars into the folder, or leave no folder. Raises BrokerMissing."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    fetch = [
        "mvn", "-q", "-B", "--strict-checksums", "-f", str(POM), "dependency:copy-dependencies",
        "-DincludeScope=runtime", f"-DoutputDirectory={partial}",
    ]  # fmt: skip
    try:
        done = subprocess.run(fetch, capture_output=True, check=False)
        if done.returncode != 0:
            raise BrokerMissing(f"Maven could not fetch Kafka: {done.stdout.decode()[-500:]}")
        _require_jars(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_jars(folder: Path) -> None:
    """Raise BrokerMissing unless the jars are exactly those that newsieve was tested with.

    Maven checks a file against the checksum beside it, which an attacker would change, too.
    """
    lines = (line.split() for line in JARS.read_text(encoding="utf-8").splitlines())
    wanted = {name: digest for digest, name in lines}
    found = {}
    for path in folder.iterdir():
        with path.open("rb") as jar:
            found[path.name] = hashlib.file_digest(jar, "sha256").hexdigest()
    wrong = sorted({name for name, _ in wanted.items() ^ found.items()})
    if wrong:
        raise BrokerMissing(
            f"what Maven fetched is not what {JARS} lists: {', '.join(wrong)}. "
            "Do not run it: see where your Maven fetches from"
        )


def die_with_parent() -> None:
    """Make the kernel end this child process when its parent ends, however it ends (Linux)."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)

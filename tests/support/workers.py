"""Worker processes as an operator runs them, and the commands around them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.fork_server import ForkedProcess, ForkServer

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120


class WorkerProcess:
    """`newsieve worker` in a process of its own."""

    sabotage: str | None = None  # a deliberate defect, when tests are to fail
    fork_server: ForkServer | None = None  # forks the processes, which are started without one
    command = "worker"

    def __init__(
        self,
        log: Path,
        environment: Mapping[str, str],
        *arguments: str,
        device: Path | None = None,
    ) -> None:
        """`device` is a file that breaks the worker's device: tests/faults/breakable.py."""
        self.log = log
        program = ["newsieve"]
        if self.sabotage is not None:
            program = ["tests.faults.breakable", "--sabotage", self.sabotage]
        if device is not None:
            program = ["tests.faults.breakable", "--device", str(device), *program[1:]]
        module = [*program, self.command, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self.process: subprocess.Popen[bytes] | ForkedProcess
        with log.open("ab") as stream:
            if self.fork_server is not None:
                self.process = self.fork_server.start(module, log.parent, environment, stream)
                return
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=log.parent,
                env=environment,
                stdout=stream,
                stderr=stream,
            )

    def wait_until(self, text: str, seconds: float = READY_SECONDS) -> None:
        """Wait until the log has this text."""
        deadline = time.monotonic() + seconds
        while text not in self.text():
            assert self.process.poll() is None, (
                f"ended {self.process.returncode}: {self.text()[-2_000:]}"
            )
            assert time.monotonic() < deadline, f"no {text!r} in: {self.text()[-2_000:]}"
            time.sleep(0.1)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        """The log's entries of this event."""
        lines = (line for line in self.text().splitlines() if line.startswith("{"))
        return [entry for entry in map(json.loads, lines) if entry.get("event") == name]

    def terminate(self, seconds: float = 60) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.wait(10)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)


class OracleProcess(WorkerProcess):
    """`newsieve oracle` likewise."""

    command = "oracle"


class IngestProcess(WorkerProcess):
    """`newsieve ingest` likewise; its arguments begin with what it ingests."""

    command = "ingest"


class ServeProcess(WorkerProcess):
    """`newsieve serve` in a process of its own."""

    command = "serve"

    def address(self) -> str:
        self.wait_until("site.opened")
        return str(self.events("site.opened")[0]["address"])


class ReceiverProcess(WorkerProcess):
    """`newsieve ingest http` in a process of its own."""

    command = "ingest"

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(log, environment, "http")

    def address(self) -> str:
        self.wait_until("receiver.opened")
        return str(self.events("receiver.opened")[0]["address"])


def environment(
    bootstrap_servers: str, prefix: str, students: Mapping[str, Path], **more: object
) -> dict[str, str]:
    """Settings for a worker or a command, as environment variables."""
    return {
        "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
        "NEWSIEVE_STUDENT__FOLDERS": json.dumps(
            {name: str(path) for name, path in students.items()}
        ),
        "NEWSIEVE_STUDENT__DTYPE": "fp32",  # what is compared must not depend on the processor
        "NEWSIEVE_STUDENT__THREADS": "1",
        "NEWSIEVE_WORKER__FILTERS": ",".join(students),
        "NEWSIEVE_WORKER__GROUP": prefix,
        **{f"NEWSIEVE_{name.upper()}": str(value) for name, value in more.items()},
    }

"""What the demo runs: worker processes as an operator would start them, and a subscriber."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.errors import NeedsPerson

READY_TEXT: Final = "worker.assembled"
READY_SECONDS: Final = 180  # a cold disk, two cores
STOP_SECONDS: Final = 40


class DemoFailed(NeedsPerson):
    """A part of the demo did not do its work."""


@dataclass(frozen=True)
class WorkerProcess:
    """`newsieve worker` in a process of its own, its log in a file."""

    process: subprocess.Popen[bytes]
    log: Path

    def is_ready(self) -> bool:
        """Whether its model is warm. Raises DemoFailed when it has ended."""
        if self.process.poll() is not None:
            raise DemoFailed(f"a worker ended with {self.process.returncode}:\n{self.last_lines()}")
        return READY_TEXT in self.log.read_text(errors="replace")

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def workers(
    count: int, folder: Path, settings: Mapping[str, str], config: Path | None
) -> Iterator[list[WorkerProcess]]:
    """So many workers, ready; stopped in order when the block ends. Raises DemoFailed."""
    run = secrets.token_hex(3)
    started = [_start(index, run, folder, settings, config) for index in range(count)]
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not all(worker.is_ready() for worker in started):
            if time.monotonic() > deadline:
                raise DemoFailed(f"a worker is not ready:\n{started[0].last_lines()}")
            time.sleep(0.2)
        yield started
        stop(started)
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.wait()


def stop(running: Sequence[WorkerProcess]) -> None:
    """SIGTERM, and wait for the drain. Raises DemoFailed for another exit code than 0."""
    for worker in running:
        worker.process.send_signal(signal.SIGTERM)
    for worker in running:
        try:
            code = worker.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"a worker does not stop:\n{worker.last_lines()}") from None
        if code != 0:
            raise DemoFailed(f"a worker ended with {code}:\n{worker.last_lines()}")


def _start(
    index: int, run: str, folder: Path, settings: Mapping[str, str], config: Path | None
) -> WorkerProcess:
    log = folder / f"worker-{index}.log"
    own = {"NEWSIEVE_WORKER__SLOT": f"demo-{run}-{index}", "NEWSIEVE_OBSERVE__PORT": "0"}
    command = [sys.executable, "-m", "worker", "worker"]
    if config is not None:
        command += ["--config", str(config)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings, **own},
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops them in order
        )
    return WorkerProcess(process, log)

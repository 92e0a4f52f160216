"""Starts and stops newsieve's programs for the demo, each in a process of its own.

They are started as an operator would start them. What they are for this module does not know.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from newsieve.deadline import Deadline
from newsieve.devbroker.java_broker import die_with_parent
from newsieve.errors import NeedsPerson

READY_TEXTS: Final = {
    "worker": "worker.assembled",
    "oracle": "oracle.assembled",
    "drift": "monitor.resumed",
    "serve": "site.opened",
}
WITH_A_SLOT: Final = ("worker", "oracle", "drift")
READY_SECONDS: Final = 180  # a cold disk, two cores
STOP_SECONDS: Final = 40
COMMAND_SECONDS: Final = 60


class DemoFailed(NeedsPerson):
    """A part of the demo did not do its work."""


@dataclass(frozen=True)
class Program:
    """A program of newsieve in a process of its own, with its log in a file."""

    command: str
    process: subprocess.Popen[bytes]
    log: Path

    def is_ready(self) -> bool:
        """Whether it has started its work. Raises DemoFailed when it has ended."""
        if self.process.poll() is not None:
            raise DemoFailed(
                f"newsieve {self.command} ended with {self.process.returncode}:\n"
                f"{self.last_lines()}"
            )
        return READY_TEXTS[self.command] in self.log.read_text(errors="replace")

    def logged(self, event: str) -> dict[str, Any]:
        """Return the first line of its log with this event; {} where there is none."""
        for line in self.log.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                fields: dict[str, Any] = json.loads(line)
                if fields.get("event") == event:
                    return fields
        return {}

    def stop(self) -> None:
        """Ask it to end, by SIGTERM; `wait` waits until it has."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has drained and ended. Raises DemoFailed for another exit code than 0."""
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed(
                f"newsieve {self.command} does not stop:\n{self.last_lines()}"
            ) from None
        if code != 0:
            raise DemoFailed(f"newsieve {self.command} ended with {code}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


@dataclass
class ProgramGroup:
    """The programs of one demo. `settings` are environment variables that all of them have."""

    folder: Path
    settings: Mapping[str, str]
    config: Path | None
    programs: list[Program] = field(default_factory=list)
    run: str = field(default_factory=lambda: secrets.token_hex(3))

    def start(self, command: str, settings: Mapping[str, str] | None = None) -> Program:
        """Start `newsieve <command>`, with settings of its own over those of the group."""
        number = len(self.programs)
        slot = {}
        if command in WITH_A_SLOT:
            slot = {f"NEWSIEVE_{command.upper()}__SLOT": f"demo-{self.run}-{number}"}
        log = self.folder / f"{command}-{number}.log"
        with log.open("wb") as stream, _signals_held():
            process = subprocess.Popen(
                self._words(command),
                env={**self._environment(), **slot, **(settings or {})},
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops them in order
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call, no locks
            )
            self.programs.append(Program(command, process, log))
        return self.programs[-1]

    def command(self, *words: str) -> str:
        """Run a command to its end and return its output. Raises DemoFailed."""
        try:
            done = subprocess.run(
                self._words(*words),
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoFailed(
                f"newsieve {' '.join(words)} takes more than {COMMAND_SECONDS} s"
            ) from None
        if done.returncode != 0:
            raise DemoFailed(f"newsieve {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def wait_until_ready(self) -> None:
        """Wait until all programs work. Raises DemoFailed."""
        deadline = Deadline(READY_SECONDS)
        while not_ready := [item for item in self.programs if not item.is_ready()]:
            if deadline.is_over:
                late = not_ready[0]
                raise DemoFailed(f"newsieve {late.command} is not ready:\n{late.last_lines()}")
            time.sleep(0.1)

    def require_alive(self) -> None:
        """Raise DemoFailed when one of the programs has ended."""
        for program in self.programs:
            program.is_ready()

    def end(self, program: Program) -> None:
        """Stop one of the programs and wait for its end. Raises DemoFailed."""
        self.programs.remove(program)
        program.stop()
        program.wait()

    def _words(self, *words: str) -> list[str]:
        config = ["--config", str(self.config)] if self.config is not None else []
        return [sys.executable, "-m", "newsieve", *words, *config]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings, "NEWSIEVE_OBSERVE__PORT": "0"}


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block ends: while a process is forked Python loses an
    exception that a signal's handler raises, and nobody would end the demo."""
    received: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        received.append(number)

    former = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


@contextlib.contextmanager
def program_group(
    folder: Path, settings: Mapping[str, str], config: Path | None
) -> Iterator[ProgramGroup]:
    """Give a group whose programs are stopped in order when the block ends. Raises DemoFailed."""
    group = ProgramGroup(folder, settings, config)
    try:
        yield group
        stop(group.programs)
    finally:
        for program in group.programs:
            program.process.kill()
            program.process.wait()


def stop(programs: Sequence[Program]) -> None:
    """Stop these programs, all at once. Raises DemoFailed."""
    for program in programs:
        program.stop()
    for program in programs:
        program.wait()

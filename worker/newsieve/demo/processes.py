"""What the demo runs: programs as an operator would start them, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from newsieve.deadline import Deadline
from newsieve.devbroker.java_broker import die_with_parent
from newsieve.errors import NeedsPerson

READY_TEXTS: Final = {
    "worker": "worker.assembled",
    "oracle": "oracle.assembled",
    "drift": "monitor.resumed",
}
READY_SECONDS: Final = 180  # a cold disk, two cores
STOP_SECONDS: Final = 40
COMMAND_SECONDS: Final = 60


class DemoFailed(NeedsPerson):
    """A part of the demo did not do its work."""


@dataclass(frozen=True)
class Program:
    """One of newsieve's in a process of its own, its log in a file."""

    command: str
    process: subprocess.Popen[bytes]
    log: Path

    def is_ready(self) -> bool:
        """Whether it is at work. Raises DemoFailed when it has ended."""
        if self.process.poll() is not None:
            raise DemoFailed(
                f"newsieve {self.command} ended with {self.process.returncode}:\n"
                f"{self.last_lines()}"
            )
        return READY_TEXTS[self.command] in self.log.read_text(errors="replace")

    def stop(self) -> None:
        """SIGTERM. `wait` for it to end."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """For the drain. Raises DemoFailed for another exit code than 0."""
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailed(
                f"newsieve {self.command} does not stop:\n{self.last_lines()}"
            ) from None
        if code != 0:
            raise DemoFailed(f"newsieve {self.command} ended with {code}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


@dataclass
class Stage:
    """All programs of one demo. `settings` are environment variables."""

    folder: Path
    settings: Mapping[str, str]
    config: Path | None
    programs: list[Program] = field(default_factory=list)
    run: str = field(default_factory=lambda: secrets.token_hex(3))

    def start(self, command: str, settings: Mapping[str, str] | None = None) -> Program:
        """`newsieve <command>`, with settings of its own over the stage's."""
        number = len(self.programs)
        slot = {f"NEWSIEVE_{command.upper()}__SLOT": f"demo-{self.run}-{number}"}
        log = self.folder / f"{command}-{number}.log"
        with log.open("wb") as stream:
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
        """Run a command to its end; what it said. Raises DemoFailed."""
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
        """Raises DemoFailed."""
        deadline = Deadline(READY_SECONDS)
        while not_ready := [item for item in self.programs if not item.is_ready()]:
            if deadline.is_over:
                late = not_ready[0]
                raise DemoFailed(f"newsieve {late.command} is not ready:\n{late.last_lines()}")
            time.sleep(0.1)

    def require_alive(self) -> None:
        """Raises DemoFailed when one has ended."""
        for program in self.programs:
            program.is_ready()

    def end(self, program: Program) -> None:
        """Stop one, in order. Raises DemoFailed."""
        self.programs.remove(program)
        program.stop()
        program.wait()

    def _words(self, *words: str) -> list[str]:
        config = ["--config", str(self.config)] if self.config is not None else []
        return [sys.executable, "-m", "newsieve", *words, *config]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings, "NEWSIEVE_OBSERVE__PORT": "0"}


@contextlib.contextmanager
def stage(folder: Path, settings: Mapping[str, str], config: Path | None) -> Iterator[Stage]:
    """Programs started on it are stopped in order when the block ends. Raises DemoFailed."""
    found = Stage(folder, settings, config)
    try:
        yield found
        stop(found.programs)
    finally:
        for program in found.programs:
            program.process.kill()
            program.process.wait()


def stop(programs: Sequence[Program]) -> None:
    """All at once. Raises DemoFailed."""
    for program in programs:
        program.stop()
    for program in programs:
        program.wait()

"""Programs in processes of their own that are forked, not started: their libraries are there.

Importing torch, transformers and the rest costs a started worker several seconds of CPU time, and
the tests start some eighty. A server imports the libraries once, and nothing of newsieve; a program
is a fork of it, which imports and runs newsieve as `python -m` does, under its own process id,
environment, working folder and exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[2]
LONGEST_REQUEST: Final = 128 * 1024
LIBRARIES: Final = (
    "confluent_kafka.admin",
    "fastapi",
    "fastwarc.warc",
    "feedparser",
    "httpx2",
    "jinja2",
    "numpy",
    "peft",
    "prometheus_client",
    "pydantic",
    "re2",
    "scipy.stats",
    "structlog",
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "typer",
    "uvicorn",
    "yaml",
)


class ForkedProcess:
    """A process of the server's, used as subprocess.Popen is."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection.detach()
        weakref.finalize(self, os.close, self._connection)
        self._lock = threading.Lock()
        self._said = b""
        self.returncode: int | None = None
        while b"\n" not in self._said:
            self._read()
        self.pid = int(self._said.split()[0])

    def poll(self) -> int | None:
        with self._lock:
            while self.returncode is None and self._is_readable(0):
                self._read()
                lines = self._said.splitlines()
                if self._said.endswith(b"\n") and len(lines) == 2:
                    self.returncode = int(lines[1])
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                assert timeout is not None
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self._is_readable(left)  # at its end it stays readable, for every waiting thread
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _is_readable(self, seconds: float | None) -> bool:
        return bool(select.select([self._connection], [], [], seconds)[0])

    def _read(self) -> None:
        more = os.read(self._connection, 100)
        assert more, "the fork server ended"
        self._said += more


class ForkServer:
    """A process with the libraries, started for its first program; it ends with the block."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._theirs.close()
        if self._process is not None:
            self._process.wait(60)

    def start(
        self, module: Sequence[str], folder: Path, environment: Mapping[str, str], log: IO[bytes]
    ) -> ForkedProcess:
        """Run `python -m` with a module and its arguments; both its outputs go to the log."""
        if self._process is None:
            self._process = self._start()
        request = json.dumps([list(module), str(folder), dict(environment)]).encode()
        assert len(request) < LONGEST_REQUEST
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._ours, [request], [theirs.fileno(), log.fileno()])
        return ForkedProcess(ours)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._theirs as requests:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(requests.fileno())],
                cwd=ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # or importing it starts threads
                stdin=subprocess.DEVNULL,
                pass_fds=[requests.fileno()],
            )


def serve(requests: socket.socket) -> None:
    """Fork for each request; return in a program's process, ready to run it."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 2)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # those that have reported
        if not request:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            connection, log = descriptors
            if (pid := os.fork()) != 0:
                os.close(log)
                _report(pid, connection)
            os.close(connection)
            _become(log, *json.loads(request))
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _report(pid: int, connection: int) -> NoReturn:
    """Say a program's process id at once, and its exit code when it has one."""
    os.write(connection, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(connection, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(log: int, module: list[str], folder: str, environment: dict[str, str]) -> None:
    """Give this process what a started one is given."""
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = module


def main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.enable()
    gc.freeze()
    assert not [name for name in sys.modules if name.partition(".")[0].startswith("newsieve")]
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork has only the thread it is of"
    serve(requests)


def _run() -> int:
    """Run the module and what it has registered for its end; return its exit code."""
    code: object = None
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as done:
        code = done.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    main()
    # without the interpreter's own end, which would copy, to free it, all that the fork shares
    os._exit(_run())

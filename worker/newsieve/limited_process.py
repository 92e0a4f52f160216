"""Calls a function on what others wrote in a child process, so that input which makes a library run
for ever, take all memory or crash costs one call, and not the program.

Arguments and results are bytes; what they mean is for the function and its caller. The limits are
held by the kernel in the child, and by the parent. The limit of memory is of address space, which
macOS does not limit: there a child is ended after the call that took too much.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Final, NamedTuple

from newsieve import limited_process_child as child
from newsieve.deadline import Deadline
from newsieve.printable import one_line

START_SECONDS: Final = 30.0  # to start Python and import the function's module on a busy machine
GRACE_SECONDS: Final = 1.0  # by which the child's own alarm comes before the parent's
END_SECONDS: Final = 1.0  # for a process to end that has closed its channel
_SHORTEST_WAIT_SECONDS: Final = 0.001  # 0 would mean not to wait
# What a child needs of the environment; secrets of the program's settings stand there too.
_KEPT_VARIABLES: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ")


class CallFailed(Exception):
    """A call has no result. `str(error)` says why in a few words."""


class TimedOut(CallFailed):
    """The call took longer than it may; its process was ended."""


class OutOfMemory(CallFailed):
    """The call took more memory than it may; its process was ended."""


class Died(CallFailed):
    """The process ended in the middle of the call, or could not be started."""


class FunctionFailed(CallFailed):
    """The function raised an error, which `str(error)` names; its process lives on."""


class Closed(Exception):
    """The processes were closed before the call had its result."""


class Limits(NamedTuple):
    """What a call and its process may take."""

    seconds: float  # on the clock, for one call
    memory_bytes: int  # of address space, Python and the function's module included
    result_bytes: int
    calls: int = 1_000  # after which a process is replaced: libraries keep some of what they read


class LimitedProcesses:
    """Child processes that call one function of a module, started when they are needed.

    Threads may call side by side; where all processes are busy, a call waits. The processes end
    with the program, also when that is killed: at once where they wait for a call, else at the
    latest when their call has had its seconds.
    """

    def __init__(self, function: str, limits: Limits, processes: int = 1) -> None:
        """Take the function as `module:name`. It has one argument, which is bytes, as its result
        is."""
        self._function = function
        self._limits = limits
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._most = processes
        self._is_closed = False
        self._changed = threading.Condition()

    def call(self, argument: bytes) -> bytes:
        """Return what the function makes of the argument. Raises CallFailed and Closed."""
        process = self._take()
        has_answered = False  # else a late answer would be taken for the next call's
        try:
            process.start()
            result = process.call(argument)
            has_answered = True
        except FunctionFailed:
            has_answered = process.calls > 0
            raise
        except CallFailed:
            if self._is_closed:
                raise Closed from None
            raise
        finally:
            self._give_back(process, is_usable=has_answered and process.calls < self._limits.calls)
        return result

    def close(self) -> None:
        """End all processes, and with them the calls that are under way."""
        with self._changed:
            self._is_closed = True
            idle, busy = self._idle.copy(), self._busy.copy()
            self._idle.clear()
            self._changed.notify_all()
        for process in busy:
            process.kill()  # its caller sees that, and ends it
        for process in idle:
            process.end()

    def _take(self) -> _Child:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._busy) < self._most)
            if self._is_closed:
                raise Closed
            while self._idle:
                process = self._idle.pop()
                if process.is_alive():
                    break
                process.end()
            else:
                process = _Child(self._function, self._limits)
            self._busy.add(process)
            return process

    def _give_back(self, process: _Child, *, is_usable: bool) -> None:
        with self._changed:
            is_kept = is_usable and not self._is_closed
            if is_kept:
                self._idle.append(process)
            self._busy.remove(process)
            self._changed.notify()
        if not is_kept:
            process.end()


class _Child:
    """One process. One thread calls it at a time; any thread may kill it."""

    def __init__(self, function: str, limits: Limits) -> None:
        """Start the process. Raises Died."""
        self.calls = 0
        self._limits = limits
        try:
            self._channel, childs_channel = socket.socketpair()
        except OSError as error:
            raise _not_started(error) from None
        with childs_channel:
            command = [sys.executable, "-P", "-m", child.__name__, function]
            try:
                self._process = subprocess.Popen(
                    [*command, str(limits.seconds), str(limits.memory_bytes)],
                    stdin=childs_channel.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                    start_new_session=True,  # Ctrl-C is the program's to answer
                )
            except OSError as error:
                self._channel.close()
                raise _not_started(error) from None

    def start(self) -> None:
        """Wait until the process has imported its function, before the first call. Raises
        CallFailed."""
        if self.calls == 0:
            self._answer(START_SECONDS, None)

    def call(self, argument: bytes) -> bytes:
        """Return what the function makes of the argument. Raises CallFailed."""
        self.calls += 1
        return self._answer(self._limits.seconds, argument)

    def is_alive(self) -> bool:
        """Say whether the process can take a call; the system may have ended it meanwhile."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Have the process end, without waiting for that."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, and release what is held for it."""
        self.kill()
        self._process.wait()
        self._channel.close()

    def _answer(self, seconds: float, argument: bytes | None) -> bytes:
        try:
            answer = self._exchange(Deadline(seconds + GRACE_SECONDS), argument)
        except TimeoutError:
            raise _timed_out(seconds) from None
        except ConnectionError:
            answer = None
        match answer:
            case None:
                raise self._death(seconds)
            case child.RESULT, result:
                return result
            case child.FAILURE, reason:
                raise FunctionFailed(one_line(reason.decode(errors="replace")))
            case child.MEMORY_USED_UP, _:
                raise OutOfMemory(f"took more than {self._limits.memory_bytes / 2**20:,.0f} MiB")
        raise Died("its process sent what is no answer")

    def _exchange(self, deadline: Deadline, argument: bytes | None) -> tuple[bytes, bytes] | None:
        def before_waiting() -> None:
            self._channel.settimeout(max(deadline.seconds_left, _SHORTEST_WAIT_SECONDS))

        before_waiting()
        if argument is not None:
            child.send(self._channel, child.CALL, argument)
        header = child.receive_exactly(self._channel, child.HEADER.size, before_waiting)
        if header is None:
            return None
        kind, size = child.HEADER.unpack(header)
        if size > self._limits.result_bytes:
            raise Died(f"its result has more than {self._limits.result_bytes:,} bytes")
        message = child.receive_exactly(self._channel, size, before_waiting)
        return None if message is None else (kind, message)

    def _death(self, seconds: float) -> CallFailed:
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return Died("its process closed its end")
        if code == -signal.SIGALRM:
            return _timed_out(seconds)
        if code < 0:
            return Died(f"its process was ended: {signal.strsignal(-code)}")
        return Died(f"its process ended with exit code {code}")


def _timed_out(seconds: float) -> TimedOut:
    return TimedOut(f"took longer than {seconds:g} s")


def _not_started(error: OSError) -> Died:
    return Died(f"no process can be started: {error.strerror or error}")

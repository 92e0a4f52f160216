"""A function in a child process, under limits of time and memory."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from newsieve.limited_process import (
    CallFailed,
    Closed,
    Died,
    FunctionFailed,
    LimitedProcesses,
    Limits,
    OutOfMemory,
    TimedOut,
)

ROOT = Path(__file__).resolve().parents[1]
LIMITS = Limits(seconds=60, memory_bytes=256 * 2**20, result_bytes=8 * 2**20)
FUNCTION = "tests.support.limited_functions:run"
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="of Linux' /proc")
linux_limits_memory = pytest.mark.skipif(
    sys.platform != "linux", reason="macOS limits no address space"
)


@pytest.fixture(scope="module")
def functions() -> Iterator[LimitedProcesses]:
    """One process for all tests that do not count its calls; it finds the tests' modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        processes = LimitedProcesses(FUNCTION, LIMITS)
        yield processes
        processes.close()


@pytest.fixture(scope="module")
def hasty_functions() -> Iterator[LimitedProcesses]:
    """As these, with a limit of time that tests reach soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        processes = LimitedProcesses(FUNCTION, LIMITS._replace(seconds=0.5))
        yield processes
        processes.close()


@pytest.fixture
def tests_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def is_gone(process: int) -> bool:
    """Whether a process has ended, as far as anybody but its parent can tell."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(process: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_gone(process):
        assert time.monotonic() < deadline, f"{process} lives on"
        time.sleep(0.01)


def test_a_result_is_what_the_function_makes_of_its_argument(functions: LimitedProcesses) -> None:
    """Megabytes pass both ways, and the process stays for the next call."""
    first = functions.call(b"")
    large = functions.call(b"large 8000000")
    megabytes = functions.call(b"ignore " + bytes(8_000_000))

    assert large == bytes(8_000_000)
    assert megabytes == first == functions.call(b"")
    assert int(first) != os.getpid()


@pytest.mark.parametrize(
    ("argument", "error", "reason"),
    [
        pytest.param("memory", OutOfMemory, "took more than 256 MiB", marks=linux_limits_memory),
        ("exit 3", Died, "its process ended with exit code 3"),
        ("exit 0", Died, "its process ended with exit code 0"),
        ("signal SIGSEGV", Died, "its process was ended: Segmentation fault"),
        ("signal SIGKILL", Died, "its process was ended: Killed"),
        ("large 8388609", Died, "its result has more than 8,388,608 bytes"),
    ],
)
def test_what_breaks_a_limit_costs_one_call_and_its_process(
    functions: LimitedProcesses, argument: str, error: type[CallFailed], reason: str
) -> None:
    """The error says what it was; the next call has a new process."""
    before = int(functions.call(b""))

    with pytest.raises(error) as raised:
        functions.call(argument.encode())

    assert str(raised.value) == reason
    assert is_gone(before)
    assert int(functions.call(b"")) != before


@pytest.mark.parametrize("argument", [b"loop", b"hold", b"sleep"])
def test_a_call_that_takes_too_long_ends_with_its_process(
    hasty_functions: LimitedProcesses, argument: bytes
) -> None:
    """Whether it works, keeps the interpreter from any other thread, or waits."""
    with pytest.raises(TimedOut) as raised:
        hasty_functions.call(argument)

    assert str(raised.value) == "took longer than 0.5 s"
    assert not hasty_functions._idle


def test_an_error_of_the_function_is_told_in_one_line_and_its_process_lives_on(
    functions: LimitedProcesses,
) -> None:
    """Its text, which may quote the input, is cut and escaped."""
    before = functions.call(b"")

    with pytest.raises(FunctionFailed) as raised:
        functions.call(b"raise no \x1b[31m\nfeed" + b"!" * 1_000)

    assert str(raised.value).startswith("ValueError: no \\u001b[31m feed!!!")
    assert len(str(raised.value)) <= 301
    assert functions.call(b"") == before


def test_a_process_has_no_terminal_no_secret_and_no_session_of_the_programs(
    functions: LimitedProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library prints disturbs nothing; it reads nothing; Ctrl-C does not reach it."""
    monkeypatch.setenv("NEWSIEVE_ORACLE__API_KEY", "not-for-children")
    with pytest.raises(Died):
        functions.call(b"exit 1")

    process = int(functions.call(b""))

    assert functions.call(b"print nowhere") == b""
    assert functions.call(b"environment NEWSIEVE_ORACLE__API_KEY") == b""
    assert functions.call(b"environment PYTHONPATH") == str(ROOT).encode()
    assert os.getsid(process) == process


@needs_proc
def test_a_process_inherits_no_connection_of_the_programs(functions: LimitedProcesses) -> None:
    """It has the one to its parent alone."""
    with socket.create_server(("127.0.0.1", 0)), pytest.raises(Died):
        functions.call(b"exit 1")
    with socket.create_server(("127.0.0.1", 0)):
        lines = functions.call(b"descriptors").decode().splitlines()

    assert [line.split(":")[0] for line in lines] == [*["/dev/null"] * 3, "socket"]


@pytest.mark.usefixtures("tests_on_path")
def test_a_process_is_replaced_after_its_calls() -> None:
    """Libraries keep some of what they read."""
    processes = LimitedProcesses(FUNCTION, LIMITS._replace(calls=2))
    try:
        ids = [processes.call(b"") for _ in range(4)]
    finally:
        processes.close()

    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert all(is_gone(int(each)) for each in ids)


@pytest.mark.usefixtures("tests_on_path")
def test_threads_share_the_processes_and_wait_for_them() -> None:
    """Each gets its own answer, from one of at most so many processes."""
    processes = LimitedProcesses("tests.support.limited_functions:echo", LIMITS, processes=2)
    arguments = [str(number).encode() * 1_000 for number in range(200)]
    try:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(processes.call, arguments))
        children = [child for child in psutil.Process().children() if _is_ours(child)]
    finally:
        processes.close()

    assert answers == arguments
    assert len(children) <= 2


def _is_ours(process: psutil.Process) -> bool:
    return "tests.support.limited_functions:echo" in process.cmdline()


@pytest.mark.usefixtures("tests_on_path")
def test_closing_ends_the_processes_and_who_waits_for_them() -> None:
    """A call under way, one that waits for a free process, and one that comes later."""
    processes = LimitedProcesses(FUNCTION, LIMITS)
    child = int(processes.call(b""))
    errors: list[BaseException] = []
    threads = [threading.Thread(target=_collect, args=(processes, errors)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(processes._busy) == 0:
        time.sleep(0.001)

    processes.close()
    for thread in threads:
        thread.join(5)

    assert [type(error) for error in errors] == [Closed, Closed]
    assert is_gone(child)
    with pytest.raises(Closed):
        processes.call(b"")


def _collect(processes: LimitedProcesses, errors: list[BaseException]) -> None:
    try:
        processes.call(b"sleep")
    except (CallFailed, Closed) as error:
        errors.append(error)


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_killed_parent_leaves_no_process(tmp_path: Path, *, is_busy: bool) -> None:
    """One that waits ends at once, one that works when its call has had its seconds."""
    begun = tmp_path / "begun"
    program = f"""
from newsieve.limited_process import LimitedProcesses, Limits
processes = LimitedProcesses({FUNCTION!r}, Limits(0.5, 2**28, 100))
print(processes.call(b"").decode(), flush=True)
if {is_busy}:
    processes.call({f"hold {begun}".encode()!r})
input()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while is_busy and not begun.exists():
            time.sleep(0.005)
        assert not is_gone(child)
        parent.kill()

    wait_until_gone(child, 5)


def test_a_process_that_was_killed_while_it_waited_costs_no_call(
    functions: LimitedProcesses,
) -> None:
    """The system may have been short of memory: the next call has a new process."""
    before = int(functions.call(b""))
    os.kill(before, signal.SIGKILL)
    wait_until_gone(before, 5)

    assert int(functions.call(b"")) != before


@pytest.mark.parametrize("function", ["tests.support.nowhere:run", "os:nowhere"])
def test_a_function_that_is_not_there_is_named(function: str) -> None:
    """Each call fails as the import did."""
    processes = LimitedProcesses(function, LIMITS)

    for _ in range(2):
        with pytest.raises(FunctionFailed, match="nowhere"):
            processes.call(b"")
    processes.close()


def test_a_process_that_cannot_be_started_is_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any other; the place is free for the next."""
    processes = LimitedProcesses(FUNCTION, LIMITS)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        for _ in range(2):
            with pytest.raises(Died, match="no process can be started: No such file"):
                processes.call(b"")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socketpair", _no_descriptor_is_left)
        with pytest.raises(Died, match="no process can be started: Too many open files"):
            processes.call(b"")
    processes.close()


def _no_descriptor_is_left() -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

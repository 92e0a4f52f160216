"""The child's side of `limited_process`: takes arguments from a socket, and answers each with what
one function makes of it, under limits that the kernel enforces.

It imports nothing but the function's module, so that it starts as fast as that does.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

HEADER: Final = struct.Struct(">cQ")  # the kind of a message, and the bytes that follow
CALL: Final = b"c"
RESULT: Final = b"r"
FAILURE: Final = b"f"
MEMORY_USED_UP: Final = b"m"  # the child ends after it
PART_BYTES: Final = 1 << 20

Function = Callable[[bytes], bytes]


def main() -> None:
    """Serve calls until the parent closes its end, which its death does too."""
    name, seconds, memory_bytes = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    channel = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)
    try:
        function = _load(name)
    except Exception as error:  # noqa: BLE001 - whatever a module raises, the parent is told
        send(channel, FAILURE, _reason(error))
        return
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with suppress(ConnectionError):
        send(channel, RESULT, b"")
        _serve(channel, function, seconds, memory_bytes)


def _serve(channel: socket.socket, function: Function, seconds: float, memory_bytes: int) -> None:
    while (message := receive(channel)) is not None:
        # The kernel ends the process at its time, though the function never gives the interpreter
        # up, and though no parent is left to do it.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            kind, said = RESULT, function(message[1])
        except MemoryError:
            kind, said = MEMORY_USED_UP, b""
        except Exception as error:  # noqa: BLE001 - the parent's caller decides what it means
            kind, said = FAILURE, _reason(error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if _is_over(memory_bytes):
            kind, said = MEMORY_USED_UP, b""
        send(channel, kind, said)
        if kind == MEMORY_USED_UP:
            return


def _load(name: str) -> Function:
    module, _, attribute = name.partition(":")
    function: Function = getattr(importlib.import_module(module), attribute)
    return function


def _limit(which: int, most: int) -> None:
    """Limit the process to so much, or to what whoever started the program allows, if that is
    less."""
    _, allowed = resource.getrlimit(which)
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    with suppress(ValueError, OSError):  # macOS limits no address space
        resource.setrlimit(which, (most, most))


def _is_over(memory_bytes: int) -> bool:
    """Say whether a process whose address space cannot be limited has used more than it may."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS alone
    return sys.platform == "darwin" and used > memory_bytes


def _reason(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".encode(errors="replace")


def send(channel: socket.socket, kind: bytes, message: bytes) -> None:
    """Send a message whole. Raises what `socket.sendall` does."""
    channel.sendall(HEADER.pack(kind, len(message)) + message)


def receive(channel: socket.socket) -> tuple[bytes, bytes] | None:
    """Return a message's kind and bytes, None where the other side has ended."""
    header = receive_exactly(channel, HEADER.size)
    if header is None:
        return None
    kind, size = HEADER.unpack(header)
    message = receive_exactly(channel, size)
    return None if message is None else (kind, message)


def receive_exactly(
    channel: socket.socket, size: int, before_waiting: Callable[[], None] = lambda: None
) -> bytes | None:
    """Return so many bytes, None where the other side has ended. Raises errors of sockets, and what
    `before_waiting` raises, which is called before each wait."""
    received = bytearray()
    while len(received) < size:
        before_waiting()
        part = channel.recv(min(size - len(received), PART_BYTES))
        if not part:
            return None
        received += part
    return bytes(received)


if __name__ == "__main__":
    main()

"""What tests call in a limited process: functions that behave, and such that do not."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final


def echo(argument: bytes) -> bytes:
    return argument


def run(argument: bytes) -> bytes:
    """Do what the argument's first word says with the rest, and return the result, or the
    process's id where there is none."""
    what, _, value = argument.decode().partition(" ")
    done = _DEEDS[what](value) if what else None
    return str(os.getpid()).encode() if done is None else done


def _loop(_: str) -> None:
    while True:
        pass


def _hold(begun: str) -> None:
    """Never give the interpreter up, so that no other thread of the process runs. Make a file of
    this name before, if there is one."""
    if begun:
        Path(begun).touch()
    ctypes.PyDLL(None).sleep(60)


def _take_memory(_: str) -> None:
    taken = bytearray()
    while True:
        taken += bytes(1 << 20)


def _raise(text: str) -> None:
    raise ValueError(text)


def _print(text: str) -> bytes:
    os.write(1, text.encode())
    os.write(2, text.encode())
    return os.read(0, 1)


def _descriptors(_: str) -> bytes:
    """Say what the process has open, but for the folder that tells it."""
    found = sorted(Path("/proc/self/fd").iterdir(), key=lambda path: int(path.name))
    return "\n".join(str(path.readlink()) for path in found if path.exists()).encode()


_DEEDS: Final[dict[str, Callable[[str], bytes | None]]] = {
    "descriptors": _descriptors,
    "environment": lambda name: os.environ.get(name, "").encode(),
    "exit": lambda code: os._exit(int(code)),
    "hold": _hold,
    "ignore": lambda _: None,
    "large": lambda size: bytes(int(size)),
    "loop": _loop,
    "memory": _take_memory,
    "print": _print,
    "raise": _raise,
    "signal": lambda name: os.kill(os.getpid(), signal.Signals[name]),
    "sleep": lambda _: time.sleep(60),
}

"""Running the commands in this process, as a shell would."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from newsieve import cli
from newsieve_training.cli import main as training


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def rows(self) -> list[dict[str, Any]]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def json(self) -> Any:
        return json.loads(self.out)


class _Terminal(io.TextIOWrapper):
    """What says that somebody watches; colours it has none."""

    def isatty(self) -> bool:
        return True


def newsieve(
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    is_watched: bool = False,
) -> Result:
    """`is_watched`: its standard output is a terminal."""
    return _run(cli.main, "newsieve", arguments, stdin, env or {}, is_watched=is_watched)


def newsieve_train(*arguments: str) -> Result:
    return _run(training.main, "newsieve-train", arguments, b"", {}, is_watched=False)


def _run(
    main: Callable[[], None],
    name: str,
    arguments: tuple[str, ...],
    stdin: bytes,
    env: Mapping[str, str],
    *,
    is_watched: bool,
) -> Result:
    stream = _Terminal if is_watched else io.TextIOWrapper
    out, err = io.BytesIO(), io.StringIO()
    code = 0
    with (
        patch.object(sys, "argv", [name, *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        patch.object(sys, "stdout", stream(out, encoding="utf-8", write_through=True)),
        patch.object(sys, "stderr", err),
        patch.dict(os.environ, env),
        _signals_kept(),
    ):
        try:
            main()
        except SystemExit as done:
            code = done.code if isinstance(done.code, int) else 0
        sys.stdout.flush()
        found = out.getvalue()
    return Result(code, found, err.getvalue())


@contextmanager
def _signals_kept() -> Iterator[None]:
    """A command may handle them, in a process of its own; only a main thread can put them back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)

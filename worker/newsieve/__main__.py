"""Entry point of `newsieve` and `python -m newsieve`.

A program logs that it starts before it loads anything else: loading takes a second, a student a
minute, and whoever watches must see that it is alive. Of the commands, this module knows only which
are such programs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import newsieve

PROGRAMS: Final = ("worker", "oracle", "drift")
FLAGS: Final = ("--again",)  # of programs: options without a value
LEVEL: Final = "NEWSIEVE_OBSERVE__LOG_LEVEL"
EXIT_INTERRUPTED: Final = 130  # as shells say it: 128 and SIGINT's number


def main() -> None:
    """Run the command line and exit."""
    if is_program(sys.argv[1:]):
        _announce(sys.argv[1], os.environ)
    try:
        from newsieve.cli import main as run_commands  # noqa: PLC0415 - late: see above
    except KeyboardInterrupt:  # Ctrl-C while it loads; afterwards it is typer's
        sys.exit(EXIT_INTERRUPTED)
    run_commands()


def is_program(arguments: Sequence[str]) -> bool:
    """Return whether the arguments start a program that runs until it is stopped.

    That is a program's name, followed by options alone.
    """
    if not arguments or arguments[0] not in PROGRAMS or "--help" in arguments:
        return False
    options = [
        item
        for item in arguments[1:]
        if item not in FLAGS and not (item.startswith("--") and "=" in item)
    ]
    return all(item.startswith("--") for item in options[::2])  # a value behind each


def _announce(program: str, environment: Mapping[str, str]) -> None:
    """Log that a program starts, at the environment's level: settings are read later."""
    from newsieve.stream import logs  # noqa: PLC0415 - no other command's start waits for it

    logs.configure()
    level = environment.get(LEVEL)
    if level in logs.LEVELS:  # any other is complained of when settings are read
        logs.set_level(level)
    logs.get_logger(program).info(
        "program.started", program=program, version=newsieve.__version__, pid=os.getpid()
    )


if __name__ == "__main__":
    main()

"""Runs `newsieve ingest files` again and again, and kills it at a given place; its last run ends
itself.

    python -m tests.support.killed_sender PATH…

A process that has imported everything forks the runs: a start takes no time. Transactions are small
here, so that a few thousand records are several. Where the broker is, is in the environment.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import newsieve.cli.ingest_files  # noqa: F401 - or each run would
from newsieve import cli
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.ingest import file_sending
from newsieve.programs.ingest.file_sending import FileSender

TRANSACTION_RECORDS = 500
# What is killed before or behind which of its calls, in a run.
KILLS: list[tuple[type, str, str, int]] = [
    (TransactionalProducer, "produce", "behind", 700),  # one transaction committed, one open
    (TransactionalProducer, "commit_records", "behind", 2),
    (FileSender, "forget", "before", 1),  # everything committed
]


def killed(call: Callable[..., Any], when: str, number: int) -> Callable[..., Any]:
    """The call, in which the process is killed once."""
    calls = 0

    def calling(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return calling


def main() -> int:
    """Kill the runs one after another. Return the last one's exit code."""
    file_sending.TRANSACTION_RECORDS = TRANSACTION_RECORDS  # type: ignore[misc]
    sys.argv = ["newsieve", "ingest", "files", *sys.argv[1:]]
    for kill in [*KILLS, None]:
        run = os.fork()
        if run == 0:
            if kill is not None:
                owner, name, when, number = kill
                setattr(owner, name, killed(getattr(owner, name), when, number))
            cli.main()
        code = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
        if kill is not None:
            assert code == -signal.SIGKILL, f"{kill}: ended with {code}"
    return code


if __name__ == "__main__":
    sys.exit(main())

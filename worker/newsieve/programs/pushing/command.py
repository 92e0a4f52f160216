"""Delivers a record to a command of the user's, which reads it on standard input.

No shell is involved, and nothing of a record is ever part of a command line. It does not know what
the command does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from newsieve.errors import CommandFailed
from newsieve.kafka.messages import StoredRecord
from newsieve.programs.pushing.events import DELIVERED, Attempt


class CommandDeliverer:
    """Runs a command for each record; exit code 0 says that it has dealt with the record."""

    def __init__(
        self, words: Sequence[str], seconds: float, environment: Mapping[str, str], noun: str
    ) -> None:
        """`seconds` is how long a run may take, `noun` what a record is called in messages."""
        self._words = words
        self._seconds = seconds
        self._environment = environment
        self._noun = noun

    def deliver(self, item: StoredRecord) -> Attempt:
        """Run the command once."""
        try:
            done = subprocess.run(
                self._words,
                input=item.record.value or b"",
                timeout=self._seconds,
                check=False,
                env=self._environment,
            )
        except subprocess.TimeoutExpired:
            return Attempt("refused", f"took more than {self._seconds:g} s")
        except OSError as error:
            return Attempt("refused", f"could not be run ({error.strerror})")
        return Attempt("refused", f"ended with {done.returncode}") if done.returncode else DELIVERED

    def failed(self, item: StoredRecord, reason: str) -> str:
        """Return the sentence about a run that failed."""
        return f"{self._words[0]} {reason} on the {self._where(item)}"

    def given_up(self, item: StoredRecord, reason: str, attempts: int) -> CommandFailed:
        """Return the error about a command that failed again and again."""
        return CommandFailed(
            f"{self._words[0]} {reason} {attempts} times on the {self._where(item)}, which stays "
            "the next one. Repair the command and start again"
        )

    def _where(self, item: StoredRecord) -> str:
        return f"{self._noun} at {item.partition[1]}/{item.offset}"

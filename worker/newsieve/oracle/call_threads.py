"""Threads that do nothing but call a provider: tasks in, ended calls out.

A process that has to end need not wait for them. What a response means this module does not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.providers.base import Provider, ProviderResponse


class EndedCall(NamedTuple):
    """A call that has ended, with its times by the clock of the threads."""

    task: LabelingTask
    response: ProviderResponse | Exception
    started_at: float
    ended_at: float


class CallThreads:
    """One thread for each call at a time."""

    def __init__(self, provider: Provider, count: int, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._clock = clock
        self._to_call: SimpleQueue[LabelingTask] = SimpleQueue()
        self._ended: SimpleQueue[EndedCall] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._run, name=f"oracle-{number}", daemon=True).start()

    def call(self, task: LabelingTask) -> None:
        """Make a call for a task, as soon as a thread is free."""
        self._to_call.put(task)

    def ended(self, seconds: float) -> list[EndedCall]:
        """Return the calls that have ended, after waiting at most so long for the first one."""
        calls = []
        try:
            if seconds > 0:
                calls.append(self._ended.get(timeout=seconds))
            while True:
                calls.append(self._ended.get_nowait())
        except Empty:
            return calls

    def _run(self) -> None:
        while True:
            task = self._to_call.get()
            started_at = self._clock()
            response: ProviderResponse | Exception
            try:
                response = self._provider.complete(task.label_prompt)
            except Exception as error:  # noqa: BLE001 - raised again where it is collected
                response = error
            self._ended.put(EndedCall(task, response, started_at, self._clock()))

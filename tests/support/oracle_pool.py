"""A pool of calls on a scripted provider and a clock of the test's."""

from __future__ import annotations

from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.prompt import Prompt
from newsieve.oracle.providers.base import Prices
from tests.support.filters import load
from tests.support.oracle_fakes import CallNotes, Clock, Scripted

PROMPT = Prompt(load("uplifting"), 1_000)
SOON = 5.0  # seconds; nothing here takes as long


class Scene:
    """A pool of calls on a scripted provider and a clock of the test's."""

    def __init__(self, provider: Scripted, concurrency: int = 4) -> None:
        self.provider, self.clock, self.notes = provider, Clock(), CallNotes()
        self.pool = CallPool(provider, concurrency, self.notes, lambda: 0.0, self.clock)

    def start(self, name: str) -> LabelingTask:
        task = LabelingTask(PROMPT.for_article(name, "A text."), Prices(1, 1, 10))
        task.claimed(0.0, "2026-11-22")
        self.pool.start(task)
        return task

    def collect(self, calls: int) -> None:
        """Until so many calls have come back in all."""
        while len(self.notes.calls) < calls:
            before = len(self.notes.calls)
            self.pool.collect(SOON)
            assert len(self.notes.calls) > before, "nothing came back"

"""A desk on a scripted provider and a clock of the test's."""

from __future__ import annotations

from tests.support.oracle_fakes import CallNotes, Clock, Scripted
from worker.oracle.desk import Desk
from worker.oracle.interview import Interview
from worker.oracle.prompt import Prompt
from worker.oracle.provider import Prices
from worker.rules.catalogue import load

PROMPT = Prompt(load("uplifting"), 1_000)
SOON = 5.0  # seconds; nothing here takes as long


class Scene:
    """A desk on a scripted provider and a clock of the test's."""

    def __init__(self, provider: Scripted, concurrency: int = 4) -> None:
        self.provider, self.clock, self.notes = provider, Clock(), CallNotes()
        self.desk = Desk(provider, concurrency, self.notes, lambda: 0.0, self.clock)

    def start(self, name: str) -> Interview:
        interview = Interview(PROMPT.question(name, "A text."), Prices(1, 1, 10))
        interview.claimed(0.0, "2026-11-22")
        self.desk.start(interview)
        return interview

    def hear(self, calls: int) -> None:
        """Until so many calls have come back in all."""
        while len(self.notes.calls) < calls:
            before = len(self.notes.calls)
            self.desk.hear(SOON)
            assert len(self.notes.calls) > before, "nothing came back"

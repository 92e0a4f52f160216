"""Withholds results without a label until it is known whose fault it is that there is none.

A label of any article shows that articles can be labelled as they are asked, so that a failure is
its own article's. Many failures in a row show the contrary. Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newsieve.oracle.failure_streak import FailureStreak
from newsieve.oracle.labeling_task import LabelingTask
from newsieve_schemas.oracle import LABELLED

# How long a first rejection waits for others to be compared with. Half of the minute within which a
# lasting fault has to be named.
WITHHELD_SECONDS: Final = 30.0


class WithheldResults:
    """The withheld results of one oracle's tasks."""

    def __init__(self, withheld: Callable[[str], None]) -> None:
        """`withheld` is told the reason of each result that is withheld."""
        self._announce = withheld
        self._streak = FailureStreak()
        self._since: dict[LabelingTask, float] = {}

    def add(self, task: LabelingTask, now: float) -> None:
        """Keep the result of a task, if it is withheld."""
        if task.withheld is not None and not task.is_cancelled:
            self._since[task] = now
            self._announce(task.withheld.failure or "")

    def drop(self, task: LabelingTask) -> bool:
        """Forget a task. Return whether its result was withheld."""
        return self._since.pop(task, None) is not None

    def release(self) -> None:
        """Let all withheld results stand: the articles themselves are at fault."""
        for task in self._since:
            task.release()
        self._since.clear()

    def weigh(self, task: LabelingTask, now: float, *, may_release: bool) -> str | None:
        """Draw conclusions about all tasks from the last call of this one. Return why no further
        call makes sense, if none does. `may_release`: withheld results stand if it brought a
        label."""
        if task.result is not None and task.result.status == LABELLED:
            self._streak.labelled()
            if may_release:
                self.release()
        self.add(task, now)
        if task.failure is None:
            return None
        self._streak.failed(task.failure, task.label_prompt.article_id)
        return self._streak.complaint() if self._streak.is_over else None

    def fault_of_all(self) -> str | None:
        """Return what is wrong with how all are asked, if results are withheld and none of the
        calls has brought a label."""
        is_all = bool(self._since) and self._streak.is_without_label
        return self._streak.complaint() if is_all else None

    def lone_rejection(self, now: float) -> str | None:
        """Return what is wrong if the last failure is a rejection before any label, and nothing has
        come for long that it could be compared with."""
        streak = self._streak
        if streak.has_labelled or not streak.is_of_rejections or not self._since:
            return None
        is_old = now - min(self._since.values()) >= WITHHELD_SECONDS
        return streak.complaint() if is_old else None

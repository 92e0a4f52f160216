"""What a request of the stream and an article of a file have in common on the way to their label.

Knows neither where they came from nor where their label goes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.prompt import LabelPrompt


class PendingLabel(ABC):
    """An article on its way to its label. It has a task from its first claim on."""

    __slots__ = ("label_prompt", "task")

    label_prompt: LabelPrompt | None  # None: there is nothing to ask
    task: LabelingTask | None

    @property
    @abstractmethod
    def claim_place(self) -> tuple[int, int]:
        """The partition and the offset that its claims have in the budget's ledgers."""

    @property
    def source(self) -> str | None:
        """Whose share of the budget its calls count for; None where no share limits them."""
        return None

    @property
    @abstractmethod
    def is_finished(self) -> bool:
        """Whether nothing has to be asked any more."""

    @property
    def is_admitted(self) -> bool:
        """Whether a call may be claimed for it."""
        return True

    @property
    def is_begun(self) -> bool:
        """Whether a call was claimed for it, and there is no result yet."""
        return self.task is not None and self.task.result is None and not self.is_finished

    @property
    def needs_call(self) -> bool:
        """Whether it waits for a claim, its first one or another one."""
        if self.is_finished or self.label_prompt is None or not self.is_admitted:
            return False
        return self.task is None or self.task.needs_call

    @property
    def is_withheld(self) -> bool:
        """Whether there is no label, and it is not known yet whose fault that is."""
        return self.task is not None and self.task.withheld is not None

    @property
    def is_under_way(self) -> bool:
        """Whether a call is claimed whose response has not come."""
        return self.is_begun and not self.needs_call and not self.is_withheld

    @property
    def waits_for_others(self) -> bool:
        """Whether it takes the responses to other articles to decide about it."""
        is_waiting = self.task is not None and self.task.waits_for_others
        return is_waiting and not self.is_finished

"""A request of the stream on its way, from its record to its label. Knows no budget, no calls."""

from __future__ import annotations

from dataclasses import dataclass

from newsieve.oracle.draw_order import DrawPosition
from newsieve.oracle.label_cache import LABELS_OF_STORIES, CacheKey
from newsieve.oracle.labeling_task import LabelingTask, LabelResult
from newsieve.oracle.pending_label import PendingLabel
from newsieve.oracle.priority_sampling import Candidate
from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.records import ANCHOR, ParsedRequest
from newsieve.oracle.story_window import Story, StoryGroup


@dataclass(slots=True, eq=False)
class LabelRequest(PendingLabel):
    """A request on its way. Until `effective_pi` is known it is not decided whether the budget has
    a call for it."""

    partition: int
    offset: int
    parsed: ParsedRequest
    draw_position: DrawPosition
    text: CacheKey
    sketch: bytes
    label_prompt: LabelPrompt
    expected_usd: float  # of a call; by it is decided how many fit
    effective_pi: float | None = None
    task: LabelingTask | None = None
    is_published: bool = False  # before its turn, by whoever had to leave then
    _result: LabelResult | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it has a result, or its record is published already."""
        return self.is_published or self.result is not None

    @property
    def result(self) -> LabelResult | None:
        """Its own result, or the one that it was finished with."""
        return self._result or (self.task.result if self.task is not None else None)

    @property
    def is_anchor(self) -> bool:
        """Whether it measures the oracle: it is asked anew each time."""
        return self.parsed.request.sampling.purpose == ANCHOR

    @property
    def story(self) -> Story:
        """The request as the first of its story, and whose copies of it need no label."""
        request, record = self.parsed.request, self.parsed.record
        sampling = request.sampling
        group = StoryGroup(self.text.config, request.student, sampling.stratum, sampling.purpose)
        return Story(group, request.article.id, self.sketch, record.input["timestamp"])

    @property
    def may_bring_label(self) -> bool:
        """Whether copies of its story wait for it: it has, or may get, a label of its own that is
        not on record yet."""
        if self.is_anchor or self.is_published or self.is_withheld:
            return False
        result = self.result
        return self.is_admitted if result is None else result.status in LABELS_OF_STORIES

    @property
    def candidate(self) -> Candidate:
        """What is decided by whether it stays within the budget."""
        sampling, rank = self.parsed.request.sampling, self.draw_position.rank
        return Candidate(sampling.purpose, sampling.pi, rank, self.expected_usd, self.source)

    @property
    def is_undecided(self) -> bool:
        """Whether nobody has decided yet if the budget has a call for it."""
        return not self.is_finished and not self.is_admitted

    @property
    def claim_place(self) -> tuple[int, int]:
        """The partition and the offset of the request."""
        return self.partition, self.offset

    @property
    def source(self) -> str | None:
        """Whose share of the budget its calls count for; None for an anchor."""
        return self.draw_position.source

    @property
    def is_admitted(self) -> bool:
        """Whether it is decided that the budget has a call for it."""
        return self.effective_pi is not None

    @property
    def is_paid_for(self) -> bool:
        """Whether it has a result of its own: whoever asks for it again pays again."""
        return self.task is not None and self.task.result is not None

    def finish(self, result: LabelResult, effective_pi: float) -> None:
        """Give it a result that no call of its own brought."""
        self._result, self.effective_pi = result, effective_pi

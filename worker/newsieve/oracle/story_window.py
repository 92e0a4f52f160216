"""The stories that an oracle was asked about lately, so that each is asked about once.

Copies of a story say little that is new, and their labels are no independent evidence: a monitor
takes a story once. So what is kept apart is what monitors keep apart: filter, student and stratum,
beside how the oracle was asked and for what purpose. Knows neither requests nor records.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import numpy as np

from newsieve.filters.story_sketch import ALIKE_BINS, BINS

STORIES: Final = 4_096  # half a megabyte, and 0.2 ms to look through; at 100 a day a month and more
# News is copied within days; what is alike a week later is more often the next of a series.
WINDOW: Final = dt.timedelta(days=7)

# How an oracle was asked: an oracle key without the version that answered.
OracleConfigKey = tuple[str, str, str, str, str | None, float | None]


class StoryGroup(NamedTuple):
    """Whose copies are folded: those with the same of all of these. `config` has the filter's
    prompt in it."""

    config: OracleConfigKey
    student: str
    stratum: str
    purpose: str


StoryKey = tuple[StoryGroup, str]  # the group, and the id of the story's first article


class Story(NamedTuple):
    """The first article of a story: its id, the text's sketch, and when its request was written,
    in ISO 8601; None where that is not known. `model_version` is that of its label."""

    group: StoryGroup
    article_id: str
    sketch: bytes
    requested_at: str | None
    model_version: str = ""

    @property
    def key(self) -> StoryKey:
        """What the story is known by."""
        return self.group, self.article_id


class StoryWindow:
    """The latest stories, whichever group they belong to."""

    def __init__(self, stories: int = STORIES) -> None:
        self._most = stories
        self._bins = np.zeros((BINS, stories), dtype="<u2")  # a column for each story
        self._stories: list[Story] = []
        self._places: dict[StoryKey, int] = {}
        self._next = 0  # the place of the oldest story, once all are taken

    def put(self, story: Story) -> None:
        """Add a story, or put it in the place of what was known of the same article."""
        known = self._places.get(story.key)
        place = self._free_place() if known is None else known
        self._places[story.key] = place
        self._stories[place : place + 1] = [story]
        self._bins[:, place] = np.frombuffer(story.sketch, dtype="<u2")

    def first_of(self, copy: Story) -> Story | None:
        """Return the latest story of the same group that this one is a copy of; None where there
        is none within the window."""
        return max(self._alike(copy), key=_requested_at, default=None)

    def earliest_of(self, copy: Story) -> Story | None:
        """Return the earliest story of the same group that this one is a copy of, or None."""
        return min(self._alike(copy), key=_requested_at, default=None)

    def _alike(self, copy: Story) -> list[Story]:
        """Return all stories of the same group, within the window, that this one is a copy of."""
        bins = np.frombuffer(copy.sketch, dtype="<u2").reshape(BINS, 1)
        is_common = self._bins[:, : len(self._stories)] == bins
        common = is_common.view(np.uint8).sum(axis=0, dtype=np.uint8)  # by rows: ten times as fast
        alike = (self._stories[place] for place in np.flatnonzero(common >= ALIKE_BINS))
        return [one for one in alike if one.group == copy.group and _are_near(one, copy)]

    def _free_place(self) -> int:
        """Return the place behind the last story, or that of the oldest, which is forgotten."""
        place = len(self._stories)
        if place == self._most:
            place, self._next = self._next, (self._next + 1) % place
            del self._places[self._stories[place].key]
        return place


def _requested_at(story: Story) -> str:
    return story.requested_at or ""


def _are_near(one: Story, other: Story) -> bool:
    """Return whether two requests were written within the window; without a time they were not."""
    try:
        times = [dt.datetime.fromisoformat(story.requested_at or "") for story in (one, other)]
        return abs(times[0] - times[1]) <= WINDOW
    except (ValueError, TypeError):
        return False

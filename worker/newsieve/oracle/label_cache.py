"""Labels that are published already, so that a replay pays for none of them again.

A label answers a later request for the same text if it was asked for in the same way and is by the
model version that answered last, since a newer one might say something else. Anchors are asked
anew each time: they measure the oracle. Bounded: the labels that came first are dropped first.
Beside the labels are their stories: a copy of one needs no label of its own.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Final, NamedTuple

import orjson

from newsieve.filters.story_sketch import SKETCH_BYTES
from newsieve.oracle.answer import Answer
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.story_window import OracleConfigKey, Story, StoryGroup, StoryWindow
from newsieve_schemas.oracle import LABELLED, REFUSED, OracleKey

LABELS: Final = 10_000  # about 15 MB; at 100 a day more than a retention
ANCHOR: Final = "anchor"
LABELS_OF_STORIES: Final = frozenset({LABELLED, REFUSED})  # what stands for copies as well


class CacheKey(NamedTuple):
    """The text that a label is of, and how the oracle was asked."""

    article_id: str
    content_hash: str
    config: OracleConfigKey


def config_key(key: OracleKey) -> OracleConfigKey:
    """Return the part of an oracle key that is known before the answer."""
    return (
        key.provider,
        key.model,
        key.prompt_hash,
        key.schema_hash,
        key.thinking,
        key.temperature,
    )


class LabelCache:
    """The latest labels of one oracle, by text."""

    def __init__(self, labels: int = LABELS) -> None:
        self._most = labels
        self._results: OrderedDict[CacheKey, LabelResult] = OrderedDict()
        # When the last version answered, and which it is.
        self._versions: dict[OracleConfigKey, tuple[str, str]] = {}
        self._stories = StoryWindow()

    def put(
        self, text: CacheKey, result: LabelResult, labelled_at: str, story: Story | None = None
    ) -> None:
        """Add a label or a refusal, and the story that it is of. `labelled_at` is ISO 8601, in
        UTC: of several model versions the one that answered last is in force."""
        if result.status not in LABELS_OF_STORIES:
            return
        if story is not None:
            self._stories.put(story._replace(model_version=result.model_version))
        self._results[text] = result
        self._results.move_to_end(text)
        if len(self._results) > self._most:
            self._results.popitem(last=False)
        latest = self._versions.get(text.config, ("", ""))
        self._versions[text.config] = max(latest, (labelled_at, result.model_version))

    def get(self, text: CacheKey) -> LabelResult | None:
        """Return the published result for this text as one that nothing is paid for, or None."""
        known = self._results.get(text)
        if known is None or known.model_version != self._versions[text.config][1]:
            return None
        return replace(known, usage=None, is_reused=True)

    def first_of(self, story: Story) -> str | None:
        """Return the id of the article that was asked about in this one's story; None where none
        was, or an older model version answered."""
        first = self._stories.first_of(story)
        if first is None or first.model_version != self._versions[story.group.config][1]:
            return None
        return first.article_id

    def load_record(self, value: bytes) -> None:
        """Add the label of a published OracleScore. One that cannot be read is left out."""
        try:
            record = orjson.loads(value)
            key = OracleKey.model_validate(record["oracle"], extra="ignore")
            text = CacheKey(
                record["article"]["id"], record["article"]["content_hash"], config_key(key)
            )
            scores = record["oracle_scores"]
            answer = (
                Answer(scores, record["content_type"], record["reasoning"], record["key_markers"])
                if scores is not None
                else None
            )
            result = LabelResult(
                status=record["status"],
                model_version=key.model_version,
                answer=answer,
                failure=record["failure"],
                fingerprint=record["fingerprint"],
                answer_hash=record["answer_hash"],
            )
            self.put(text, result, record["labelled_at"], _story_of(record, text))
        except (ValueError, KeyError, TypeError):
            return


def _story_of(record: dict[str, Any], text: CacheKey) -> Story | None:
    """Return the story that an OracleScore's article is the first of; None where the record, an
    anchor's or an older one, has no sketch. Raises ValueError, KeyError or TypeError."""
    if record.get("story_sketch") is None:
        return None
    bins = base64.b64decode(record["story_sketch"], validate=True)
    if len(bins) != SKETCH_BYTES:
        raise ValueError("the sketch is none of this version")
    sampling = record["sampling"]
    group = StoryGroup(text.config, record["student"], sampling["stratum"], sampling["purpose"])
    return Story(group, text.article_id, bins, record["input"]["timestamp"])

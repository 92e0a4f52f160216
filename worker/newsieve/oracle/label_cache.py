"""Labels that are on record already, so that a replay pays for none of them again.

A label answers a later request when it is of the same text, by the same oracle: asked in the same
way, and by the version that answered last, since nobody knows what a newer one would say. Anchors
are asked anew each time: that is what they are for. Bounded; the oldest are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

import orjson

from newsieve.oracle.answer import Answer
from newsieve.oracle.labeling_task import LabelResult
from newsieve_schemas.oracle import OracleKey

LABELS: Final = 10_000  # about 15 MB; at 100 a day more than a retention
ANCHOR: Final = "anchor"

# How somebody is asked: an oracle key without the version that answered.
OracleConfigKey = tuple[str, str, str, str, str | None, float | None]


class CacheKey(NamedTuple):
    """Which text a label is of, asked in which way."""

    article_id: str
    content_hash: str
    config: OracleConfigKey


def config_key(key: OracleKey) -> OracleConfigKey:
    return (
        key.provider,
        key.model,
        key.prompt_hash,
        key.schema_hash,
        key.thinking,
        key.temperature,
    )


class LabelCache:
    """The latest labels."""

    def __init__(self, labels: int = LABELS) -> None:
        self._most = labels
        self._results: OrderedDict[CacheKey, LabelResult] = OrderedDict()
        self._versions: dict[OracleConfigKey, tuple[str, str]] = {}  # when it answered, and which

    def put(self, text: CacheKey, result: LabelResult, labelled_at: str) -> None:
        """`labelled_at` is ISO 8601, in UTC: the latest version is the one in force."""
        if result.status not in ("labelled", "refused"):
            return
        self._results[text] = result
        self._results.move_to_end(text)
        if len(self._results) > self._most:
            self._results.popitem(last=False)
        latest = self._versions.get(text.config, ("", ""))
        self._versions[text.config] = max(latest, (labelled_at, result.model_version))

    def get(self, text: CacheKey) -> LabelResult | None:
        """The verdict on record, with nothing paid for it."""
        found = self._results.get(text)
        if found is None or found.model_version != self._versions[text.config][1]:
            return None
        return LabelResult(
            status=found.status,
            model_version=found.model_version,
            answer=found.answer,
            failure=found.failure,
            fingerprint=found.fingerprint,
            answer_hash=found.answer_hash,
            is_reused=True,
        )

    def load_record(self, value: bytes) -> None:
        """Remember a published OracleScore. What cannot be read is not remembered."""
        try:
            facts = orjson.loads(value)
            key = OracleKey.model_validate(facts["oracle"], extra="ignore")
            text = CacheKey(
                facts["article"]["id"], facts["article"]["content_hash"], config_key(key)
            )
            scores = facts["oracle_scores"]
            answer = (
                Answer(scores, facts["content_type"], facts["reasoning"], facts["key_markers"])
                if scores is not None
                else None
            )
            result = LabelResult(
                status=facts["status"],
                model_version=key.model_version,
                answer=answer,
                failure=facts["failure"],
                fingerprint=facts["fingerprint"],
                answer_hash=facts["answer_hash"],
            )
            self.put(text, result, facts["labelled_at"])
        except (ValueError, KeyError, TypeError):
            return

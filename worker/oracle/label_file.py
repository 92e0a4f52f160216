"""An oracle that reads its labels from a file: for replays, demos and tests.

One label a line: `{"id": …, "filter": …, "scores": {…}}`, and if wanted `model_version` (which
version "returned" it, so that a change of oracle can be staged), `content_type`, `reasoning`,
`key_markers`, or `refusal`. Lines of `newsieve oracle label` will do as well. A later line for the
same article and filter replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from worker.errors import InputFileInvalid
from worker.oracle.prompt import CONTENT_TYPE, KEY_MARKERS, REASONING, SCORES, Asked, Question
from worker.oracle.provider import ANSWERED, REFUSED, Reply, Tokens, hash_of

NOTHING_USED: Final = Tokens(0, 0)


class LabelFile:
    """Labels by article and filter."""

    def __init__(self, labels: Mapping[tuple[str, str], dict[str, Any]], asked: Asked) -> None:
        self._labels = labels
        self._asked = asked

    def ask(self, question: Question) -> Reply:
        """The label as the line has it: whether it is one is for its reader to say."""
        found = self._labels.get((question.article_id, question.prompt.filter.name))
        if found is None:
            reason = "the label file has no label of this article for this filter"
            return Reply(
                REFUSED, reason=reason, model_version=self._asked.model, tokens=NOTHING_USED
            )
        label = found.get("oracle_scores")
        nested = label.get(SCORES) if isinstance(label, dict) else None
        facts = {key: found.get(key) for key in (CONTENT_TYPE, KEY_MARKERS, REASONING)}
        raw = orjson.dumps({**facts, SCORES: found.get(SCORES, nested)})
        version = found.get("model_version")
        common: dict[str, Any] = {
            "model_version": version if isinstance(version, str) else self._asked.model,
            "tokens": NOTHING_USED,
            "answer_hash": hash_of(raw),
        }
        if isinstance(found.get("refusal"), str):
            return Reply(REFUSED, reason=found["refusal"], **common)
        return Reply(ANSWERED, text=raw.decode(), **common)

    def close(self) -> None:
        """There is nothing to leave."""


def read_label_file(path: Path, asked: Asked) -> LabelFile:
    """Raises InputFileInvalid, with the line that is no label."""
    labels: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputFileInvalid(f"cannot read {path}: {error.strerror}") from None
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            facts = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputFileInvalid(f"{path}, line {number}: not JSON: {error}") from None
        if not isinstance(facts, dict) or not all(
            isinstance(facts.get(name), str) for name in ("id", "filter")
        ):
            raise InputFileInvalid(f"{path}, line {number}: no object with `id` and `filter`")
        labels[facts["id"], facts["filter"]] = facts
    return LabelFile(labels, asked)

"""A provider that reads labels from a file instead of asking a model: for replays, demos and tests.

One label a line: `{"id": …, "filter": …, "scores": {…}}`, and if wanted `model_version` (which
version "returned" it, so that a change of oracle can be staged), `content_type`, `reasoning`,
`key_markers`, or `refusal`. A filter is a name, or `name/vN`, which counts for that version alone,
and there before the name. Lines of `newsieve oracle label` will do as well. A later line for the
same article and filter replaces an earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from newsieve.errors import DecodeError, InputFileInvalid, SettingsInvalid
from newsieve.oracle.prompt import (
    CONTENT_TYPE,
    KEY_MARKERS,
    REASONING,
    SCORES,
    LabelPrompt,
    OracleConfig,
)
from newsieve.oracle.providers.base import ANSWERED, REFUSED, ProviderResponse, Tokens, hash_of
from newsieve.oracle.providers.registry import ProviderKind, ProviderSetup
from newsieve.records.json_lines import numbered, read_object
from newsieve_schemas.base import whole
from newsieve_schemas.label_row import LabelLine

LABEL_FILE: Final = "label_file"  # as oracle.provider names it
DEFAULT_MODEL: Final = "label-file"  # where the settings name none
NOTHING_USED: Final = Tokens(0, 0)


class LabelFile:
    """The labels of a file, by article and filter."""

    def __init__(self, labels: Mapping[tuple[str, str], LabelLine], config: OracleConfig) -> None:
        self._labels = labels
        self._config = config

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        """Return the label as it stands in the file. Whether it is valid is judged later."""
        filter_ = prompt.prompt.filter
        label = self._labels.get((prompt.article_id, filter_.reference))
        if label is None:
            label = self._labels.get((prompt.article_id, filter_.name))
        if label is None:
            reason = "the label file has no label of this article for this filter"
            return ProviderResponse(
                REFUSED, reason=reason, model_version=self._config.model, tokens=NOTHING_USED
            )
        row = label.fields
        answer = {key: row.get(key) for key in (CONTENT_TYPE, KEY_MARKERS, REASONING)}
        text = _json({**answer, SCORES: _scores(label)})
        version = row.get("model_version")
        common: dict[str, Any] = {
            "model_version": version if isinstance(version, str) else self._config.model,
            "tokens": NOTHING_USED,
            "answer_hash": hash_of(text.encode()),
        }
        if isinstance(row.get("refusal"), str):
            return ProviderResponse(REFUSED, reason=row["refusal"], **common)
        return ProviderResponse(ANSWERED, text=text, **common)

    def close(self) -> None:
        """Do nothing: no connection is open."""


def _json(value: Mapping[str, Any]) -> str:
    """Return JSON, also of what orjson does not write: integers beyond 64 bits, lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def _scores(line: LabelLine) -> Any:
    scores = line.fields.get(SCORES, line.scores)
    if not isinstance(scores, dict):
        return scores
    return {name: whole(value) for name, value in scores.items()}


def read_label_file(path: Path, config: OracleConfig) -> LabelFile:
    """Read a file of labels. Raises InputFileInvalid, with the line that is no label."""
    labels: dict[tuple[str, str], LabelLine] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputFileInvalid(f"cannot read {path}: {error.strerror}") from None
    for number, line in numbered(lines):
        try:
            row = LabelLine(read_object(line))
        except DecodeError as error:
            raise InputFileInvalid(f"{path}, line {number}: {error}") from None
        article_id, filter_ = row.id, row.fields.get("filter")
        if article_id is None or not isinstance(filter_, str):
            raise InputFileInvalid(
                f"{path}, line {number}: a label needs `id`, a string or an integer, and `filter`, "
                "a name or name/vN"
            )
        labels[article_id, filter_] = row
    return LabelFile(labels, config)


def _make(setup: ProviderSetup) -> LabelFile:
    """Return the provider of the settings. Raises SettingsInvalid or InputFileInvalid."""
    if setup.label_file is None:
        raise SettingsInvalid("oracle.label_file is not set: set NEWSIEVE_ORACLE__LABEL_FILE")
    return read_label_file(setup.label_file, setup.config)


KIND: Final = ProviderKind(_make, default_model=DEFAULT_MODEL)

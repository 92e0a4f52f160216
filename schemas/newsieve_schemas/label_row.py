"""The label row: a line of a file that `newsieve oracle label` writes, a contract like the topics'.

Training, drift anchors, `newsieve drift replay`, the label file as an oracle and the demo read such
files, also those that older versions or other programs wrote. `LabelRow` is what the one writer
writes, `LabelLine` is the one reader. Neither knows files, nor what dimensions a filter has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from newsieve_schemas.base import Written, id_text, whole
from newsieve_schemas.oracle import (
    DUPLICATE,
    INVALID,
    LABELLED,
    OVER_BUDGET,
    REFUSED,
    LabelStatus,
    OracleInteger,
    OracleKey,
    OracleUsage,
    oracle_key_name,
)
from newsieve_schemas.scored import SUSPECT, Hash, Timestamp

DEAD_LETTER: Final = "dead_letter"  # the outcome of a DeadLetterLine, which stands among label rows

_WITHOUT_LABEL: Final = (REFUSED, INVALID, OVER_BUDGET, DUPLICATE)

_Id = Annotated[str, BeforeValidator(lambda value: id_text(value) or value)]
_Score = Annotated[OracleInteger, BeforeValidator(whole)]  # other programs write 6.0


class OracleLabel(Written):
    """The scores that one oracle gave one article."""

    oracle: str = Field(default="", description="The oracle key's name.")
    scored_at: Timestamp = ""
    scores: dict[str, _Score]


class LabelRow(Written):
    """A line of a label file, which `newsieve oracle label` writes: an article with its text, and
    its label or the reason why it has none.

    In the place of a line of the input that was no article stands a DeadLetterLine. Rows of older
    versions or other programs may lack the fields that have a default in the model.
    """

    id: _Id
    title: str | None
    content: str | None
    url: str | None
    source: str | None
    language: str | None
    published_at: str | None = Field(description="As ingested; not parsed.")
    content_hash: Hash = Field(
        description="SHA-256 of the rendered text: title, blank line, content; UTF-8."
    )
    filter: str
    filter_version: str = ""
    label_hash: Hash = Field(description="Covers what a label means.")
    status: LabelStatus
    suspect: list[str] = Field(default=[], description=SUSPECT)
    oracle_scores: OracleLabel | None = Field(description="Null where there is no label.")
    content_type: str | None = None
    reasoning: str | None = None
    key_markers: list[str] | None = Field(
        default=None, description="What in the text decided the scores."
    )
    failure: str | None = Field(default=None, description="Why there is no label, for people.")
    oracle_key: OracleKey
    usage: OracleUsage | None = Field(
        default=None, description="Null when nothing was asked for this row."
    )
    calls_without_record: int = Field(
        default=0,
        ge=0,
        description="Earlier calls for this article, by a run that was killed or whose row this "
        "one replaces: they may have been paid for, too.",
    )
    answer_hash: Hash | None = Field(default=None, description="Of the raw answer.")


# What is validated of a row that somebody else may have written: the article and its label.
_LABEL_OF_ARTICLE: Final = (
    "id",
    "title",
    "content",
    "url",
    "source",
    "language",
    "published_at",
    "content_hash",
    "filter",
    "label_hash",
    "status",
    "oracle_scores",
    "oracle_key",
)


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A line of a label file as an object, read as far as it is asked: whoever wrote the file,
    fields may be missing, of another type, or unknown."""

    fields: Mapping[str, Any]

    @property
    def is_dead_letter(self) -> bool:
        """Whether the line stands for a line of the input that was no article."""
        return self.fields.get("outcome") == DEAD_LETTER

    @property
    def has_no_label(self) -> bool:
        """Whether the line itself says that there is no label."""
        fields = self.fields
        is_unanswered = fields.get("status") in _WITHOUT_LABEL
        return self.is_dead_letter or (is_unanswered and fields.get("oracle_scores") is None)

    @property
    def status(self) -> Any:
        """Return the status as it is in the file: a label's where there is none."""
        status = self.fields.get("status")
        return LABELLED if status is None else status

    @property
    def id(self) -> str | None:
        """Return the article's id as text, or None for what is no id."""
        return id_text(self.fields.get("id"))

    @property
    def filter_name(self) -> str | None:
        """Return the filter's name, without a version behind it, or None where there is none."""
        reference = self.fields.get("filter")
        return None if reference is None else str(reference).partition("/")[0]

    @property
    def scores(self) -> Any:
        """Return the oracle's scores as they are in the file, or what is in their place."""
        label = self.fields.get("oracle_scores")
        return label.get("scores") if type(label) is dict else label

    @property
    def oracle_key(self) -> OracleKey:
        """Return who labelled. Raises KeyError or ValidationError."""
        return OracleKey.model_validate(self.fields["oracle_key"], extra="ignore")

    @property
    def oracle_name(self) -> Any:
        """Return the oracle key's name, or what is in the key's place."""
        key = self.fields.get("oracle_key")
        return oracle_key_name(key) if type(key) is dict else key

    @property
    def calls(self) -> int:
        """Return how many calls may have been paid for the article. Raises TypeError."""
        usage = self.fields.get("usage") or {}
        calls: int = usage.get("attempts", 0) + self.fields.get("calls_without_record", 0)
        return calls

    def label_of_article(self) -> LabelRow:
        """Return the row with its article, its label and who labelled, validated; its other fields
        have their defaults. Raises ValidationError."""
        fields = {name: self.fields[name] for name in _LABEL_OF_ARTICLE if name in self.fields}
        label = fields.get("oracle_scores")
        if type(label) is dict and "scores" in label:
            fields["oracle_scores"] = {"scores": label["scores"]}
        return LabelRow.model_validate(fields, extra="ignore")

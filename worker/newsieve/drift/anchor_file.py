"""A file of anchors: frozen articles with two or more labels each by the accepted oracle.

Its lines are those of `newsieve oracle label`, of several runs one after another: each line of an
article is a replicate. It is read whole and strictly: a missing value would shift the reference
without any oracle having changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from newsieve.drift.anchors import FEWEST_REPLICATES, AnchorSet
from newsieve.errors import DecodeError, InputFileInvalid
from newsieve.filters.registry import Filter
from newsieve.records.json_lines import numbered, read_object
from newsieve.validation_text import validation_message
from newsieve_schemas.article import ArticleWithContent
from newsieve_schemas.label_row import LabelLine, LabelRow
from newsieve_schemas.oracle import HUMAN, LABELLED


class AnchorArticle(NamedTuple):
    """An anchor's article, as a request for its label has it."""

    id: str
    article: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """The anchors of one filter in a file."""

    reference: AnchorSet
    articles: dict[str, AnchorArticle]


def read_anchors(name: str, lines: Iterable[bytes], filter_: Filter) -> AnchorFile | None:
    """Return one filter's anchors, or None where the file has none of it.

    `name` is the file's. Raises InputFileInvalid.
    """
    names = filter_.definition.dimension_names
    labels: dict[str, list[list[int]]] = {}
    articles: dict[str, AnchorArticle] = {}
    keys: set[str] = set()
    for number, line in numbered(lines):
        row = _row(f"{name}, line {number}", line, filter_)
        if row is None or row.oracle_scores is None:
            continue
        fields = ArticleWithContent(**row.model_dump(include=set(ArticleWithContent.model_fields)))
        known = articles.setdefault(row.id, AnchorArticle(row.id, fields.model_dump()))
        if known.article["content_hash"] != row.content_hash:
            raise InputFileInvalid(
                f"{name}: {row.id!r:.80} has two texts, but an anchor must not change"
            )
        scores = row.oracle_scores.scores
        labels.setdefault(row.id, []).append([scores[dimension] for dimension in names])
        keys.add(row.oracle_key.name)
    if not labels:
        return None
    return AnchorFile(_reference(f"{name}, {filter_.name}", labels, keys), articles)


def _row(where: str, line: bytes, filter_: Filter) -> LabelRow | None:
    """Return a line's label, or None for a line about another filter, one that the oracle did not
    label, or one that was no article. Raises InputFileInvalid."""
    try:
        label = LabelLine(read_object(line))
        if label.is_dead_letter:
            return None
        is_other = _is_other(label, filter_)
        hash_, title, content = map(label.fields.get, ("label_hash", "title", "content"))
        is_label = type(hash_) is not str or filter_.is_label_of(hash_, title, content)
        if not (is_other or is_label):
            raise InputFileInvalid(
                f"{where}: labelled for another version of {filter_.name}: label the anchors again"
            )
        row = label.label_of_article()
    except DecodeError as error:
        raise InputFileInvalid(f"{where}: {error}") from None
    except ValidationError as error:
        raise InputFileInvalid(
            f"{where}: not written by `newsieve oracle label`: {validation_message(error)}"
        ) from None
    if is_other or row.oracle_scores is None:
        return None
    if row.oracle_key.provider == HUMAN:
        raise InputFileInvalid(
            f"{where}: labelled by a person, but anchors show whether the oracle at work still "
            "labels as it did: let that one label the articles of `newsieve review export "
            "--articles`"
        )
    if set(row.oracle_scores.scores) != set(filter_.definition.dimension_names):
        raise InputFileInvalid(
            f"{where}: scores of other dimensions than those of {filter_.reference}"
        )
    return row


def _is_other(line: LabelLine, filter_: Filter) -> bool:
    """Whether the line says that it is of another filter, or that it has no label."""
    name, status = line.fields.get("filter"), line.status
    is_other_filter = type(name) is str and name != filter_.name
    return is_other_filter or (type(status) is str and status != LABELLED)


def _reference(where: str, labels: dict[str, list[list[int]]], keys: set[str]) -> AnchorSet:
    if len(keys) > 1:
        raise InputFileInvalid(f"{where}: labels of several oracles: {', '.join(sorted(keys))}")
    counts = {len(scores) for scores in labels.values()}
    if len(counts) > 1 or min(counts) < FEWEST_REPLICATES:
        raise InputFileInvalid(
            f"{where}: each article needs the same number of labels, {FEWEST_REPLICATES} at least; "
            f"some have {min(counts)}, some {max(counts)}. Put the results of several runs of "
            "`newsieve oracle label` into one file"
        )
    replicates = np.array(list(labels.values()), dtype=np.float64)
    return AnchorSet(keys.pop(), tuple(labels), replicates)

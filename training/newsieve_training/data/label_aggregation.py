"""Turns label rows into labelled articles: lists bad rows, joins equal articles, averages labels.

Several labels of one oracle for one article are averaged first, then the oracles that the recipe
mixes, so that an oracle that was asked twice counts no more than one asked once.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from newsieve.errors import InputFileInvalid
from newsieve.filters.content_rules import ContentRules
from newsieve.filters.readable import has_text
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import render
from newsieve.filters.suspect import suspect_rules
from newsieve.records.json_lines import numbered
from newsieve_training.data.label_formats import BadLabel, Label, labels_of, parse_row
from newsieve_training.data.manifest import BadRow
from newsieve_training.errors import LabelsRefused
from newsieve_training.pipeline.files import Row
from newsieve_training.pipeline.recipe import Labels

BAD_ROWS_SHOWN: Final = 3  # in an error; the manifest lists more


@dataclass(frozen=True)
class Source:
    """A file of label rows, one JSON object a line, and its name in errors and in the manifest."""

    name: str
    content: bytes

    @property
    def identity(self) -> dict[str, str]:
        return {"name": self.name, "sha256": hashlib.sha256(self.content).hexdigest()}


def read_source(path: Path) -> Source:
    """Read a file of labels. Raises InputFileInvalid."""
    try:
        return Source(path.name, path.read_bytes())
    except OSError as error:
        raise InputFileInvalid(f"cannot read {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Labelled:
    """Articles with their mean label, and what was left out: the bad rows, the number of rows that
    say themselves that they have no label, of rows that only oracles labelled which the recipe does
    not name, and of articles that speak to a model."""

    rows: list[Row]
    bad: list[BadRow]
    unlabelled: int
    unnamed: int
    suspect: int


def read_labelled(sources: Sequence[Source], labels: Labels, filter_: Filter) -> Labelled:
    """Read all labels and average those of one article.

    Raises LabelsRefused: above the recipe's share of bad rows, for several oracles of which it
    names none, or when no label is left.
    """
    bad: list[BadRow] = []
    read = list(_rows(sources, filter_, bad))
    answered = [(row, many) for row, many in read if many]
    total = len(read) + len(bad)
    if len(bad) > labels.bad_rows_allowed * total:
        first = "; ".join(map(str, bad[:BAD_ROWS_SHOWN]))
        raise LabelsRefused(
            f"{len(bad)} of {total} rows are bad, more than the "
            f"{labels.bad_rows_allowed:.0%} that the recipe allows. The first: {first}"
        )
    counted = _counted_oracles(labels, (label for _, many in answered for label in many))
    by_article: dict[tuple[str, str], tuple[Row, dict[Label, None]]] = {}
    unnamed = 0
    for row, many in answered:
        chosen = [label for label in many if label.oracle in counted]
        unnamed += not chosen
        if chosen:  # a label that is read twice, also from two files, is one
            known = by_article.setdefault((row["id"], row["text"]), (row, {}))[1]
            known.update(dict.fromkeys(chosen))
    if not by_article:
        raise LabelsRefused(_none_counts(labels, (label for _, many in answered for label in many)))
    rows = [{**row, **_mean_label(list(many), filter_)} for row, many in by_article.values()]
    kept = trainable(decided(rows, filter_), labels)
    if not kept:
        raise LabelsRefused(
            f"all {len(rows)} articles speak to a model: labels.include_suspect takes them"
        )
    left_out = len(rows) - len(kept)
    return Labelled(kept, bad, len(read) - len(answered), unnamed, left_out)


def decided(rows: Sequence[Row], filter_: Filter) -> list[Row]:
    """Return the rows with the content rules they meet, the tier of their label, and the rules by
    which they speak to a model, by the filter as it is now: files of labels do not say it."""
    definition = filter_.definition
    rules = ContentRules([definition, suspect_rules(definition.dimension_names)])
    met = [rules.match(row["text"], row["title"], row["url"]) for row in rows]
    names = [list(own.names) for own, _ in met]
    tiers = filter_.tiering.decide(label_scores(rows, filter_), names).tier
    return [
        {**row, "content_rules": own, "suspect": list(suspect.names), "tier": tier}
        for row, own, (_, suspect), tier in zip(rows, names, met, tiers, strict=True)
    ]


def trainable(rows: Sequence[Row], labels: Labels) -> list[Row]:
    """Return the rows to train on and to judge by: not those of articles that speak to a model,
    since whoever writes to the oracle chooses its label. The recipe may include them."""
    return [row for row in rows if labels.include_suspect or not row["suspect"]]


def is_scored(rules: Iterable[str], filter_: Filter) -> bool:
    """Say whether a worker scores an article with these content rules: whether none blocks."""
    return filter_.definition.blocking_rules.isdisjoint(rules)


def label_scores(rows: Sequence[Row], filter_: Filter) -> npt.NDArray[np.float64]:
    """Return (N, D) mean oracle scores in the filter's dimension order."""
    names = filter_.definition.dimension_names
    return np.array(
        [[row["scores"][name] for name in names] for row in rows], dtype=np.float64
    ).reshape(len(rows), len(names))


def _rows(
    sources: Sequence[Source], filter_: Filter, bad: list[BadRow]
) -> Iterator[tuple[Row, list[Label]]]:
    """Yield articles with their labels, a row that says it has none as nothing with none; append
    bad rows to `bad`."""
    for source in sources:
        for number, raw in numbered(source.content.split(b"\n")):
            try:
                line = parse_row(raw)
                if line.has_no_label:
                    yield {}, []
                    continue
                labels = _labels(line.fields, filter_)
                article = _article(line.fields)
            except BadLabel as error:
                bad.append(
                    BadRow(file=source.name, line=number, field=error.field, reason=error.reason)
                )
                continue
            yield article, labels


def _labels(row: Mapping[str, Any], filter_: Filter) -> list[Label]:
    hash_ = row.get("label_hash", filter_.label_hash)
    if not filter_.is_label_of(hash_, _text(row, "title"), _text(row, "content")):
        raise BadLabel("label_hash", f"the label means something else than {filter_.reference}'s")
    return labels_of(row, filter_.name, filter_.definition.dimension_names)


def _article(row: Mapping[str, Any]) -> Row:
    """Return the fields of an article that training needs. Raises BadLabel."""
    for field in ("title", "content"):
        if not isinstance(row.get(field), str | None):
            raise BadLabel(field, "not a text")
    title, content = _text(row, "title"), _text(row, "content")
    if not (has_text(title or "") or has_text(content or "")):
        raise BadLabel("content", "neither title nor content with anything to read in it")
    text = render(title, content)
    return {
        "id": _identity(row, text),
        "title": title,
        "url": _text(row, "url"),
        "source": _text(row, "source"),
        "language": _text(row, "language"),
        "text": text,
    }


def _identity(row: Mapping[str, Any], text: str) -> str:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str | None):
        raise BadLabel("id", f"{value!r} is neither a text nor an integer")
    return value or hashlib.sha256(text.encode()).hexdigest()


def _text(row: Mapping[str, Any], field: str) -> str | None:
    value = row.get(field)
    return value if isinstance(value, str) else None


def _counted_oracles(wanted: Labels, labels: Iterable[Label]) -> set[str]:
    seen = Counter(label.oracle for label in labels)
    if wanted.oracles:
        return set(wanted.oracles)
    if len(seen) > 1:
        raise LabelsRefused(
            "the labels come from several oracles, which never mix unasked: name those to mix in "
            f"labels.oracles. There are {_listed(seen)}"
        )
    return set(seen)


def _none_counts(wanted: Labels, labels: Iterable[Label]) -> str:
    """Say why no article is left, and what to do where other oracles' labels are there."""
    seen = Counter(label.oracle for label in labels)
    if not seen:
        return "no row has a label of any oracle"
    return (
        f"no row has a label of {', '.join(wanted.oracles)}, the recipe's labels.oracles. There "
        f"are labels of {_listed(seen)}: take a copy of the recipe, and name those there, or none "
        "if all are of one oracle"
    )


def _listed(oracles: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} ({count})" for name, count in oracles.items())


def _mean_label(labels: Sequence[Label], filter_: Filter) -> Row:
    by_oracle: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for label in labels:
        by_oracle[label.oracle].append(label.scores)
    mean = np.mean([np.mean(scores, axis=0) for scores in by_oracle.values()], axis=0).tolist()
    return {
        "scores": dict(zip(filter_.definition.dimension_names, mean, strict=True)),
        "labels": [
            {"oracle": label.oracle, "scored_at": label.scored_at, "scores": list(label.scores)}
            for label in labels
        ],
        "oracles": sorted(by_oracle),
    }

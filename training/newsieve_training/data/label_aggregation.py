"""Label rows to labelled articles: what is bad is listed, what is the same is one, means are taken.

Several labels of one oracle for one article are averaged first, then the oracles that the recipe
mixes, so that an oracle that was asked twice counts no more than one asked once.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from newsieve_training.errors import LabelsRefused
from newsieve_training.pipeline.files import Row
from newsieve_training.pipeline.recipe import Labels


@dataclass(frozen=True)
class Source:
    """Label rows, one JSON object a line, by the name that errors and the manifest give them."""

    name: str
    content: bytes

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.name, "sha256": hashlib.sha256(self.content).hexdigest()}


def read_source(path: Path) -> Source:
    """Raises InputFileInvalid."""
    try:
        return Source(path.name, path.read_bytes())
    except OSError as error:
        raise InputFileInvalid(f"cannot read {path}: {error.strerror}") from None


@dataclass(frozen=True)
class Labelled:
    """Articles with their mean label; the rows that are bad, and why; how many rows say themselves
    that they have no label, and how many only oracles labelled that the recipe does not name; how
    many articles were left out since they speak to a model."""

    rows: list[Row]
    bad: list[dict[str, Any]]
    unlabelled: int
    unnamed: int
    suspect: int


def read_labelled(sources: Sequence[Source], labels: Labels, filter_: Filter) -> Labelled:
    """Raises LabelsRefused: above the recipe's share of bad rows, for several oracles of which it
    names none, or when no label is left."""
    bad: list[dict[str, Any]] = []
    read = list(_rows(sources, filter_, bad))
    found = [(row, many) for row, many in read if many]
    total = len(read) + len(bad)
    if len(bad) > labels.bad_rows_allowed * total:
        first = "; ".join(f"{b['file']}:{b['line']} {b['field']}: {b['reason']}" for b in bad[:3])
        raise LabelsRefused(
            f"{len(bad)} of {total} rows are bad, more than the "
            f"{labels.bad_rows_allowed:.0%} that the recipe allows. The first: {first}"
        )
    counted = _counted_oracles(labels, (label for _, many in found for label in many))
    by_article: dict[tuple[str, str], tuple[Row, dict[Label, None]]] = {}
    unnamed = 0
    for row, many in found:
        chosen = [label for label in many if label.oracle in counted]
        unnamed += not chosen
        if chosen:  # a label that is read twice, also from two files, is one
            known = by_article.setdefault((row["id"], row["text"]), (row, {}))[1]
            known.update(dict.fromkeys(chosen))
    if not by_article:
        raise LabelsRefused(_none_counts(labels, (label for _, many in found for label in many)))
    rows = [{**row, **_label_facts(list(many), filter_)} for row, many in by_article.values()]
    kept = trainable(decided(rows, filter_), labels)
    if not kept:
        raise LabelsRefused(
            f"all {len(rows)} articles speak to a model: labels.include_suspect takes them"
        )
    left_out = len(rows) - len(kept)
    return Labelled(kept, bad, len(read) - len(found), unnamed, left_out)


def decided(rows: Sequence[Row], filter_: Filter) -> list[Row]:
    """The rows with the content rules they meet, the tier of their label, and how they speak to a
    model, by the filter as it is now: files of labels do not say it."""
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
    """Those that may be trained on and judge: whoever writes to the oracle chooses its label."""
    return [row for row in rows if labels.include_suspect or not row["suspect"]]


def is_scored(rules: Iterable[str], filter_: Filter) -> bool:
    """Whether a worker scores an article that meets these content rules: none of them blocks."""
    return filter_.definition.blocking_rules.isdisjoint(rules)


def label_scores(rows: Sequence[Row], filter_: Filter) -> npt.NDArray[np.float64]:
    """(N, D) mean oracle scores in the filter's dimension order."""
    names = filter_.definition.dimension_names
    return np.array(
        [[row["scores"][name] for name in names] for row in rows], dtype=np.float64
    ).reshape(len(rows), len(names))


def _rows(
    sources: Sequence[Source], filter_: Filter, bad: list[dict[str, Any]]
) -> Iterator[tuple[Row, list[Label]]]:
    """Yield articles with their labels, a row that says it has none as nothing with none; put the
    bad ones into `bad`."""
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
                where = {"file": source.name, "line": number}
                bad.append({**where, "field": error.field, "reason": error.reason})
                continue
            yield article, labels


def _labels(row: Mapping[str, Any], filter_: Filter) -> list[Label]:
    if row.get("label_hash", filter_.label_hash) != filter_.label_hash:
        raise BadLabel("label_hash", f"the label means something else than {filter_.reference}'s")
    return labels_of(row, filter_.name, filter_.definition.dimension_names)


def _article(row: Mapping[str, Any]) -> Row:
    """What training needs of an article."""
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
    """Why no article is left, and what to do where other oracles' labels are there."""
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


def _label_facts(labels: Sequence[Label], filter_: Filter) -> Row:
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

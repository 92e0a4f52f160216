"""prepare: label files in, one clean and split data set out, with a manifest that proves it.

Bad rows are left out and listed. Duplicates of any kind stay on one side of a split, so that no
student is judged on a text it was trained on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from datasketch import MinHash, MinHashLSH

from training.errors import LabelsRefused, RunInvalid
from training.labels import BadLabel, Label, labels_of, parse_row
from training.recipe import Recipe, Split
from training.run import (
    RUN_FILE,
    SHORT_HASH,
    Row,
    Run,
    file_hash,
    hash_of,
    write_json,
    write_jsonl,
)
from worker.errors import InputFileInvalid
from worker.rules.catalogue import Filter, load
from worker.rules.content import ContentRules
from worker.rules.text import render

SHINGLE_WORDS: Final = 5
PERMUTATIONS: Final = 128
BAD_ROWS_LISTED: Final = 100
_WORD: Final = re.compile(r"\w+")
_TRACKING: Final = re.compile(r"[?#].*$")

STAGE: Final = "prepare"


def prepare(recipe: Recipe, label_files: Sequence[Path], runs: Path) -> tuple[Run, bool]:
    """The run for this recipe and these labels, and whether it had to be made.

    Raises InputFileInvalid, RunInvalid, or LabelsRefused: above the recipe's share of bad rows,
    for several oracles of which the recipe names none, or when no label is left.
    """
    filter_ = load(recipe.filter)
    label_hashes = [{"name": path.name, "sha256": _hash_of_file(path)} for path in label_files]
    hashes = {"filter_hash": filter_.filter_hash, "label_hash": filter_.label_hash}
    inputs = hash_of(recipe.model_dump(mode="json"), label_hashes, hashes)
    run = _run_folder(runs, filter_.name, inputs)
    if run.path(RUN_FILE).exists() and run.inputs_of(STAGE) == inputs:
        return run, False
    rows, bad, unnamed = _read(label_files, recipe, filter_)
    if not rows:
        raise LabelsRefused(
            f"no row has a label of {', '.join(recipe.labels.oracles) or 'any oracle'}"
        )
    _make_folder(run.folder)
    _tier(rows, filter_)
    groups = _duplicate_groups(rows, recipe.labels.near_duplicate_similarity)
    splits = _split(rows, groups, recipe.split)
    for name, members in splits.items():
        write_jsonl(run.path("data", f"{name}.jsonl"), members)
    manifest = _manifest(splits, bad, unnamed, label_hashes, groups)
    write_json(run.path("data", "manifest.json"), manifest)
    write_json(run.path(RUN_FILE), {"recipe": recipe.model_dump(mode="json")})
    run.record(STAGE, inputs, filter=filter_.reference, **hashes, data=manifest)
    return run, True


def _hash_of_file(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise InputFileInvalid(f"cannot read {path}: {error.strerror}") from None


def _run_folder(runs: Path, filter_name: str, inputs: str) -> Run:
    """The folder of an earlier run with the same inputs, else one named after today."""
    short = inputs[:SHORT_HASH]
    earlier = sorted(runs.glob(f"{filter_name}-*-{short}"))
    today = dt.datetime.now(dt.UTC).strftime("%Y%m%d")
    return Run(earlier[-1] if earlier else runs / f"{filter_name}-{today}-{short}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunInvalid(f"cannot make the folder {folder}: {error.strerror}") from None


def _read(
    label_files: Sequence[Path], recipe: Recipe, filter_: Filter
) -> tuple[list[Row], list[dict[str, Any]], int]:
    """Usable rows with their mean label; the bad rows and why; how many only other oracles
    labelled."""
    found: list[tuple[Row, list[Label]]] = []
    bad: list[dict[str, Any]] = []
    total = 0
    for path in label_files:
        for line, raw in enumerate(path.read_bytes().split(b"\n")):
            if not raw.strip():
                continue
            total += 1
            try:
                row = parse_row(raw)
                labels = labels_of(row, filter_.name, filter_.definition.dimension_names)
                found.append((_article(row), labels))
            except BadLabel as error:
                bad.append(
                    {"file": path.name, "line": line, "field": error.field, "reason": error.reason}
                )
    if len(bad) > recipe.labels.bad_rows_allowed * total:
        first = "; ".join(f"{b['file']}:{b['line']} {b['field']}: {b['reason']}" for b in bad[:3])
        raise LabelsRefused(
            f"{len(bad)} of {total} rows are bad, more than the "
            f"{recipe.labels.bad_rows_allowed:.0%} that the recipe allows. The first: {first}"
        )
    counted = _counted_oracles(recipe, [label for _, labels in found for label in labels])
    rows = []
    for row, labels in found:
        chosen = [label for label in labels if label.oracle in counted]
        if chosen:
            rows.append({**row, **_mean_label(chosen, filter_)})
    return rows, bad, len(found) - len(rows)


def _article(row: Row) -> Row:
    """What training needs of an article."""
    text = render(_text(row, "title"), _text(row, "content"))
    if not text:
        raise BadLabel("content", "neither title nor content")
    identity = row.get("id") or hashlib.sha256(text.encode()).hexdigest()
    return {
        "id": str(identity),
        "title": _text(row, "title"),
        "url": _text(row, "url"),
        "source": _text(row, "source"),
        "language": _text(row, "language"),
        "text": text,
    }


def _text(row: Row, field: str) -> str | None:
    value = row.get(field)
    return value if isinstance(value, str) else None


def _counted_oracles(recipe: Recipe, labels: Iterable[Label]) -> set[str]:
    seen = Counter(label.oracle for label in labels)
    if recipe.labels.oracles:
        return set(recipe.labels.oracles)
    if len(seen) > 1:
        raise LabelsRefused(
            "the labels come from several oracles, which never mix unasked: name those to mix in "
            f"labels.oracles. There are {', '.join(f'{k!r} ({n})' for k, n in seen.items())}"
        )
    return set(seen)


def _mean_label(labels: Sequence[Label], filter_: Filter) -> Row:
    mean = np.mean([label.scores for label in labels], axis=0).tolist()
    return {
        "scores": dict(zip(filter_.definition.dimension_names, mean, strict=True)),
        "labels": len(labels),
        "oracles": sorted({label.oracle for label in labels}),
    }


def _tier(rows: list[Row], filter_: Filter) -> None:
    """The content rules each article met, and the tier of its label."""
    rules = content_rules(rows, filter_)
    tiers = filter_.tiering.decide(label_scores(rows, filter_), rules).tier
    for row, met, tier in zip(rows, rules, tiers, strict=True):
        row["content_rules"], row["tier"] = met, tier


def content_rules(rows: Sequence[Row], filter_: Filter) -> list[list[str]]:
    """For each article, the names of the rules that it meets."""
    rules = ContentRules([filter_.definition])
    return [list(rules.met(row["text"], row["title"], row["url"])[0].names) for row in rows]


def label_scores(rows: Sequence[Row], filter_: Filter) -> npt.NDArray[np.float64]:
    """(N, D) oracle scores in the filter's dimension order."""
    names = filter_.definition.dimension_names
    return np.array([[row["scores"][name] for name in names] for row in rows], dtype=np.float64)


def _duplicate_groups(rows: Sequence[Row], similarity: float) -> list[int]:
    """For each row the number of its group: same id, url, text, or nearly the same text."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    keys: tuple[Callable[[Row], str | None], ...] = (
        lambda row: row["id"],
        lambda row: _TRACKING.sub("", row["url"]).rstrip("/").lower() if row["url"] else None,
        lambda row: " ".join(_WORD.findall(row["text"].lower())),
    )
    for key in keys:
        first: dict[str, int] = {}
        for index, row in enumerate(rows):
            value = key(row)
            if value:
                parent[root(index)] = root(first.setdefault(value, index))
    index_of_hashes = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)
    for index, row in enumerate(rows):
        fingerprint = _min_hash(row["text"])
        for other in index_of_hashes.query(fingerprint):
            parent[root(index)] = root(other)
        index_of_hashes.insert(index, fingerprint)
    return [root(index) for index in range(len(rows))]


def _min_hash(text: str) -> MinHash:
    words = _WORD.findall(text.lower())
    shingles = {
        " ".join(words[at : at + SHINGLE_WORDS]).encode()
        for at in range(max(1, len(words) - SHINGLE_WORDS + 1))
    }
    fingerprint = MinHash(num_perm=PERMUTATIONS)
    fingerprint.update_batch(list(shingles))
    return fingerprint


def _split(rows: Sequence[Row], groups: Sequence[int], split: Split) -> dict[str, list[Row]]:
    """Whole groups to splits, tier by tier, so that each split has its share of each tier."""
    by_tier: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row, group in zip(rows, groups, strict=True):
        by_tier[rows[group]["tier"]][group].append(row)
    chance = random.Random(split.seed)
    found: dict[str, list[Row]] = {name: [] for name in _split_names(split)}
    for tier in sorted(by_tier):
        members = [by_tier[tier][group] for group in sorted(by_tier[tier])]
        chance.shuffle(members)
        for position, group_rows in enumerate(members):
            _assign(found, group_rows, position, len(members), split)
    return found


def _split_names(split: Split) -> tuple[str, ...]:
    return ("train",) if split.kind == "cross_validation" else ("train", "validation", "test")


def _assign(
    found: dict[str, list[Row]], group: list[Row], position: int, count: int, split: Split
) -> None:
    if split.kind == "cross_validation":
        found["train"] += [{**row, "fold": position % split.folds} for row in group]
        return
    at = (position + 0.5) / count
    if at < split.test:
        found["test"] += group
    elif at < split.test + split.validation:
        found["validation"] += group
    else:
        found["train"] += group


def _manifest(
    splits: Mapping[str, list[Row]],
    bad: list[dict[str, Any]],
    unnamed: int,
    label_hashes: list[dict[str, str]],
    groups: Sequence[int],
) -> dict[str, Any]:
    return {
        "files": label_hashes,
        "rows": {name: len(rows) for name, rows in splits.items()},
        "hashes": {name: hash_of(rows) for name, rows in splits.items()},
        "tiers": {name: _counts(row["tier"] for row in rows) for name, rows in splits.items()},
        "oracles": _counts(key for rows in splits.values() for r in rows for key in r["oracles"]),
        "duplicate_groups": sum(1 for count in Counter(groups).values() if count > 1),
        "bad_rows": len(bad),
        "rows_of_unnamed_oracles": unnamed,
        "bad_rows_listed": bad[:BAD_ROWS_LISTED],
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))

"""prepare: makes one clean and split data set of labels, with a manifest that proves it.

Bad rows are left out and listed. Duplicates of any kind stay on one side of a split, so that no
student is judged on a text it was trained on. An earlier run can be extended: its articles keep
their split, so that the students of both can be judged on articles that neither has seen.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from newsieve.filters.registry import Filter, FilterRegistry
from newsieve.terminal import progress
from newsieve_training.data.duplicates import Shared, groups_of
from newsieve_training.data.label_aggregation import Source, decided, read_labelled, trainable
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.rendering_check import is_of_todays_labels
from newsieve_training.data.split import TRAIN, divide, smallest_share, split_names
from newsieve_training.errors import LabelsRefused, RunInvalid
from newsieve_training.pipeline.files import Row, hash_of, write_jsonl
from newsieve_training.pipeline.graph import DECISIVE, PREPARE
from newsieve_training.pipeline.recipe import CROSS_VALIDATION, Recipe, Split
from newsieve_training.pipeline.run_folder import RUN_FILE, Run
from newsieve_training.pipeline.stage import (
    SHORT_HASH,
    StageWorkspace,
    inputs_of,
    is_done,
    require_up_to_date,
    run_stage,
)

EARLIER: Final = "earlier"  # marks rows of a run that was extended
BAD_ROWS_LISTED: Final = 100
SHARED_LISTED: Final = 10
LEAST_OF_A_PART: Final = 2  # articles of a split or fold; one has no spread


@dataclass(frozen=True)
class _Prepared:
    splits: Mapping[str, Sequence[Row]]
    manifest: DataManifest


def prepare(
    recipe: Recipe,
    sources: Sequence[Source],
    runs: Path,
    filters: FilterRegistry,
    extends: Run | None = None,
) -> tuple[Run, bool]:
    """Return the run for this recipe and these labels, and whether its data had to be made.

    Raises RunInvalid, or LabelsRefused: see `read_labelled`.
    """
    filter_ = filters.load(recipe.filter)
    identity = {
        "filter": filter_.reference,
        "filter_hash": filter_.filter_hash,
        "label_hash": filter_.label_hash,
        "labels": [source.identity for source in sources],
        "extends": _earlier(extends, recipe, filter_) if extends else None,
    }
    folder = _run_folder(runs, filter_.name, hash_of(recipe.settings(*DECISIVE), identity))
    run = Run(folder, filters)
    values = {"recipe": recipe.model_dump(mode="json"), **identity}
    if run.path(RUN_FILE).exists():
        with run.locked():
            run.update(values)  # the gate or the purpose may be others
        if is_done(run, PREPARE.name, inputs_of(run, PREPARE)):
            return run, False
    prepared = _prepare(recipe, sources, extends, filter_)  # may refuse: nothing is written yet
    run.make()
    with run.locked():
        run.update(values)
    return run, run_stage(run, PREPARE, lambda workspace: _write(workspace, prepared))


def _write(workspace: StageWorkspace, prepared: _Prepared) -> Mapping[str, Any]:
    for name, rows in prepared.splits.items():
        write_jsonl(workspace.out / "data" / f"{name}.jsonl", rows)
    prepared.manifest.write(workspace.out)
    return {}


def _run_folder(runs: Path, filter_name: str, identity: str) -> Path:
    """Return the folder of an earlier run with the same inputs, else one named after today."""
    short = identity[:SHORT_HASH]
    earlier = sorted(runs.glob(f"{filter_name}-*-{short}"))
    today = dt.datetime.now(dt.UTC).strftime("%Y%m%d")
    return earlier[-1] if earlier else runs / f"{filter_name}-{today}-{short}"


def _earlier(extends: Run, recipe: Recipe, filter_: Filter) -> dict[str, str]:
    """Return the hashes of the splits of the run to extend. Raises RunInvalid if it cannot be."""
    require_up_to_date(extends, PREPARE)
    if not is_of_todays_labels(extends):
        raise RunInvalid(
            f"the labels of {extends.folder} mean something else than {filter_.reference}'s do "
            "now: it cannot be extended"
        )
    if _shape(extends.recipe.split) != _shape(recipe.split):
        raise RunInvalid(f"{extends.folder} is split in another way: it cannot be extended")
    return DataManifest.read(extends.folder).hashes


def _shape(split: Split) -> tuple[str, int | None]:
    return split.kind, split.folds if split.kind == CROSS_VALIDATION else None


def _prepare(
    recipe: Recipe, sources: Sequence[Source], extends: Run | None, filter_: Filter
) -> _Prepared:
    labelled = read_labelled(sources, recipe.labels, filter_)
    kept = _kept(extends, recipe, filter_) if extends else {}
    old = [row for rows in kept.values() for row in rows]
    _require_oracles(old, labelled.rows, recipe)
    rows = [*old, *labelled.rows]
    with progress("looking for duplicates", len(rows)) as advance:
        groups, shared = groups_of(rows, recipe.labels.near_duplicate_similarity, advance)
    known = set(groups[: len(old)])
    new = [row for row in range(len(old), len(rows)) if groups[row] not in known]
    divided = divide([rows[row] for row in new], [groups[row] for row in new], recipe.split)
    splits = {name: [*kept.get(name, ()), *added] for name, added in divided.items()}
    _require_articles(splits, recipe.split)
    manifest = DataManifest(
        rows={name: len(members) for name, members in splits.items()},
        hashes={name: hash_of(members) for name, members in splits.items()},
        tiers={name: _counts(row["tier"] for row in split) for name, split in splits.items()},
        oracles=_counts(key for split in splits.values() for r in split for key in r["oracles"]),
        languages=_counts(str(r["language"]) for split in splits.values() for r in split),
        duplicate_groups=sum(1 for count in Counter(groups).values() if count > 1),
        remarks=[*_remarks_on_shared(shared), *_remarks_on_groups(groups, recipe.split)],
        kept_from_earlier_run=len(old),
        rows_known_to_earlier_run=len(labelled.rows) - len(new),
        rows_without_label=labelled.unlabelled,
        rows_of_unnamed_oracles=labelled.unnamed,
        suspect_articles_left_out=labelled.suspect,
        bad_rows=len(labelled.bad),
        bad_rows_listed=labelled.bad[:BAD_ROWS_LISTED],
    )
    return _Prepared(splits, manifest)


def _kept(extends: Run, recipe: Recipe, filter_: Filter) -> dict[str, list[Row]]:
    rows = {name: decided(extends.rows(name), filter_) for name in split_names(recipe.split)}
    return {
        name: [{**row, EARLIER: True} for row in trainable(split, recipe.labels)]
        for name, split in rows.items()
    }


def _require_oracles(old: Sequence[Row], new: Sequence[Row], recipe: Recipe) -> None:
    """Raise LabelsRefused unless old and new labels are of one oracle, or of named ones."""
    theirs, ours = ({key for row in rows for key in row["oracles"]} for rows in (old, new))
    named = set(recipe.labels.oracles)
    if theirs - named if named else len(theirs | ours) > 1:
        raise LabelsRefused(
            f"the run to extend has labels of {_listed(theirs)}, the new labels are of "
            f"{_listed(ours)}: oracles never mix unasked, name all in labels.oracles"
        )


def _require_articles(splits: Mapping[str, Sequence[Row]], split: Split) -> None:
    sizes = {name: len(rows) for name, rows in splits.items()}
    if split.kind == CROSS_VALIDATION:
        folds = Counter(row["fold"] for row in splits[TRAIN])
        sizes = {f"fold {fold}": folds[fold] for fold in range(split.folds)}
    small = [f"{name} would have {size}" for name, size in sizes.items() if size < LEAST_OF_A_PART]
    if small:
        raise LabelsRefused(f"too few articles: {', '.join(small)}")


def _remarks_on_shared(shared: Sequence[Shared]) -> list[str]:
    remarks = [
        f"the {item.kind} {item.value!r} stands for {item.texts:,} different texts: its rows are "
        "told apart by their texts alone"
        for item in shared[:SHARED_LISTED]
    ]
    if len(shared) > SHARED_LISTED:
        remarks.append(f"and so do {len(shared) - SHARED_LISTED:,} other ids and addresses")
    return remarks


def _remarks_on_groups(groups: Sequence[int], split: Split) -> list[str]:
    """Warn of a group so large that shares differ from the recipe's: no group is parted."""
    largest = max(Counter(groups).values())
    if largest <= max(1.0, smallest_share(split) * len(groups)):
        return []
    return [
        f"{largest:,} of {len(groups):,} articles are nearly the same text, or one id or address: "
        "they stay together, so that splits or folds are larger and smaller than the recipe says"
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name or "an unnamed oracle" for name in names))


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))

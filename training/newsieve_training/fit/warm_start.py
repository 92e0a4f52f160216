"""Copies the student that a fit continues from into the run, with what is known of that student, so
that the run needs nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from safetensors import safe_open
from safetensors.torch import save

from newsieve.files import whole_file
from newsieve.inference.manifest import ADAPTER, Manifest, read_manifest
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.split import TRAIN
from newsieve_training.errors import FitFailed
from newsieve_training.fit.metadata import WarmStart
from newsieve_training.fit.model import is_head, read_adapter
from newsieve_training.pipeline.graph import PREPARE, START, start_of
from newsieve_training.pipeline.recipe import HOLDOUT, Recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import require_up_to_date

MAY_HAVE_SEEN: Final = "may_have_seen_the_judging_articles"  # a field of WarmStart
# One key of the file's metadata: safetensors writes several in any order, and the file is hashed.
METADATA_KEY: Final = "facts"


def import_warm_start(run: Run, student: Path) -> None:
    """Let the run's fit continue from this student; where it is of another filter without its
    head, which means something else. Raises FitFailed, StudentInvalid, RunInvalid."""
    require_up_to_date(run, PREPARE)
    manifest = read_manifest(student)
    differing = list(_differing(run.recipe, manifest))
    if differing:
        raise FitFailed(f"the student to continue from has {', '.join(differing)}")
    tensors = read_adapter(student / ADAPTER)
    if not run.filter.has_meaning(manifest.label_hash):
        tensors = {name: tensor for name, tensor in tensors.items() if not is_head(name)}
    # With cross-validation only students that start from the base are judged.
    may_have_seen = run.recipe.split.kind == HOLDOUT and not never_saw_test_articles(run, manifest)
    known = {"run": manifest.training.get("run"), MAY_HAVE_SEEN: may_have_seen}
    path = run.path(START, ADAPTER)
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as stream:
        stream.write(save(tensors, metadata={METADATA_KEY: json.dumps(known, sort_keys=True)}))


def read_warm_start(run: Run) -> WarmStart | None:
    """Read what the run's fit continues from; None for a fit from the base."""
    adapter = start_of(run)
    if adapter is None:
        return None
    with safe_open(run.path(START, ADAPTER), "pt") as file:
        known: dict[str, Any] = json.loads(file.metadata()[METADATA_KEY])
    return WarmStart(adapter=adapter, **known)


def never_saw_test_articles(run: Run, manifest: Manifest) -> bool:
    """Say whether a student was trained on no article that judges this run: its training articles
    are those of the run that this one extends or, held-out articles apart, this run's own."""
    known = [run.state["extends"] or {}]
    if run.recipe.split.kind == HOLDOUT:
        known.append(DataManifest.read(run.folder).hashes)
    theirs = manifest.data.get("hashes", {}).get(TRAIN)
    is_known = theirs is not None and theirs in [hashes.get(TRAIN) for hashes in known]
    start = manifest.training.get(START)  # what it continues from itself
    return is_known and not (start is not None and start.get(MAY_HAVE_SEEN, True))


def _differing(recipe: Recipe, manifest: Manifest) -> Iterator[str]:
    """Yield what differs from the recipe: tensors of the same shapes may mean something else."""
    lora = manifest.training.get("lora", {})
    pairs = {
        "base model": (manifest.base.name, recipe.base.name),
        "revision of it": (manifest.base.revision, recipe.base.revision),
        "pooling": (manifest.pooling, recipe.base.pooling),
        "rank": (lora.get("rank", recipe.lora.rank), recipe.lora.rank),
        "α": (lora.get("alpha", recipe.lora.alpha), recipe.lora.alpha),
    }
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            yield f"another {name} ({theirs}, the recipe's is {ours})"

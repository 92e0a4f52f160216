"""What a fit continues from: another student's adapter, copied into the run with what is known of
it, so that the run needs nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from safetensors import safe_open
from safetensors.torch import save

from newsieve.files import whole_file
from newsieve.inference.manifest import ADAPTER, Manifest, read_manifest
from newsieve_training.data.split import TRAIN
from newsieve_training.errors import FitFailed
from newsieve_training.evaluation.quality_gate import MAY_HAVE_SEEN
from newsieve_training.fit.model import is_head, read_adapter
from newsieve_training.pipeline.graph import PREPARE, START, start_of
from newsieve_training.pipeline.recipe import HOLDOUT, Recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import require_up_to_date

FACTS: Final = "facts"  # one key: safetensors writes several in any order, and the file is hashed


def import_warm_start(run: Run, student: Path) -> None:
    """Let the run's fit continue from this student; from one of another filter without the head,
    which means something else. Raises FitFailed, StudentInvalid, RunInvalid."""
    require_up_to_date(run, PREPARE)
    manifest = read_manifest(student)
    differing = list(_differing(run.recipe, manifest))
    if differing:
        raise FitFailed(f"the student to continue from has {', '.join(differing)}")
    tensors = read_adapter(student / ADAPTER)
    if manifest.label_hash != run.filter.label_hash:
        tensors = {name: tensor for name, tensor in tensors.items() if not is_head(name)}
    # With cross-validation only students that start from the base are judged.
    may_have_seen = run.recipe.split.kind == HOLDOUT and not never_saw_test_articles(run, manifest)
    facts = {"run": manifest.training.get("run"), MAY_HAVE_SEEN: may_have_seen}
    path = run.path(START, ADAPTER)
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as stream:
        stream.write(save(tensors, metadata={FACTS: json.dumps(facts, sort_keys=True)}))


def start_facts(run: Run) -> dict[str, Any] | None:
    """For metadata, card and gate; None for a fit from the base."""
    adapter = start_of(run)
    if adapter is None:
        return None
    with safe_open(run.path(START, ADAPTER), "pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()[FACTS])
    return {"adapter": adapter, **facts}


def never_saw_test_articles(run: Run, manifest: Manifest) -> bool:
    """Whether a student was trained on no article that judges this run: its training articles are
    those of the run that this one extends or, held-out articles apart, this run's own."""
    known = [run.facts["extends"] or {}]
    if run.recipe.split.kind == HOLDOUT:
        known.append(run.json("data", "manifest.json")["hashes"])
    theirs = manifest.data.get("hashes", {}).get(TRAIN)
    is_known = theirs is not None and theirs in [hashes.get(TRAIN) for hashes in known]
    start = manifest.training.get(START)  # what it continues from itself
    return is_known and not (start is not None and start[MAY_HAVE_SEEN])


def _differing(recipe: Recipe, manifest: Manifest) -> Iterator[str]:
    """Tensors of the same shapes may still mean something else."""
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

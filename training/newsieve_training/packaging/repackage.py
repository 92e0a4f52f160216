"""repackage: takes a student of an earlier rendering of articles to that of this version.

Its weights are those of the texts that it was trained on. Where these are rendered today as they
were then, it is a student of today's rendering, and its manifest says so, with the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from newsieve.filters.registry import FilterRegistry
from newsieve.filters.rendering import RENDERING
from newsieve.inference.manifest import MANIFEST, read_manifest
from newsieve_training.data.label_aggregation import Source
from newsieve_training.data.rendering_check import MOST_CHANGED, RenderingCheck, check_labels
from newsieve_training.errors import RunInvalid
from newsieve_training.pipeline.files import write_json

PROOF: Final = "rendering"  # a field of the manifest's data


def repackage(
    folder: Path, sources: Sequence[Source], filters: FilterRegistry
) -> RenderingCheck | None:
    """Write the student's manifest anew for today's rendering. Returns what was proved, None where
    the student is of today's already.

    Raises StudentInvalid, UnknownFilter, FilterInvalid; RunInvalid where its labels mean something
    else, where the files lack articles that it was trained on, or where too many texts changed.
    """
    manifest = read_manifest(folder)
    filter_ = filters.load(f"{manifest.filter}/v{manifest.filter_version}")
    if manifest.label_hash == filter_.label_hash:
        return None
    if manifest.label_hash not in filter_.earlier_label_hashes:
        raise RunInvalid(
            f"the student in {folder} was trained on labels that mean something else than "
            f"{filter_.reference}'s do now: train a new one"
        )
    check = check_labels(sources, filter_)
    trained_on = sum(manifest.data.get("rows", {}).values())
    if check.articles < trained_on:
        raise RunInvalid(
            f"the student in {folder} was made of {trained_on:,} articles, and these files have "
            f"labels of {check.articles:,}: name all files that it was trained on"
        )
    if not check.is_as_before:
        raise RunInvalid(
            f"{check}, more than the {MOST_CHANGED:.0%} with which a student stays what it is: "
            "train a new one on these labels"
        )
    proof = {"rendering": RENDERING, "articles": check.articles, "changed": check.changed}
    data = {**manifest.data, PROOF: proof}
    renewed = manifest.model_copy(update={"label_hash": filter_.label_hash, "data": data})
    write_json(folder / MANIFEST, renewed.model_dump(mode="json"))
    return check

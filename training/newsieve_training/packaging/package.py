"""package: writes the student folder that a worker loads, if the student is good enough to ship."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from newsieve.files import partial_folder
from newsieve.filters.registry import Filter
from newsieve.inference.base_files import base_hashes, find_base
from newsieve.inference.forward import Forward
from newsieve.inference.manifest import (
    ADAPTER,
    ADAPTER_CONFIG,
    BASELINE,
    CANARIES,
    MANIFEST,
    MODEL_CARD,
    TOKENIZER,
    Manifest,
    PinnedBase,
)
from newsieve.inference.tokenize import Tokeniser
from newsieve_training.data.manifest import DataManifest
from newsieve_training.data.rendering_check import is_of_todays_labels
from newsieve_training.errors import GateFailed, RunInvalid
from newsieve_training.evaluation.drift_baseline import reference_rows
from newsieve_training.evaluation.predict import load_forward
from newsieve_training.evaluation.quality_gate import gate_failures
from newsieve_training.evaluation.results import PUBLISHED, STUDENT, CalibrationReport, Metrics
from newsieve_training.fit.base_model import base_file, tokeniser_of
from newsieve_training.fit.epochs import FINAL, TrainingHistory
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.fit.stage import checkpoint
from newsieve_training.pipeline.files import (
    Row,
    copy_file,
    file_hash,
    files_below,
    read_jsonl,
    write_json,
    write_jsonl,
    write_text,
)
from newsieve_training.pipeline.graph import (
    CALIBRATE,
    CANARY_TEXTS,
    EVALUATE,
    FIT,
    PACKAGE,
    REASON,
    START,
)
from newsieve_training.pipeline.result_files import as_json
from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, SUMMARY, Run
from newsieve_training.pipeline.stage import StageWorkspace, require_up_to_date, run_stage
from newsieve_training.reports.model_card import Shipped, model_card

STUDENT_FOLDER: Final = "student"
CANARY_DECIMALS: Final = 6
OPTIONAL_TOKENIZER_FILES: Final = ("tokenizer_config.json", "special_tokens_map.json")
# How the student was made, beside it.
RUN_FILES: Final = (TrainingMetadata.FILE, TrainingHistory.FILE)
# Of the data manifest, what the student's manifest publishes.
PUBLIC_COUNTS: Final = ("rows", "hashes", "oracles", "tiers", "languages")


def package(run: Run, failed_gate_reason: str | None = None) -> bool:
    """Write the student folder of a run. Returns False when that was done already.

    Raises GateFailed, unless a reason is given, which then stands in the model card; RunInvalid
    when the student was not judged, or not as it and its filter now are.
    """
    filter_ = run.filter
    if not is_of_todays_labels(run):
        raise RunInvalid(
            f"the labels of {filter_.reference} mean something else than when they were prepared "
            "(dimensions, prompt or rendering): have them labelled again, and run "
            "`newsieve-train prepare`"
        )
    failures = failures_of(run)
    if failures and not (failed_gate_reason or "").strip():
        raise GateFailed(
            f"the student is not good enough to ship: {'; '.join(failures)}. {_where(run)}. To "
            'ship it all the same, give --allow-failed-gate "reason"'
        )
    with run.locked():
        run.update({REASON: failed_gate_reason if failures else None})
    return run_stage(run, PACKAGE, lambda workspace: _write(run, workspace, filter_, failures))


def _where(run: Run) -> str:
    """Say where the report of a run is, or how to write it."""
    report = run.path(REPORTS_FOLDER, SUMMARY)
    if report.is_file():
        return f"The run is {run.folder}, its report {report}"
    return f"The run is {run.folder}; `newsieve-train report {run.folder}` writes its report"


def failures_of(run: Run) -> list[str]:
    """Return what the student misses of its recipe's gate. Raises RunInvalid."""
    for stage in (EVALUATE, CALIBRATE):
        require_up_to_date(run, stage)
    metrics = Metrics.read(run.folder)
    baselines = dict(metrics.quality[metrics.judged_on])
    baselines.pop(STUDENT)
    published = CalibrationReport.read(run.folder).quality
    start = TrainingMetadata.read(run.folder).start
    return gate_failures(run.recipe.gate, published, baselines, start)


def require_place(folder: Path) -> Path:
    """Resolve the folder to which a student is to be copied. Raises RunInvalid if it cannot be."""
    folder = folder.resolve()
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / MANIFEST).is_file():
            raise RunInvalid(f"{folder} is not empty and holds no student: name another folder")
    elif folder.exists():
        raise RunInvalid(f"{folder} is a file: name a folder for the student")
    previous = _previous(folder)
    if previous.exists() and not (previous / MANIFEST).is_file():
        raise RunInvalid(f"{previous} holds no student, and is where the replaced one would go")
    return folder


def _previous(folder: Path) -> Path:
    return folder.with_name(folder.name + ".previous")


def copy_student(run: Run, folder: Path) -> Path | None:
    """Copy the packaged student to another folder, all of it or nothing. A student that is there
    is moved to the folder's name with `.previous`, which is returned. Raises RunInvalid."""
    folder, source = require_place(folder), run.path(STUDENT_FOLDER)
    if _hashes(folder) == _hashes(source):
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with partial_folder(folder) as partial:
        made = partial / STUDENT_FOLDER
        for name in files_below(source):
            copy_file(source / name, made / name)
        replaces = (folder / MANIFEST).is_file()
        if replaces:
            shutil.rmtree(_previous(folder), ignore_errors=True)
            os.replace(folder, _previous(folder))
        try:
            os.replace(made, folder)
        except OSError:
            if replaces:
                os.replace(_previous(folder), folder)
            raise
    return _previous(folder) if replaces else None


def _hashes(folder: Path) -> dict[str, str]:
    return {name: file_hash(folder / name) for name in files_below(folder)}


def _write(
    run: Run, workspace: StageWorkspace, filter_: Filter, failures: Sequence[str]
) -> Mapping[str, Any]:
    folder = workspace.out / STUDENT_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _copy_model(run, folder)
    shipped = Shipped(
        recipe=run.recipe,
        metadata=TrainingMetadata.read(run.folder),
        epoch=TrainingHistory.read(run.folder).shipped,
        metrics=Metrics.read(run.folder),
        calibration=CalibrationReport.read(run.folder),
        failures=failures,
        failed_gate_reason=run.state[REASON],
    )
    manifest = _manifest(run, filter_, shipped)
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    write_jsonl(folder / CANARIES, _canaries(run, filter_))
    write_jsonl(folder / BASELINE, reference_rows(run, filter_))
    for name in RUN_FILES:
        copy_file(run.path(name), folder / name)
    write_text(folder / MODEL_CARD, model_card(manifest, shipped))
    return {"packaged_on": dt.datetime.now(dt.UTC).date().isoformat()}


def _copy_model(run: Run, folder: Path) -> None:
    for name in (ADAPTER, ADAPTER_CONFIG):
        copy_file(checkpoint(run, FINAL) / name, folder / name)
    for name in (TOKENIZER, *OPTIONAL_TOKENIZER_FILES):
        path = base_file(run.recipe.base, name)
        if path is not None:
            copy_file(path, folder / name)


def _manifest(run: Run, filter_: Filter, shipped: Shipped) -> Manifest:
    recipe, metadata, start = shipped.recipe, shipped.metadata, shipped.metadata.start
    data = DataManifest.read(run.folder)
    return Manifest(
        format=1,
        filter=filter_.name,
        filter_version=filter_.definition.version,
        label_hash=filter_.label_hash,
        dimensions=list(filter_.definition.dimension_names),
        base=PinnedBase(
            name=recipe.base.name,
            revision=recipe.base.revision,
            files=base_hashes(find_base(recipe.base.name, recipe.base.revision)),
        ),
        pooling=recipe.base.pooling,
        head_bias=recipe.base.head_bias,
        max_tokens=recipe.base.max_tokens,
        trainable_parameters=metadata.trainable_parameters,
        training={
            **recipe.model_dump(mode="json"),
            "run": run.folder.name,
            START: start and as_json(start),
        },
        data={name: getattr(data, name) for name in PUBLIC_COUNTS},
        seeds=[recipe.fit.seed],
        versions=metadata.versions,
        metrics=_metrics(shipped.metrics, shipped.calibration),
        calibration=shipped.calibration.calibration,
        residuals=shipped.calibration.residuals,
    )


def _metrics(metrics: Metrics, calibration: CalibrationReport) -> dict[str, Any]:
    """Return figures of the judging articles: no ids, titles or links of others' articles."""
    scored, confidence = calibration.scored, calibration.confidence
    return {
        "judged_on": metrics.judged_on,
        PUBLISHED: as_json(calibration.quality),
        "scored": scored and as_json(scored),
        "confidence": confidence and as_json(confidence),
        **{name: as_json(item) for name, item in metrics.quality[metrics.judged_on].items()},
    }


def _canaries(run: Run, filter_: Filter) -> Iterator[Row]:
    """Yield texts written for the purpose, with the raw scores of this machine."""
    parameters = require_up_to_date(run, FIT)["trainable_parameters"]
    forward = load_forward(run.recipe, run.filter, checkpoint(run, FINAL), parameters)
    base = run.recipe.base
    tokeniser = tokeniser_of(base, base.max_tokens)
    yield from canary_rows(forward, tokeniser, filter_.definition.dimension_names)


def canary_rows(forward: Forward, tokeniser: Tokeniser, names: Sequence[str]) -> Iterator[Row]:
    """Yield the canaries, each with its raw scores by this forward pass."""
    for row in read_jsonl(CANARY_TEXTS):
        (item,) = tokeniser.encode([row["text"]])
        scores = forward([item.ids])[0].round(CANARY_DECIMALS).tolist()
        yield {**row, "scores": dict(zip(names, scores, strict=True))}

"""The model card's metadata, as hubs read it."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from newsieve.inference.manifest import read_manifest
from newsieve_training.evaluation.results import (
    CalibrationReport,
    Metrics,
)
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.packaging.package import package
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.model_card import Shipped, model_card


@pytest.mark.parametrize(("name", "published"), [("a/hub", "a/hub"), ("package:mine", None)])
def test_hubs_read_the_cards_metadata(trained: Run, name: str, published: str | None) -> None:
    """Norwegian stays a language, where YAML reads a bare `no` as false; a base in a package has no
    name on a hub."""
    package(trained, "a test")
    manifest = read_manifest(trained.path("student"))
    base = manifest.base.model_copy(update={"name": name})
    data = {**manifest.data, "languages": {"no": 3, "en": 2, "unknown": 1}}
    shipped = Shipped(
        recipe=trained.recipe,
        metadata=TrainingMetadata.read(trained.folder),
        epoch=TrainingHistory.read(trained.folder).shipped,
        metrics=Metrics.read(trained.folder),
        calibration=CalibrationReport.read(trained.folder),
        failures=[],
        failed_gate_reason=None,
    )

    card = model_card(manifest.model_copy(update={"base": base, "data": data}), shipped)

    found = ModelCard(card).data
    assert (found.language, found.base_model) == (["no", "en"], published)
    assert found.metrics == ["mae", "spearmanr"]
    assert [item.metric_value for item in found.eval_results] == [
        shipped.calibration.quality.mae,
        shipped.calibration.quality.spearman,
    ]

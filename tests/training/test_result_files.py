"""Files of results: closed to write, open to read, and clear about what is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from newsieve_training.data.audit_report import AuditReport
from newsieve_training.errors import RunInvalid
from newsieve_training.evaluation.results import CalibrationReport, Metrics
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.pipeline.files import file_hash
from newsieve_training.pipeline.result_files import ResultFile
from newsieve_training.pipeline.run_folder import Run
from tests.support.cli import newsieve_train

FILES: list[type[ResultFile]] = [Metrics, CalibrationReport, TrainingHistory]


@pytest.mark.parametrize("kind", FILES)
def test_what_was_read_is_written_byte_for_byte(
    made: Run, kind: type[ResultFile], tmp_path: Path
) -> None:
    """So that a file's hash, on which later stages depend, is that of its figures alone."""
    kind.read(made.folder).write(tmp_path)

    assert (tmp_path / kind.FILE).read_bytes() == made.path(kind.FILE).read_bytes()


def test_what_a_later_version_adds_is_passed_over(made: Run, tmp_path: Path) -> None:
    """At any depth; a writer of this version refuses a key that it does not know."""
    metrics = json.loads(made.path(Metrics.FILE).read_bytes())
    metrics["judge"] = metrics["quality"]["test"]["student"]["dimensions"]["wonder"]["r2"] = 0.5
    (tmp_path / Metrics.FILE).write_text(json.dumps(metrics))

    assert Metrics.read(tmp_path) == Metrics.read(made.folder)
    with pytest.raises(ValidationError, match="judge"):
        Metrics.model_validate(metrics)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"verdict": "usable"', "Invalid JSON"),
        ('{"verdict": "usable", "reasons": 7}', "reasons: Input should be a valid"),
        (None, "No such file"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    """The key, too, where there is one."""
    if content is not None:
        (tmp_path / AuditReport.FILE).write_text(content)

    with pytest.raises(RunInvalid, match=complaint) as raised:
        AuditReport.read(tmp_path)

    assert str(tmp_path / "audit.json") in str(raised.value)
    assert "delete it, and run again" in str(raised.value)


def test_a_stage_reads_a_damaged_file_without_a_traceback(trained: Run) -> None:
    """Also where the damage was noted down as what the stage had made."""
    path = trained.path(Metrics.FILE)
    path.write_text(path.read_text().replace('"judged_on"', '"judge"', 1))
    state = json.loads(trained.path("run.json").read_bytes())
    record = state["stages"]["evaluate"]
    changed = {**record["files"], Metrics.FILE: file_hash(path)}
    trained.update({"stages": {**state["stages"], "evaluate": {**record, "files": changed}}})

    done = newsieve_train("package", str(trained.folder))

    assert done.code == 2
    assert f"{path} cannot be read (judged_on: Field required)" in done.err
    assert "Traceback" not in done.err

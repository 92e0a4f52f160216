"""`newsieve-train` as a data scientist runs it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import typer

from newsieve_training.cli.options import confirm_unusable
from newsieve_training.data.audit import audit
from newsieve_training.data.audit_report import AuditReport
from newsieve_training.pipeline.recipe import Recipe, read_recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.cli import newsieve_train
from tests.support.filters import BUILTIN
from tests.support.labels import label_rows, write_rows

RECIPES = Path(str(files("newsieve_training") / "recipes"))
RECIPE = str(RECIPES / "uplifting_minilm.toml")
STAGES = ["prepare", "audit", "fit", "evaluate", "calibrate", "report", "package"]
FILES = [
    "run.json",
    "data/train.jsonl",
    "data/validation.jsonl",
    "data/test.jsonl",
    "data/manifest.json",
    "audit.json",
    "checkpoints/final/adapter_model.safetensors",
    "training_history.json",
    "training_metadata.json",
    "predictions/validation.jsonl",
    "predictions/test.jsonl",
    "metrics.json",
    "calibration.json",
    "training_reports/overall_metrics.png",
    "training_reports/per_dimension_mae.png",
    "training_reports/loss_curves.png",
    "training_reports/calibration.png",
    "training_reports/training_summary.txt",
    "training_reports/uplifting_v4_report.docx",
    "training_reports/ground_truth_quality_report.md",
    "student/student.json",
    "student/baseline.jsonl",
    "student/canaries.jsonl",
    "student/README.md",
]


def as_toml(recipe: Recipe) -> str:
    """JSON's scalars and lists are TOML's."""
    facts = recipe.model_dump(mode="json", exclude_none=True)
    sections = {name: value for name, value in facts.items() if isinstance(value, dict)}
    lines = [f"{k} = {json.dumps(v)}" for k, v in facts.items() if k not in sections]
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines)


def test_one_command_goes_through_all_stages(
    recipe: Callable[..., Recipe], labels: Path, tmp_path: Path
) -> None:
    """Every file is there; a second time nothing is done; deleting any one stage's files has just
    that stage done again."""
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(recipe(fit__epochs=3)))
    command = ("run", str(file), str(labels), "--threads", "1", "--json")
    reason = ("--allow-failed-gate", "a test")

    refused = newsieve_train(*command)
    done = newsieve_train(*command, *reason, "--out", str(tmp_path / "student"))

    assert refused.code == 1 and "not good enough to ship: TF-IDF" in refused.err
    assert done.code == 0, done.err
    assert done.json()["made"] == {name: name == "package" for name in STAGES}
    run = Path(done.json()["run"])
    summary = run / "training_reports" / "training_summary.txt"
    assert f"The run is {run}, its report {summary}." in refused.err and summary.is_file()
    assert [name for name in FILES if not (run / name).is_file()] == []
    assert (tmp_path / "student" / "student.json").is_file()
    for stage in STAGES:
        for name in Run(run, BUILTIN).state["stages"][stage]["files"]:
            (run / name).unlink()
        again = newsieve_train(*command, *reason)
        assert again.json()["made"] == {name: name == stage for name in STAGES}, stage


def test_each_stage_is_a_command(
    recipe: Callable[..., Recipe], labels: Path, tmp_path: Path
) -> None:
    """`prepare` prints the run's folder, which the others take; each says what it found, as a
    table or as JSON, and the second time that there is nothing to do."""
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(recipe(fit__epochs=3, split__folds=2, split__kind="cross_validation")))

    run = newsieve_train("prepare", str(file), str(labels)).text.strip()
    assert newsieve_train("fit", run).err == "fit: done\n"
    assert "pairs of labels" in newsieve_train("audit", run).text
    tables = [newsieve_train(name, run).text for name in ("evaluate", "calibrate")]
    reports = newsieve_train("report", run, "--compare", run)
    refused = newsieve_train("package", run)
    packaged = newsieve_train("package", run, "--allow-failed-gate", "for a test")

    assert all("cross-validation: each by a student" in table for table in tables)
    assert "TF-IDF and ridge" in tables[0] and "as published" in tables[1]
    assert f"comparison_{Path(run).name}.md" in reports.text
    assert refused.code == 1 and "not good enough" in refused.err
    assert packaged.code == 0 and (Path(packaged.text.strip()) / "student.json").is_file()
    for name in ("audit", "fit", "evaluate", "calibrate", "report"):
        again = newsieve_train(name, run, "--json")
        assert (again.code, "nothing to do" in again.err) == (0, True)
        assert again.json()


def test_labels_that_are_not_usable_are_said_before_anything_is_trained(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """The verdict, why, and where to read on; without a terminal nothing goes on unless told to."""
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(recipe(fit__epochs=1)))
    labels = write_rows(tmp_path / "few.jsonl", label_rows(40))
    command = ("run", str(file), str(labels), "--from", "no-such-student")

    refused = newsieve_train(*command)
    (run,) = Path("runs").iterdir()
    told = newsieve_train(*command, "--yes")

    assert refused.code == 1 and "no-such-student" not in refused.err
    for done in (refused, told):
        assert "the labels are not usable:\n- 40 articles: fewer than 100" in done.err
        assert str(run / "audit.json") in done.err
    assert "--yes" in refused.err and "Traceback" not in refused.err
    assert "no-such-student" in told.err  # it went on to the fit


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_asks_whether_to_train_on_them(
    prepared_from: Callable[..., Run],
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No is no; told beforehand, it does not ask."""
    run = prepared_from(recipe(), write_rows(tmp_path / "few.jsonl", label_rows(40)))
    audit(run)
    monkeypatch.setattr("sys.stderr", Terminal())

    report = AuditReport.read(run.folder)
    assert not report.is_usable
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(typer.Abort):
        confirm_unusable(run, report, confirmed=False)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    confirm_unusable(run, report, confirmed=False)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    confirm_unusable(run, report, confirmed=True)


@pytest.mark.parametrize("name", [path.name for path in RECIPES.glob("*.toml")])
def test_every_recipe_is_one(name: str) -> None:
    """Checked as `prepare` does."""
    assert read_recipe(RECIPES / name).filter


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["prepare", "no.toml", "l.jsonl"], 2, "no.toml"),
        (["fit", "nowhere"], 2, "is not a run"),
        (["report", "nowhere"], 2, "is not a run"),
        (["package", "nowhere"], 2, "is not a run"),
        (["prepare"], 2, "Missing argument"),
        (["run", RECIPE], 2, "name files of labels, or give --from-kafka"),
        (["prepare", RECIPE, "no.jsonl"], 2, "cannot read no.jsonl"),
        (["prepare", RECIPE, os.devnull], 1, "no row has a label of any oracle"),
    ],
)
def test_a_users_mistake_gets_a_sentence(arguments: list[str], code: int, complaint: str) -> None:
    """And an exit code."""
    done = newsieve_train(*arguments)

    assert done.code == code
    assert complaint in done.err
    assert "Traceback" not in done.err

"""`newsieve-train` as a data scientist runs it: four commands, one run folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.support.cli import newsieve_train
from training.recipe import Recipe


def as_toml(recipe: Recipe) -> str:
    """JSON's scalars and lists are TOML's."""
    facts = recipe.model_dump(mode="json", exclude_none=True)
    sections = {name: value for name, value in facts.items() if isinstance(value, dict)}
    lines = [f"{k} = {json.dumps(v)}" for k, v in facts.items() if k not in sections]
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines)


def test_four_commands_make_a_student(
    recipe: Callable[..., Recipe], labels: Path, tmp_path: Path
) -> None:
    """`prepare` prints the run's folder, which the others take; a gate that was missed is named,
    and passed over only with a reason; a second time nothing is done."""
    file = tmp_path / "recipe.toml"
    file.write_text(as_toml(recipe(gate__mae=0.01)))
    runs, student = str(tmp_path / "runs"), str(tmp_path / "student")

    prepared = newsieve_train("prepare", str(file), str(labels), "--runs", runs)
    run = prepared.text.strip()
    fitted = newsieve_train("fit", run, "--threads", "1")
    evaluated = newsieve_train("evaluate", run)
    refused = newsieve_train("package", run, "--out", student)
    packaged = newsieve_train("package", run, "--out", student, "--allow-failed-gate", "for a test")

    assert (prepared.code, fitted.code, evaluated.code) == (0, 0, 0), fitted.err + evaluated.err
    assert Path(run).is_dir() and "train" in prepared.err
    assert json.loads(evaluated.text)["test"]["student"]["mae"] < 2
    assert refused.code == 1 and "above 0.01" in refused.err
    assert packaged.code == 0 and (Path(student) / "student.json").is_file()
    assert "nothing to do" in newsieve_train("fit", run).err

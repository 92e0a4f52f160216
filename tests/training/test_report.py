"""report: every figure that was found, for people; two runs beside each other."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import docx
import pytest

from training.audit import audit
from training.comparison import compare
from training.document import Paragraph, Table, as_markdown, as_text
from training.epochs import Gap, gap_sentence, mean_history
from training.report import report
from training.run import Run

PICTURES = ("overall_metrics", "per_dimension_mae", "loss_curves", "calibration")


@pytest.fixture
def reported(trained: Run) -> Run:
    audit(trained)
    assert report(trained)
    assert not report(trained)
    return trained


def figures_in(found: Any) -> Iterator[str]:
    """All numbers of a tree, as reports write them."""
    if isinstance(found, dict):
        for value in found.values():
            yield from figures_in(value)
    elif isinstance(found, list):
        for value in found:
            yield from figures_in(value)
    elif isinstance(found, float):
        yield f"{found:.3f}"
    elif isinstance(found, int) and not isinstance(found, bool):
        yield f"{found:,}"


def test_the_word_report_has_every_figure(reported: Run) -> None:
    """Of evaluate and of calibrate, and the pictures."""
    path = reported.path("training_reports", "uplifting_v4_report.docx")
    document = docx.Document(str(path))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    text = "\n".join([paragraph.text for paragraph in document.paragraphs] + cells)

    metrics, calibration = reported.json("metrics.json"), reported.json("calibration.json")
    for found in (
        metrics["quality"],
        metrics["slices"],
        metrics["worst"],
        calibration["quality"],
        calibration["dimensions"],
    ):
        missing = [figure for figure in figures_in(found) if figure not in text]
        assert missing == []
    assert len(document.inline_shapes) == len(PICTURES)


def test_the_folder_has_every_file_and_pictures_of_a_readable_size(reported: Run) -> None:
    """A thousand pixels wide, and not blank: what is drawn makes them large."""
    folder = reported.path("training_reports")

    for name in PICTURES:
        content = (folder / f"{name}.png").read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert width > 1_000 and height > 400 and len(content) > 15_000, name
    summary = (folder / "training_summary.txt").read_text()
    assert "Configuration" in summary and "Gap between training and validation" in summary
    labels = (folder / "ground_truth_quality_report.md").read_text()
    assert labels.startswith("# Ground truth quality: uplifting/v4")


def test_two_runs_stand_side_by_side(reported: Run) -> None:
    """With what makes them comparable: articles, epochs, labels' bins and deviation, the gap."""
    name = compare(reported, reported)

    text = reported.path("training_reports", name).read_text()
    for piece in ("training articles", "label bins populated", "gap", "κ", "| wonder |"):
        assert piece in text


@pytest.mark.parametrize(
    ("gap", "words"),
    [(Gap(0.22, 0.28), "0.22 points, 28%: moderate"), (Gap(0.3, 0.31), "31%: large. Try lora")],
)
def test_the_gap_comes_with_advice(gap: Gap, words: str) -> None:
    """Above three tenths of the training error."""
    assert words in gap_sentence(gap)


def test_folds_are_averaged() -> None:
    """Epoch by epoch; counts stay counts."""
    folds = {
        name: [{"epoch": 1, "train": {"mae": mae}, "validation": None}]
        for name, mae in (("fold-0", 1.0), ("fold-1", 2.0), ("final", 9.0))
    }

    assert mean_history(folds) == [{"epoch": 1, "train": {"mae": 1.5}, "validation": None}]


def test_a_document_is_written_in_each_form() -> None:
    """Text aligned in columns, Markdown that a title cannot break."""
    blocks = [Paragraph("Two lines."), Table(("a", "long"), [("x|y", "1")])]

    assert as_text(blocks) == "Two lines.\n\na    long\n---  ----\nx|y  1\n"
    assert as_markdown(blocks) == "Two lines.\n\n| a | long |\n| --- | --- |\n| x/y | 1 |\n"

"""report: every figure that was found, for people; two runs beside each other."""

from __future__ import annotations

import struct

import docx
import pytest

from newsieve_training.data.audit import audit
from newsieve_training.evaluation.results import CalibrationReport, Metrics, Quality
from newsieve_training.fit.epochs import Epoch, Errors, Gap, TrainingHistory, gap_sentence
from newsieve_training.pipeline.result_files import Part
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.comparison import compare
from newsieve_training.reports.document import Paragraph, Table, as_markdown, as_text, write_word
from newsieve_training.reports.formatting import number, with_span
from newsieve_training.reports.report import report

PICTURES = ("overall_metrics", "per_dimension_mae", "loss_curves", "calibration")


@pytest.fixture
def reported(trained: Run) -> Run:
    audit(trained)
    assert report(trained)
    assert not report(trained)
    return trained


def test_the_word_report_has_every_figure(reported: Run) -> None:
    """Of evaluate and of calibrate, each in its row and column, and the pictures."""
    document = docx.Document(str(reported.path("training_reports", "uplifting_v4_report.docx")))
    rows = {tuple(cell.text for cell in row.cells) for t in document.tables for row in t.rows}
    metrics, calibration = Metrics.read(reported.folder), CalibrationReport.read(reported.folder)

    qualities = [calibration.quality, *metrics.quality["validation"].values()]
    for found in [*qualities, *metrics.quality["test"].values()]:
        assert any(set(overall(found)) <= set(row) for row in rows)
        for name, item in found.dimensions.items():
            error = with_span(item.mae, item.mae_interval)
            assert (name, error, *figures(item, "rmse", "bias", "spearman")) in rows
        for name, item in found.tiers.items():
            counts = (str(item.oracle), str(item.student))
            said = map(str, item.student_says.values())
            assert (name, *counts, *figures(item, "recall", "precision"), *said) in rows
    for slices in metrics.slices.values():
        for name, item in slices.items():
            columns = ("articles", "mae", "standard_error", "bias", "tier_agreement")
            assert (name, *figures(item, *columns)) in rows
    for item in metrics.worst:
        numbers = figures(item, "oracle", "student")
        assert (
            item.title,
            number(item.mae),
            item.dimension,
            *numbers,
            item.url,
        ) in rows
    for name, item in calibration.dimensions.items():
        kept = "yes" if item.kept else "no"
        assert (name, *figures(item, "gain", "standard_error"), kept) in rows
    assert len(document.inline_shapes) == len(PICTURES)


def figures(found: Part, *names: str) -> tuple[str, ...]:
    return tuple(number(getattr(found, name)) for name in names)


def overall(found: Quality) -> list[str]:
    spans = [
        with_span(getattr(found, name), getattr(found, f"{name}_interval"))
        for name in ("mae", "spearman", "tier_agreement", "tier_kappa")
    ]
    return [*spans, *figures(found, "rmse", "bias", "shuffled_mae")]


def test_control_characters_break_no_report(trained: Run) -> None:
    """Titles, languages and links are others': in Word, Markdown and text they become a line, of
    characters that are seen."""
    blocks = [Table(("title",), [("a\x0bb\nc\ufffe",)]), Paragraph("x\n# y")]

    write_word(blocks, trained.folder, trained.path("report.docx"))
    markdown = as_markdown(blocks)

    assert r"| a b c\\ufffe |" in markdown and "x # y" in markdown
    assert r"a b c\ufffe" in as_text(blocks)
    cell = docx.Document(str(trained.path("report.docx"))).tables[0].cell(1, 0)
    assert cell.text == r"a b c\ufffe"


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
    history = TrainingHistory(
        {name: [epoch(mae)] for name, mae in (("fold-0", 1.0), ("fold-1", 2.0), ("final", 9.0))}
    )

    assert history.is_cross_validated
    assert history.epochs == [epoch(1.5)]


def epoch(mae: float) -> Epoch:
    errors = Errors(mae=mae, rmse=1.0, loss=1.0, dimensions={})
    return Epoch(epoch=1, steps=7, learning_rate=0.1, seconds=1.0, train=errors, validation=None)


def test_a_document_is_written_in_each_form() -> None:
    """Text aligned in columns, Markdown that a title cannot break."""
    blocks = [Paragraph("Two lines."), Table(("a", "long"), [("x|y", "1")])]

    assert as_text(blocks) == "Two lines.\n\na    long\n---  ----\nx|y  1\n"
    assert as_markdown(blocks) == "Two lines.\n\n| a | long |\n| --- | --- |\n| x\\|y | 1 |\n"

"""Two runs side by side, of one filter or of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from newsieve_training.fit.epochs import gap_of, shipped_entry
from newsieve_training.pipeline.files import write_text
from newsieve_training.pipeline.graph import AUDIT, CALIBRATE, EVALUATE, FIT
from newsieve_training.pipeline.run_folder import REPORTS_FOLDER, Run
from newsieve_training.pipeline.stage import require_up_to_date
from newsieve_training.reports.document import Block, Heading, Paragraph, Table, as_markdown
from newsieve_training.reports.formatting import JUDGED_ON, number, percent, with_span


def compare(run: Run, other: Run) -> str:
    """Write training_reports/comparison_<other>.md; return its name. Raises RunInvalid."""
    blocks = list(_blocks([_facts_of(run), _facts_of(other)]))
    name = f"comparison_{other.folder.name}.md"
    write_text(run.path(REPORTS_FOLDER, name), as_markdown(blocks))
    return name


Facts = Mapping[str, Any]


def _facts_of(run: Run) -> Facts:
    for stage in (AUDIT, FIT, EVALUATE, CALIBRATE):
        require_up_to_date(run, stage)
    return {
        "name": run.folder.name,
        "filter": run.facts["filter"],
        "recipe": run.recipe,
        "rows": run.json("data", "manifest.json")["rows"],
        "audit": run.json("audit.json"),
        "metadata": run.json("training_metadata.json"),
        "entry": shipped_entry(run.json("training_history.json")),
        "calibration": run.json("calibration.json"),
    }


def _mae(kind: str) -> Callable[[Facts], str]:
    return lambda facts: number(facts["entry"][kind] and facts["entry"][kind]["mae"])


def _gap(facts: Facts) -> str:
    gap = gap_of(facts["entry"])
    return "–" if gap is None else f"{gap.absolute:.3f} ({gap.relative:.0%})"


def _published(key: str) -> Callable[[Facts], str]:
    def found(facts: Facts) -> str:
        quality = facts["calibration"]["quality"]
        return with_span(quality[key], quality[f"{key}_interval"])

    return found


def _calibration_error(facts: Facts) -> str:
    confidence = facts["calibration"]["confidence"]
    return "–" if confidence is None else number(confidence["expected_calibration_error"])


ROWS: Final[tuple[tuple[str, Callable[[Facts], str]], ...]] = (
    ("filter", lambda facts: str(facts["filter"])),
    ("base model", lambda facts: facts["metadata"]["base_model"]),
    ("training articles", lambda facts: f"{facts['rows']['train']:,}"),
    ("epochs", lambda facts: str(facts["metadata"]["epochs"])),
    ("trainable parameters", lambda facts: f"{facts['metadata']['trainable_parameters']:,}"),
    ("seed", lambda facts: str(facts["metadata"]["seed"])),
    ("device", lambda facts: facts["metadata"]["device"]),
    ("label bins populated", lambda facts: percent(facts["audit"]["bins_populated"])),
    ("label standard deviation", lambda facts: number(facts["audit"]["standard_deviation"])),
    ("train MAE", _mae("train")),
    ("validation MAE", _mae("validation")),
    ("gap", _gap),
    ("judged on", lambda facts: JUDGED_ON[facts["calibration"]["judged_on"]]),
    ("published MAE", _published("mae")),
    ("published Spearman", _published("spearman")),
    ("tier agreement", _published("tier_agreement")),
    ("κ", _published("tier_kappa")),
    ("calibration error of tier_confidence", _calibration_error),
)


def _blocks(both: list[Facts]) -> Iterator[Block]:
    yield Heading(f"{both[0]['name']} beside {both[1]['name']}", 1)
    yield Table(
        ("", *(facts["name"] for facts in both)),
        [(name, *(of(facts) for facts in both)) for name, of in ROWS],
    )
    if both[0]["filter"] != both[1]["filter"]:
        yield Paragraph(
            "The filters differ: errors of easier dimensions or narrower labels are smaller of "
            "themselves. The label bins and deviations above say how much of it is that."
        )
    for facts in both:
        yield Heading(f"{facts['name']}: each dimension")
        published = facts["calibration"]["quality"]["dimensions"]
        yield Table(
            ("dimension", "label deviation", "train MAE", "validation MAE", "published MAE"),
            [
                (
                    name,
                    number(facts["audit"]["dimensions"][name]["standard_deviation"]),
                    *(
                        number(
                            facts["entry"][kind] and facts["entry"][kind]["dimensions"][name]["mae"]
                        )
                        for kind in ("train", "validation")
                    ),
                    number(item["mae"]),
                )
                for name, item in published.items()
            ],
        )

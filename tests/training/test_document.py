"""Reports and cards quote others: in every form what they wrote is text, and nothing else."""

from __future__ import annotations

from pathlib import Path

import docx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from newsieve.printable import printable
from newsieve_training.data.audit_report import (
    AuditReport,
    DimensionSpread,
    Disagreement,
    LabelTimes,
    Outlier,
    SelfDisagreement,
)
from newsieve_training.reports.document import (
    Block,
    Heading,
    Paragraph,
    Picture,
    Points,
    Table,
    as_markdown,
    write_word,
)
from newsieve_training.reports.label_quality import label_quality

EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- x",
    "<javascript:alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/pixel.png)",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "a | b | c",
    "a\\| b \\",
    "`code` ``` ~~~",
    "**bold** _it_ __it__ ~~gone~~ $x$",
    "# heading",
    "- a list",
    "1. a list",
    "> a quote",
    "---",
    "===",
    "&lt;script&gt; &#x3c;script&#x3e; &amp;",
    "x\n# heading\n\n<script>",
    "\x1b[2J \u202eexe \x00 \ufffe",
)
MARKS = "<>[]()!|`*_~#-+.1&\\ \n"
texts = st.one_of(st.sampled_from(EVIL), st.text(max_size=30), st.text(MARKS, max_size=20))


OURS = {"heading_open", "paragraph_open", "bullet_list_open", "list_item_open", "table_open"}
OURS |= {"thead_open", "tbody_open", "tr_open", "th_open", "td_open", "inline"}
renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def blocks_of(text: str) -> list[Block]:
    return [
        Heading(text, 1),
        Paragraph(text),
        Points([text, text]),
        Table(("a", text), [(text, "x"), ("x", text)]),
    ]


def shown(text: str) -> str:
    return printable(" ".join(text.split()))


@settings(max_examples=100, deadline=None)
@given(texts.filter(str.strip))
@example("C #")
def test_markdown_shows_what_others_wrote_as_it_is(text: str) -> None:
    """Rendered with HTML allowed, there is no element but the report's own, and no word is lost."""
    tokens = renderer.parse(as_markdown(blocks_of(text)))

    assert {token.type for token in tokens if token.nesting >= 0} <= OURS
    inline = [token for token in tokens if token.type == "inline"]
    children = [child for token in inline for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special"}
    said = ["".join(child.content for child in token.children or []) for token in inline]
    here = shown(text)
    assert said == [here, here, here, here, "a", here, here, "x", "x", here]


@settings(max_examples=20, deadline=None)
@given(texts.filter(str.strip))
def test_a_template_shows_what_others_wrote_as_it_is(text: str) -> None:
    """Reasons, tiers, oracles, ids and links alike, in the report on labels."""
    spread = DimensionSpread(
        mean=5.0, standard_deviation=1.0, histogram=[0] * 11, bins_populated=0.5, empty_bins=[]
    )
    nothing = {"pairs": 0, "mean_difference": None, "standard_error": None}
    floor = {"share_of_articles": 1.0, "noise_floor": None, "noise_floor_if_normal": None}
    audit = AuditReport(
        verdict="usable",
        reasons=[text],
        articles=1,
        labels=1,
        dimensions={"hope": spread},
        bins_populated=0.5,
        standard_deviation=1.0,
        correlations={"hope": {"hope": 1.0}},
        components=[1.0],
        dimensions_really=1,
        participation_ratio=1.0,
        tiers={text: 1},
        content_rules={},
        languages={text: 1},
        oracles={text: 1},
        labelled=LabelTimes(first=text, last="z", days_apart=None),
        self_disagreement={text: SelfDisagreement(**nothing, **floor)},
        disagreement_of_oracles=Disagreement(**nothing),
        outliers=[Outlier(id=text, url=text, distance=9.0, scores={"hope": 1.0})],
    )

    tokens = renderer.parse(label_quality(audit, "village/v1"))

    assert {token.type for token in tokens if token.nesting >= 0} <= OURS
    inline = [token for token in tokens if token.type == "inline"]
    assert {child.type for token in inline for child in token.children} <= {"text", "text_special"}
    said = ["".join(child.content for child in token.children) for token in inline]
    assert said.count(shown(text)) >= 7
    assert f"Labelled from {shown(text)} to z." in said


def test_a_word_report_is_written_of_all_of_them(tmp_path: Path) -> None:
    """It is XML, which not every character may stand in."""
    path = tmp_path / "report.docx"
    write_word([block for text in EVIL for block in blocks_of(text)], path.parent, path)

    assert docx.Document(str(path)).paragraphs[0].text == EVIL[0]


@pytest.mark.parametrize(
    "text", ["snake_case", "0.123 (0.1 to 0.2)", "-0.5", "a - b", "κ 0.9; tier → low"]
)
def test_names_and_numbers_are_not_made_ugly(text: str) -> None:
    """What is no markup stays as it is."""
    assert as_markdown([Paragraph(text)]) == f"{text}\n"


def test_a_caption_is_text() -> None:
    """Ours today."""
    assert as_markdown([Picture("a.png", "x](y)")]) == "![x\\](y)](a.png)\n"

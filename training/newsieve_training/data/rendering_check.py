"""Counts which texts of labels an earlier version rendered in another way than this one does.

A label is of a text, and a student of many: both stay what they are where the texts are the same.
Knows no student.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from newsieve.filters.registry import Filter
from newsieve.filters.rendering import is_rendered_as_before
from newsieve.records.json_lines import numbered
from newsieve_training.data.label_aggregation import Source
from newsieve_training.data.label_formats import BadLabel, labels_of, parse_row
from newsieve_training.data.manifest import DataManifest
from newsieve_training.pipeline.files import Row
from newsieve_training.pipeline.run_folder import Run

# As many as a recipe allows to be bad. So few among thousands of texts teach a student nothing.
MOST_CHANGED: Final = 0.01


class RenderingCheck(NamedTuple):
    """How many articles there are, and of how many the text is another one now."""

    articles: int
    changed: int

    @property
    def is_as_before(self) -> bool:
        """Say whether a student of these texts is one of today's texts, too."""
        return self.articles > 0 and self.changed <= MOST_CHANGED * self.articles

    def __str__(self) -> str:
        return f"{self.changed:,} of {self.articles:,} articles are rendered in another way now"


def check_labels(sources: Sequence[Source], filter_: Filter) -> RenderingCheck:
    """Look at each article that has a label of the filter in these files, once."""
    names = filter_.definition.dimension_names
    articles: set[tuple[str, str | None, str | None]] = set()
    for source in sources:
        for _, raw in numbered(source.content.split(b"\n")):
            try:
                line = parse_row(raw)
                if line.has_no_label or not labels_of(line.fields, filter_.name, names):
                    continue
            except BadLabel:
                continue  # nothing was trained on it
            title, content = line.fields.get("title"), line.fields.get("content")
            if isinstance(title, str | None) and isinstance(content, str | None):
                articles.add((str(line.fields.get("id")), title, content))
    return _counted([(title, content) for _, title, content in articles])


def is_of_todays_labels(run: Run) -> bool:
    """Say whether a run's labels mean what its filter's do now; those of an earlier rendering do
    where nearly all of its texts are rendered as they were."""
    hash_ = run.state["label_hash"]
    if hash_ in run.filter.earlier_label_hashes:
        names = DataManifest.read(run.folder).rows
        return check_rows(row for name in names for row in run.rows(name)).is_as_before
    return bool(hash_ == run.filter.label_hash)


def check_rows(rows: Iterable[Row]) -> RenderingCheck:
    """Look at the rows of a run, which have the text that was rendered when it was prepared."""
    return _counted([(row["title"], _content(row)) for row in rows])


def _content(row: Row) -> str:
    title: str = (row["title"] or "").strip()
    text: str = row["text"]
    return text.removeprefix(title).removeprefix("\n\n") if title else text


def _counted(articles: Sequence[tuple[str | None, str | None]]) -> RenderingCheck:
    changed = sum(1 for title, content in articles if not is_rendered_as_before(title, content))
    return RenderingCheck(len(articles), changed)

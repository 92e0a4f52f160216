"""Students as a page: what each filter's is, how it was measured, and what it does now.

It reads the students' folders and the store; it loads no weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Request
from markupsafe import Markup
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from newsieve.errors import NewsieveError
from newsieve.filters.registry import Filter
from newsieve.inference.manifest import MODEL_CARD, Manifest, read_manifest, student_hash
from newsieve.inference.student_files import read_bytes
from newsieve.store.incidents import canary_reports
from newsieve.store.queries import ArticleQuery
from newsieve.web.layout import Layout
from newsieve.web.model_card import rendered_card
from newsieve.web.refreshed import Refreshed
from newsieve.web.site import Site
from newsieve_schemas.drift import CanaryReport
from newsieve_schemas.scored import ScoredArticle

FOLDERS_SECONDS: Final = 60.0  # how old what is read of the folders may be
CARD_BYTES: Final = 1024 * 1024
RECENT: Final = 50  # outcomes that say who scores

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class DimensionMetrics(BaseModel):
    """How far a student is from the oracle in one dimension."""

    mae: float | None = None
    bias: float | None = None
    spearman: float | None = None


class Metrics(BaseModel):
    """The measurements in a manifest that are shown."""

    articles: int | None = None
    mae: float | None = None
    mae_interval: Pair | None = None
    spearman: float | None = None
    tier_agreement: float | None = None
    dimensions: dict[str, DimensionMetrics] = {}


class StudentOnDisk(NamedTuple):
    """What is in a student's folder. `problem` says why there is no manifest."""

    hash: str | None
    manifest: Manifest | None
    metrics: Metrics | None
    card: Markup | None
    problem: str


class StudentAtWork(NamedTuple):
    """A student that scored lately, and when it last did."""

    hash: str
    scored_at: str
    dtype: str


class StudentReport(NamedTuple):
    """A filter's student: on this machine, at work, and on its canaries."""

    filter: Filter
    disk: StudentOnDisk
    at_work: list[StudentAtWork]
    canaries: list[CanaryReport]


def student_pages(site: Site, layout: Layout) -> APIRouter:
    """Return the route of all students."""
    router = APIRouter(include_in_schema=False)

    def on_disk() -> dict[str, StudentOnDisk]:
        folders = site.student_folders
        return {name: read_student(folders[name], item) for name, item in site.filters.items()}

    disk = Refreshed(on_disk, FOLDERS_SECONDS)

    @router.get("/students")
    def students(request: Request) -> Response:
        """Show each filter's student."""
        known = disk.get() or {}
        canaries = list(_canaries(site))
        reports = [
            StudentReport(
                item,
                known[name],
                _at_work(site, name),
                [report for report in canaries if report.filter == name],
            )
            for name, item in site.filters.items()
            if name in known
        ]
        return layout.page(request, "students.html", reports=reports)

    return router


def read_student(folder: Path, filter_: Filter) -> StudentOnDisk:
    """Return what is in a student's folder."""
    try:
        manifest = read_manifest(folder)
        digest = student_hash(folder, manifest.base)
    except NewsieveError as error:
        return StudentOnDisk(None, None, None, None, str(error))
    problem = ""
    if manifest.label_hash in filter_.earlier_label_hashes:
        problem = "It was packaged by a version that read no markup: `newsieve-train repackage`."
    elif manifest.label_hash != filter_.label_hash:
        problem = f"It was trained on labels that mean something else than {filter_.reference}'s."
    return StudentOnDisk(digest, manifest, _metrics(manifest), _card(folder), problem)


def _card(folder: Path) -> Markup | None:
    if not (folder / MODEL_CARD).is_file():
        return None
    try:
        return rendered_card(read_bytes(folder / MODEL_CARD, CARD_BYTES).decode(errors="replace"))
    except NewsieveError:
        return None


def _metrics(manifest: Manifest) -> Metrics | None:
    try:
        return Metrics.model_validate(manifest.metrics.get("published"))
    except ValidationError:  # a student of others, measured in another way: its card says how
        return None


def _at_work(site: Site, name: str) -> list[StudentAtWork]:
    """Return the students of a filter's newest outcomes, the latest first."""
    page = site.reader.articles(ArticleQuery(filter=name, limit=RECENT))
    found: dict[str, StudentAtWork] = {}
    for outcome in page.outcomes:
        try:
            record = ScoredArticle.model_validate_json(outcome.record)
        except ValidationError:
            continue
        student = StudentAtWork(record.student, record.scored_at, record.dtype or "")
        found.setdefault(record.student, student)
    return list(found.values())


def _canaries(site: Site) -> Iterator[CanaryReport]:
    for record in canary_reports(site.reader):
        try:
            yield CanaryReport.model_validate_json(record)
        except ValidationError:
            continue

"""`/review`: a person scores articles blind, sees what was said afterwards, and the report.

Until somebody has scored an article, the page about it contains no score and no tier of student or
oracle. A form needs no token of its own: reviewing in a browser takes a session, and the guards
refuse what pages of other sites send with one. It knows no SQL and no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from newsieve.filters.registry import Filter
from newsieve.filters.rendering import rendered_title
from newsieve.programs.reviewing import report_text
from newsieve.programs.reviewing.service import (
    NothingToReview,
    Reviewing,
    ReviewTask,
    SampleWanted,
)
from newsieve.review.judgement import (
    MAX_NOTE_CHARACTERS,
    SCORES,
    InvalidReview,
    definitions,
    reviewer_name,
)
from newsieve.review.records import oracle_score
from newsieve.review.task_files import FileReview
from newsieve.store.reviews import ReviewStore
from newsieve.web.access import Visitor
from newsieve.web.forms import read_form
from newsieve.web.guards import visitor_of
from newsieve.web.layout import Layout
from newsieve.web.problems import HttpError
from newsieve.web.review_form import (
    NOTHING,
    SCORE_FIELD,
    Entered,
    entered_into,
    form_judgement,
)
from newsieve.web.shown import MOST_CONTENT_CHARACTERS
from newsieve.web.site import Site

SAMPLE_SIZE: Final = 50

Name = Annotated[str | None, Query(alias="filter", max_length=100)]
Hash = Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")]


class Compared(NamedTuple):
    """One dimension's scores of an article; None where there is none."""

    dimension: str
    person: int
    student: float | None
    oracle: int | None


def review_pages(site: Site, layout: Layout) -> APIRouter:
    """Return the routes of all pages about reviews."""
    router = APIRouter(include_in_schema=False)
    pages = _Pages(site, layout, Reviewing(ReviewStore(site.settings.serve.store)))

    @router.get("/review")
    def review(request: Request, name: Name = None, saved: Hash = None) -> Response:
        """Give the visitor the next article."""
        reviewer = _reviewer(visitor_of(request))
        if reviewer is None:
            return pages.refusal(request)
        return pages.next_article(request, pages.filter_of(name), reviewer, saved)

    @router.post("/review")
    async def save(request: Request) -> Response:
        """Store what a form says, and go on to the next article."""
        reviewer = _reviewer(visitor_of(request))
        if reviewer is None:
            return pages.refusal(request)
        fields = await read_form(request)
        return await run_in_threadpool(pages.save, request, fields, reviewer)

    @router.post("/review/sample")
    async def sample(request: Request) -> Response:
        """Draw a sample of more articles."""
        if _reviewer(visitor_of(request)) is None:
            return pages.refusal(request)
        fields = await read_form(request)
        return await run_in_threadpool(pages.draw, fields.get("filter"))

    @router.get("/review/compared")
    def compared(request: Request, name: Name = None, text: Hash = None) -> Response:
        """Show student's and oracle's scores of an article that the visitor has reviewed."""
        reviewer = _reviewer(visitor_of(request))
        if reviewer is None:
            return pages.refusal(request)
        return pages.compared(request, pages.filter_of(name), reviewer, text or "")

    @router.get("/review/report")
    def report(request: Request, name: Name = None) -> Response:
        """Show how far people, oracle and student agree."""
        return pages.report(request, pages.filter_of(name))

    return router


class _Pages:
    """Makes the answers of the routes."""

    def __init__(self, site: Site, layout: Layout, reviewing: Reviewing) -> None:
        self._site = site
        self._layout = layout
        self._reviewing = reviewing

    def filter_of(self, name: str | None) -> Filter:
        """Return the filter of this name, the first one without a name. Raises HttpError."""
        filters = self._site.filters
        found = next(iter(filters.values()), None) if name is None else filters.get(name)
        if found is None:
            raise HttpError(404, f"There is no filter {name!r:.100} here.")
        return found

    def refusal(self, request: Request) -> Response:
        """Say who may review, and how to sign in."""
        visitor = visitor_of(request)
        return self._layout.page(
            request,
            "review_refused.html",
            403,
            is_offered=self._site.access.can_review,
            is_nameless=visitor.may_review,
        )

    def next_article(
        self, request: Request, filter_: Filter, reviewer: str, saved: str | None
    ) -> Response:
        """Show the next article, or that there is none."""
        task = self._reviewing.next_task(filter_, reviewer)
        if task is None:
            return self._page(request, filter_, reviewer, "review_none.html", saved=saved)
        return self._article(request, filter_, reviewer, task, NOTHING, saved)

    def save(self, request: Request, fields: Mapping[str, str], reviewer: str) -> Response:
        """Store a form's review. What was entered stays on the page if it is not valid."""
        filter_ = self.filter_of(fields.get("filter"))
        text = fields.get("text", "")
        try:
            content_hash = bytes.fromhex(text)
        except ValueError:
            raise HttpError(422, "The form does not say which article it is about.") from None
        task = self._reviewing.task_of(filter_, content_hash)
        if task is None:
            raise HttpError(404, "No sample has this article.")
        try:
            judged = form_judgement(fields, filter_)
            review = FileReview("this article", content_hash, reviewer, judged)
            self._reviewing.save(filter_, [review])
        except InvalidReview as error:
            entered = entered_into(fields, filter_, str(error))
            return self._article(request, filter_, reviewer, task, entered, None, 422)
        return RedirectResponse(_address("/review", filter=filter_.name, saved=text.lower()), 303)

    def draw(self, name: str | None) -> Response:
        """Draw a sample. Raises HttpError where there is nothing to draw from."""
        filter_ = self.filter_of(name)
        try:
            self._reviewing.draw(filter_, SampleWanted(SAMPLE_SIZE))
        except NothingToReview as error:
            raise HttpError(409, f"Nothing can be drawn: {error}.") from None
        return RedirectResponse(_address("/review", filter=filter_.name), 303)

    def compared(self, request: Request, filter_: Filter, reviewer: str, text: str) -> Response:
        """Show what student and oracle say of an article that this person has reviewed."""
        named = "sha256:" + text
        reviews = [
            item
            for item in self._reviewing.reviews(filter_)
            if item.article.content_hash == named and item.oracle.model == reviewer
        ]
        task = self._reviewing.task_of(filter_, bytes.fromhex(text)) if reviews else None
        if task is None:
            raise HttpError(404, "You have not reviewed such an article.")
        review, label = reviews[0], oracle_score(task.item.label)
        said = review.oracle_scores or {}
        of_oracle = label.oracle_scores or {} if label is not None else {}
        of_student = task.scored.scores or {}
        rows = [
            Compared(name, score, of_student.get(name), of_oracle.get(name))
            for name, score in said.items()
        ]
        return self._page(
            request,
            filter_,
            reviewer,
            "review_compared.html",
            title=rendered_title(task.scored.article.title),
            rows=rows,
            review=review,
            student_tier=task.scored.tier,
            label=label,
        )

    def report(self, request: Request, filter_: Filter) -> Response:
        """Show the report of a filter."""
        return self._layout.page(
            request,
            "review_report.html",
            filters=list(self._site.filters.values()),
            filter=filter_,
            report=self._reviewing.report(filter_),
            text=report_text,
        )

    def _article(
        self,
        request: Request,
        filter_: Filter,
        reviewer: str,
        task: ReviewTask,
        entered: Entered,
        saved: str | None,
        status: int = 200,
    ) -> Response:
        content = task.item.content or ""
        return self._page(
            request,
            filter_,
            reviewer,
            "review.html",
            status,
            text=task.item.content_hash.hex(),
            article=task.scored.article,
            content=content[:MOST_CONTENT_CHARACTERS],
            left_out=max(len(content) - MOST_CONTENT_CHARACTERS, 0),
            dimensions=definitions(filter_),
            scale=[str(score) for score in SCORES],
            field=SCORE_FIELD,
            note_characters=MAX_NOTE_CHARACTERS,
            entered=entered,
            saved=saved,
        )

    def _page(
        self,
        request: Request,
        filter_: Filter,
        reviewer: str,
        template: str,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """Return a page that a reviewer works on: never kept by the browser, since what is next
        changes with each review."""
        done, waiting = self._reviewing.progress(filter_, reviewer)
        page = self._layout.page(
            request,
            template,
            status,
            filters=list(self._site.filters.values()),
            filter=filter_,
            done=done,
            waiting=waiting,
            sample_size=SAMPLE_SIZE,
            **values,
        )
        page.headers["cache-control"] = "no-store"
        return page


def _reviewer(visitor: Visitor) -> str | None:
    """Return the name under which a visitor reviews; None for whoever may not, or has none."""
    if not visitor.may_review or visitor.name is None:
        return None
    try:
        return reviewer_name(visitor.name)
    except InvalidReview:
        return None


def _address(path: str, **parameters: str) -> str:
    return f"{path}?{urlencode(parameters)}"

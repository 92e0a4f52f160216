"""`GET /v1/filters`: the filters that a server knows, and the students that score by them.

It needs no student: a server without one says null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from newsieve.filters.registry import Filter
from newsieve.web.problems import ProblemRoute
from newsieve_schemas.scored import Hash


class ServedFilter(BaseModel):
    """A filter that a server knows."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    reference: str = Field(description="The name and the version, as commands take them.")
    dimensions: list[str] = Field(description="What the student scores, from 0 to 10.")
    tiers: list[str] = Field(description="The tiers, the best first.")
    published_tiers: list[str] = Field(description="The tiers that have a topic of their own.")
    student: Hash | None = Field(
        description="The hash of the student that scores here; null where nothing does."
    )


def served_filter(filter_: Filter, student: str | None) -> ServedFilter:
    """Return what is said of a filter. `student` is the hash of its student, if one is loaded."""
    definition = filter_.definition
    return ServedFilter(
        name=filter_.name,
        version=filter_.version,
        reference=filter_.reference,
        dimensions=list(definition.dimension_names),
        tiers=list(dict.fromkeys(tier.name for tier in definition.tiers)),
        published_tiers=list(definition.published_tiers),
        student=student,
    )


def filters_router(served: Callable[[], Sequence[ServedFilter]]) -> APIRouter:
    """Return the router of `GET /v1/filters`. `served` is called for each request."""
    router = APIRouter(route_class=ProblemRoute, tags=["filters"])

    @router.get("/v1/filters", operation_id="filters", summary="Filters, and what scores by them")
    async def filters() -> Sequence[ServedFilter]:
        """Answers with every filter that the server knows, by name."""
        return served()

    return router

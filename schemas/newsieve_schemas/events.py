"""CloudEvents 1.0 in binary mode: the headers of every record newsieve writes."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from newsieve_schemas.base import WrittenHeaders
from newsieve_schemas.scored import Timestamp

SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"

SCORED: Final = "newsieve.article.scored.v1"
TIERED: Final = "newsieve.article.tiered.v1"
ORACLE_REQUESTED: Final = "newsieve.oracle.requested.v1"
ORACLE_SCORED: Final = "newsieve.oracle.scored.v1"
DRIFT_ALERT: Final = "newsieve.drift.alert.v1"
DRIFT_STATE: Final = "newsieve.drift.state.v1"
CANARY_REPORTED: Final = "newsieve.canary.reported.v1"
INGEST_STATE: Final = "newsieve.ingest.state.v1"
CONTROL_DECIDED: Final = "newsieve.control.decided.v1"


class EventHeaders(WrittenHeaders):
    """Headers of every record but dead letters, as UTF-8 strings on the wire."""

    ce_specversion: Literal["1.0"]
    ce_type: str
    ce_source: str = Field(description="newsieve/<component>/<group>")
    ce_id: str = Field(description="The same fact has the same id: deduplicate by it.")
    ce_time: Timestamp
    content_type: Literal["application/json"] = Field(alias="content-type")
    traceparent: str | None = Field(None, description="W3C trace context, passed on.")


class ArticleEventHeaders(EventHeaders):
    """Headers of records about one article and one filter: filter without parsing."""

    filter: str
    filter_version: str
    outcome: Literal["scored", "blocked"]
    tier: str | None = Field(None, description="Absent when blocked.")
    suspect: Literal["true"] | None = Field(
        None, description="On records of articles that speak to a model, and on no others."
    )

"""Reads OracleRequests and writes OracleScores. Knows neither the budget nor Kafka's clients."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from newsieve.errors import FilterNotLoaded, InvalidRequest, NotAnObject
from newsieve.filters.tiering import round_scores
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.prompt import OracleConfig, Prompt
from newsieve.records.decode import Headers, RawRecord
from newsieve.records.encode import (
    SUSPECT_HEADER,
    OutRecord,
    event_id,
    filter_headers,
    opening_headers,
    trace_headers,
)
from newsieve.records.json_parsing import parse
from newsieve.validation_text import validation_message
from newsieve_schemas import events
from newsieve_schemas.article import ArticleIdentity
from newsieve_schemas.oracle import OracleRequest, OracleScore
from newsieve_schemas.scored import KafkaInput
from newsieve_schemas.topics import MAX_MESSAGE_BYTES

ANCHOR: Final = "anchor"
_REFERENCE: Final = re.compile(r"[a-z][a-z0-9_]{0,59}/v[1-9][0-9]{0,8}")  # that a filter can have


class ParsedRequest(NamedTuple):
    """A request, its filter's prompt, and the record it came in."""

    request: OracleRequest
    prompt: Prompt
    record: RawRecord


def read_request(record: RawRecord, prompts: Mapping[str, Prompt]) -> ParsedRequest:
    """Return the request in a record. Raises RecordError for what is no request, and
    FilterNotLoaded for one that another oracle, or this one after a restart, can label."""
    fields = parse(record.value, MAX_MESSAGE_BYTES)
    if not isinstance(fields, dict):
        raise NotAnObject("a request is an object")
    try:
        request = OracleRequest.model_validate(fields, extra="ignore")
    except ValidationError as error:
        raise InvalidRequest(f"not an OracleRequest: {validation_message(error)}") from None
    reference = f"{request.filter}/v{request.filter_version}"
    prompt = prompts.get(reference)
    if _REFERENCE.fullmatch(reference) is None:
        raise InvalidRequest(f"no filter can be called {reference!r:.80}")
    if prompt is None:
        raise FilterNotLoaded(
            f"this oracle has not loaded the filter {reference!r:.80}, only "
            f"{', '.join(sorted(prompts))}: start it again where filters/ has that one"
        )
    article = request.article
    if not prompt.filter.is_label_of(request.label_hash, article.title, article.content):
        raise FilterNotLoaded(
            f"the request wants labels of hash {request.label_hash}, and this oracle's labels of "
            f"{reference} have {prompt.filter.label_hash}, since their prompts, dimensions or "
            "renderings differ: start the oracle again with the filter and the version that the "
            "workers have"
        )
    return ParsedRequest(request, prompt, record)


class LabelMetadata(NamedTuple):
    """What an OracleScore says beside the request and its result."""

    effective_pi: float
    calls_without_record: int
    labelled_at: str


class ScoreEncoder:
    """Writes the OracleScores of one oracle."""

    def __init__(self, config: OracleConfig, topic: str, source: str) -> None:
        """`topic` is the topic of the scores, `source` the ce_source of its records."""
        self._config = config
        self._topic = topic
        self._source = source.encode()

    def encode(
        self,
        parsed: ParsedRequest,
        result: LabelResult,
        metadata: LabelMetadata,
        sketch: bytes | None = None,
    ) -> tuple[OutRecord, str | None]:
        """Return the OracleScore of a request, and the tier of the oracle's scores. `sketch` is
        that of its text; None: the text is in no story."""
        request, prompt, record = parsed
        answer = result.answer
        scores = answer.scores if answer is not None else None
        tier = _tier(prompt, list(scores.values()), request.content_rules) if scores else None
        score = OracleScore(
            article=ArticleIdentity(**request.article.model_dump(exclude={"content"})),
            filter=request.filter,
            filter_version=request.filter_version,
            filter_hash=request.filter_hash,
            label_hash=request.label_hash,
            student=request.student,
            status=result.status,
            oracle=self._config.key(prompt, result.model_version),
            oracle_scores=scores,
            oracle_tier=tier,
            content_type=answer.content_type if answer is not None else None,
            reasoning=answer.reasoning if answer is not None else None,
            key_markers=answer.key_markers if answer is not None else None,
            failure=result.failure,
            student_scores=request.scores,
            student_tier=request.tier,
            content_rules=request.content_rules,
            suspect=request.suspect,
            sampling=request.sampling,
            effective_pi=metadata.effective_pi,
            usage=result.usage,
            calls_without_record=metadata.calls_without_record,
            reused=result.is_reused,
            fingerprint=result.fingerprint,
            answer_hash=result.answer_hash,
            story=None if sketch is None else result.story or request.article.id,
            story_sketch=None if sketch is None else base64.b64encode(sketch).decode(),
            input=KafkaInput(**record.input),
            labelled_at=metadata.labelled_at,
        )
        value = score.model_dump_json().encode()
        headers = self._headers(score, request, record.headers)
        return OutRecord(self._topic, request.article.id.encode(), value, headers), tier

    def _headers(
        self, score: OracleScore, request: OracleRequest, incoming: Headers | None
    ) -> Headers:
        headers: Headers = [
            *opening_headers(events.ORACLE_SCORED, self._source),
            *filter_headers(score.filter, score.filter_version),
            ("outcome", score.status.encode()),
            ("ce_id", event_id(_identity(score, request))),
            ("ce_time", score.labelled_at.encode()),
        ]
        if score.oracle_tier is not None:
            headers.append(("tier", score.oracle_tier.encode()))
        if score.suspect:
            headers.append(SUSPECT_HEADER)
        return headers + trace_headers(incoming)


def _tier(prompt: Prompt, scores: list[int], content_rules: list[str]) -> str:
    rounded = round_scores(np.array([scores], dtype=np.float64))
    return prompt.filter.tiering.decide(rounded, [content_rules]).tier[0]


def _identity(score: OracleScore, request: OracleRequest) -> str:
    """Return what two records of the same label have in common. Each request for an anchor asks for
    a label of its own."""
    parts = [
        score.article.id,
        score.article.content_hash,
        score.filter_hash,
        score.student,
        events.ORACLE_SCORED,
        score.oracle.name,
        score.status,
    ]
    if request.sampling.purpose == ANCHOR:
        parts.append(request.requested_at)
    return "\n".join(parts)

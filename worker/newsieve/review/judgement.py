"""One person's judgement of one article: what it may be, and the OracleScore that keeps it.

A person is an oracle of the provider `human`, whose model is the person's name and whose prompt is
the filter's as it was shown. The records stay in the store: on articles.oracle.scores they would be
taken for labels of an oracle that has changed. It knows neither forms nor files.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.errors import WrongUsage
from newsieve.filters.definition import SCORE_MAX, SCORE_MIN, Dimension
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import LAYOUT
from newsieve.filters.tiering import round_scores
from newsieve.printable import one_line
from newsieve.validation_text import first_of
from newsieve_schemas.base import whole
from newsieve_schemas.oracle import HUMAN, LABELLED, REFUSED, OracleKey, OracleScore
from newsieve_schemas.scored import KafkaInput, Sampling, ScoredArticle

POLICY: Final = "review"
SCORES: Final = tuple(range(int(SCORE_MIN), int(SCORE_MAX) + 1))
MAX_NOTE_CHARACTERS: Final = 4_000
MAX_NAME_CHARACTERS: Final = 80
CANNOT_JUDGE: Final = "the reviewer cannot judge this article"
MOST_ERRORS: Final = 20  # that are told of one file
_QUOTED: Final = 40  # characters of a wrong value, in a message
_SPACES: Final = re.compile(r"[ \t]+")


class InvalidReview(WrongUsage):
    """A review cannot be stored: a score is wrong or missing, or it does not say whose it is."""


def told(errors: Sequence[str]) -> str:
    """Return why nothing is stored, the first errors in full, one a line."""
    return "nothing is stored:\n  " + "\n  ".join(first_of(errors, MOST_ERRORS))


class Judgement(NamedTuple):
    """What a person says of an article. `scores` has all dimensions; None: it cannot be judged."""

    scores: dict[str, int] | None
    note: str | None


class Definition(NamedTuple):
    """A dimension's name, and what reviewers read about it."""

    name: str
    text: str


def definitions(filter_: Filter) -> list[Definition]:
    """Return what each dimension measures: the paragraph of the prompt that begins with its name,
    so that people read what oracles read, else what the filter's definition says."""
    paragraphs = filter_.prompt.replace("\r\n", "\n").split("\n\n")
    return [
        Definition(item.name, _paragraph(item, paragraphs))
        for item in filter_.definition.dimensions
    ]


def reviewer_name(text: Any) -> str:
    """Return a reviewer's name, without blanks around it. Raises InvalidReview for what is none."""
    if not isinstance(text, str):
        raise InvalidReview("a reviewer's name is a text")
    name = _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if not name:
        raise InvalidReview("nobody is named as the reviewer")
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidReview(
            f"a reviewer's name has at most {MAX_NAME_CHARACTERS} characters, all of them visible, "
            f"not {one_line(name, _QUOTED)!r}"
        )
    return name


def judgement(scores: Any, note: Any, filter_: Filter) -> Judgement:
    """Return the judgement with these scores: a whole number from 0 to 10 for each dimension.
    Raises InvalidReview."""
    if not isinstance(scores, dict):
        raise InvalidReview("`scores` is no object with a score for each dimension")
    names = filter_.definition.dimension_names
    others = [str(name) for name in scores if name not in names]
    if others:
        raise InvalidReview(
            f"{one_line(others[0], _QUOTED)!r} is no dimension of {filter_.reference}"
        )
    return Judgement({name: _score(name, scores.get(name)) for name in names}, note_of(note))


def note_of(note: Any) -> str | None:
    """Return a reviewer's note, None where it is empty. Raises InvalidReview."""
    if note is None:
        return None
    if not isinstance(note, str):
        raise InvalidReview("a note is a text")
    if len(note) > MAX_NOTE_CHARACTERS:
        raise InvalidReview(
            f"a note has at most {MAX_NOTE_CHARACTERS:,} characters, not {len(note):,}"
        )
    return note.strip() or None


def reviewer_key(filter_: Filter, reviewer: str) -> OracleKey:
    """Return the oracle key of a person's labels. Its hashes cover the prompt, the dimensions as
    they are shown and the scale."""
    shown = [LAYOUT, filter_.prompt.strip().replace("\r\n", "\n"), *definitions(filter_)]
    form = dict.fromkeys(filter_.definition.dimension_names, SCORES)
    return OracleKey(
        provider=HUMAN,
        model=reviewer,
        model_version="",
        prompt_hash=_hash(shown),
        schema_hash=_hash(form),
        thinking=None,
        temperature=None,
    )


def review_record(
    filter_: Filter,
    scored: ScoredArticle,
    reviewer: str,
    judged: Judgement,
    pi: float | None,
    epoch: str,
    now: str,
) -> OracleScore:
    """Return the record of a review; what cannot be judged is refused.

    `pi` is the probability with which the article was drawn, `epoch` names the draw. An article
    whose disagreement was the reason (None) is for training: to measure with, it has no weight.
    """
    scores = judged.scores
    return OracleScore(
        article=scored.article,
        filter=filter_.name,
        filter_version=filter_.version,
        filter_hash=filter_.filter_hash,
        label_hash=filter_.label_hash,
        student=scored.student,
        status=REFUSED if scores is None else LABELLED,
        oracle=reviewer_key(filter_, reviewer),
        oracle_scores=scores,
        oracle_tier=None if scores is None else tier_of(filter_, scores, scored.content_rules),
        content_type=None,
        reasoning=judged.note,
        key_markers=None,
        failure=CANNOT_JUDGE if scores is None else None,
        student_scores=scored.scores,
        student_tier=scored.tier,
        content_rules=scored.content_rules,
        suspect=scored.suspect,
        sampling=Sampling(
            selected=True,
            policy=POLICY,
            epoch=epoch,
            stratum=_stratum(filter_, scored),
            purpose="training" if pi is None else "monitor",
            pi=1.0 if pi is None else pi,
            u=None,
        ),
        effective_pi=1.0 if pi is None else pi,
        usage=None,
        calls_without_record=0,
        reused=False,
        fingerprint=None,
        answer_hash=None,
        input=_input(scored),
        labelled_at=now,
    )


def tier_of(filter_: Filter, scores: dict[str, int], content_rules: list[str]) -> str:
    """Return the tier of these scores for an article that met these content rules."""
    names = filter_.definition.dimension_names
    row = round_scores(np.array([[scores[name] for name in names]], dtype=np.float64))
    known = [name for name in content_rules if name in filter_.definition.rule_names]
    return filter_.tiering.decide(row, [known]).tier[0]


def _score(name: str, value: Any) -> int:
    score = whole(value)
    if value is None:
        raise InvalidReview(f"{name} has no score")
    if type(score) is not int or score not in SCORES:
        raise InvalidReview(
            f"{name} is {one_line(repr(value), _QUOTED)}, not a whole number from 0 to 10"
        )
    return score


def _stratum(filter_: Filter, scored: ScoredArticle) -> Any:
    if scored.sampling is not None:
        return scored.sampling.stratum
    if scored.suspect:
        return "suspect"
    return "surfaced" if scored.tier in filter_.definition.published_tiers else "low"


def _input(scored: ScoredArticle) -> KafkaInput:
    """Return where the raw article stood, as a place of a topic."""
    if isinstance(scored.input, KafkaInput):
        return scored.input
    return KafkaInput(
        topic=scored.input.file, partition=0, offset=scored.input.line, timestamp=None
    )


def _paragraph(dimension: Dimension, paragraphs: list[str]) -> str:
    heading = f"**{dimension.name}**"
    for paragraph in paragraphs:
        text = paragraph.strip()
        if text.startswith(heading):
            return " ".join(text.removeprefix(heading).lstrip(" -–—:").split())
    scale = zip(("0-2", "3-4", "5-6", "7-8", "9-10"), dimension.scale, strict=False)
    steps = "; ".join(f"{numbers} {meaning}" for numbers, meaning in scale)
    return f"{dimension.measures}. {steps}" if steps else dimension.measures


def _hash(value: Any) -> str:
    canonical = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

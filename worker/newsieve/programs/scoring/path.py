"""From raw records to outcomes: decode → rules → score → decide → encode, for all filters at once.

It is the one path of the worker, `newsieve score` and the benchmarks. It works on micro-batches:
`start` hands their texts to the scorer and returns at once, `finish` turns the scores into
outcomes. It knows nothing of Kafka, transactions or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from newsieve.errors import ArticleDeleted, RecordError
from newsieve.filters.article import Article
from newsieve.filters.calibration import ScoreCalibration
from newsieve.filters.content_rules import ContentRules, RulesMet
from newsieve.filters.registry import Filter
from newsieve.filters.sampling import EpochDraw
from newsieve.filters.suspect import suspect_rules
from newsieve.filters.tiering import round_scores
from newsieve.inference.scorer import FilterScores, Scorer
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.encode import (
    EncodedArticle,
    FilterEncoder,
    Scoring,
    encode_article,
)
from newsieve.records.replay_headers import ReplayHeaders
from newsieve.stream.outcome import BLOCKED, DEAD_LETTER, SCORED, Outcome

SHADOW_EPOCH: Final = "shadow"  # keys the trial's draw, so that it is not the oracle's sample


@dataclass(slots=True)
class RecordOutcomes:
    """A raw record on its way to its outcomes. `encoded` is None where it could not be decoded;
    otherwise `rules_met` has what each filter's content rules say."""

    record: RawRecord
    encoded: EncodedArticle | None
    rules_met: Sequence[RulesMet]
    outcomes: list[Outcome]

    @property
    def is_deletion(self) -> bool:
        """Whether the record says that an article was deleted, as a null value does."""
        return self.encoded is None and isinstance(self.outcomes[0].error, ArticleDeleted)


FilterBatch = list[tuple[RecordOutcomes, EncodedArticle, RulesMet]]


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate student on trial beside a filter's own, on a share of its articles, the same ones
    on every replay. The encoder writes to the shadow topic."""

    encoder: FilterEncoder
    calibration: ScoreCalibration
    share: float
    draw: EpochDraw

    @property
    def name(self) -> str:
        """The candidate's name at the scorer."""
        return shadow_name(self.encoder.filter.name)

    def takes(self, article: Article) -> bool:
        """Whether the article is in the candidate's share."""
        return self.draw.u(article.id, article.content_hash) < self.share


def shadow_name(filter_name: str) -> str:
    """The name of a filter's candidate at the scorer."""
    return f"{filter_name}/shadow"


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows in input order; what is to be scored and what was blocked, by filter; and the future
    scores of `wanted`, in its order."""

    rows: list[RecordOutcomes]
    wanted: Mapping[str, FilterBatch]
    blocked: Mapping[str, FilterBatch]
    scores: Future[dict[str, FilterScores]] | None

    @property
    def is_done(self) -> bool:
        """Whether the scores are there."""
        return self.scores is None or self.scores.done()


class ScoringPath:
    """The filters at work with their encoders and the scorer. Use it from one thread."""

    def __init__(
        self,
        encoders: Sequence[FilterEncoder],
        scorer: Scorer,
        policy: DecodePolicy,
        now: Callable[[], str],
        replays: ReplayHeaders,
        calibrations: Mapping[str, ScoreCalibration],
        shadows: Sequence[Shadow] = (),
    ) -> None:
        """`now` gives the time in ISO 8601; `calibrations` has what each student carries."""
        self._encoders = {encoder.filter.name: encoder for encoder in encoders}
        self._names = tuple(self._encoders)
        definitions = [encoder.filter.definition for encoder in encoders]
        dimensions = {name for item in definitions for name in item.dimension_names}
        self._rules = ContentRules([*definitions, suspect_rules(dimensions)])
        self._scorer = scorer
        self._policy = policy
        self._now = now
        self._replays = replays
        self._calibrations = calibrations
        self._shadows = {shadow.encoder.filter.name: shadow for shadow in shadows}

    @property
    def filters(self) -> list[Filter]:
        """The filters that score every record."""
        return [encoder.filter for encoder in self._encoders.values()]

    def start(self, records: Sequence[RawRecord]) -> MicroBatch:
        """Decode, apply the content rules, send what is left to the scorer."""
        rows: list[RecordOutcomes] = []
        texts: list[str] = []
        wanted: dict[str, FilterBatch] = {name: [] for name in self._names}
        blocked: dict[str, FilterBatch] = {name: [] for name in self._names}
        wanted |= {shadow.name: [] for shadow in self._shadows.values()}  # after the live ones
        places: dict[str, list[int]] = {name: [] for name in wanted}
        for record in records:
            admitted, only = self._replays.admit(record)
            row = self._row(admitted)
            rows.append(row)
            encoded = row.encoded
            if encoded is None:
                continue
            for name, rules_met in zip(self._names, row.rules_met, strict=True):
                if only is not None and only != name:
                    continue
                if rules_met.blocked_by is not None:
                    blocked[name].append((row, encoded, rules_met))
                    continue
                wanted[name].append((row, encoded, rules_met))
                places[name].append(len(texts))
                shadow = self._shadows.get(name) if self._shadows else None
                if shadow is not None and shadow.takes(encoded.article):
                    wanted[shadow.name].append((row, encoded, rules_met))
                    places[shadow.name].append(len(texts))
            texts.append(encoded.article.text)
        asked = {name: found for name, found in places.items() if found}
        scores = self._scorer.submit(texts, asked) if asked else None
        return MicroBatch(rows, wanted, blocked, scores)

    def refuse(self, record: RawRecord, error: RecordError) -> MicroBatch:
        """Make a dead letter of one record, which is not even decoded."""
        admitted, only = self._replays.admit(record)
        row = RecordOutcomes(admitted, None, (), [Outcome(only, DEAD_LETTER, None, [], error)])
        return MicroBatch([row], {}, {}, None)

    def finish(self, batch: MicroBatch) -> list[RecordOutcomes]:
        """The rows with all their outcomes. Waits for the scores, and raises what scoring
        raised."""
        now = self._now()
        for name, work in batch.blocked.items():
            for row, encoded, rules_met in work:
                record = self._encoders[name].blocked(encoded, rules_met, now)
                row.outcomes.append(
                    Outcome(name, BLOCKED, None, [record], None, rules_met.blocked_by)
                )
        if batch.scores is not None:
            scored = batch.scores.result()
            for name in self._names:
                if name in scored:
                    self._decide(name, batch.wanted[name], scored[name], now)
            for shadow in self._shadows.values():
                if shadow.name in scored:
                    _shadow(shadow, batch.wanted[shadow.name], scored[shadow.name], now)
        return batch.rows

    def _row(self, record: RawRecord) -> RecordOutcomes:
        try:
            article = decode(record, self._policy)
        except RecordError as error:
            return RecordOutcomes(record, None, (), [Outcome(None, DEAD_LETTER, None, [], error)])
        *rules_met, suspect = self._rules.match(article.text, article.title, article.url)
        return RecordOutcomes(record, encode_article(record, article, suspect.names), rules_met, [])

    def _decide(self, name: str, work: FilterBatch, scored: FilterScores, now: str) -> None:
        """Add one filter's outcomes: tiers and records, and dead letters of what could not be
        scored."""
        encoder = self._encoders[name]
        for at, error in scored.faults.items():
            work[at][0].outcomes.append(Outcome(name, DEAD_LETTER, None, [], error))
        for at, scoring in _decided(encoder.filter, self._calibrations[name], work, scored):
            row, encoded, rules_met = work[at]
            records = encoder.scored(encoded, rules_met, scoring, now)
            row.outcomes.append(Outcome(name, SCORED, scoring.tier, records, None))


def _shadow(shadow: Shadow, work: FilterBatch, scored: FilterScores, now: str) -> None:
    """Add the candidate's records to the live student's: they are published together or not at all.
    The candidate has no record of what it cannot score; the outcome is the live student's."""
    encoder = shadow.encoder
    for at, scoring in _decided(encoder.filter, shadow.calibration, work, scored):
        row, encoded, rules_met = work[at]
        for outcome in row.outcomes:
            if outcome.filter == encoder.filter.name and outcome.outcome == SCORED:
                outcome.records.append(encoder.scored(encoded, rules_met, scoring, now)[0])


def _decided(
    filter_: Filter, calibration: ScoreCalibration, work: FilterBatch, scored: FilterScores
) -> Iterator[tuple[int, Scoring]]:
    """Yield the place in `work` of each article that could be scored, with the decision that its
    scores lead to."""
    good = [at for at in range(len(work)) if at not in scored.faults]
    if not good:
        return
    scores = round_scores(calibration.scores(scored.scores[good]))
    rules_met = [work[at][2].names for at in good]
    decided = filter_.tiering.decide(scores, rules_met)
    columns = zip(
        good,
        scores.tolist(),
        decided.weighted_average,
        decided.score,
        decided.gates,
        decided.caps,
        decided.tier,
        calibration.confidences(scores, rules_met, decided.tier),
        strict=True,
    )
    for at, row_scores, average, score, gates, caps, tier, confidence in columns:
        tokens = scored.tokens[at]
        yield (
            at,
            Scoring(
                row_scores,
                average,
                score,
                gates,
                caps,
                tier,
                confidence,
                len(tokens.ids),
                tokens.truncated,
            ),
        )

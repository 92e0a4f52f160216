"""Raw records to outcomes: decode → rules → score → decide → encode, for all filters at once.

The one path of the worker, `newsieve score` and the benchmarks. Works on micro-batches: `start`
hands their texts to the scorer and returns at once, `finish` turns the scores into outcomes.
Knows nothing of Kafka, transactions or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from worker.codec.dead_letter import only_filter
from worker.codec.decode import DecodePolicy, RawRecord, decode
from worker.codec.encode import FilterEncoder, OutRecord, Scoring
from worker.engine.scorer import FilterScores, Scorer
from worker.errors import RecordError
from worker.rules.article import Article
from worker.rules.content import ContentRules, RulesMet
from worker.rules.tiers import round_scores

SCORED: Final = "scored"
BLOCKED: Final = "blocked"
DEAD_LETTER: Final = "dead_letter"


class Outcome(NamedTuple):
    """What became of one (raw record, filter). `filter` is None when nothing could be decoded."""

    filter: str | None
    outcome: str
    tier: str | None
    records: list[OutRecord]
    error: RecordError | None
    blocked_by: str | None = None


@dataclass(slots=True)
class Row:
    """A raw record on its way. `met` has an entry per filter; both are empty after an error."""

    record: RawRecord
    article: Article | None
    met: tuple[RulesMet, ...]
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows in input order, and the scores to come: of `wanted[filter]`, indices into `rows`."""

    rows: list[Row]
    wanted: Mapping[str, list[int]]
    scores: Future[dict[str, FilterScores]] | None

    @property
    def is_done(self) -> bool:
        return self.scores is None or self.scores.done()


class ScoringPath:
    """The filters at work, their encoders and the scorer. Use from one thread."""

    def __init__(
        self,
        encoders: Sequence[FilterEncoder],
        scorer: Scorer,
        policy: DecodePolicy,
        now: Callable[[], str],
    ) -> None:
        """`now` gives the time in ISO 8601."""
        self._encoders = {encoder.filter.name: encoder for encoder in encoders}
        self._names = tuple(self._encoders)
        self._rules = ContentRules([encoder.filter.definition for encoder in encoders])
        self._scorer = scorer
        self._policy = policy
        self._now = now

    def start(self, records: Sequence[RawRecord]) -> MicroBatch:
        """Decode, apply the content rules, send what is left to the scorer."""
        rows = [self._row(record) for record in records]
        wanted: dict[str, list[int]] = {name: [] for name in self._names}
        for index, row in enumerate(rows):
            if row.article is None:
                continue
            only = only_filter(row.record.headers)
            for name, met in zip(self._names, row.met, strict=True):
                if only is not None and only != name:
                    continue
                if met.blocked_by is None:
                    wanted[name].append(index)
                else:
                    row.outcomes.append(self._blocked(name, row, row.article, met))
        wanted = {name: indices for name, indices in wanted.items() if indices}
        return MicroBatch(rows, wanted, self._submit(rows, wanted))

    def finish(self, batch: MicroBatch) -> list[Row]:
        """The rows with all their outcomes. Waits for the scores; raises what scoring raised."""
        if batch.scores is not None:
            now = self._now()
            for name, scores in batch.scores.result().items():
                self._decide(name, batch, scores, now)
        return batch.rows

    def _row(self, record: RawRecord) -> Row:
        try:
            article = decode(record, self._policy)
        except RecordError as error:
            return Row(record, None, (), [Outcome(None, DEAD_LETTER, None, [], error)])
        return Row(record, article, self._rules.met(article.text, article.title, article.url))

    def _blocked(self, name: str, row: Row, article: Article, met: RulesMet) -> Outcome:
        out = self._encoders[name].blocked(row.record, article, met, self._now())
        return Outcome(name, BLOCKED, None, [out], None, met.blocked_by)

    def _submit(
        self, rows: Sequence[Row], wanted: Mapping[str, list[int]]
    ) -> Future[dict[str, FilterScores]] | None:
        if not wanted:
            return None
        texts = [row.article.text if row.article is not None else "" for row in rows]
        return self._scorer.submit(texts, wanted)

    def _decide(self, name: str, batch: MicroBatch, scored: FilterScores, now: str) -> None:
        """Tiers and records of one filter's rows."""
        encoder = self._encoders[name]
        position = self._names.index(name)
        indices = batch.wanted[name]
        good = [at for at in range(len(indices)) if at not in scored.faults]
        for at, error in scored.faults.items():
            outcome = Outcome(name, DEAD_LETTER, None, [], error)
            batch.rows[indices[at]].outcomes.append(outcome)
        if not good:
            return
        scores = round_scores(scored.scores[good])
        met = [batch.rows[indices[at]].met[position] for at in good]
        decisions = encoder.filter.tiering.decide(scores, [item.names for item in met])
        columns = zip(
            good,
            met,
            scores.tolist(),
            decisions.weighted_average,
            decisions.score,
            decisions.gates,
            decisions.caps,
            decisions.tier,
            strict=True,
        )
        for at, rules, row_scores, average, score, gates, caps, tier in columns:
            row = batch.rows[indices[at]]
            tokens = scored.tokens[at]
            scoring = Scoring(
                row_scores, average, score, gates, caps, tier, len(tokens.ids), tokens.truncated
            )
            article = cast("Article", row.article)  # only decoded rows are wanted
            out = encoder.scored(row.record, article, rules, scoring, now)
            row.outcomes.append(Outcome(name, SCORED, tier, out, None))

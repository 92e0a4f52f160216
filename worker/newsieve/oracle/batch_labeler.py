"""Labels a file of articles for training: one line out for each line in, in their order.

Calls, retries and claims are those of the stream. What is labelled already by the same oracle is
skipped, and an interrupted labelling goes on with the next run. The format of the files is the
writer's business.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from newsieve.deadline import Deadline
from newsieve.errors import OracleRejects, RecordError
from newsieve.oracle.budget import Budget, Caps
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.claiming_queue import Admission, ClaimingQueue, are_withheld, window
from newsieve.oracle.label_cache import CacheKey, config_key
from newsieve.oracle.label_file_writer import NO_DAY, LabelFileWriter, label_row
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.oracle_spec import OracleSpec
from newsieve.oracle.pending_article import PARTITION, PendingArticle
from newsieve.oracle.prompt import Prompt
from newsieve.oracle.providers.base import Tokens
from newsieve.records.dead_letter import dead_letter_fields
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.records.own_record import article_line
from newsieve_schemas.label_row import DEAD_LETTER

COLLECT_SECONDS: Final = 0.05

Lines = Iterable[tuple[int, bytes]]


class CostEstimate(NamedTuple):
    """What a labelling has to do, and what it may cost."""

    articles: int
    again: int  # of these, how many have failed before
    done: int
    bad: int
    input_tokens: int
    output_tokens: int
    usd: float
    max_usd: float

    @property
    def lines(self) -> int:
        """How many lines will be written at most."""
        return self.articles + self.bad


@dataclass(slots=True)
class Summary:
    """What one run has done."""

    statuses: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    suspect: int = 0  # lines whose article speaks to a model
    is_used_up: bool = False

    def count(self, calls: int, tokens: Tokens, usd: float) -> None:
        """Add what one article has cost, whether it has its line or not."""
        self.calls += calls
        self.input_tokens += tokens.input
        self.output_tokens += tokens.output
        self.usd += usd


class BatchLabeler:
    """Labels one file with one filter's prompt."""

    def __init__(
        self,
        oracle: OracleSpec,
        prompt: Prompt,
        pool: CallPool,
        writer: LabelFileWriter,
        caps: Caps,
        policy: DecodePolicy,
        now: Callable[[], str],
    ) -> None:
        """`caps` limit the whole labelling; `now` gives the time in ISO 8601."""
        self._oracle = oracle
        self._prompt = prompt
        self._pool = pool
        self._writer = writer
        self._policy = policy
        self._now = now
        self._config_key = config_key(oracle.config.key(prompt, ""))
        self._claims = ClaimingQueue(oracle, pool)
        self._claims.resume(Budget(caps, 1, {PARTITION: writer.ledger}))
        self._entries: deque[PendingArticle] = deque()
        self._may_more_come = True
        self.summary = Summary()

    def estimate(self, lines: Lines) -> CostEstimate:
        """Return what is to be done and what it may cost, without a call."""
        bad = done = articles = again = sent = received = 0
        max_usd = 0.0
        seen = self._writer.texts | self._writer.kept.keys()
        for number, line in lines:
            entry = self._entry(number, line)
            if entry.text is None or entry.label_prompt is None:
                bad += 1
            elif entry.text in seen:
                done += 1
            else:
                seen.add(entry.text)
                articles += 1
                again += entry.text in self._writer.failed
                expected = self._oracle.prices.expected_tokens(entry.label_prompt)
                sent, received = sent + expected.input, received + expected.output
                max_usd += self._oracle.max_usd(entry.label_prompt)
        usd = self._oracle.prices.cost_usd(Tokens(sent, received))
        return CostEstimate(articles, again, done, bad, sent, received, usd, max_usd)

    def run(
        self,
        lines: Lines,
        should_stop: Callable[[], bool],
        drain_seconds: float,
        advance: Callable[[int], None],
    ) -> None:
        """Label until the lines end, the budget ends, or `should_stop` says so.

        Raises OracleRejects or InputFileInvalid.
        """
        coming = self._new_entries(lines)
        with self._writer.writing():
            try:
                while self._take_in(coming) and not self.summary.is_used_up and not should_stop():
                    self._pool.collect(COLLECT_SECONDS)
                    self._write_finished(advance)
                    self._start(only_begun=False)
                    if self._is_all_withheld():
                        self._pool.resolve_withheld()
                is_complete = not self._entries
            finally:
                self._drain(drain_seconds, advance)
        if is_complete:
            self._writer.complete()

    def _take_in(self, coming: Iterator[PendingArticle]) -> bool:
        """Take as many entries as the window has room for. Return False when none are left."""
        room = window(self._oracle.concurrency, self._entries) - len(self._entries)
        taken = list(islice(coming, max(room, 0)))
        self._may_more_come = 0 < room == len(taken)
        self._entries.extend(taken)
        return bool(self._entries)

    def _is_all_withheld(self) -> bool:
        """Whether no entry is left that the withheld ones could be compared with."""
        open_ = [entry for entry in self._entries if not entry.is_finished]
        return not self._may_more_come and are_withheld(self._pool, open_)

    def _new_entries(self, lines: Lines) -> Iterator[PendingArticle]:
        """Yield the entries that have no line yet, each text once."""
        seen = set(self._writer.texts)
        for number, line in lines:
            entry = self._entry(number, line)
            if entry.text is not None and entry.text not in seen:
                seen.add(entry.text)
                yield entry
            elif entry.error is not None and number not in self._writer.bad_lines:
                yield entry

    def _entry(self, number: int, line: bytes) -> PendingArticle:
        try:
            record = RawRecord(article_line(line), None, None, None, {})
            article = decode(record, self._policy)
        except RecordError as error:
            return PendingArticle(number, error=error)
        text = CacheKey(article.id, article.content_hash, self._config_key)
        label_prompt = self._prompt.for_article(article.id, article.text)
        return PendingArticle(number, article, label_prompt, text, kept=self._writer.kept.get(text))

    def _start(self, *, only_begun: bool) -> None:
        """Claim calls, in order, put the claims on disk, and then make them."""
        may_begin = 0 if only_begun else len(self._entries)
        self._claims.draft(self._entries, self._decide, NO_DAY, may_begin=may_begin)
        if self._claims.changes():
            try:
                self._writer.claim(self._claims.budget.ledgers[PARTITION])
            except OSError:  # a full disk: what follows must not claim the same calls again
                self._claims.withdraw()
                raise
        self._claims.recorded()

    def _decide(self, entry: PendingArticle) -> Admission:
        """Whether the budget has a call for it, at the most it can cost."""
        if entry.label_prompt is None:
            return Admission.SKIP
        if self._claims.budget.can_afford(self._oracle.max_usd(entry.label_prompt), NO_DAY):
            return Admission.CLAIM
        if entry.task is not None:
            self._claims.fail(entry.task)
            return Admission.SKIP
        # What calls under way do not use of their claims may still do for it.
        self.summary.is_used_up = not self._claims.with_claims(self._entries)
        return Admission.STOP

    def _write_finished(self, advance: Callable[[int], None]) -> None:
        finished = []
        while self._entries and self._entries[0].is_finished:
            finished.append(self._entries.popleft())
        self._writer.append([self._row(entry) for entry in finished])
        for entry in finished:
            self._claims.settle(entry)
            if entry.text is not None:
                self._writer.kept.pop(entry.text, None)
        advance(len(finished))

    def _keep_finished(self) -> None:
        """Keep lines that are paid for and wait for others in the file of claims, for the next
        run."""
        for entry in self._entries:
            if entry.is_finished and entry.text is not None and entry.kept is None:
                self._writer.kept[entry.text] = self._row(entry)
                self._claims.settle(entry)

    def _drain(self, seconds: float, advance: Callable[[int], None]) -> None:
        """Collect what is under way, write what is finished, and give unused claims back."""
        deadline = Deadline(seconds)
        while self._pool.in_flight and not deadline.is_over:
            with contextlib.suppress(Exception):  # what stops us is known already
                self._pool.collect(COLLECT_SECONDS)
            self._start(only_begun=True)
        if self.summary.is_used_up:
            with contextlib.suppress(OracleRejects):
                self._pool.resolve_withheld()
        self._write_finished(advance)
        self._keep_finished()
        for entry in self._entries:
            if entry.task is not None and entry.is_begun:
                self.summary.count(entry.task.calls, entry.task.tokens, entry.task.cost_usd)
        self._claims.release_unused(self._entries)
        self._writer.claim(self._claims.budget.ledgers[PARTITION])

    def _row(self, entry: PendingArticle) -> dict[str, Any]:
        """Return a finished entry's line, and count what it has cost."""
        task, article = entry.task, entry.article
        if entry.kept is not None:
            return entry.kept
        if entry.error is not None:
            self.summary.statuses[DEAD_LETTER] += 1
            return dead_letter_fields(entry.line, entry.error)
        if task is None or task.result is None or article is None:
            raise RuntimeError("not finished")
        lost = self._claims.lost_calls(entry)
        lost += self._writer.failed.get(entry.text, 0) if entry.text is not None else 0
        self._claims.give_back(entry)
        self._count(task.result)
        key = self._oracle.config.key(self._prompt, task.result.model_version)
        row = label_row(article, self._prompt, task.result, key, lost, self._now())
        self.summary.suspect += bool(row.suspect)
        return row.model_dump()

    def _count(self, result: LabelResult) -> None:
        self.summary.statuses[result.status] += 1
        if result.answer is not None:
            self.summary.versions[result.model_version] += 1
        if (usage := result.usage) is not None:
            used = Tokens(usage.input_tokens, usage.output_tokens)
            self.summary.count(usage.attempts, used, usage.cost_usd)

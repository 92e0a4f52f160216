"""Labelling a file of articles for training: one line out for each line in, in their order.

The same desk, retries and claims as the stream's, on files. What is labelled already, by the same
oracle, is skipped; what is interrupted goes on with the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

from worker.codec.dead_letter import dead_letter_facts
from worker.codec.decode import DecodePolicy, RawRecord, decode
from worker.codec.own_record import article_line
from worker.errors import OracleRejects, RecordError
from worker.oracle.budget import Budget, Caps
from worker.oracle.desk import Desk
from worker.oracle.docket import WINDOW, Oracle
from worker.oracle.interview import Interview, Verdict
from worker.oracle.memory import Text, way_of
from worker.oracle.prompt import Prompt, Question
from worker.oracle.provider import Tokens
from worker.oracle.sheet import DEAD_LETTER, WHOLE, Sheet, label_row
from worker.rules.article import Article

LISTEN_SECONDS: Final = 0.05
PARTITION: Final = 0  # the budget's only one
CLAIM_KEY_BYTES: Final = 7  # as an integer it fits JSON's

Lines = Iterable[tuple[int, bytes]]


class Estimate(NamedTuple):
    """What there is to do, and what it may cost."""

    articles: int
    done: int
    bad: int
    input_tokens: int
    output_tokens: int
    usd: float
    most_usd: float

    @property
    def lines(self) -> int:
        """That will be written, at most."""
        return self.articles + self.bad


@dataclass(slots=True, eq=False)
class Entry:
    """One line on its way: an article's question, or the reason why it is no article."""

    line: int
    article: Article | None = None
    question: Question | None = None
    text: Text | None = None
    error: RecordError | None = None
    interview: Interview | None = None

    @property
    def is_finished(self) -> bool:
        if self.error is not None:
            return True
        return self.interview is not None and self.interview.verdict is not None

    @property
    def is_under_way(self) -> bool:
        interview = self.interview
        return interview is not None and interview.verdict is None and not interview.wants_claim

    @property
    def claim_key(self) -> int:
        """Stable, whatever is added to the file or taken from it."""
        digest = hashlib.sha256(str(self.text).encode()).digest()
        return int.from_bytes(digest[:CLAIM_KEY_BYTES], "big")


@dataclass(slots=True)
class Summary:
    """What a run has done."""

    statuses: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    is_used_up: bool = False


class Bulk:
    """One labelling of one file by one filter's prompt."""

    def __init__(
        self,
        oracle: Oracle,
        prompt: Prompt,
        desk: Desk,
        sheet: Sheet,
        caps: Caps,
        policy: DecodePolicy,
        now: Callable[[], str],
    ) -> None:
        """`caps` are of the whole labelling; `now` gives the time in ISO 8601."""
        self._oracle = oracle
        self._prompt = prompt
        self._desk = desk
        self._sheet = sheet
        self._policy = policy
        self._now = now
        self._way = way_of(oracle.asked.key(prompt, ""))
        self._budget = self._saved = Budget(caps, 1, {PARTITION: sheet.ledger})
        self._entries: deque[Entry] = deque()
        self.summary = Summary()

    def estimate(self, lines: Lines) -> Estimate:
        """By arithmetic; nothing is asked."""
        bad = done = articles = sent = received = 0
        most_usd = 0.0
        seen = set(self._sheet.texts)
        for number, line in lines:
            entry = self._entry(number, line)
            if entry.text is None or entry.question is None:
                bad += 1
            elif entry.text in seen:
                done += 1
            else:
                seen.add(entry.text)
                articles += 1
                usual = self._oracle.prices.usual(entry.question)
                sent, received = sent + usual.input, received + usual.output
                most_usd += self._most_usd(entry.question)
        usd = self._oracle.prices.cost_usd(Tokens(sent, received))
        return Estimate(articles, done, bad, sent, received, usd, most_usd)

    def run(
        self,
        lines: Lines,
        should_stop: Callable[[], bool],
        drain_seconds: float,
        advance: Callable[[int], None],
    ) -> None:
        """Label until the lines or the budget end, or told to stop.

        Raises OracleRejects or InputFileInvalid.
        """
        coming = self._new_entries(lines)
        with self._sheet.writing():
            try:
                while self._take_in(coming) and not self.summary.is_used_up and not should_stop():
                    self._desk.hear(LISTEN_SECONDS)
                    self._write_finished(advance)
                    self._start(only_begun=False)
                is_complete = not self._entries
            finally:
                self._drain(drain_seconds, advance)
        if is_complete:
            self._sheet.complete()

    def _take_in(self, coming: Iterator[Entry]) -> bool:
        """Have as many entries at hand as the window holds. False when there are none left."""
        room = WINDOW * self._oracle.concurrency - len(self._entries)
        self._entries.extend(islice(coming, room))
        return bool(self._entries)

    def _new_entries(self, lines: Lines) -> Iterator[Entry]:
        """Those that have no line yet, each text once."""
        seen = set(self._sheet.texts)
        for number, line in lines:
            entry = self._entry(number, line)
            if entry.text is not None and entry.text not in seen:
                seen.add(entry.text)
                yield entry
            elif entry.error is not None and number not in self._sheet.bad_lines:
                yield entry

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            record = RawRecord(article_line(line), None, None, None, {})
            article = decode(record, self._policy)
        except RecordError as error:
            return Entry(number, error=error)
        text = Text(article.id, article.content_hash, self._way)
        return Entry(number, article, self._prompt.question(article.id, article.text), text)

    def _start(self, *, only_begun: bool) -> None:
        """Claim calls, in order, put the claims on disk, and then make them."""
        claimed: list[tuple[Interview, float]] = []
        for entry in self._entries:
            interview = entry.interview
            if entry.is_finished or (interview is not None and not interview.wants_claim):
                continue
            if entry.question is None or (interview is None and only_begun):
                continue
            if self._desk.room() <= len(claimed):
                break
            usd = self._most_usd(entry.question)
            if self._budget.affords(usd, WHOLE):
                self._budget = self._budget.claim(PARTITION, entry.claim_key, usd, WHOLE)
                entry.interview = interview or Interview(entry.question, self._oracle.prices)
                claimed.append((entry.interview, usd))
            elif interview is not None:
                interview.give_up("the budget has no further call for it")
            else:  # what calls under way do not use of their claims may still do for it
                self.summary.is_used_up = not claimed and not self._is_under_way()
                break
        self._save()
        for interview, usd in claimed:
            interview.claimed(usd, WHOLE)
            self._desk.start(interview)

    def _write_finished(self, advance: Callable[[int], None]) -> None:
        finished = []
        while self._entries and self._entries[0].is_finished:
            finished.append(self._entries.popleft())
        self._sheet.append([self._row(entry) for entry in finished])
        for entry in finished:
            self._budget = self._budget.close(PARTITION, entry.claim_key)
        advance(len(finished))

    def _drain(self, seconds: float, advance: Callable[[int], None]) -> None:
        """Hear what is under way; what was claimed for nothing is free again."""
        deadline = time.monotonic() + seconds
        while self._desk.calling and time.monotonic() < deadline:
            with contextlib.suppress(OracleRejects):  # what stops us is known already
                self._desk.hear(LISTEN_SECONDS)
            self._start(only_begun=True)
        self._write_finished(advance)
        for entry in self._entries:
            interview = entry.interview
            if interview is not None and entry.is_under_way and not self._desk.abandon(interview):
                self._give_back(entry, interview)
        self._save()

    def _is_under_way(self) -> bool:
        return any(entry.is_under_way for entry in self._entries)

    def _save(self) -> None:
        if self._budget != self._saved:
            self._sheet.claim(self._budget.ledgers[PARTITION])
            self._saved = self._budget

    def _give_back(self, entry: Entry, interview: Interview) -> None:
        unspent = max(interview.claimed_usd - interview.cost_usd, 0.0)
        self._budget = self._budget.give_back(
            PARTITION, entry.claim_key, interview.claims - interview.calls, unspent, WHOLE
        )

    def _most_usd(self, question: Question) -> float:
        prices = self._oracle.prices
        return prices.cost_usd(prices.most(question))

    def _row(self, entry: Entry) -> dict[str, Any]:
        """A finished entry's line; what it has cost is counted."""
        interview, article = entry.interview, entry.article
        if entry.error is not None:
            self.summary.statuses[DEAD_LETTER] += 1
            return dead_letter_facts(entry.line, entry.error)
        if interview is None or interview.verdict is None or article is None:
            raise RuntimeError("not finished")
        lost = self._budget.claims_of(PARTITION, entry.claim_key) - interview.claims
        self._give_back(entry, interview)
        self._count(interview.verdict)
        key = self._oracle.asked.key(self._prompt, interview.verdict.model_version)
        return label_row(article, self._prompt, interview.verdict, key, lost, self._now())

    def _count(self, verdict: Verdict) -> None:
        self.summary.statuses[verdict.status] += 1
        if verdict.answer is not None:
            self.summary.versions[verdict.model_version] += 1
        if verdict.usage is not None:
            self.summary.calls += verdict.usage.attempts
            self.summary.input_tokens += verdict.usage.input_tokens
            self.summary.output_tokens += verdict.usage.output_tokens
            self.summary.usd += verdict.usage.cost_usd

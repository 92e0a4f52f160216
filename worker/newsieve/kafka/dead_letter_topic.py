"""Dead letters: reading them, and putting raw records back where they came from, each at most once.

Letters of other topics, the oracle's and the drift monitor's, are left where they are: whoever may
write letters could have decisions, labels and requests of his own put there, and what was wrong
with one of those is wrong with it still.

Which letters were replayed is an operator's decision and stands on the control topic, one
compacted record per partition of the dead-letter topic. It is written in the same transaction as
what is put back, so a replay that is killed anywhere doubles nothing and loses nothing: run it
again. Two replays at once cannot be: the second fences the first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from newsieve.errors import OutcomeUnknown, TimestampRefused, TopicsWrong, Transient
from newsieve.filters.secret_key import SecretKey
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster, largest_message_bytes, make_producer
from newsieve.kafka.messages import StoredRecord
from newsieve.kafka.offset_ranges import OffsetRanges
from newsieve.kafka.original_records import Originals
from newsieve.kafka.topic_reader import read
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.records.control import decision_record
from newsieve.records.dead_letter import LATEST_MILLISECONDS, explanation, replay
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.records.oversize_letter import TRUNCATED
from newsieve.records.replay_headers import signed
from newsieve.validation_text import validation_message
from newsieve_schemas.topics import CONTROL, DEAD_LETTER, RAW, topic_name

DECISION: Final = "dead_letters_replayed"
SOURCE: Final = b"newsieve/dlq/replay"
TRANSACTION_RECORDS: Final = 500
TRANSACTION_SECONDS: Final = 1.0
TRIES: Final = 5
NANOSECONDS: Final = 1_000_000  # in a millisecond
SINGLE_LESSONS: Final = 8  # then twice as many each time, so that it ends soon


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant. None stands for any. Times are those of the failure, as ISO
    8601 in UTC."""

    stage: str | None = None
    error: str | None = None
    filter: str | None = None
    since: str | None = None
    until: str | None = None

    def takes(self, why: dict[str, str]) -> bool:
        """Whether a letter with these explanations is selected."""
        failed_at = why.get("failed-at", "")
        return (
            self.stage in (None, why.get("stage"))
            and self.error in (None, why.get("error"))
            and self.filter in (None, why.get("filter"))
            and (self.since is None or failed_at >= self.since)
            and (self.until is None or failed_at < self.until)
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, what its headers say, and whether it was replayed."""

    stored: StoredRecord
    why: dict[str, str]
    is_replayed: bool


class _Arguments(BaseModel):
    model_config = ConfigDict(strict=True)

    topic: str
    partition: int = Field(ge=0)
    ranges: list[tuple[int, int]]


class _Replayed(BaseModel):
    """The part of a decision that is read: which offsets of a dead-letter partition were
    replayed."""

    arguments: _Arguments


class _Times:
    """The record times that topics have refused. A record of such a time is put back with the
    present one: the limits are topics' settings, which take a right of its own to read."""

    def __init__(self) -> None:
        self._lessons = 0
        self._past = -1  # up to this one they are too old
        self._future = LATEST_MILLISECONDS + 1  # and from this one on too early

    def fitting(self, record: OutRecord) -> OutRecord:
        """The record with a time that was not refused so far."""
        at = record.timestamp_ms
        is_taken = at is None or self._past < at < self._future
        return record if is_taken else record._replace(timestamp_ms=None)

    def learn(self, refusal: TimestampRefused) -> bool:
        """Note refused times, and return whether another try will be refused less. Where one time
        of a batch is refused, it is taken to be the one farthest from the present."""
        now = time.time_ns() // NANOSECONDS
        self._lessons += 1
        most = 2 ** max(self._lessons - SINGLE_LESSONS, 0)
        refused = list(refusal.refused_ms)
        for batch in refusal.suspected_ms:
            refused += sorted(batch, key=lambda at: abs(at - now), reverse=True)[:most]
        self._past = max([self._past, *(at for at in refused if at <= now)])
        self._future = min([self._future, *(at for at in refused if at > now)])
        return bool(refused)


class DeadLetters:
    """Reads and replays the dead letters of one topic prefix."""

    def __init__(self, cluster: Cluster, prefix: str, key: SecretKey | None = None) -> None:
        """`key` signs what is put back, so that workers know it from others' headers."""
        self._cluster = cluster
        self._prefix = prefix
        self._key = key
        self._raw = topic_name(prefix, RAW)
        self.topic = topic_name(prefix, DEAD_LETTER)
        self._control = topic_name(prefix, CONTROL)
        self._times = _Times()
        self.retimed = 0  # records put back with the present time, since theirs was refused
        self.originals = Originals(cluster)
        self.left = Counter[str]()  # letters that are no raw records', by topic

    def letters(self, selection: Selection) -> Iterator[Letter]:
        """All selected letters that are on the topic now."""
        replayed = self._replayed()
        for stored in read(self._cluster, self.topic, from_beginning=True, until_end=True):
            why = dict(explanation(stored.record.headers))
            if selection.takes(why):
                known = replayed.get(stored.partition[1])
                yield Letter(stored, why, known is not None and stored.offset in known)

    def replay(
        self, selection: Selection, per_second: float | None, now: Callable[[], str]
    ) -> Counter[str]:
        """Put selected letters back that never were; return how many for which filter, "" for all.

        A record keeps its original time if the topic takes it. Raises BrokerUnavailable, Fenced
        when another replay takes over, Transient or OutcomeUnknown when the broker stays unwell,
        TopicsWrong for a broken decision or a refusal.
        """
        TopicAdmin(self._cluster).partitions()  # a person waits less patiently than a worker
        limit = largest_message_bytes(self._cluster.producer())
        publisher = TransactionalProducer(self._make_producer, lambda: None, limit)
        publisher.connect()
        done: Counter[str] = Counter()
        failures = 0
        while True:
            try:
                for committed in self._replay(publisher, selection, per_second, now):
                    done += committed
                return done
            except TimestampRefused as refusal:
                if not self._times.learn(refusal):
                    raise
            except (Transient, OutcomeUnknown):  # the control topic says what is committed
                failures += 1
                if failures == TRIES:
                    raise

    def _replay(
        self,
        publisher: TransactionalProducer,
        selection: Selection,
        per_second: float | None,
        now: Callable[[], str],
    ) -> Iterator[Counter[str]]:
        """Put letters back in one transaction after another; yields how many letters each
        transaction put back, by filter."""
        self.originals.missed.clear()
        replayed = self._replayed()
        touched: set[int] = set()
        pause = 1 / per_second if per_second else 0.0
        pending: Counter[str] = Counter()
        opened_at = 0.0
        retimed = 0
        self.left.clear()

        def commit() -> Counter[str]:
            for partition in sorted(touched):
                publisher.produce(self._decision(partition, replayed[partition], now()))
            publisher.commit_records()
            self.retimed += retimed
            touched.clear()
            return pending

        for letter in self.letters(Selection()):  # all: the transaction ages while we look
            is_wanted = not letter.is_replayed and selection.takes(letter.why)
            is_part = is_wanted and TRUNCATED in letter.why  # the rest has to be looked for
            is_old = is_part or time.monotonic() + pause > opened_at + TRANSACTION_SECONDS
            if pending and (is_old or pending.total() >= TRANSACTION_RECORDS):
                yield commit()
                pending, retimed = Counter(), 0
            record = self._back(letter, publisher, pause) if is_wanted else None
            if record is None:
                continue
            fitting = self._times.fitting(record)
            retimed += fitting is not record
            publisher.produce(fitting)
            replayed.setdefault(letter.stored.partition[1], OffsetRanges()).add(
                letter.stored.offset
            )
            touched.add(letter.stored.partition[1])
            opened_at = opened_at if pending else time.monotonic()
            pending[letter.why.get("filter", "")] += 1
        if pending:
            yield commit()

    def _back(
        self, letter: Letter, publisher: TransactionalProducer, pause: float
    ) -> OutRecord | None:
        """The record to put back for a letter, after a pause; None where that cannot be made."""
        topic = letter.why.get("topic", self._raw)
        if topic != self._raw:
            self.left[topic] += 1
            return None
        time.sleep(pause)  # a long one never inside an open transaction
        record: RawRecord | None = letter.stored.record
        if TRUNCATED in letter.why:
            record = self.originals.restored(letter.stored.record, letter.why, self._raw)
        if record is None:
            return None
        back = signed(replay(record, self._raw), self._key)
        is_whole = TRUNCATED not in letter.why
        return back if is_whole or self.originals.fits(back, publisher) else None

    def _replayed(self) -> dict[int, OffsetRanges]:
        """The offsets replayed so far, by partition of the dead-letter topic."""
        latest: dict[bytes | None, StoredRecord] = {}
        for stored in read(self._cluster, self._control, from_beginning=True, until_end=True):
            if not stored.record.value:
                latest.pop(stored.record.key, None)
            elif self._is_ours(stored.record.value):
                latest[stored.record.key] = stored
        decided = [_arguments_of(stored) for stored in latest.values()]
        return {item.partition: OffsetRanges(item.ranges) for item in decided}

    def _is_ours(self, value: bytes) -> bool:
        """Whether this is a decision about this topic's letters: operators make others."""
        try:
            facts = orjson.loads(value)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(facts, dict) or facts.get("decision") != DECISION:
            return False
        arguments = facts.get("arguments")
        return not isinstance(arguments, dict) or arguments.get("topic", self.topic) == self.topic

    def _decision(self, partition: int, ranges: OffsetRanges, now: str) -> OutRecord:
        arguments = {"topic": self.topic, "partition": partition, "ranges": ranges.as_lists()}
        scope = f"dead-letters/{partition}"
        return decision_record(self._control, scope, DECISION, arguments, SOURCE, now)

    def _make_producer(self, on_delivery: Any) -> Any:
        identity = f"newsieve-dlq-replay-{self._prefix}"
        return make_producer(
            self._cluster.producer({"transactional.id": identity, "on_delivery": on_delivery})
        )


def _arguments_of(stored: StoredRecord) -> _Arguments:
    """The arguments of a recorded replay. Raises TopicsWrong where they cannot be read: without
    them letters would be replayed twice."""
    topic, partition = stored.partition
    try:
        return _Replayed.model_validate_json(stored.record.value).arguments
    except ValidationError as error:
        raise TopicsWrong(
            f"{topic}: partition {partition}, offset {stored.offset} should say which "
            f"dead letters were replayed, but: {validation_message(error)}. Write a right one with "
            f"its key {stored.record.key!r:.80}; a null value forgets what was replayed"
        ) from None

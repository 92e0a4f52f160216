"""Every error newsieve raises. The class says what happens next:

    NewsieveError
    ├── RecordError            the record's own fault → a dead letter, the stream goes on
    │   ├── DecodeError        TooLarge NotUtf8 InvalidJson NonFiniteNumber NestedTooDeep
    │   │                      NotAnObject DamagedCompression BinaryPayload ArticleDeleted
    │   ├── InvalidRecord      InvalidId InvalidTitle InvalidContent NoText; for `tier`: OtherFilter
    │   │                      MissingDimension InvalidScore InvalidContentRules; for the oracle:
    │   │                      InvalidRequest; for drift: InvalidLabel InvalidEvent
    │   ├── ScoreError         ModelFailed ScoreNotFinite KilledWorker
    │   └── PublishError       OutputTooLarge
    ├── Unavailable            the world's fault → retry with backoff
    │                          Transient OutcomeUnknown BrokerUnavailable FilterNotLoaded
    └── Fatal                  → stop; the exit code tells a supervisor what to do
        ├── NeedsPerson   (1)  DeadLetterLimit StudentInvalid CanaryMismatch BrokerMissing
        │                      TopicsWrong TimestampRefused NoProgress OffsetsWrong GroupOccupied
        │                      AccessDenied OracleRejects BudgetUsedUp NothingToDecide CommandFailed
        │                      DeliveryRefused StoreFailed
        ├── WrongUsage    (2)  SettingsInvalid FilterInvalid UnknownFilter InputFileInvalid
        └── NeedsRestart  (3)  Fenced TooManyRecreations DeviceFailed ConsumerFailed BrokerLost

Messages say what to do. This file is over 300 lines because the whole tree stands in one place; it
knows nothing of Kafka, torch or any caller.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Literal

EXIT_PERSON = 1
EXIT_USAGE = 2
EXIT_RESTART = 3


class NewsieveError(Exception):
    """The root of the tree. `str(error)` is a sentence for people."""


class RecordError(NewsieveError):
    """A record cannot get its outcome: it becomes a dead letter, and the stream goes on."""

    stage: ClassVar[Literal["decode", "validate", "score", "publish"]]

    @property
    def name(self) -> str:
        """The error's stable name, which stands in `dlq.error`."""
        return type(self).__name__


class DecodeError(RecordError):
    """The bytes of a record are no JSON object that newsieve reads."""

    stage = "decode"


class TooLarge(DecodeError):
    """The record is larger than the limit for records."""


class NotUtf8(DecodeError):
    """The bytes of the record are not UTF-8."""


class InvalidJson(DecodeError):
    """The bytes of the record are not JSON."""


class NonFiniteNumber(DecodeError):
    """The record has a NaN or Infinity literal, which is not JSON."""


class NestedTooDeep(DecodeError):
    """Arrays and objects of the record are nested beyond the limit."""


class NotAnObject(DecodeError):
    """The record is JSON, but not an object."""


class DamagedCompression(DecodeError):
    """The value begins as gzip or zstd does, but it cannot be unfolded."""


class BinaryPayload(DecodeError):
    """The value comes from a schema registry's serializer and is not JSON: Avro or Protobuf."""


class ArticleDeleted(DecodeError):
    """The record says that an article was deleted. A worker skips it, as it skips a null value."""


class InvalidRecord(RecordError):
    """The record is a JSON object, but one of its fields is not what it has to be."""

    stage = "validate"


class InvalidId(InvalidRecord):
    """The id is neither a string nor an integer, or it is too long."""


class InvalidTitle(InvalidRecord):
    """The title is not a string, or it is too long."""


class InvalidContent(InvalidRecord):
    """The content is not a string; or a record of newsieve's own, used as an article, has none."""


class NoText(InvalidRecord):
    """Neither the title nor the content has anything to read in it."""


class MissingDimension(InvalidRecord):
    """A score object lacks one of the filter's dimensions."""


class InvalidScore(InvalidRecord):
    """A score is not a finite number from 0 to 10."""


class InvalidContentRules(InvalidRecord):
    """A score object names content rules that the filter does not have."""


class OtherFilter(InvalidRecord):
    """The record is about another filter than the one that decides."""


class InvalidRequest(InvalidRecord):
    """A record on the oracle's topic is not a request for a label."""


class InvalidLabel(InvalidRecord):
    """A label has a stratum, purpose, inclusion probability or oracle key that is not valid."""


class InvalidEvent(InvalidRecord):
    """A drift monitor read a record that is no scored article, canary report or decision."""


class ScoreError(RecordError):
    """The model could not give the record a score."""

    stage = "score"


class ModelFailed(ScoreError):
    """The model or its tokenizer raised an error on this text, but not on a harmless one."""


class ScoreNotFinite(ScoreError):
    """The model's score for this text is NaN or infinite."""


class KilledWorker(ScoreError):
    """Worker processes died while this record alone was in hand: it is not scored again."""


class PublishError(RecordError):
    """The record was scored, but its output cannot be written."""

    stage = "publish"


class OutputTooLarge(PublishError):
    """The record's output is larger than the broker accepts."""


class Unavailable(NewsieveError):
    """Something outside newsieve does not answer: retry with backoff, for ever only if it `passes`.

    `partition` names the partition that cannot be read, where it is one.
    """

    def __init__(
        self, message: str, *, passes: bool = True, partition: tuple[str, int] | None = None
    ) -> None:
        super().__init__(message)
        self.passes = passes
        self.partition = partition


class Transient(Unavailable):
    """The transaction was aborted and nothing is lost: the same records are delivered again."""


class OutcomeUnknown(Unavailable):
    """It is not known whether the transaction was committed: the broker must be asked."""


class BrokerUnavailable(Unavailable):
    """No broker answered the request in time."""


class FilterNotLoaded(Unavailable):
    """A request is for a filter, or for labels, that this oracle has not loaded: it waits."""


class Fatal(NewsieveError):
    """The process has to end. `exit_code` tells its supervisor what to do."""

    exit_code: ClassVar[int]


class NeedsPerson(Fatal):
    """Restarting the process would not help: a person has to act."""

    exit_code = EXIT_PERSON


class DeadLetterLimit(NeedsPerson):
    """Too many records became dead letters: the worker stopped before dropping any."""


class StudentInvalid(NeedsPerson):
    """A student folder is incomplete, or was made for labels of another definition."""


class CanaryMismatch(NeedsPerson):
    """The student does not reproduce the scores of the machine that trained it."""


class BrokerMissing(NeedsPerson):
    """The demo and the tests found no way to a broker."""


class TopicsWrong(NeedsPerson):
    """A topic is missing, has the wrong settings, or refuses what newsieve sends."""


class TimestampRefused(NeedsPerson):
    """A topic refuses records whose timestamps are too far from the broker's clock."""

    refused_ms: Collection[int] = ()
    suspected_ms: Collection[Collection[int]] = ()


class NoProgress(NeedsPerson):
    """The same unexpected failure came again and again, and nothing was committed in between."""


class AccessDenied(NeedsPerson):
    """The broker refuses our credentials, or we refuse the broker's certificate."""


class OffsetsWrong(NeedsPerson):
    """The group's offsets do not fit the topic: it was truncated, or deleted and created again."""


class GroupOccupied(NeedsPerson):
    """Clients other than newsieve's are in the consumer group, or it is not a consumer group."""


class OracleRejects(NeedsPerson):
    """The oracle refuses every request: its key, account, model or schema is wrong."""


class BudgetUsedUp(NeedsPerson):
    """A file is not labelled to its end, because that would cost more than is allowed."""


class NothingToDecide(NeedsPerson):
    """An operator's decision is about something that is not waiting for one."""


class CommandFailed(NeedsPerson):
    """A user's command failed repeatedly on an alert; the alert waits where it is."""


class StoreFailed(NeedsPerson):
    """The store of `newsieve serve` cannot be read or written: its file, its disk, its version."""


class DeliveryRefused(NeedsPerson):
    """A webhook refused a record repeatedly; the record waits where it is."""


class WrongUsage(Fatal):
    """The user can correct it: wrong settings, names or files."""

    exit_code = EXIT_USAGE


class SettingsInvalid(WrongUsage):
    """A setting is unknown, or its value is not valid."""


class FilterInvalid(WrongUsage):
    """The definition of a filter is not valid, or contradicts itself."""


class UnknownFilter(WrongUsage):
    """There is no filter of this name in the search path."""


class InputFileInvalid(WrongUsage):
    """A file named on the command line cannot be read, or is not of the expected format."""


class NeedsRestart(Fatal):
    """A new process is likely to succeed where this one failed."""

    exit_code = EXIT_RESTART


class Fenced(NeedsRestart):
    """Another worker has taken over this slot's transactional id."""


class TooManyRecreations(NeedsRestart):
    """The producer had to be replaced too often within a minute."""


class DeviceFailed(NeedsRestart):
    """The device fails on texts that are known to be good."""


class ConsumerFailed(NeedsRestart):
    """The Kafka consumer reported a fatal error."""


class BrokerLost(NeedsRestart):
    """No broker has answered for long: the supervisor should restart the process after a while."""

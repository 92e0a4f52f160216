"""Every error newsieve raises. The class says what happens next:

    NewsieveError
    ├── RecordError            the record's own fault → a dead letter, the stream goes on
    │   ├── DecodeError        TooLarge NotUtf8 InvalidJson NonFiniteNumber NestedTooDeep
    │   │                      NotAnObject
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
        ├── WrongUsage    (2)  SettingsInvalid FilterInvalid UnknownFilter InputFileInvalid
        └── NeedsRestart  (3)  Fenced TooManyRecreations DeviceFailed ConsumerFailed BrokerLost

Messages say what to do. Knows nothing of Kafka, torch or any caller.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Literal

EXIT_PERSON = 1
EXIT_USAGE = 2
EXIT_RESTART = 3


class NewsieveError(Exception):
    """The root. `str(error)` is written for people."""


class RecordError(NewsieveError):
    """This record cannot get its outcome: it becomes a dead letter."""

    stage: ClassVar[Literal["decode", "validate", "score", "publish"]]

    @property
    def name(self) -> str:
        """The stable name in `dlq.error`."""
        return type(self).__name__


class DecodeError(RecordError):
    """The bytes are not what we read."""

    stage = "decode"


class TooLarge(DecodeError):
    """Over the size limit."""


class NotUtf8(DecodeError):
    """Bytes that are not UTF-8."""


class InvalidJson(DecodeError):
    """Not JSON."""


class NonFiniteNumber(DecodeError):
    """A NaN or Infinity literal."""


class NestedTooDeep(DecodeError):
    """Arrays and objects nested beyond the limit."""


class NotAnObject(DecodeError):
    """JSON, but not an object."""


class InvalidRecord(RecordError):
    """What was read is not what we take."""

    stage = "validate"


class InvalidId(InvalidRecord):
    """An id that is neither string nor integer, or too long."""


class InvalidTitle(InvalidRecord):
    """A title that is not a string, or too long."""


class InvalidContent(InvalidRecord):
    """A content that is not a string; where our records are articles, one without a content."""


class NoText(InvalidRecord):
    """Neither title nor content with anything to read in it."""


class MissingDimension(InvalidRecord):
    """A score object without one of the filter's dimensions."""


class InvalidScore(InvalidRecord):
    """A score that is not a finite number from 0 to 10."""


class InvalidContentRules(InvalidRecord):
    """Content rules that the filter does not have."""


class OtherFilter(InvalidRecord):
    """A record of another filter than the one that decides."""


class InvalidRequest(InvalidRecord):
    """No request to the oracle."""


class InvalidLabel(InvalidRecord):
    """A label's stratum, purpose, inclusion probability or oracle key is none."""


class InvalidEvent(InvalidRecord):
    """No scored article, canary report or decision, where a drift monitor expects one."""


class ScoreError(RecordError):
    """The model has no score for it."""

    stage = "score"


class ModelFailed(ScoreError):
    """The model, or its tokeniser, raised on this text, and not on a harmless one."""


class ScoreNotFinite(ScoreError):
    """The model gave NaN or infinity."""


class KilledWorker(ScoreError):
    """Processes ended while they had it alone in hand; it was not scored again."""


class PublishError(RecordError):
    """Its output cannot be written."""

    stage = "publish"


class OutputTooLarge(PublishError):
    """The record's output is larger than the broker takes."""


class Unavailable(NewsieveError):
    """Retry with backoff; not for ever, unless it `passes`. `partition` cannot be read."""

    def __init__(
        self, message: str, *, passes: bool = True, partition: tuple[str, int] | None = None
    ) -> None:
        super().__init__(message)
        self.passes = passes
        self.partition = partition


class Transient(Unavailable):
    """The transaction was aborted and nothing is lost: the same records come again."""


class OutcomeUnknown(Unavailable):
    """Nobody knows whether the transaction was committed: the broker must be asked."""


class BrokerUnavailable(Unavailable):
    """No broker answers."""


class FilterNotLoaded(Unavailable):
    """A request is for a filter, or for labels, that this oracle has not loaded: it waits."""


class Fatal(NewsieveError):
    """The process has to end."""

    exit_code: ClassVar[int]


class NeedsPerson(Fatal):
    """Restarting would not help."""

    exit_code = EXIT_PERSON


class DeadLetterLimit(NeedsPerson):
    """Too many dead letters: stopped before dropping anything."""


class StudentInvalid(NeedsPerson):
    """A student folder that is incomplete, or made for other labels."""


class CanaryMismatch(NeedsPerson):
    """The student does not reproduce the scores of the machine that trained it."""


class BrokerMissing(NeedsPerson):
    """The demo and the tests found no way to a broker."""


class TopicsWrong(NeedsPerson):
    """A topic is missing or refuses us."""


class TimestampRefused(NeedsPerson):
    """A topic refuses times too far from the broker's: these, or of each batch at least one."""

    refused_ms: Collection[int] = ()
    suspected_ms: Collection[Collection[int]] = ()


class NoProgress(NeedsPerson):
    """The same failure, which nobody has listed, again and again: nothing is committed."""


class AccessDenied(NeedsPerson):
    """The broker refuses who we say we are, or we refuse the broker's certificate."""


class OffsetsWrong(NeedsPerson):
    """The group's offsets are not the topic's: it was truncated, or made anew."""


class GroupOccupied(NeedsPerson):
    """Clients that are none of ours are in our consumer group, or it is no group of ours."""


class OracleRejects(NeedsPerson):
    """The oracle gives no labels, asked as it is: the key, the account, the model, the schema."""


class BudgetUsedUp(NeedsPerson):
    """A file is not labelled to its end, because that would cost more than was allowed."""


class NothingToDecide(NeedsPerson):
    """A decision about what nobody waits for."""


class CommandFailed(NeedsPerson):
    """A user's command failed again and again on an alert, which waits where it is."""


class WrongUsage(Fatal):
    """The user can mend it: wrong settings, names or files."""

    exit_code = EXIT_USAGE


class SettingsInvalid(WrongUsage):
    """A setting that is unknown or of a wrong type."""


class FilterInvalid(WrongUsage):
    """A filter definition that contradicts itself."""


class UnknownFilter(WrongUsage):
    """No filter of that name."""


class InputFileInvalid(WrongUsage):
    """A file named on the command line that cannot be read."""


class NeedsRestart(Fatal):
    """A fresh process will do better."""

    exit_code = EXIT_RESTART


class Fenced(NeedsRestart):
    """Another worker has taken over this slot's transactional id."""


class TooManyRecreations(NeedsRestart):
    """The producer had to be replaced too often within a minute."""


class DeviceFailed(NeedsRestart):
    """The device fails on texts known to be good."""


class ConsumerFailed(NeedsRestart):
    """The consumer reports a fatal error."""


class BrokerLost(NeedsRestart):
    """No broker answers a worker for long: its supervisor's turn to wait and try again."""

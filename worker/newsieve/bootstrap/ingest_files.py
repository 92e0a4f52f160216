"""Builds what sends files to the raw topic: the transactional producer of one run, and what is
known of its files.

It does not know the command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from newsieve.bootstrap.common import cluster, utc_now
from newsieve.errors import TopicsWrong
from newsieve.file_readers.reading import ReadingPolicy
from newsieve.file_readers.web_archive import PageReader
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import (
    Cluster,
    largest_message_bytes,
    make_producer,
    transactional_id,
)
from newsieve.kafka.state_topic import latest_by_key, latest_with_prefix
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.ingest.file_progress import (
    KEY_PREFIX,
    KeyedFile,
    KnownStates,
    known_states,
)
from newsieve.programs.ingest.file_sending import Destination, FileSender, SendingObserver
from newsieve.records.decode import DecodePolicy, RawRecord, decode
from newsieve.settings.loader import Settings
from newsieve_schemas.topics import FEEDS, RAW, topic_name

LINGER_MILLISECONDS: Final = 20  # so that a commit need not wait for a whole transaction's records
_DIGITS: Final = 16  # of a hash: 64 bits


@dataclass(frozen=True, slots=True)
class RunningSender:
    """A sender of files, and what the state topic says of these."""

    sender: FileSender
    known: KnownStates
    topic: str


def reading_policy(
    settings: Settings, read_page: PageReader, *, keeps_bad_lines: bool, is_lines: bool
) -> ReadingPolicy:
    """Return what records of files may be. A line that is kept may be as large as the broker takes
    it: what becomes of it, workers say."""
    largest = largest_message_bytes(cluster(settings).producer())
    most_bytes = largest if keeps_bad_lines else settings.worker.max_record_bytes
    names = settings.worker.fields.names
    fields = [name for names in names.by_field().values() for name in names]
    texts = (*names.title, *names.content)
    return ReadingPolicy(most_bytes, fields, texts, read_page, keeps_bad_lines, is_lines)


def make_sender(
    settings: Settings, files: Sequence[KeyedFile], most_bytes: int, observer: SendingObserver
) -> RunningSender:
    """Become the one sender of these files, and read what is known of them.

    Raises BrokerUnavailable, TopicsWrong, AccessDenied, BrokerLost or Fenced.
    """
    kafka, prefix = cluster(settings), settings.kafka.topic_prefix
    raw, states = topic_name(prefix, RAW), topic_name(prefix, FEEDS)
    there = TopicAdmin(kafka).partitions()  # a person waits less patiently than a program
    for topic in (raw, states):
        if topic not in there:
            raise TopicsWrong(f"there is no topic {topic}. Run `newsieve topics create`")
    producer = _producer(kafka, settings.ingest.group, _run_of(prefix, files))
    producer.connect()
    known = KnownStates({}, {})
    if any(item.file.fingerprint is not None for item in files):  # of a pipe nothing can be known
        known = known_states(latest_with_prefix(kafka, states, KEY_PREFIX, _nothing), files)

    def read_states(keys: Collection[bytes]) -> Mapping[bytes, bytes]:
        return latest_by_key(kafka, states, keys, _nothing)

    destination = Destination(raw, states, read_states)
    sender = FileSender(producer, destination, _key_of(settings, most_bytes), observer, utc_now)
    return RunningSender(sender, known, raw)


def _producer(kafka: Cluster, group: str, run: str) -> TransactionalProducer:
    ours = {"transactional.id": transactional_id(group, run), "linger.ms": LINGER_MILLISECONDS}
    producing = kafka.producer(ours)
    return TransactionalProducer(
        lambda on_delivery: make_producer(producing | {"on_delivery": on_delivery}),
        _nothing,
        largest_message_bytes(producing),
        kafka.timeouts,
    )


def _run_of(prefix: str, files: Sequence[KeyedFile]) -> str:
    """Return the name of a run, which is that of the same files' and no other's: a second run of
    them fences the first. Slots have no colon."""
    digest = hashlib.sha256(prefix.encode())
    for key in sorted(item.key for item in files):
        digest.update(key)
    return f"files:{digest.hexdigest()[:_DIGITS]}"


def _key_of(settings: Settings, most_bytes: int) -> Callable[[bytes], bytes]:
    reader = settings.worker.decode_policy.reader
    policy = DecodePolicy(most_bytes, id_from_key=False, reader=reader)

    def key_of(value: bytes) -> bytes:
        return decode(RawRecord(value, None, None, None, {}), policy).id.encode()

    return key_of


def _nothing() -> None:
    """Stand for the heartbeat of a program, which a command has none of."""

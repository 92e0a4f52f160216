"""Compares this machine's sampling key with the one that the workers use, for `newsieve doctor`.

The workers' is read from the articles that they scored last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from newsieve.bootstrap.common import cluster, secret_key
from newsieve.deadline import Deadline
from newsieve.errors import BrokerUnavailable, NewsieveError, RecordError
from newsieve.filters.sampling import fingerprint_in
from newsieve.kafka.state_topic import last_records
from newsieve.records.json_parsing import parse
from newsieve.settings.loader import Settings
from newsieve.settings.secret_checks import MAKE_A_KEY
from newsieve_schemas.topics import SCORED, topic_name

RECORDS: Final = 200  # of the topic's end: those of several workers, if there are several
MOST_SECONDS: Final = 10.0  # somebody waits
MOST_BYTES: Final = 1_000_000  # of a scored record, which has no text
MEND: Final = "NEWSIEVE_SAMPLING__KEY, the same for all workers and oracles"


class KeyFinding(NamedTuple):
    """Verdict, finding and remedy, as in a row of the doctor's report."""

    verdict: Literal["ok", "wrong", "note"]
    finding: str
    mend: str = ""


def examine_key(settings: Settings, *, is_broker_there: bool) -> KeyFinding:
    """Check whether there is a key, and whether the last scored articles were drawn with it."""
    key = secret_key(settings)
    own = key.fingerprint if key is not None else None
    if not is_broker_there:
        return compared(own, [])
    try:
        return compared(own, _latest(_values(settings)))
    except NewsieveError as error:
        return compared(own, [])._replace(finding=f"{_named(own)}; workers' unknown: {error}")


def compared(own: str | None, latest: list[str | None]) -> KeyFinding:
    """Compare a key with `latest`: fingerprints in use, newest first (None: without a key)."""
    if latest and latest[0] != own:
        said = f"{_named(own)} here; what was scored last was drawn with {_named(latest[0])}"
        return KeyFinding("wrong", said, MEND)
    others = [_named(item) for item in latest[1:]]
    older = f"; before it {', '.join(others)}" if others else ""
    if own is None:
        said = "none: whoever chooses articles' ids can choose what the oracle sees, and what not"
        return KeyFinding("note", said + older, f"{MAKE_A_KEY} into {MEND}")
    same = "that of what was scored last" if latest else "nothing is scored to compare it with"
    return KeyFinding("ok", f"{_named(own)}, {same}{older}")


def _named(fingerprint: str | None) -> str:
    return f"key {fingerprint}" if fingerprint is not None else "no key"


def _values(settings: Settings) -> Iterator[bytes]:
    topic = topic_name(settings.kafka.topic_prefix, SCORED)
    deadline = Deadline(MOST_SECONDS)

    def heartbeat() -> None:
        if deadline.is_over:
            raise BrokerUnavailable(f"{topic} could not be read within {MOST_SECONDS:g} s")

    return last_records(cluster(settings), topic, RECORDS, heartbeat)


def _latest(values: Iterable[bytes]) -> list[str | None]:
    """Return the fingerprints in some ScoredArticles, those seen last first."""
    seen: dict[str | None, str] = {}
    for value in values:
        try:
            facts = parse(value, MOST_BYTES)
            fingerprint = fingerprint_in(facts["sampling"]["policy"])
            seen[fingerprint] = max(seen.get(fingerprint, ""), facts["scored_at"])
        except (RecordError, KeyError, TypeError):  # blocked, or no record of ours
            continue
    return sorted(seen, key=seen.__getitem__, reverse=True)

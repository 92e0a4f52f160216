"""Asks who is in a consumer group, in a process of its own, which may end as it likes.

An AdminClient that is dropped while a stalled broker owes it an answer ends its process by an
assertion of librdkafka 2.16 (`rd_kafka_enq_once_del_source_return`): a program that delivers may
hold none. The answer is a future, so that nobody has to wait for it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Final

from confluent_kafka import KafkaException

from newsieve.kafka.config import Config, admin_of, make_admin
from newsieve.kafka.group_membership import Group, Member, look_at

ANSWER_SECONDS: Final = 8
START_SECONDS: Final = 7  # for a process to start on a busy machine

_log = logging.getLogger("newsieve.kafka")


def ask(config: Config) -> Future[Group | None]:
    """Ask who is in the group of a consumer with this configuration. The answer is None when no
    broker says."""
    answer: Future[Group | None] = Future()
    threading.Thread(target=_ask, args=(config, answer), name="group", daemon=True).start()
    return answer


def _ask(config: Config, answer: Future[Group | None]) -> None:
    try:
        request = json.dumps({"config": admin_of(config), "group": config.get("group.id")})
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=request.encode(),
            capture_output=True,
            timeout=ANSWER_SECONDS + START_SECONDS,
            check=True,
        )
        answer.set_result(_group(done.stdout))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as failure:
        # What it said is not shown: it may quote the configuration.
        _log.warning("inquiry.failed %s", type(failure).__name__)
        answer.set_result(None)


def _group(said: bytes) -> Group | None:
    facts = json.loads(said)
    if "failed" in facts:
        _log.warning("inquiry.failed %s", facts["failed"])
        return None
    members = [Member(*item) for item in facts["members"]]
    return Group(facts["protocol"], facts["assignor"], members)


def main() -> None:
    """Read the request from standard input, write the answer to standard output."""
    request = json.load(sys.stdin)
    try:
        found = look_at(make_admin(request["config"]), request["group"], ANSWER_SECONDS)
        sys.stdout.write(json.dumps(found._asdict()))
    except (KafkaException, TimeoutError) as failure:
        sys.stdout.write(json.dumps({"failed": str(failure)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()

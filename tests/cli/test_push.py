"""`newsieve push` on a real broker, against a real webhook: in order, at least once, whatever ends
the webhook or the process."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from newsieve import cli
from newsieve.devbroker.broker import Broker
from tests.support.cli import newsieve
from tests.support.push_topic import (
    BRISK,
    IMPATIENT,
    SAME_MEMBER,
    PushProcess,
    Topic,
    article,
    require_in_order,
)
from tests.support.topics import unique_prefix
from tests.support.webhook_server import OK, Reply, Request, WebhookServer, webhook
from tests.support.workers import ROOT

OUTAGE_SECONDS = 7  # longer than IMPATIENT bears without a poll


@dataclass
class Outage:
    """A push whose webhook went away: meanwhile other tests run."""

    topic: Topic
    process: PushProcess
    port: int
    events: list[str]
    taken: list[Request]
    failed: str
    began_at: float


@pytest.fixture(scope="module", autouse=True)
def outage(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """The webhook takes two records, answers 503 for a while, then its port is closed."""
    topic = Topic(broker.bootstrap_servers, unique_prefix())
    events = topic.produce(6)
    with webhook(lambda _, number: OK if number < 2 else Reply(503)) as server:
        process = topic.start(tmp_path_factory.mktemp("outage") / "log", server, **IMPATIENT)
        server.wait_for(lambda it: len(it.requests) > 2)
    failed = server.requests[2].event
    yield Outage(topic, process, server.port, events, server.taken, failed, time.monotonic())
    if process.process.poll() is None:
        process.kill()


@pytest.fixture
def topic(broker: Broker, prefix: str) -> Topic:
    return Topic(broker.bootstrap_servers, prefix)


@pytest.fixture
def start(topic: Topic, tmp_path: Path) -> Iterator[Callable[..., PushProcess]]:
    """Starts `newsieve push` in a process of its own, which ends with the test."""
    running: list[PushProcess] = []

    def started(server: WebhookServer, **more: str) -> PushProcess:
        running.append(topic.start(tmp_path / f"push-{len(running)}.log", server, **more))
        return running[-1]

    yield started
    for process in running:
        if process.process.poll() is None:
            process.kill()


def test_every_record_is_delivered_in_order_and_once_where_nothing_fails(topic: Topic) -> None:
    """The value is sent byte for byte, and the offsets behind all records are committed."""
    events = topic.produce(20)
    with webhook() as server:
        done = topic.push(server)

    assert done.code == 0, done.err
    assert "20 delivered, 0 passed over" in done.text
    require_in_order(server.taken, events)
    assert len(server.requests) == 20
    sent = {item.event: item.body for item in server.taken}
    assert sent["event-3"] == json.dumps(article(3)).encode()
    assert topic.committed() == 20


def test_only_what_meets_the_conditions_is_delivered(topic: Topic) -> None:
    """By filter, score and source; the rest is passed over, and does not come again. A topic may
    be named by what follows the prefix."""
    topic.produce(10)
    topic.produce(1, tier="impact", score=9.9)
    with webhook() as server:
        conditions = ("--min-score", "8.5", "--source", "Example.org", "--filter", "uplifting")
        conditions += ("--topic", "tier.uplifting.connection")
        done = topic.push(server, *conditions)
        again = topic.push(server, *conditions)

    assert done.code == 0, done.err
    assert {item.event for item in server.taken} == {"event-8", "event-9", "event-10"}
    assert "3 delivered, 8 passed over" in done.text
    assert "0 delivered, 0 passed over" in again.text


def test_a_process_that_is_killed_skips_nothing_and_one_that_is_told_to_stop_repeats_nothing(
    topic: Topic, start: Callable[..., PushProcess]
) -> None:
    """After SIGKILL records come again; after SIGTERM the next one goes on where it ended."""
    events = topic.produce(40)
    with webhook(lambda *_: Reply(delay_seconds=0.01)) as server:
        first = start(server, **SAME_MEMBER)
        server.wait_for(lambda it: len(it.taken) >= 10)
        first.kill()
        killed_at = len(server.taken)
        second = start(server, **SAME_MEMBER)
        server.wait_for(lambda it: len(it.taken) >= killed_at + 10, 30)
        assert second.terminate() == 0, second.text()[-2_000:]
        stopped_at = len(server.taken)
        assert topic.committed() > 0
        assert topic.push(server, **SAME_MEMBER).code == 0

    require_in_order(server.taken, events)
    before = {item.event for item in server.taken[killed_at:stopped_at]}
    assert not before & {item.event for item in server.taken[stopped_at:]}


def test_a_partition_that_is_taken_away_while_its_record_waits_is_delivered_by_its_new_owner(
    topic: Topic, start: Callable[..., PushProcess]
) -> None:
    """The former owner drops the record that it held, so nothing overtakes it."""
    events = topic.produce(8)
    with webhook(lambda *_: Reply(503)) as server:
        one = start(server, **BRISK)
        server.wait_for(lambda it: bool(it.requests))
        other = start(server, **BRISK)
        other.wait_until("partitions.assigned", 30)
        one.wait_until("partitions.revoked", 30)
        server.behaviour = lambda *_: OK
        server.wait_for(lambda it: {item.event for item in it.taken} == set(events), 30)
        assert one.terminate() == other.terminate() == 0

    require_in_order(server.taken, events)
    assert len(server.taken) == 8


def test_a_webhook_that_is_away_loses_nothing_and_the_process_stays_in_its_group(
    outage: Outage,
) -> None:
    """For longer than max.poll.interval.ms: the group sees no rebalance, and the record that
    failed comes first, once."""
    time.sleep(max(outage.began_at + OUTAGE_SECONDS - time.monotonic(), 0))  # it is the case itself
    process = outage.process
    assert outage.topic.committed() == 2
    with webhook(port=outage.port) as server:
        server.wait_for(lambda it: len(it.taken) == 4)
        assert process.terminate() == 0, process.text()[-2_000:]

    assert server.taken[0].event == outage.failed
    require_in_order([*outage.taken, *server.taken], outage.events)
    assert process.text().count("partitions.assigned") == 1
    assert "partitions.lost" not in process.text()
    assert process.events("delivery.retried") and process.events("delivery.recovered")
    assert outage.topic.committed() == 6


def test_a_refused_record_ends_the_program_and_is_named(topic: Topic) -> None:
    """With its place, what the webhook said, and how to pass over it; it is not committed."""
    topic.produce(1)
    refusing = Reply(422, b'{"error": "no \x1b[31m title"}')
    with webhook(lambda *_: refusing) as server:
        done = topic.push(server)

    assert done.code == 1 and topic.committed() == 0
    assert len(server.requests) == 6
    assert f"http://127.0.0.1:{server.port}: answers 422" in done.err
    assert f"the record at offset 0 of partition 0 of {topic.name}, which stays" in done.err
    assert "\x1b" not in done.err and "Traceback" not in done.err and "/hook" not in done.err


def test_a_wrong_topic_is_told_which_there_are(topic: Topic) -> None:
    """Before anything is delivered, or a group is joined."""
    done = newsieve("push", "--topic", "x", "--to", "http://a.example", env=topic.environment())

    assert done.code == 1
    assert "there is no topic 'x'" in done.err and f"There are: {topic.name}" in done.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", "ftp://example.org/token"], "--to: not an address"),
        ([], "where to? Give --to URL, or set NEWSIEVE_PUSH__URL"),
        (["--to", "https://example.org", "--group", "a b"], "--group 'a b' does not match"),
        (["--to", "https://example.org", "--shape", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_asked(arguments: list[str], complaint: str) -> None:
    """And an address that may be a secret is not quoted."""
    done = newsieve("push", "--topic", "drift.alerts", *arguments)

    assert done.code == 2
    assert complaint in done.err and "token" not in done.err


PAGE = (ROOT / "docs" / "how-to" / "push.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"(?m)^(?:[A-Z_]+=\S+ )*newsieve (push .+)$", PAGE))
def test_a_command_of_the_how_to_page_parses(line: str) -> None:
    """Its options are those of the program; tests/docs runs those that end by themselves."""
    command: Any = typer.main.get_command(cli.app)

    assert command.get_command(None, "push").make_context("push", shlex.split(line)[1:]).params

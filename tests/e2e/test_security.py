"""On a broker with an authorizer each program needs the rights of its row, and no more."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import httpx2
import pytest
from confluent_kafka import Producer

from newsieve.cli import drift_tail
from tests.support.articles import raw_records
from tests.support.cli import Result
from tests.support.drift import PAIRS
from tests.support.drift_records import START, Given, anchor_file, canaries, label
from tests.support.drift_stream import DriftProcess, DriftStream
from tests.support.feed_server import FeedReply, feed_server, rss, rss_item
from tests.support.impatience import hurry
from tests.support.requests import request_record
from tests.support.rights import rights_of
from tests.support.secure_broker import Right
from tests.support.secure_user import User
from tests.support.topics import unique_prefix
from tests.support.workers import ReceiverProcess, ServeProcess

RAW = [*raw_records(60, seed=5), (b"k", b"not JSON")]
KEY_PASSWORD = "password-of-a-tls-key"
SAMPLING_KEY = "key-of-the-workers-draw-" * 2


COMMANDS = {  # with what else is said on the command line
    "newsieve topics create": "",
    "newsieve topics check": "",
    "newsieve produce": "raw.jsonl",
    "newsieve ingest files": "raw.jsonl",
    "newsieve tail articles.scored": "--from-beginning --until-end",
    "newsieve dlq list": "",
    "newsieve dlq replay": "",
    "newsieve drift status": "",
    "newsieve drift tail": "--from-beginning --until-end",
    "newsieve drift rebaseline": "--filter uplifting --yes",
    "newsieve push --topic scored": "--to http://127.0.0.1:9/ --group articles --until-end",
}


def give_work(stream: DriftStream, command: str) -> None:
    """What the command would have nothing to do without."""
    if command == "newsieve topics create":
        stream.delete_topic("canaries")
    if command == "newsieve dlq replay":
        producer = Producer({"bootstrap.servers": stream.servers})
        producer.produce(f"{stream.prefix}.dead-letter", b"{", headers=[("dlq.stage", b"decode")])
        assert producer.flush(20) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_what_the_table_says_and_no_less(
    user: User, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each right that is taken away is missed, in a sentence."""
    hurry(monkeypatch, admin_seconds=2)
    prefix = user.stream.prefix
    arguments = f"{command} {COMMANDS[command]}".replace("articles", prefix).split()[1:]
    (tmp_path / "raw.jsonl").write_text('{"title": "A quiet day"}\n')
    rights = rights_of(command, prefix)
    user.broker.allow(user.name, rights)

    done = user.run(arguments)
    assert done.code == 0, done.err

    for right in rights:
        user.broker.forbid(user.name, right)
        give_work(user.stream, command)
        refused = user.run(arguments)
        assert "Traceback" not in refused.err
        if right == Right("DESCRIBE", "group", prefix):  # all that is missed is an answer
            assert refused.code == 0 and "at work is not known: no right to" in refused.text
        else:
            assert refused.code == 1, f"{right}: {refused.text} {refused.err}"
        user.broker.allow(user.name, [right])
        user.stream.create_topics()


def test_a_worker_needs_what_the_table_says_and_no_less(user: User) -> None:
    """It scores, tiers, asks the oracle and writes dead letters; without a right it ends with 1."""
    stream = user.stream
    stream.produce(RAW)
    rights = rights_of("newsieve worker", stream.prefix)
    user.broker.allow(user.name, rights)

    worker = user.start_worker()
    reader = stream.reader()
    outputs = reader.read_until(lambda o: len(o.scored) + len(o.letters) >= len(RAW), 60)
    reader.close()
    assert worker.terminate() == 0, worker.text()[-2_000:]
    assert outputs.requests and outputs.tiered and outputs.letters

    for resource in ("group", "transactional_id"):
        (right,) = (item for item in rights if item.resource == resource)
        user.broker.forbid(user.name, right)
        refused = user.start_worker()
        assert refused.wait(60) == 1, refused.text()[-2_000:]
        assert "refuses" in refused.text() and "Traceback" not in refused.text()
        user.broker.allow(user.name, [right])


def test_a_receiver_of_articles_needs_what_the_table_says_and_no_less(user: User) -> None:
    """It publishes what is sent; without a right it ends with 1."""
    stream = user.stream
    rights = rights_of("newsieve ingest http", stream.prefix)
    user.broker.allow(user.name, rights)
    settings = {"HTTP_PORT": "0", "GROUP": stream.prefix, "SLOT": "a"}
    ours = {f"NEWSIEVE_INGEST__{name}": value for name, value in settings.items()}

    def start_receiver() -> ReceiverProcess:
        log = stream.folder / f"receiver-{len(stream.workers)}.log"
        receiver = ReceiverProcess(log, user.environment() | ours)
        stream.workers.append(receiver)
        return receiver

    receiver = start_receiver()
    sent = httpx2.post(receiver.address() + "articles", json={"title": "A quiet day"})
    assert sent.status_code == 202
    assert receiver.terminate() == 0

    for right in rights:
        user.broker.forbid(user.name, right)
        refused = start_receiver()
        assert refused.wait(60) == 1, refused.text()[-2_000:]
        assert "Traceback" not in refused.text()
        user.broker.allow(user.name, [right])


def test_pages_need_what_the_table_says(user: User) -> None:
    """They read all topics and join no group; without a right they end with 1 and say which."""
    rights = rights_of("newsieve serve", user.stream.prefix)
    user.broker.allow(user.name, rights)
    ours = {
        "NEWSIEVE_SERVE__PORT": "0",
        "NEWSIEVE_SERVE__STORE": str(user.stream.folder / "pages.db"),
    }

    pages = ServeProcess(user.stream.folder / "serve.log", user.environment() | ours)
    user.stream.workers.append(pages)
    pages.wait_until("collector.started", 60)
    assert pages.terminate() == 0

    (right,) = (
        item for item in rights if item.name.endswith(".scored") and "oracle" not in item.name
    )
    user.broker.forbid(user.name, right)
    refused = ServeProcess(user.stream.folder / "refused.log", user.environment() | ours)
    user.stream.workers.append(refused)
    assert refused.wait(90) == 1, refused.text()[-2_000:]
    assert right.name in refused.text() and "Traceback" not in refused.text()


def test_an_ingester_of_feeds_needs_what_the_table_says_and_no_less(user: User) -> None:
    """It reads and writes states, and writes articles; each right that is taken away is missed."""
    prefix, listed = user.stream.prefix, user.stream.folder / "feeds.txt"
    rights = rights_of("newsieve ingest feeds", prefix)
    user.broker.allow(user.name, rights)
    settings = {"GROUP": prefix, "SLOT": "a", "ALLOWED_TARGETS": "127.0.0.1", "HOST_GAP_SECONDS": 0}
    user.settings |= {f"NEWSIEVE_INGEST__{name}": str(value) for name, value in settings.items()}
    with feed_server() as server:

        def ingest() -> Result:
            """A feed that is new each time, so that there is something to write."""
            path = f"/{len(server.behaviours)}"
            listed.write_text(server.serve(path, FeedReply(rss([rss_item(len(path))]))))
            return user.run(["ingest", "feeds", str(listed), "--once"])

        done = ingest()
        assert done.code == 0, done.err
        assert "feeds: 1 listed, 1 read; articles: 1" in done.text
        for right in rights:
            user.broker.forbid(user.name, right)
            refused = ingest()
            assert refused.code == 1, f"{right}: {refused.text} {refused.err}"
            assert "Traceback" not in refused.err
            user.broker.allow(user.name, [right])


def test_an_oracle_needs_what_the_table_says(user: User) -> None:
    """It reads its books, labels, notes what it asked, and puts aside what is no request."""
    stream = user.stream
    labels = stream.folder / "labels.jsonl"
    labels.write_text('{"id": "a", "filter": "uplifting", "refusal": "No."}\n')
    producer = Producer({"bootstrap.servers": stream.servers})
    for key, value in (request_record("a"), (b"k", b"{")):
        producer.produce(f"{stream.prefix}.oracle.requests", value, key)
    assert producer.flush(20) == 0
    user.broker.allow(user.name, rights_of("newsieve oracle", stream.prefix))
    settings = {"PROVIDER": "label_file", "LABEL_FILE": labels, "GROUP": stream.prefix}
    asked = {f"NEWSIEVE_ORACLE__{name}": str(value) for name, value in settings.items()}

    user.settings |= asked
    oracle = user.start_oracle()
    oracle.wait_until('"refused": 1', 60)
    oracle.wait_until('"dead_letter": 1', 60)

    assert oracle.terminate() == 0
    assert "error" not in oracle.text()


def test_a_drift_monitor_needs_what_the_table_says_and_so_does_who_follows_it(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads labels and reports, alerts, keeps its state, asks for anchors, and puts aside what
    is no label; a command that gets its alerts has a group."""
    stream = user.stream
    labels = [label(f"a{n}", PAIRS[n], START + n) for n in range(3)]
    stream.give([*labels, canaries(START, passed=False), Given("oracle.scores", "k", b"{", START)])
    rights = rights_of("newsieve drift", stream.prefix)
    user.broker.allow(user.name, rights)
    anchors = anchor_file(stream.folder / "anchors.jsonl", [f"x{n}" for n in range(3)])
    settings = {"GROUP": stream.prefix, "SLOT": "a", "ANCHORS": anchors, "COMMIT_SECONDS": 0.1}
    watching = {f"NEWSIEVE_DRIFT__{name}": str(value) for name, value in settings.items()}

    def start_monitor() -> DriftProcess:
        log = stream.folder / f"drift-{len(stream.workers)}.log"
        monitor = DriftProcess(log, user.environment() | watching)
        stream.workers.append(monitor)
        return monitor

    monitor = start_monitor()
    monitor.wait_until('"dead_letter": 1', 60)
    assert stream.alerts(1)[0]["cause"] == "serving_defect"
    assert monitor.terminate() == 0, monitor.text()[-2_000:]
    assert stream.states() and stream.read("oracle.requests") and stream.read("dead-letter")

    for resource in ("group", "transactional_id"):
        (right,) = (item for item in rights if item.resource == resource)
        user.broker.forbid(user.name, right)
        refused = start_monitor()
        assert refused.wait(60) == 1, refused.text()[-2_000:]
        assert "refuses" in refused.text() and "Traceback" not in refused.text()
        user.broker.allow(user.name, [right])
    follower = User(unique_prefix(), "", user.broker, stream)
    follower.password = user.broker.user(follower.name)
    user.broker.allow(follower.name, rights_of("newsieve drift tail --exec", stream.prefix))
    once = partial(drift_tail._run_for_each, tries=drift_tail.Tries(pauses_seconds=()))
    monkeypatch.setattr(drift_tail, "_run_for_each", once)
    command = ["drift", "tail", "--from-beginning", "--group", stream.prefix, "--exec", "false"]
    assert "false ended with 1" in follower.run(command).err
    user.broker.forbid(follower.name, Right("READ", "group", stream.prefix))
    assert "refuses" in follower.run(command).err


def test_a_backfill_and_the_doctor_need_what_the_table_says(user: User) -> None:
    """The doctor finds nothing wrong with a worker's rights, and says what is missing."""
    stream = user.stream
    stream.produce(RAW)
    user.broker.allow(user.name, rights_of("newsieve worker --from-timestamp", stream.prefix))
    backfill = user.start_worker("--from-timestamp", "2026-01-01", "--until", "2999-01-01")
    assert backfill.wait(60) == 0, backfill.text()[-2_000:]
    tiers = Right("READ", "topic", f"{stream.prefix}.tier.", is_prefix=True)
    user.broker.forbid(user.name, tiers)
    refused = user.start_worker("--from-timestamp", "2026-01-01", "--until", "2999-01-01")
    assert refused.wait(60) == 1, refused.text()[-2_000:]
    assert "Allow us to READ it" in refused.text() and "Traceback" not in refused.text()

    user.broker.allow(user.name, rights_of("newsieve doctor", stream.prefix))
    assert user.run(["doctor"]).code == 0

    group = Right("READ", "group", stream.prefix)
    user.broker.forbid(user.name, group)
    ill = user.run(["doctor"])
    assert ill.code == 1
    assert f"may not READ group {stream.prefix}" in ill.text

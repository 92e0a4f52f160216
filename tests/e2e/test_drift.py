"""The drift monitor on a real broker: the whole loop, its process killed, its commands."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from newsieve.cli import drift_tail
from newsieve.cli.drift_tail import Tries
from newsieve.devbroker.broker import Broker
from newsieve.drift.output_records import read_state
from newsieve.drift.snapshot import FILTER_STATE
from tests.support.articles import raw_records
from tests.support.cli import Result, newsieve
from tests.support.drift import PAIRS, errors_times
from tests.support.drift_records import (
    MINUTE,
    START,
    Given,
    hash_of,
    label,
    oracle_key,
    student_folder,
    write_baseline,
)
from tests.support.drift_stream import DriftStream
from tests.support.oracle_server import good, serving
from tests.support.oracle_stream import OracleStream
from tests.support.reader import hanging_transactions

WORSE = errors_times(2.5)
# who is ended amid a rebalance may stay a member until its session (45 s) has run out
LONGER_THAN_A_SESSION = 90


class WholeStream(DriftStream, OracleStream):
    """From raw articles to alerts."""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return student_folder(tmp_path_factory.mktemp("drift") / "student")


@pytest.fixture
def drift_stream(
    broker: Broker, prefix: str, tmp_path: Path, student: Path
) -> Iterator[DriftStream]:
    found = DriftStream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": student})
    yield found
    found.close()


def labels(student: Path, count: int = 200) -> list[Given]:
    """Healthy ones, then ones that err more, and a tenth of another oracle."""
    rng, name, found = random.Random(3), hash_of(student), []
    for n in range(count):
        pair = rng.choice(PAIRS)
        version = "001" if n < 0.9 * count else "002"
        shown = WORSE(pair) if 0.3 * count <= n < 0.9 * count else pair
        found.append(label(f"a{n}", shown, START + n * MINUTE // 2, name, version))
    return found


def said(alerts: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What an alert says, but for the topic that shows it again."""
    names = ("raised_at", "fingerprint", "incident_id", "state", "cause", "headline", "evidence")
    return sorted(tuple(str(alert.get(name)) for name in names) for alert in alerts)


def evidence(stream: DriftStream) -> dict[bytes, Any]:
    """Of each monitor, bit by bit."""
    states = stream.states()
    return {key: item["detector"] for key, item in states.items() if item["scope"] != "all"}


def test_what_the_oracle_says_of_scored_articles_raises_an_alert(
    broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path
) -> None:
    """Worker, oracle and monitor as processes of their own: articles in, an alert out that tells
    how far the student is off, and of canaries, which are as they were, nothing."""
    folder = tmp_path / "student"
    shutil.copytree(tiny_student, folder)
    write_baseline(folder)
    stream = WholeStream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": folder})
    everything = json.dumps({"uplifting": {"low": 1.0, "surfaced": 1.0}})
    far_off = dict.fromkeys(json.loads((folder / "student.json").read_text())["dimensions"], 10)
    try:
        stream.produce(raw_records(120))
        with serving(good(scores=far_off)) as server:
            worker = stream.start_worker("a", sampling__filters=everything)
            oracle = stream.start_oracle(server)
            monitor = stream.start_monitor()
            deadline = time.monotonic() + 60
            while "alert" not in {item["state"] for item in stream.alerts()}:
                assert time.monotonic() < deadline, stream.alerts()
                time.sleep(0.5)
            codes = [process.terminate() for process in (worker, oracle, monitor)]
    finally:
        stream.close()

    alert = next(item for item in stream.alerts() if item["state"] == "alert")
    assert codes == [0, 0, 0]
    assert alert["student"] == hash_of(folder)
    assert "MAE" in alert["headline"] and "newsieve drift replay" in alert["action"]["command"]
    assert stream.read("canaries")
    assert hanging_transactions(stream.servers, stream.prefix) == []
    assert not any("Traceback" in process.text() for process in stream.workers)


def test_a_monitor_that_is_killed_goes_on_where_it_was(
    broker: Broker, drift_stream: DriftStream, student: Path, tmp_path: Path
) -> None:
    """kill -9 three times while it reads, tests and commits: alerts and evidence are those of a
    monitor that was left alone."""
    alone = DriftStream(
        broker.bootstrap_servers, f"{drift_stream.prefix}-alone", tmp_path, {"uplifting": student}
    )
    chance = random.Random(1)
    at_once = {"kafka__static_membership": True}  # no waiting for the dead one's session
    for stream in (alone, drift_stream):
        stream.give(labels(student, 3_000))
    for _ in range(3):
        killed = drift_stream.start_monitor(drift__commit_seconds=0.01, **at_once)
        killed.wait_until("monitor.resumed")
        time.sleep(chance.random() / 3)
        killed.kill()
    for stream in (alone, drift_stream):
        stream.start_monitor(**at_once)

    expected = alone.settled_alerts()
    found = drift_stream.settled_alerts()
    alone.close()

    assert said(found) == said(expected)
    assert {item["state"] for item in found} >= {"ok", "alert", "suspended"}
    assert evidence(drift_stream) == evidence(alone) != {}
    assert hanging_transactions(drift_stream.servers, drift_stream.prefix) == []


def commands_of(stream: DriftStream) -> Callable[..., Result]:
    """`newsieve drift` with these arguments; never a traceback."""
    env = stream.environment(drift__group=f"{stream.prefix}-drift")

    def drift(*arguments: str) -> Result:
        done = newsieve("drift", *arguments, env=env)
        assert "Traceback" not in done.err
        return done

    return drift


def test_status_and_decisions_say_whether_a_monitor_is_at_work(
    drift_stream: DriftStream, student: Path
) -> None:
    """Before one was ever started, while one is at work, and after it has ended: what is decided
    then is given to nobody, and the next monitor takes it up."""
    drift = commands_of(drift_stream)
    page, group = drift_stream.folder / "drift.html", f"{drift_stream.prefix}-drift"
    nobody = f"No monitor of group {group} is at work"

    before, before_rows = drift("status", "--html", str(page)), drift("status", "--json").json()
    for text in (before.text, page.read_text(), before_rows[0]["advice"]):
        assert "no state on record: start" in text
    assert nobody in before.text and nobody in page.read_text()
    (row,) = before_rows
    assert row["filter"] == "uplifting" and row["state"] is None and row["written_at"] is None
    assert row["monitor"] == {
        "group": group, "at_work": False, "standing_by": 0, "why_not_known": None
    }  # fmt: skip

    drift_stream.give(labels(student)[:40])
    monitor = drift_stream.start_monitor()
    monitor.wait_until("monitor.resumed")  # the other is to be the one that stands by
    other = drift_stream.start_monitor("1")
    drift_stream.alerts(2)
    deadline = time.monotonic() + 30
    while not (rows := drift("status", "--json").json())[0]["monitor"]["standing_by"]:
        assert time.monotonic() < deadline, rows
    assert {item["monitor"]["at_work"] for item in rows} == {True}
    assert all(item["written_at"] > "2026" for item in rows)
    assert f"A monitor of group {group} is at work; 1 more stands by." in drift("status").text
    decided = drift("rebaseline", "--filter", "uplifting", "--yes")
    assert decided.code == 0 and "No monitor" not in decided.text

    assert [other.terminate(), monitor.terminate()] == [0, 0]
    late = drift("status", "--html", str(page))
    assert nobody in late.text and nobody in page.read_text()
    assert "State last written 20" in late.text
    to_nobody = drift("rebaseline", "--filter", "uplifting", "--stratum", "low", "--yes")
    assert to_nobody.code == 0
    assert nobody in to_nobody.text and "waits for the next monitor" in to_nobody.text

    third = drift_stream.start_monitor()
    deadline = time.monotonic() + LONGER_THAN_A_SESSION
    scope = "drift/uplifting/low/baseline"
    while scope not in decided_on_record(drift_stream):
        assert third.process.poll() is None, third.text()
        assert time.monotonic() < deadline, third.text()
        time.sleep(0.2)


def decided_on_record(stream: DriftStream) -> dict[str, int]:
    """The decisions that a monitor has taken up, by scope."""
    for value in stream.states().values():
        snapshot = read_state(b"", json.dumps(value).encode()).snapshot
        if snapshot.identity.stratum == FILTER_STATE and snapshot.detector is not None:
            return dict(snapshot.detector["decisions"]["latest"])
    return {}


def test_people_see_where_it_stands_and_decide(
    drift_stream: DriftStream, student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status as a table, as JSON, as a page; each decision once, and the monitor follows it. Who
    decides need not have a name, as in a container."""
    drift_stream.give(labels(student))
    drift_stream.start_monitor()
    known = len(drift_stream.settled_alerts())
    drift = commands_of(drift_stream)

    page = drift_stream.folder / "drift.html"
    table, rows = drift("status", "--html", str(page)), drift("status", "--json")
    states = {row["stratum"]: row["state"] for row in rows.json()}
    assert table.code == 0 and "accept-oracle" in table.text
    assert set(states.values()) == {"suspended"}
    assert page.read_text().count("<svg") >= 2

    assert drift("accept-oracle", "--filter", "uplifting").code == 2  # nobody there to ask
    unheard_of = ("accept-oracle", "--filter", "uplifting", "--yes", "--oracle", "\udcff")
    assert drift(*unheard_of).code == 2
    done = drift("accept-oracle", "--filter", "uplifting", "--yes")
    assert done.code == 0 and oracle_key("002") in done.text
    found = drift_stream.alerts(known + 2)
    followed = [item["state"] for item in found if item["previous_state"] == "suspended"]
    assert followed[-2:] == ["warming", "warming"]
    assert (
        "nothing to do"
        in drift(
            "accept-oracle", "--filter", "uplifting", "--oracle", oracle_key("002"), "--yes"
        ).text
    )
    assert drift("reject-oracle", "--filter", "uplifting", "--yes").code == 1
    accepted = ("--filter", "uplifting", "--oracle", oracle_key("002"), "--yes")
    assert "is the accepted one" in drift("reject-oracle", *accepted).err
    assert drift("rebaseline", "--filter", "sustainability", "--yes").code == 2
    monkeypatch.setattr("getpass.getuser", Mock(side_effect=KeyError("uid not found")))
    assert drift("rebaseline", "--filter", "uplifting", "--yes").code == 0
    assert json.loads(drift_stream.read("control")[-1][1])["decided_by"].startswith("uid ")
    assert drift("acknowledge", "--filter", "uplifting", "--yes").code == 0
    assert drift("status", "--filter", "nothing").code != 0


def test_a_command_gets_every_alert_once_it_works(
    drift_stream: DriftStream, student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails or hangs is run again, then we stop with the alert still the next one."""
    drift_stream.give(labels(student)[:40])
    drift_stream.start_monitor()
    alerts = drift_stream.settled_alerts()
    env = drift_stream.environment()
    impatient = partial(drift_tail._run_for_each, tries=Tries(0.3, (0.01,)))
    monkeypatch.setattr(drift_tail, "_run_for_each", impatient)

    def tail(command: str) -> Any:
        return newsieve("drift", "tail", "--from-beginning", "--exec", command, env=env)

    for command, why in (("false", "ended with 1"), ("sleep 9", "took more than 0.3 s")):
        done = tail(command)
        assert done.code == 1 and why in done.err and "Traceback" not in done.err
    assert tail("no-such-command-at-all").code == 2
    assert newsieve("drift", "tail", "--until-end", "--exec", "cat", env=env).code == 2

    seen = drift_stream.folder / "seen.jsonl"
    bridging = drift_stream.start_tail(f"tee -a {seen}")
    deadline = time.monotonic() + 30
    while not seen.exists() or seen.read_bytes().count(b'"fingerprint"') < len(alerts):
        assert bridging.process.poll() is None, bridging.text()
        assert time.monotonic() < deadline, bridging.text()
        time.sleep(0.1)
    bridging.process.send_signal(signal.SIGINT)
    assert bridging.wait(20) == 0
    assert seen.read_bytes().count(b'"fingerprint"') == len(alerts)

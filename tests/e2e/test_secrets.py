"""On a broker with TLS and SASL no secret is anywhere that others read, and a wrong one is said."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.echoes import ECHOES, KEY, echo, key_of
from tests.support.oracle_server import OracleServer, fails, serving
from tests.support.reader import records_of
from tests.support.rights import rights_of
from tests.support.secure_user import User
from tests.support.spellings import found
from tests.support.workers import WorkerProcess

RAW = [*raw_records(60, seed=5), (b"k", b"not JSON")]
KEY_PASSWORD = "password-of-a-tls-key"
SAMPLING_KEY = "key-of-the-workers-draw-" * 2


@pytest.mark.parametrize("arguments", [["topics", "check"], ["dlq", "list"], ["worker"]])
def test_a_wrong_password_is_said_at_once(user: User, arguments: list[str]) -> None:
    """By its mechanism, not by its letters; and restarting would not help."""
    user.password = "not-my-secret"

    done = user.run(arguments)

    assert done.code == 1
    assert "SASL authentication error" in done.err
    assert "not-my-secret" not in done.err + done.text


def test_no_secret_is_in_logs_metrics_topics_or_tracebacks(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever librdkafka is told to say, whatever the provider sends back, whatever breaks; and
    secrets that end in a line end, as mounted ones do, are taken without it."""
    stream = user.stream
    secrets = {"password": user.password, "key's password": KEY_PASSWORD, "API key": KEY}
    secrets["sampling key"] = SAMPLING_KEY
    user.settings["NEWSIEVE_SAMPLING__KEY"] = f"{SAMPLING_KEY}\n"
    more = {"debug": "all", "ssl.key.password": f"{KEY_PASSWORD}\n"}
    user.password += "\n"
    for command in ("newsieve doctor", "newsieve oracle"):
        user.broker.allow(user.name, rights_of(command, stream.prefix))
    stream.produce(RAW)
    worker = user.start_worker(**more)
    worker.wait_until('"dead_letter": 1')
    found_in = {"a worker's metrics": _metrics(worker, "worker.assembled")}
    assert worker.terminate() == 0
    with serving(*ECHOES[:-1], echo(lambda key: fails(429, key, {"retry-after": "0.2"}))) as server:
        user.settings |= _asking(server, stream.prefix)
        oracle = user.start_oracle(**more)
        oracle.wait_until("circuit.opened")
        found_in["an oracle's metrics"] = _metrics(oracle, "oracle.assembled")
        server.script = [ECHOES[-1]]
        assert oracle.wait(60) == 1
    assert {key_of(call) for call in server.calls} == {KEY}
    monkeypatch.setattr(WorkerProcess, "sabotage", "crash")
    crashed = user.start_worker(**more)
    assert crashed.wait(60) != 0 and "Traceback" in crashed.text()
    odd = json.loads(user.environment()["NEWSIEVE_KAFKA__OPTIONS"]) | {"sasl.password": [1]}
    misspelt = newsieve(
        "doctor", env=user.environment() | {"NEWSIEVE_KAFKA__OPTIONS": json.dumps(odd)}
    )
    assert misspelt.code == 2
    report = user.run(["doctor"])

    found_in |= {"a report": report.text, "its log": report.err, "an error": misspelt.err}
    found_in |= {f"log {n}": program.text() for n, program in enumerate(stream.workers)}
    topics = records_of(stream.servers, stream.prefix)
    assert {"dead-letter", "scored", "oracle.scores", "control"} <= topics.keys()
    assert not found(secrets, found_in | topics)


def _metrics(program: WorkerProcess, event: str) -> str:
    port = program.events(event)[0]["observe_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        return str(page.read().decode())


def _asking(server: OracleServer, group: str) -> dict[str, str]:
    """Settings of an oracle that asks this server, with a key as Kubernetes mounts it."""
    settings = {
        "provider": "openai",
        "model": "m",
        "endpoint": server.url,
        "group": group,
        "api_key": f"{KEY}\n",
        "concurrency": "1",
        "calls_per_day": "1000",
    }
    return {f"NEWSIEVE_ORACLE__{name.upper()}": value for name, value in settings.items()}

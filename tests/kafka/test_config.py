"""How clients are configured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from hypothesis import example, given
from hypothesis import strategies as st

from newsieve.errors import SettingsInvalid
from newsieve.kafka import config
from newsieve.kafka.config import (
    Cluster,
    Config,
    make_admin,
    make_consumer,
    make_producer,
    transactional_id,
)
from newsieve.settings.loader import load_settings
from tests.support.cli import newsieve

OPTIONS = {"sasl.username": "u", "session.timeout.ms": 9_000, "linger.ms": 50, "fetch.min.bytes": 5}


def test_the_users_options_reach_every_client_and_win() -> None:
    """Except those that only another kind of client knows."""
    cluster = Cluster("b:1", OPTIONS)

    consumer, producer, admin = cluster.consumer("g"), cluster.producer(), cluster.admin()

    assert all(config["sasl.username"] == "u" for config in (consumer, producer, admin))
    assert consumer["session.timeout.ms"] == 9_000 and "session.timeout.ms" not in producer
    assert producer["linger.ms"] == 50 and "linger.ms" not in consumer
    assert not {"linger.ms", "fetch.min.bytes", "session.timeout.ms"} & set(admin)


def test_the_input_is_read_committed_and_never_commits_by_itself() -> None:
    """Whatever the defaults of librdkafka are."""
    config = Cluster("b:1", {}).consumer("g")

    assert config["isolation.level"] == "read_committed"
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False


@pytest.mark.parametrize("make", [make_consumer, make_producer, make_admin])
def test_an_option_that_nobody_knows_is_a_settings_error(make: Callable[[Config], object]) -> None:
    """Named, and without a traceback."""
    with pytest.raises(SettingsInvalid, match=r'kafka.options: No such .*"foo.bar"'):
        make({"group.id": "g", "foo.bar": 1})


def test_the_new_group_protocol_omits_what_it_forbids() -> None:
    """KIP-848 leaves these to the broker."""
    config = Cluster("b:1", {"group.protocol": "consumer"}).consumer("g")

    assert config["group.protocol"] == "consumer"
    assert not {
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "partition.assignment.strategy",
    } & set(config)
    Consumer(config).close()


@pytest.mark.parametrize(
    "options", [{}, {"group.protocol": "consumer"}, {"compression.type": "zstd"}]
)
def test_librdkafka_accepts_every_configuration_without_a_warning(
    options: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """No client is given a key it does not know."""
    cluster = Cluster("127.0.0.1:1", options)
    Consumer(cluster.consumer("g")).close()
    producer = Producer(cluster.producer({"transactional.id": "t"}))
    admin = AdminClient(cluster.admin())
    del producer, admin

    assert "CONFWARN" not in capfd.readouterr().err


AWS_IAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.metadata.authentication.type": "aws_iam",
    "sasl.oauthbearer.config": "region=eu-west-1 audience=kafka",
}


def without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is installed here or not."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    for name in [name for name in sys.modules if name.startswith("confluent_kafka._oauthbearer")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("make", [make_consumer, make_producer, make_admin])
def test_a_way_to_sign_in_that_needs_another_package_says_which(
    make: Callable[[Config], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, with the command that installs it."""
    without_boto3(monkeypatch)

    with pytest.raises(SettingsInvalid) as raised:
        make({"group.id": "g", "bootstrap.servers": "b:1", **AWS_IAM})

    assert "\n" not in str(raised.value)
    assert "pip install 'confluent-kafka[oauthbearer-aws]'" in str(raised.value)


def test_any_import_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its package, where the client does not say how to install it."""

    class Lacking:
        def __init__(self, *_: object, **__: object) -> None:
            raise ModuleNotFoundError("No module named 'special'", name="special.auth")

    monkeypatch.setattr(config, "_Consumer", Lacking)

    with pytest.raises(SettingsInvalid, match=r"No module named 'special'.*pip install special$"):
        make_consumer({})


def test_a_command_says_so_and_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as if an extra of newsieve's own were missing."""
    without_boto3(monkeypatch)
    env = {"NEWSIEVE_KAFKA__OPTIONS": json.dumps(AWS_IAM)}

    done = newsieve("topics", "check", env=env)

    assert done.code == 2
    assert done.err.startswith("newsieve: kafka.options: ") and done.err.count("\n") == 1
    assert "pip install 'confluent-kafka[oauthbearer-aws]'" in done.err


NAMES = st.text("ab-._", min_size=1, max_size=8)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=2, unique=True))
@example([("a-b", "c"), ("a", "b-c")])
def test_no_two_pairs_of_group_and_slot_share_a_transactional_id(
    pairs: list[tuple[str, str]],
) -> None:
    """They would fence each other for ever. Neither has a colon; both begin as rights say."""
    ids = {transactional_id(group, slot) for group, slot in pairs}
    doctors = {transactional_id(group, ":doctor") for group, _ in pairs}

    assert len(ids) == len(pairs) and not ids & doctors
    assert all(transactional_id(*pair).startswith(f"newsieve-{pair[0]}-") for pair in pairs)


@pytest.mark.parametrize("section", ["worker", "oracle", "drift"])
@pytest.mark.parametrize("field", ["group", "slot"])
def test_neither_a_group_nor_a_slot_may_have_a_colon(section: str, field: str) -> None:
    """It stands between the two in a transactional id."""
    with pytest.raises(SettingsInvalid, match=f"{section}__{field}".upper()):
        load_settings(None, {f"NEWSIEVE_{section}__{field}".upper(): "a:b"})

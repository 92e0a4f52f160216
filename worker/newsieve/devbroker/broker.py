"""A real Kafka broker for the demo and the tests: one that is configured, Docker's, or Java's.

    1. the address in NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS
    2. Docker, image apache/kafka, through testcontainers
    3. Java 17 and Maven: Apache Kafka's published artifacts in KRaft mode, no root needed

A production cluster is somebody else's; nothing here is meant for one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsieve.devbroker.java_broker import (
    ENVIRONMENT,
    SETTINGS,
    START_SECONDS,
    JavaBroker,
    Say,
    free_port,
    require_answer,
)

IMAGE: Final = "apache/kafka:4.1.2"
CONTAINER_PORT: Final = 9092
DOCKER_SOCKET: Final = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Broker:
    """The address of a broker that answers.

    A broker that was started here ends with this process. For a container,
    `is_alive` does not tell whether it ended earlier.
    """

    bootstrap_servers: str
    how: str
    ends_with_us: bool
    is_alive: Callable[[], bool] = lambda: True


@contextlib.contextmanager
def find_or_start(environment: Mapping[str, str], say: Say) -> Iterator[Broker]:
    """Yield the first broker of the module's list that there is; end it with the block if started.

    Raises BrokerMissing, which says which of the three to provide.
    """
    configured = environment.get(ENVIRONMENT)
    if configured:
        require_answer(configured, START_SECONDS)
        yield Broker(configured, f"the one {ENVIRONMENT} names", ends_with_us=False)
        return
    with contextlib.ExitStack() as stack:
        servers = _start_container(stack, say)
        if servers is not None:
            yield Broker(servers, f"a container of {IMAGE}", ends_with_us=True)
            return
    with JavaBroker(say=say) as broker:
        yield Broker(
            broker.bootstrap_servers,
            "Apache Kafka on this machine's Java",
            ends_with_us=True,
            is_alive=lambda: broker.process.poll() is None,
        )


def _start_container(stack: contextlib.ExitStack, say: Say) -> str | None:
    """Return the address of a broker in a container that ends with the stack; None without Docker.

    testcontainers' own KafkaContainer is not used, since it starts another vendor's image.
    """
    if "DOCKER_HOST" not in os.environ and not DOCKER_SOCKET.exists():
        return None  # docker's client would find out the same and leave a socket open
    try:
        import docker
        from testcontainers.core.container import DockerContainer
    except ImportError:
        return None
    try:
        with contextlib.closing(docker.from_env()) as engine:
            engine.ping()
    except Exception:  # noqa: BLE001 - whatever is wrong with Docker, there is another way
        return None
    say(f"starting a container of {IMAGE} …")
    port = free_port()
    servers = f"127.0.0.1:{port}"
    try:
        container = DockerContainer(IMAGE).with_bind_ports(CONTAINER_PORT, port)
        for key, value in (SETTINGS | _container_listeners(servers)).items():
            container = container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
        stack.enter_context(container)
        require_answer(servers, START_SECONDS)
    except Exception as error:  # noqa: BLE001 - as above
        say(f"Docker could not start {IMAGE}, so Java it is: {' '.join(str(error).split())}")
        return None
    return servers


def _container_listeners(servers: str) -> dict[str, str]:
    return {
        "listeners": f"PLAINTEXT://:{CONTAINER_PORT},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{servers}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": "1@localhost:9093",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    }

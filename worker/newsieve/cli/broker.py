"""`newsieve broker`: starts the demo's Kafka broker alone, to try other commands on.

It knows no topic and no article.
"""

from __future__ import annotations

import time
from typing import Final

from newsieve.bootstrap.common import cluster
from newsieve.cli.common import ConfigOption, read_settings, this_program
from newsieve.cli.lifecycle import interrupt_on_signals
from newsieve.devbroker.broker import find_or_start
from newsieve.devbroker.java_broker import ENVIRONMENT
from newsieve.errors import BrokerMissing
from newsieve.kafka.admin import TopicAdmin
from newsieve.terminal import echo, echo_err

LOOK_SECONDS: Final = 0.5  # between two looks at whether it lives


def broker(config: ConfigOption = None) -> None:
    """Start a Kafka broker on this machine, with Docker or Java, until Ctrl-C or SIGTERM.

    It is for trying things out: its topics end with it. Where a broker is configured already, says
    so and starts none.

    Example: newsieve broker
    """
    settings = read_settings(config)
    if "bootstrap_servers" in settings.kafka.model_fields_set:
        TopicAdmin(cluster(settings)).partitions()
        servers = settings.kafka.bootstrap_servers
        echo(
            f"a broker is configured already, and answers: {servers}. To start "
            f"one here take {ENVIRONMENT} out of the environment, or bootstrap_servers out of "
            "newsieve.toml"
        )
        return
    interrupt_on_signals()
    try:
        _run()
    except KeyboardInterrupt:
        echo_err("stopped: nothing of the broker is left")


def _run() -> None:
    """Run a broker until a signal. Raises BrokerMissing if it cannot start, or ends itself."""
    with find_or_start({}, echo_err) as found:
        echo(
            f"A Kafka broker is at {found.bootstrap_servers} ({found.how}) until Ctrl-C.\n"
            "In another terminal:\n"
            f"  export {ENVIRONMENT}={found.bootstrap_servers}\n"
            f"  {this_program()} topics create"
        )
        while found.is_alive():
            time.sleep(LOOK_SECONDS)
    raise BrokerMissing(f"the broker at {found.bootstrap_servers} has ended by itself")

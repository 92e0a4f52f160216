"""The section `kafka` of the settings: the broker, its options and the topics' prefix.

It does not import the Kafka client.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, field_validator

from newsieve.kafka.secret_options import is_secret
from newsieve.settings.base import FromJson, Section
from newsieve.settings.secret_checks import checked_kafka_secret
from newsieve_schemas.topics import DEFAULT_PREFIX

# What exactly-once rests on is not a setting.
FORBIDDEN_OPTIONS: Final = frozenset(
    {
        "isolation.level",
        "enable.idempotence",
        "transactional.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
    }
)


class KafkaSettings(Section):
    """The broker and its topics."""

    bootstrap_servers: str = "localhost:9092"
    options: Annotated[dict[str, Any], FromJson] = Field(
        default={},
        description="librdkafka keys for every client, over ours: SASL, TLS, group.protocol … "
        "Secrets among them lose line ends at their end and are masked.",
    )
    topic_prefix: str = Field(default=DEFAULT_PREFIX, pattern=r"^[A-Za-z0-9._-]{1,100}$")
    static_membership: bool = Field(
        default=False,
        description="group.instance.id = slot. Off: after a broker's kill -9, static members "
        "that live are fenced.",
    )

    @field_validator("options")
    @classmethod
    def _keeps_the_guarantee(cls, value: dict[str, Any]) -> dict[str, Any]:
        forbidden = sorted(FORBIDDEN_OPTIONS & set(value))
        if forbidden:
            raise ValueError(f"{', '.join(forbidden)}: exactly-once rests on it, it cannot be set")
        return {name: _checked(name, option) for name, option in value.items()}


def _checked(name: str, option: Any) -> Any:
    """Return the option, a secret one as SecretStr. Raises ValueError without quoting it."""
    if not isinstance(option, str | int | float):
        raise ValueError(f"{name}: not a string, a number, true or false")
    if not is_secret(name):
        return option
    try:
        return checked_kafka_secret(name, str(option))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None

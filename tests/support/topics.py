"""Names nobody else uses, and settings of topics."""

from __future__ import annotations

import secrets
import time

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource


def unique_prefix() -> str:
    return f"test-{secrets.token_hex(4)}"


def configure(servers: str, topic: str, key: str, value: object) -> None:
    """What kafka-configs --alter does, once the broker knows: it answers before that."""
    entry = ConfigEntry(key, str(value), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
    while admin.describe_configs([asked])[asked].result(20)[key].value != str(value):
        time.sleep(0.02)

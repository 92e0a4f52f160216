"""A broker as a security team runs it: TLS, SASL, and nobody may do what no rule allows."""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from newsieve.devbroker.java_broker import free_port
from tests.conftest import java_broker

LISTENER = "SASL_SSL"
MECHANISM = "SCRAM-SHA-256"
STORE_PASSWORD = "store-password"
CALL_SECONDS = 20


@dataclass(frozen=True)
class Right:
    """One operation on one resource, or on all whose names begin so."""

    operation: str
    resource: str  # topic, group, transactional_id or broker, the cluster
    name: str
    is_prefix: bool = False

    def binding(self, user: str) -> AclBinding:
        return AclBinding(
            ResourceType[self.resource.upper()],
            self.name,
            ResourcePatternType.PREFIXED if self.is_prefix else ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            AclOperation[self.operation],
            AclPermissionType.ALLOW,
        )


@dataclass(frozen=True)
class SecureBroker:
    """Its administrator comes in through a door of their own."""

    administrators: str  # bootstrap servers without TLS; whoever comes there may do everything
    servers: str
    certificate: Path

    def user(self, name: str) -> str:
        """Create a user, who may do nothing yet; return the password."""
        password = secrets.token_hex(16)
        credential = UserScramCredentialUpsertion(
            name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4_096), password.encode()
        )
        admin = self._admin()
        for done in admin.alter_user_scram_credentials([credential]).values():
            done.result(CALL_SECONDS)
        self._wait_for(name, password)
        return password

    def _wait_for(self, name: str, password: str) -> None:
        """The broker that wrote a user down lets them in only when it has read it as well."""
        config = json.loads(self.options(name, password)) | {"bootstrap.servers": self.servers}
        logger = logging.getLogger("secure-broker")
        logger.disabled = True  # what it refuses meanwhile
        AdminClient(config, logger=logger).list_topics(timeout=CALL_SECONDS)

    def allow(self, user: str, rights: Sequence[Right]) -> None:
        admin = self._admin()
        for done in admin.create_acls([item.binding(user) for item in rights]).values():
            done.result(CALL_SECONDS)

    def forbid(self, user: str, right: Right) -> None:
        """Take one right back."""
        given = right.binding(user)
        pattern = AclBindingFilter(
            given.restype,
            given.name,
            given.resource_pattern_type,
            given.principal,
            given.host,
            given.operation,
            given.permission_type,
        )
        admin = self._admin()
        for done in admin.delete_acls([pattern]).values():
            assert len(done.result(CALL_SECONDS)) == 1

    def options(self, user: str, password: str, **more: object) -> str:
        """NEWSIEVE_KAFKA__OPTIONS for this user."""
        return json.dumps(
            {
                "security.protocol": LISTENER,
                "ssl.ca.location": str(self.certificate),
                "sasl.mechanism": MECHANISM,
                "sasl.username": user,
                "sasl.password": password,
                **more,
            }
        )

    def _admin(self) -> AdminClient:
        """Keep it until its futures are done."""
        return AdminClient({"bootstrap.servers": self.administrators})


@contextmanager
def secure_broker(folder: Path) -> Iterator[SecureBroker]:
    store, certificate, port = folder / "broker.p12", folder / "broker.pem", free_port()
    common = ["-alias", "broker", "-keystore", str(store), "-storepass", STORE_PASSWORD]
    names = "SAN=ip:127.0.0.1,dns:localhost"
    _keytool("-genkeypair", *common, "-keyalg", "EC", "-dname", "CN=localhost", "-ext", names)
    _keytool("-exportcert", "-rfc", *common, "-file", str(certificate))
    protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT", LISTENER: LISTENER}
    settings = {
        "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in protocols.items()),
        "sasl.enabled.mechanisms": MECHANISM,
        f"listener.name.{LISTENER.lower()}.{MECHANISM.lower()}.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(store),
        "ssl.keystore.password": STORE_PASSWORD,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with java_broker(settings, {LISTENER: port}) as broker:
        yield SecureBroker(broker.bootstrap_servers, f"127.0.0.1:{port}", certificate)


def _keytool(*arguments: str) -> None:
    subprocess.run(["keytool", *arguments], check=True, capture_output=True)

"""Somebody with rights of their own on the topics of one stream, on a broker that checks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.cli import Result, newsieve
from tests.support.drift_stream import DriftStream
from tests.support.secure_broker import SecureBroker
from tests.support.workers import OracleProcess, WorkerProcess

SAMPLE_ALL = {"sampling__low": 1, "sampling__surfaced": 1}


@dataclass
class User:
    """Their name and password, and what else they have set: settings by their variables."""

    name: str
    password: str
    broker: SecureBroker
    stream: DriftStream
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, **options: object) -> dict[str, str]:
        return (
            self.stream.environment(
                **SAMPLE_ALL, drift__group=self.stream.prefix, ingest__group=self.stream.prefix
            )
            | {
                "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": self.broker.servers,
                "NEWSIEVE_KAFKA__OPTIONS": self.broker.options(self.name, self.password, **options),
            }
            | self.settings
        )

    def run(self, arguments: Sequence[str]) -> Result:
        return newsieve(*arguments, env=self.environment())

    def start_worker(self, *arguments: str, **options: object) -> WorkerProcess:
        log = self.stream.folder / f"{self.name}-{len(self.stream.workers)}.log"
        environment = self.environment(**options) | {"NEWSIEVE_WORKER__SLOT": "a"}
        worker = WorkerProcess(log, environment, *arguments)
        self.stream.workers.append(worker)
        return worker

    def start_oracle(self, **options: object) -> OracleProcess:
        environment = self.environment(**options) | {"NEWSIEVE_ORACLE__SLOT": "a"}
        oracle = OracleProcess(self.stream.folder / "oracle.log", environment)
        self.stream.workers.append(oracle)
        return oracle

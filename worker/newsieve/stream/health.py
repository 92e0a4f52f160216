"""What the outside sees of a program from its first second on: metrics, and whether it is ready.

The port is open while students load and the broker is asked. It knows nothing of the loop but its
heartbeat.
"""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar

from prometheus_client import CollectorRegistry

from newsieve.stream.observe_server import Check, ObserveServer
from newsieve.stream.watchdog import Watchdog


class ProgramMetrics(Protocol):
    """The metrics of a program, whatever it does."""

    registry: CollectorRegistry

    def ready_when(self, is_ready: Check) -> None:
        """Export whether the program is ready, as this says."""
        ...


M = TypeVar("M", bound=ProgramMetrics)


class Health(Generic[M]):
    """A program's metrics, its watchdog, and the port where both can be read."""

    def __init__(self, host: str, port: int, metrics: M) -> None:
        """Open the port. Raises SettingsInvalid when it cannot listen there."""
        self.metrics = metrics
        self.watchdog = Watchdog()
        self._is_ready: Check = lambda: False
        self._server = ObserveServer(
            host, port, metrics.registry, self.watchdog.is_alive, self.is_ready
        )
        self.port = self._server.port
        metrics.ready_when(self.is_ready)

    def ready_when(self, is_ready: Check) -> None:
        """Let readiness be what this says from now on; until now, nothing was ready. It is called
        by other threads."""
        self._is_ready = is_ready

    def is_ready(self) -> bool:
        """Whether the program is ready."""
        return self._is_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

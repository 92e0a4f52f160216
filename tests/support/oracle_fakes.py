"""A provider, a clock and an observer of calls, as tests want them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from newsieve.oracle.prompt import LabelPrompt
from newsieve.oracle.providers.base import ProviderResponse, Tokens
from tests.support.filters import load

NAMES = load("uplifting").definition.dimension_names
LABEL = ProviderResponse(
    "answered",
    text=json.dumps({"scores": dict.fromkeys(NAMES, 4)}),
    model_version="v1",
    tokens=Tokens(1_000, 100),
)


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class CallNotes:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.breaker_changes: list[tuple[bool, int]] = []
        self.reasons: list[str] = []
        self.other_keys: list[str] = []

    def called(self, outcome: str, *_: Any) -> None:
        self.calls.append(outcome)

    def withheld(self, reason: str) -> None:
        self.reasons.append(reason)

    def other_key(self, fingerprint: str) -> None:
        self.other_keys.append(fingerprint)

    def breaker_changed(self, *, is_open: bool, failures: int, **_: Any) -> None:
        self.breaker_changes.append((is_open, failures))


class Scripted:
    """A provider that replies as told, the last reply for ever; held until released."""

    def __init__(
        self,
        *replies: ProviderResponse | Exception,
        is_held: bool = False,
        when_asked: Callable[[LabelPrompt], object] = lambda _: None,
    ) -> None:
        self._replies = list(replies)
        self._lock = threading.Lock()
        self._may_go = threading.Semaphore(0)
        self._is_held = is_held
        self._when_asked = when_asked
        self.asked: list[str] = []

    def complete(self, prompt: LabelPrompt) -> ProviderResponse:
        with self._lock:
            self._when_asked(prompt)
            self.asked.append(prompt.article_id)
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if self._is_held:
            self._may_go.acquire()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def release(self, count: int = 1) -> None:
        self._may_go.release(count)

    def close(self) -> None:
        """Nothing to leave."""

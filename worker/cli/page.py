"""`newsieve drift status --html`: one page that needs nothing else, no script, no network."""

from __future__ import annotations

from worker.drift.watch import Watch


def page(watches: list[Watch], now: str) -> str:
    return ""

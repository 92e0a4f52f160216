"""Names nobody else uses."""

from __future__ import annotations

import secrets


def unique_prefix() -> str:
    return f"test-{secrets.token_hex(4)}"

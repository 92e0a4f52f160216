"""A provider that sends the key back wherever it can, in answers and in errors."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.oracle_server import (
    Answer,
    Behaviour,
    Call,
    content,
    fails,
    good,
    raw,
    reply,
    says,
)

# Visible ASCII, as a header takes it, and written differently in every notation.
KEY = "sk-plan\"ted\\key%/+=&<of>'the-test"
AT_ONCE = {"retry-after": "0"}


def key_of(call: Call) -> str:
    """What came in the header, without the scheme."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    return headers.get("x-goog-api-key") or headers["authorization"].removeprefix("Bearer ")


def echo(make: Callable[[str], Behaviour]) -> Behaviour:
    """A behaviour made with the key that came."""
    return lambda call: make(key_of(call))(call)


def _in_a_score(call: Call) -> Answer:
    return reply(call, json.dumps(content(call, scores={call.dimensions[0]: key_of(call)})))


ECHOES = (
    echo(lambda key: good(reasoning=f"You sent {key}.", key_markers=[key], content_type=key)),
    _in_a_score,
    echo(lambda key: says(f"Unauthorized: {key}")),
    echo(lambda key: says("", refusal=key, finish=key)),
    echo(lambda key: fails(400, f"no such key: {key}")),
    echo(lambda key: fails(429, f"quota of {key}", AT_ONCE)),
    echo(lambda key: raw(f"<p>{key}</p>".encode(), 503, headers=AT_ONCE)),
    echo(lambda key: raw(b"{}", headers={"no header": key})),
    echo(lambda key: fails(401, f"wrong key: {key}")),
)

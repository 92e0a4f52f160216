"""Running `newsieve oracle label` in the current folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.cli import Result, newsieve
from tests.support.oracle_server import OracleServer

KEY = "sk-secret-of-the-bulk"


def articles(count: int, *extra: bytes) -> bytes:
    lines = [
        json.dumps({"id": f"a{n}", "title": f"Title {n}", "content": f"Text of a{n}."}).encode()
        for n in range(count)
    ]
    return b"\n".join([*lines, *extra]) + b"\n"


def environment(server: OracleServer, **more: object) -> dict[str, str]:
    settings = {
        "provider": "openai",
        "model": "oracle",
        "endpoint": server.url,
        "api_key": KEY,
        "input_usd_per_million": 1,
        "output_usd_per_million": 4,
        **more,
    }
    return {f"NEWSIEVE_ORACLE__{name.upper()}": str(value) for name, value in settings.items()}


def label(server: OracleServer, *options: str, **more: object) -> Result:
    command = ["oracle", "label", "articles.jsonl", "--out", "labels.jsonl", "--yes", *options]
    return newsieve(*command, env=environment(server, **more))


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("labels.jsonl").read_bytes().splitlines()]

"""SECURITY.md's table of rights, read."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.secure_broker import Right
from tests.support.workers import ROOT


def rights_of(command: str, prefix: str) -> list[Right]:
    """A row of the table in SECURITY.md, for a group and topics of this prefix."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    cells = {name.strip(" `"): rest for name, *rest in rows}[command]
    found: list[Right] = []
    for resource, cell in zip(("topic", "group", "transactional_id"), cells, strict=True):
        found += _rights(resource, cell, prefix)
    return found


def _rights(resource: str, cell: str, prefix: str) -> Iterator[Right]:
    for part in filter(None, (item.strip() for item in cell.split(";"))):
        if part.startswith("as "):
            yield from (r for r in rights_of(part[4:-1], prefix) if r.resource == resource)
            continue
        operation, _, names = part.partition(" ")
        for name in names.replace("`", "").split(", "):
            full = name.removesuffix("*").replace("<group>", prefix).replace("<prefix>", prefix)
            full = f"{prefix}.{full}" if resource == "topic" else full
            yield Right(operation, resource, full, is_prefix=name.endswith("*"))

"""Raw records for tests: good, blocked, capped, strange and bad ones, reproducibly."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

WORDS = [
    "village",
    "river",
    "school",
    "nurse",
    "farmer",
    "court",
    "market",
    "share",
    "price",
    "army",
    "peace",
    "solar",
    "wind",
    "battery",
    "forest",
    "ocean",
    "vaccine",
    "music",
    "people",
    "build",
    "open",
    "plant",
    "heal",
    "repair",
    "teach",
    "win",
    "lose",
    "rise",
    "fall",
]
BAD = (b"{", b"null", b'{"title": 5}', b'{"id": true, "title": "x"}', b"\xff\xfe", b"{}")


def raw_records(count: int, seed: int = 0, keys: int = 50) -> Iterator[tuple[bytes, bytes]]:
    """(key, value): about 2 % bad, 10 % blocked; several versions of each key."""
    chance = random.Random(seed)
    for number in range(count):
        key = f"article-{chance.randrange(keys)}"
        if chance.random() < 0.02:
            yield key.encode(), chance.choice(BAD)
            continue
        host = "arxiv.org" if chance.random() < 0.1 else "example.org"
        article = {
            "id": key,
            "title": " ".join(chance.choices(WORDS, k=6)),
            "content": " ".join(chance.choices(WORDS, k=chance.randrange(0, 60))),
            "url": f"https://{host}/{number}",
            "language": "en",
            "version": number,
        }
        yield key.encode(), json.dumps(article).encode()

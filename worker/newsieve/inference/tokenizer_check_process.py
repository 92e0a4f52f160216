"""The process in which a tokenizer is tried: a task on standard input, an answer on standard
output.

It imports nothing of ours, so that it starts in a tenth of a second, and knows nothing of students.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

RUN_CHARACTERS: Final = 2_500  # a window of 256 tokens is tried with as many characters first
LONG_RUN_CHARACTERS: Final = 40_000  # where cost that grows with the square shows
LONGEST_RUNS: Final = 3
MOST_CHARACTERS: Final = 200  # different ones, of all patterns together
LONGEST_LITERAL: Final = 100
ORDINARY: Final = "aA0 \n.,-_'\u00e9\u5b57\u0301\U0001f3e1"
# Bytes of a character are 4 at most, and its Unicode compatibility form a few more. What makes more
# of a text would take as much more memory for each article.
MOST_GROWTH: Final = 20
CONTROL: Final = "!\x00\u00df"  # ends a run with what few patterns expect


def main() -> None:
    task = json.loads(sys.stdin.buffer.readline())
    seconds, size = task["cpu_seconds"], task["memory_bytes"]
    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_AS, size)
    _limit(resource.RLIMIT_CORE, 0)
    facts = sys.stdin.buffer.read()
    try:
        answer: dict[str, Any] = {"highest_id": _tried(facts, task["texts"])}
    except MemoryError:
        return  # as if killed: no answer
    except BaseException as error:  # noqa: BLE001 - a panic of the library is no Exception
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer))


def _limit(which: int, most: int) -> None:
    """Limit the process to so much, or to what whoever started the program allows, if that is
    less."""
    _, allowed = resource.getrlimit(which)
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    with suppress(ValueError, OSError):  # macOS limits no address space
        resource.setrlimit(which, (most, most))


def _tried(facts: bytes, texts: list[str]) -> int:
    from tokenizers import Tokenizer  # noqa: PLC0415 - under the limits

    tokenizer = Tokenizer.from_str(facts.decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    costs = []
    for text in [*texts, *_runs(json.loads(facts))]:
        before = time.process_time()
        (encoding,) = tokenizer.encode_batch_fast([text], add_special_tokens=False)
        costs.append((time.process_time() - before, text))
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        if max(len(encoding.ids), len(normal)) > MOST_GROWTH * (len(text) + 1):
            raise ValueError(f"it makes more than {MOST_GROWTH} tokens or letters of one character")
    for _, text in sorted(costs, reverse=True)[:LONGEST_RUNS]:
        repeated = text * (LONG_RUN_CHARACTERS // max(len(text), 1))
        tokenizer.encode_batch_fast([repeated], add_special_tokens=False)
    tokenizer.encode("a")
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)


def _runs(facts: Any) -> Iterator[str]:
    """Long runs of what the tokenizer's own patterns speak of, and of ordinary characters."""
    literals = sorted(set(_literals([facts.get("normalizer"), facts.get("pre_tokenizer")])))
    characters = dict.fromkeys([*ORDINARY, *"".join(literals)])
    for unit in [*list(characters)[:MOST_CHARACTERS], *literals[:MOST_CHARACTERS]]:
        yield unit * (RUN_CHARACTERS // len(unit)) + CONTROL


def _literals(part: Any) -> Iterator[str]:
    """The texts of a tokenizer's parts."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name != "type":
                yield from _literals(value)
    elif isinstance(part, list):
        for value in part:
            yield from _literals(value)
    elif isinstance(part, str) and part:
        yield part[:LONGEST_LITERAL]


if __name__ == "__main__":
    main()

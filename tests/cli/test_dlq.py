"""`newsieve dlq`: what it refuses before it asks a broker, and how much it holds."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest

from newsieve.kafka.dead_letter_topic import DeadLetters, Letter, Selection
from newsieve.kafka.messages import StoredRecord
from newsieve.records.decode import RawRecord
from tests.support.cli import newsieve

LETTERS = 50
LETTER_BYTES = 1_000_000
NOTE = (
    "4 of them are for filters that are not in worker.filters: investment_risk (3), "
    "sustainability (1)"
)


@pytest.fixture
def selections(monkeypatch: pytest.MonkeyPatch) -> list[Selection]:
    """The selections that reach a dead-letter topic of large letters."""
    seen: list[Selection] = []

    def letters(_: DeadLetters, selection: Selection) -> Iterator[Letter]:
        seen.append(selection)
        why = {"stage": "decode", "error": "InvalidJson", "filter": "uplifting", "message": "no"}
        for offset in range(LETTERS):
            record = RawRecord(bytes(LETTER_BYTES), None, None, None, {})
            yield Letter(
                StoredRecord(record, ("articles.dead-letter", 0), offset), {**why}, offset == 0
            )

    monkeypatch.setattr(DeadLetters, "letters", letters)
    return seen


@pytest.mark.parametrize("command", ["list", "replay"])
@pytest.mark.parametrize(
    ("option", "value", "names"),
    [
        ("--filter", "upliftin", ["investment_risk/v2", "uplifting/v4"]),
        ("--filter", "uplifting/v999", ["uplifting/v4"]),
        ("--stage", "scoring", ["decode", "validate", "score", "publish"]),
    ],
)
def test_what_can_never_match_is_wrong_usage(
    command: str, option: str, value: str, names: list[str]
) -> None:
    """With the names there are, before a broker is asked."""
    done = newsieve("dlq", command, option, value)

    assert done.code == 2
    assert value in done.err and all(name in done.err for name in names)
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("option", "moment"),
    [("--since", "0001-01-01T00:00+05:00"), ("--until", "9999-12-31T23:59-12:00")],
)
def test_a_time_that_utc_has_no_year_for_is_wrong_usage(option: str, moment: str) -> None:
    """In the sentence of any other text that is no time."""
    done = newsieve("dlq", "list", option, moment)

    assert done.code == 2
    assert f"{option} '{moment}' is not a time" in done.err and "Traceback" not in done.err


def test_a_replay_says_which_letters_the_filters_at_work_do_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or an operator would wait for outcomes that never come."""
    counts = Counter({"": 4, "uplifting": 2, "investment_risk": 3, "sustainability": 1})
    monkeypatch.setattr(DeadLetters, "replay", lambda *_: counts)
    both = {"NEWSIEVE_WORKER__FILTERS": "uplifting/v4,investment_risk,sustainability"}

    done = newsieve("dlq", "replay", env={"NEWSIEVE_WORKER__FILTERS": "uplifting/v4"})

    assert done.text == "replayed 10 dead letters\n"
    assert NOTE in done.err.replace("\n", " ")
    assert "worker.filters" not in newsieve("dlq", "replay", env=both).err


def test_a_replay_says_what_it_left_and_that_nothing_is_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Letters of other topics stay; workers with a key score what is not signed for all filters."""

    def replay(letters: DeadLetters, *_: object) -> Counter[str]:
        letters.left = Counter({"articles.control": 2, "a\x1b[31m": 1})
        return Counter({"uplifting": 1})

    monkeypatch.setattr(DeadLetters, "replay", replay)

    without = newsieve("dlq", "replay").err.replace("\n", " ")
    signed = newsieve("dlq", "replay", env={"NEWSIEVE_SAMPLING__KEY": "k" * 32}).err

    assert "3 others are not put back, since they are no raw records: articles.control" in without
    assert "nothing was signed" in without and "nothing was signed" not in signed
    assert "\x1b" not in without + signed


@pytest.mark.parametrize("reference", ["uplifting", "uplifting/v4"])
def test_a_filters_version_means_its_name(selections: list[Selection], reference: str) -> None:
    """Letters carry the name alone."""
    newsieve("dlq", "list", "--stage", "score", "--filter", reference)

    assert selections == [Selection(stage="score", filter="uplifting")]


@pytest.mark.parametrize("options", [[], ["--records"]])
def test_listing_holds_one_letter_at_a_time(
    selections: list[Selection], options: list[str]
) -> None:
    """A topic of dead letters may be larger than the memory."""
    tracemalloc.start()
    try:
        done = newsieve("dlq", "list", "--json", *options)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    rows = json.loads(done.out)
    assert len(selections) == 1
    assert sum(row.get("count", 1) for row in rows) == LETTERS
    assert peak_bytes < 10 * LETTER_BYTES

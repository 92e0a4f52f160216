"""A bulk labelling in which calls fail: whose fault, what is kept, what is asked for again."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsieve.oracle.failure_streak import SAME_FAILURES
from newsieve.oracle.label_file_writer import LabelFileWriter
from tests.support.bulk import KEY, articles, label, rows
from tests.support.oracle_server import (
    Behaviour,
    about,
    fails,
    good,
    moderated,
    says,
    serving,
    slowly,
    wrong_key,
)

OUT = Path("labels.jsonl")
FENCED = says("```json\nHere is \x1b[2Jwhat I think.\n```")


def statuses() -> dict[str, str]:
    return {row["id"]: row["status"] for row in rows()}


@pytest.mark.parametrize(
    "refusing", [moderated(), fails(400, "filtered", code="content_filter")], ids=["403", "400"]
)
def test_one_moderated_article_is_refused_and_the_others_are_labelled(refusing: Behaviour) -> None:
    """The status is that of a wrong key, or of a bad request; the body says that it is neither."""
    Path("articles.jsonl").write_bytes(articles(4))
    with serving(about("a1", refusing, good())) as server:
        done = label(server)

    assert done.code == 0, done.err
    found = ["labelled", "refused", "labelled", "labelled"]
    assert statuses() == dict(zip(["a0", "a1", "a2", "a3"], found, strict=True))


@pytest.mark.parametrize(
    ("failing", "says_so"),
    [
        (wrong_key(), "NEWSIEVE_ORACLE__API_KEY"),
        (fails(429, "no", code="insufficient_quota"), "quota or credit is used up"),
        (fails(400, "schema"), "oracle rejects requests"),
        (FENCED, "begins: ```json Here is \\u001b[2Jwhat I think. ```"),
        (says("<think>Let me see"), "NEWSIEVE_ORACLE__THINKING"),
        (says('{"label": 6}'), 'begins: {"label": 6}'),
        (says('{"scores"', finish="length"), "Raise NEWSIEVE_ORACLE__MAX_OUTPUT_TOKENS"),
    ],
    ids=["key", "quota", "schema", "fences", "thoughts", "ignored schema", "cut off"],
)
def test_what_fails_for_all_ends_it_without_a_line_and_a_mended_rerun_goes_on(
    failing: Behaviour, says_so: str
) -> None:
    """Exit 1 after a few calls, and what to do; no article is given up for it."""
    Path("articles.jsonl").write_bytes(articles(12))
    with serving(failing) as server:
        done = label(server, concurrency=2)
        assert done.code == 1
        assert says_so in done.err and "Traceback" not in done.err and "\x1b" not in done.err
        assert len(server.calls) <= SAME_FAILURES + 1
        assert rows() == [] and KEY not in done.err + done.text
        paid = len(server.calls) if "answers are no labels" in done.err else 0
        assert f"nothing new; {paid} calls" in done.text

        server.script = [good()]
        assert label(server).code == 0

    assert statuses() == {f"a{n}": "labelled" for n in range(12)}


def test_the_only_article_of_a_file_is_not_given_up_without_another_to_compare() -> None:
    """Whose fault it is, nobody knows: exit 1, no line, and the reason."""
    Path("articles.jsonl").write_bytes(articles(1))
    with serving(fails(400, "odd")) as server:
        done = label(server)

    assert done.code == 1 and "400: odd" in done.err
    assert rows() == []


def test_answers_behind_the_line_that_stops_it_are_kept() -> None:
    """They are paid for: beside the file, until it is their turn."""
    Path("articles.jsonl").write_bytes(articles(6))
    slow_denial = about("a0", slowly(fails(401, "no"), 0.7), good())
    with serving(slow_denial) as server:
        assert label(server, concurrency=3).code == 1
        assert rows() == []
        answered = len(server.calls) - 1
        assert answered >= 2
        server.script = [good()]
        done = label(server)
        assert done.code == 0
        assert f"{6 - answered:,} articles to label" in done.err
        assert len(server.calls) == 6 + 1

    assert list(statuses()) == [f"a{n}" for n in range(6)]
    assert {row["calls_without_record"] for row in rows()} == {0}
    assert not Path("labels.jsonl.claims").exists()


def made_invalid(*names: str) -> None:
    """As a former version wrote what failed for all: final."""
    changed = []
    for row in rows():
        if row["id"] in names:
            row |= {"status": "invalid", "oracle_scores": None, "failure": "not JSON: …"}
        changed.append(json.dumps(row).encode() + b"\n")
    OUT.write_bytes(b"".join(changed))


def test_lines_that_all_failed_in_a_former_run_are_asked_for_again_in_their_place() -> None:
    """Without being told to: one after the other they are no article's own fault."""
    Path("articles.jsonl").write_bytes(articles(9))
    with serving() as server:
        label(server)
        made_invalid(*(f"a{n}" for n in range(2, 2 + SAME_FAILURES)))
        done = label(server)

    assert done.code == 0
    assert f"{SAME_FAILURES} articles to label" in done.err
    assert f"{SAME_FAILURES} of them once more" in done.err
    assert list(statuses().items()) == [(f"a{n}", "labelled") for n in range(9)]
    assert [row["calls_without_record"] for row in rows()] == [0, 0, 1, 1, 1, 1, 1, 0, 0]


def test_a_single_failed_line_is_asked_for_again_only_when_that_is_wanted() -> None:
    """It is its own fault, as far as is known. --retry-failed takes refusals, too."""
    Path("articles.jsonl").write_bytes(articles(5))
    with serving(about("a3", moderated(), good())) as server:
        label(server)
        made_invalid("a1")
        before = OUT.read_bytes()
        assert "0 articles to label" in label(server).err
        assert OUT.read_bytes() == before
        server.script = [good(scores={"agency": 9})]
        assert label(server, "--retry-failed").code == 0

    assert list(statuses().items()) == [(f"a{n}", "labelled") for n in range(5)]
    again = [row["id"] for row in rows() if row["oracle_scores"]["scores"]["agency"] == 9]
    assert again == ["a1", "a3"]


def test_a_line_that_was_asked_for_again_before_a_kill_is_not_asked_for_once_more() -> None:
    """The better line stands behind the failed one, and takes its place with the next run."""
    Path("articles.jsonl").write_bytes(articles(3))
    with serving() as server:
        label(server)
        better = rows()[1]
        made_invalid("a1")
        with OUT.open("ab") as stream:
            stream.write(json.dumps(better).encode() + b"\n")

        assert LabelFileWriter(OUT, retry_failed=True).failed == {}
        assert "0 articles to label" in label(server, "--retry-failed").err

    assert [row["id"] for row in rows()] == ["a0", "a1", "a2"]
    assert set(statuses().values()) == {"labelled"}


def test_a_label_that_waited_for_its_turn_is_not_forgotten_by_a_run_that_retries_nothing() -> None:
    """It was paid for by a run with --retry-failed, which was ended before it could be written."""
    Path("articles.jsonl").write_bytes(articles(3))
    with serving() as server:
        label(server)
        better = rows()[1]
        made_invalid("a1")
        kept = {"calls": 1, "usd": 0.0, "claims": [], "rows": [better]}
        Path("labels.jsonl.claims").write_text(json.dumps(kept))
        asked = len(server.calls)
        assert label(server).code == 0

        assert len(server.calls) == asked
    assert [row["id"] for row in rows()] == ["a0", "a1", "a2"]
    assert rows()[1] == better


def test_of_a_line_that_failed_twice_only_the_label_is_left() -> None:
    """A kill can leave two failed lines of one text: the label takes the place of both."""
    Path("articles.jsonl").write_bytes(articles(3))
    with serving() as server:
        label(server)
        made_invalid("a1")
        with OUT.open("ab") as stream:
            stream.write(json.dumps(rows()[1]).encode() + b"\n")
        assert label(server, "--retry-failed").code == 0

        assert [row["id"] for row in rows()] == ["a0", "a1", "a2"]
        assert set(statuses().values()) == {"labelled"}
        assert "0 articles to label" in label(server, "--retry-failed").err


def test_bad_answers_before_the_first_label_are_decided_by_it() -> None:
    """One article that no model can label, at the very beginning."""
    Path("articles.jsonl").write_bytes(articles(5))
    with serving(about("a0", FENCED, good())) as server:
        done = label(server, concurrency=1)

    assert done.code == 0, done.err
    assert list(statuses().values()) == ["invalid", *["labelled"] * 4]
    assert rows()[0]["usage"]["attempts"] == 2


def test_a_bad_answer_before_many_refusals_ends_it_and_keeps_them() -> None:
    """No label comes that could decide about it, and there is room for no more articles."""
    Path("articles.jsonl").write_bytes(articles(40))
    with serving(about("Text of a0.", says("no JSON"), moderated())) as server:
        done = label(server, concurrency=1)
        assert done.code == 1 and "'a0': not JSON" in done.err
        asked = len(server.calls)
        server.script = [good()]
        assert label(server, concurrency=1).code == 0
        refused = asked - 2
        assert len(server.calls) == asked + 40 - refused

    assert rows()[0]["status"] == "labelled" and len(rows()) == 40


def test_a_budget_that_ends_between_two_answers_decides_nothing() -> None:
    """The first answer was bad, and there is no label yet: a larger budget asks again."""
    Path("articles.jsonl").write_bytes(articles(3))
    with serving(FENCED) as server:
        assert label(server, "--max-calls", "1", concurrency=1).code == 1
        assert rows() == []
        server.script = [good()]
        assert label(server, "--max-calls", "9").code == 0

    assert set(statuses().values()) == {"labelled"}


def test_a_full_disk_is_said_with_the_file() -> None:
    """Here a limit on the size of files stands for it. The error of a write names none."""
    writer = LabelFileWriter(OUT)

    with pytest.raises(OSError, match=str(OUT)), writer.writing(), files_of_at_most(10_000):
        writer.append([{"id": "a" * 20_000}])


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

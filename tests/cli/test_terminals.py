"""What others wrote drives no terminal, whichever command shows it, and forges no line of it."""

from __future__ import annotations

import io
import json
import logging
import sys
import unicodedata
from contextlib import redirect_stderr
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsieve.cli import drift_tail, oracle, tail
from newsieve.kafka.dead_letter_topic import DeadLetters, Letter
from newsieve.kafka.messages import StoredRecord
from newsieve.oracle.batch_labeler import Summary
from newsieve.printable import printable
from newsieve.records.decode import Headers, RawRecord
from newsieve.settings.loader import Settings
from newsieve.stream import logs
from newsieve.terminal import echo, echo_err, show_json, show_table
from newsieve_training.cli.options import print_rows, verdict_text
from newsieve_training.data.audit_report import AuditReport
from newsieve_training.data.manifest import BadRow, DataManifest
from tests.support.cli import newsieve
from tests.support.evil_texts import EVIL
from tests.support.filters import load

FIVES = dict.fromkeys(load("uplifting").definition.dimension_names, 5)
ODD = "a\u200c\u200d\x00\x1b\x07\r\n\t\x7f\x80\x9b\u202e\u2066\u200b\U000e0041[]m;"
texts = st.one_of(st.sampled_from(EVIL), st.text(max_size=40), st.text(ODD, max_size=20))
often = settings(max_examples=12, deadline=None)


def is_seen(character: str) -> bool:
    """Itself, or by how it joins its neighbours."""
    is_blank_or_joiner = unicodedata.category(character) == "Zs" or character in "\u200c\u200d"
    return character.isprintable() or is_blank_or_joiner


def is_harmless(text: str, lines: int | None = None) -> bool:
    """Of what a terminal would be sent: so many lines, of characters that are seen."""
    rows = text.removesuffix("\n").split("\n")
    seen = (is_seen(c) for row in rows for c in row)
    return all(seen) and lines in (None, len(rows))


@often
@given(texts)
def test_what_is_shown_is_seen(text: str) -> None:
    """In one line; what is seen already stays as it is."""
    shown = printable(text)

    assert is_harmless(shown, lines=1)
    assert not text.isprintable() or shown == text


@pytest.mark.parametrize(
    "text",
    [
        "Überfall",
        "日本語\u3000新聞",
        "कि",
        "a\u00a0b",
        "🙂👍🏽",
        "e\u0301",
        "می\u200cروم",
        "ശ്രീ\u200d ක්\u200dර",
        "👨\u200d👩\u200d👧",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    """Letters of every script, wide spaces, combining marks, and what joins letters or emoji."""
    assert printable(text) == text


def found_record(value: bytes, headers: Headers | None = None) -> StoredRecord:
    return StoredRecord(RawRecord(value, None, headers, None, {}), ("articles.raw", 0), 7)


def json_of(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")


@often
@given(text=texts, options=st.sampled_from([[], ["--json"]]), shape=st.integers(0, 3))
def test_records_that_are_tailed(text: str, options: list[str], shape: int) -> None:
    """One line each, whatever is in them; JSON means the same."""
    title, why = json_of(text), text.encode("utf-8", "replace")
    shapes: list[tuple[bytes, Headers | None]] = [
        (b'{"article":{"title":%b},"filter":"f","tier":%b}' % (title, title), None),
        (why, None),
        (title, None),
        (b"{", [("dlq.stage", b"score"), ("dlq.message", why)]),
    ]
    value, headers = shapes[shape]
    with patch.object(tail, "read", return_value=iter([found_record(value, headers)])):
        done = newsieve("tail", "articles.raw", *options, is_watched=True)

    assert done.code == 0 and is_harmless(done.text, lines=1)
    assert not options or value != title or done.json() == json.loads(title)


@often
@given(text=texts, is_counted=st.booleans(), as_json=st.booleans())
def test_dead_letters_that_are_listed(text: str, *, is_counted: bool, as_json: bool) -> None:
    """Their headers say what anybody wrote."""
    options = [*([] if is_counted else ["--records"]), *(["--json"] if as_json else [])]
    why = dict.fromkeys(("stage", "error", "filter", "message"), text)
    letter = Letter(found_record(b"{"), why, is_replayed=False)
    with patch.object(DeadLetters, "letters", return_value=iter([letter])):
        done = newsieve("dlq", "list", *options, is_watched=True)

    assert done.code == 0 and is_harmless(done.text)


@often
@given(text=texts, command=st.sampled_from([["tier"], ["drift", "replay"]]))
def test_lines_of_json_on_a_terminal(text: str, command: list[str]) -> None:
    """Decisions and complaints about lines of a file; they mean the same as in a pipe."""
    scores = json.dumps({**FIVES, "id": text}, ensure_ascii=False)
    lines = (scores + "\n" + json.dumps([text], ensure_ascii=False)).encode("utf-8", "replace")

    piped = newsieve(*command, stdin=lines)
    watched = newsieve(*command, stdin=lines, is_watched=True)

    assert watched.code == piped.code and is_harmless(watched.text)
    assert watched.rows() == piped.rows() != []


NAMED = (
    ["tier"],
    ["produce"],
    ["filters", "show"],
    ["filters", "check", "uplifting", "--articles"],
    ["dlq", "list", "--since"],
    ["dlq", "list", "--stage"],
    ["tail", "articles.raw", "x"],
    [],
    ["worker", "--config"],
    ["drift", "tail", "--exec"],
)


@settings(max_examples=2 * len(NAMED), deadline=None)
@given(text=texts, command=st.sampled_from(NAMED))
def test_names_that_the_command_line_brings(text: str, command: list[str]) -> None:
    """In complaints about files, filters, options and times, of our own and of the parser."""
    name = text.replace("\x00", "").lstrip("-") or "x"

    done = newsieve(*command, name, env={"NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"})

    assert done.code != 0 and "Traceback" not in done.err
    assert is_harmless(done.text + done.err)
    assert sum(line.startswith("newsieve: ") for line in done.err.split("\n")) <= 1


@often
@given(texts)
def test_what_commands_say(text: str) -> None:
    """Each way they have to say something; training's, too."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    bad = BadRow(file=text, line=1, field=text, reason=text)
    counts = {"rows_without_label": 0, "rows_of_unnamed_oracles": 0, "bad_rows": 1}
    manifest = DataManifest.model_construct(
        rows={"train": 1}, **counts, remarks=[text], bad_rows_listed=[bad]
    )
    summary = Summary()
    summary.versions[text] += 1
    with (
        patch.object(out, "isatty", return_value=True),
        patch.object(sys, "stdout", out),
        redirect_stderr(err),
    ):
        echo(text)
        echo(text, is_line=True)
        echo_err(text)
        show_json({text: [text]})
        show_table(text, ["a"], [[text]])
        drift_tail._show(found_record(text.encode("utf-8", "replace")), as_json=False)
        drift_tail._show(found_record(json_of(text)), as_json=True)
        print_rows(manifest)
        echo_err(verdict_text(AuditReport.model_construct(verdict="usable", reasons=[text])))
        echo(oracle._summary(Path("out.jsonl"), summary, Settings()))
        oracle._CallObserver().breaker_changed(is_open=True, failures=1, seconds=1.0, reason=text)
        out.flush()

    shown = out.buffer.getvalue().decode() + err.getvalue()  # type: ignore[attr-defined]
    assert is_harmless(shown)


@often
@given(texts)
@example("\x1b[2J")
def test_logs_on_a_terminal(text: str) -> None:
    """What libraries log, keys, values and tracebacks; the colours are the renderer's own."""
    err = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        with patch.object(err, "isatty", return_value=True), redirect_stderr(err):
            logs.configure()
            log = logs.get_logger("test")
            log.info("test.said", value=text, other=[text], more={text: text})
            logging.getLogger("library").warning("%s", text)
            try:
                raise ValueError(text)
            except ValueError:
                log.exception("test.failed")
    finally:
        root.handlers = handlers
        root.setLevel(level)

    said = err.getvalue()
    for style in ("0", "1", "2", *map(str, range(31, 38))):
        said = said.replace(f"\x1b[{style}m", "")
    assert "test.failed" in said and is_harmless(said)


def test_a_fault_of_ours_drives_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback may quote anybody."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("\x1b]0;pwned\x07")

    monkeypatch.setattr(tail, "read", fail)

    done = newsieve("tail", "articles.raw")

    assert done.code == 1
    assert "Traceback" in done.err and r"ValueError: \u001b]0;pwned\u0007" in done.err
    assert is_harmless(done.err)

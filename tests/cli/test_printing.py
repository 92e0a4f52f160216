"""What commands print is text as it came: no markup, no emoji codes, whatever Unicode allows."""

from __future__ import annotations

import json

import pytest

from newsieve.cli import tail
from newsieve.kafka.dead_letter_topic import DeadLetters, Letter
from newsieve.kafka.messages import StoredRecord
from newsieve.records.decode import Headers, RawRecord
from newsieve.terminal import show_table
from tests.support.cli import newsieve


def tailed(
    monkeypatch: pytest.MonkeyPatch, value: bytes, headers: Headers | None = None, *options: str
) -> str:
    """What `newsieve tail` shows of a record."""
    found = StoredRecord(RawRecord(value, None, headers, None, {}), ("articles.raw", 0), 7)
    monkeypatch.setattr(tail, "read", lambda *_, **__: iter([found]))
    done = newsieve("tail", "articles.raw", *options)
    assert done.code == 0
    return done.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (rb'{"id":1,"title":"a\ud800b"}', '{"id": 1, "title": "a?b"}'),
        (rb'{"article":{"title":"a\udfffb"},"filter":"f"}', "f  None None  a?b"),
        (b'{"title":":heart: [bold]x[/bold] [/INST]"}', ":heart: [bold]x[/bold] [/INST]"),
        (b"[" * 100_000, "b'[[["),
        (b"\xff", r"b'\xff'"),
    ],
    ids=["lone surrogate", "lone surrogate in a title", "markup", "deep", "not UTF-8"],
)
def test_tail_shows_any_value(monkeypatch: pytest.MonkeyPatch, value: bytes, shown: str) -> None:
    """What has no UTF-8 form is a question mark; codes and tags stand as they are."""
    text = tailed(monkeypatch, value)

    assert text.startswith("0/7  ")
    assert shown in text


def test_tail_shows_a_record_whose_outcome_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers may hold any bytes."""
    value = b'{"article":{"title":"x"},"filter":"f","tier":"t","score":1}'

    assert "f  t 1  x" in tailed(monkeypatch, value, [("outcome", b"\xff")])


def test_tail_shows_a_dead_letter_that_does_not_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may write one."""
    text = tailed(monkeypatch, b"{", [("dlq.stage", b"score")])

    assert text == "0/7  dead letter  score: None: None\n"


def test_tail_counts_as_far_as_anybody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No count is too large."""
    assert tailed(monkeypatch, b'"x"', None, "--count", "9" * 23) == '0/7  "x"\n'


def test_tail_refuses_what_is_no_topics_name() -> None:
    """Bytes of the command line that are not UTF-8, before a broker is asked."""
    done = newsieve("tail", "\udcff", env={"NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"})

    assert done.code == 1
    assert "is not a topic's name" in done.err and "Traceback" not in done.err


HOSTILE = "a\x1b[2J\r\n0/8  forged\x07\x7f\x9b2J\u2028b"
SHOWN = r"a\u001b[2J\u000d\u000a0/8  forged\u0007\u007f\u009b2J\u2028b"


def test_no_record_forges_a_line_or_drives_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an article's title nor a dead letter's message."""
    value = json.dumps({"article": {"title": HOSTILE}, "filter": "f"}).encode()
    headers: Headers = [("dlq.stage", b"score"), ("dlq.message", HOSTILE.encode())]

    assert tailed(monkeypatch, value) == f"0/7  f  None None  {SHOWN}\n"
    assert tailed(monkeypatch, b"{", headers) == f"0/7  dead letter  score: None: {SHOWN}\n"


def test_values_printed_as_they_are_keep_to_their_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON means the same afterwards; what is none shows its control characters."""
    title = "a\x7f\x9b2J\u2028b"
    article = json.dumps({"title": title}, ensure_ascii=False, indent=1).replace("\n", "\r\n")

    text = tailed(monkeypatch, article.encode(), None, "--json")

    assert json.loads(text) == {"title": title}
    assert text.endswith("\n") and text[:-1].isprintable()
    assert tailed(monkeypatch, b"\x1b[2Jx", None, "--json") == "\\u001b[2Jx\n"


def test_dead_letters_in_a_table_drive_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their headers say what anybody wrote."""
    found = StoredRecord(RawRecord(b"{", None, None, None, {}), ("articles.dead-letter", 0), 7)
    letter = Letter(found, {"stage": "score", "message": HOSTILE}, is_replayed=False)
    monkeypatch.setattr(DeadLetters, "letters", lambda *_: iter([letter]))

    assert SHOWN in newsieve("dlq", "list", "--records").text


@pytest.mark.parametrize("cell", ["a [/INST] b", "[a-z]+", "[bold]x[/bold]", ":heart:", "a\ud800b"])
def test_a_table_shows_its_cells_as_they_are(capsys: pytest.CaptureFixture[str], cell: str) -> None:
    """Error messages quote articles, and patterns have brackets."""
    show_table("", ["message"], [[cell]])

    assert cell.replace("\ud800", "?") in capsys.readouterr().out


def test_a_complaint_drives_no_terminal() -> None:
    """File names and what others answer are in complaints."""
    done = newsieve("tier", "no\x1b[2J\x9bsuch\udcfffile")

    assert done.code == 2
    assert "no\\u001b[2J\\u009bsuch?file" in done.err
    assert "\x1b" not in done.err and "\x9b" not in done.err

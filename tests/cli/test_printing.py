"""What commands print is text as it came: no markup, no emoji codes, whatever Unicode allows."""

from __future__ import annotations

import pytest

from tests.support.cli import newsieve
from worker.cli import tail
from worker.cli.common import show_table
from worker.codec.decode import Headers, RawRecord
from worker.kafka.reader import Found


def tailed(monkeypatch: pytest.MonkeyPatch, value: bytes, headers: Headers | None = None) -> str:
    """What `newsieve tail` shows of a record."""
    found = Found(RawRecord(value, None, headers, None, {}), "articles.raw", 0, 7)
    monkeypatch.setattr(tail, "read", lambda *_, **__: iter([found]))
    done = newsieve("tail", "articles.raw")
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


@pytest.mark.parametrize("cell", ["a [/INST] b", "[a-z]+", "[bold]x[/bold]", ":heart:", "a\ud800b"])
def test_a_table_shows_its_cells_as_they_are(capsys: pytest.CaptureFixture[str], cell: str) -> None:
    """Error messages quote articles, and patterns have brackets."""
    show_table("", ["message"], [[cell]])

    assert cell.replace("\ud800", "?") in capsys.readouterr().out

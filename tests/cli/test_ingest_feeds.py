"""`newsieve ingest feeds` names what is wrong with a list before it asks anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import newsieve


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("https://a.example/feed\nnot a url\n", "feeds.txt, line 2"),
        ("https://a.example/feed\nftp://b.example/feed\n", "feeds.txt, line 2"),
        ("# nothing yet\n", "there is no feed in it"),
        ("<opml><body><outline xmlUrl='https://a.example/'></body></opml>", "feeds.txt, line 1"),
        ("<rss/>", "no OPML"),
    ],
)
def test_a_bad_list_is_wrong_usage_and_named(tmp_path: Path, content: str, said: str) -> None:
    """With its file and line."""
    (tmp_path / "feeds.txt").write_text(content)

    done = newsieve("ingest", "feeds", str(tmp_path / "feeds.txt"))

    assert done.code == 2
    assert said in done.err


def test_a_list_that_is_not_there_is_wrong_usage() -> None:
    """It is named."""
    done = newsieve("ingest", "feeds", "nowhere.opml")

    assert done.code == 2
    assert "nowhere.opml: cannot be read" in done.err


def test_without_a_list_the_settings_have_to_name_the_feeds() -> None:
    """They are checked in the same way."""
    none = newsieve("ingest", "feeds")
    bad = newsieve("ingest", "feeds", env={"NEWSIEVE_INGEST__FEEDS": "https://a.example/,b"})

    assert none.code == bad.code == 2
    assert "NEWSIEVE_INGEST__FEEDS" in none.err
    assert "ingest.feeds[1]" in bad.err


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ALLOWED_TARGETS", "10.0.0.0/99"),
        ("MIN_INTERVAL_SECONDS", "0"),
        ("CONCURRENCY", "0"),
        ("CONTACT", "us (here)"),
    ],
)
def test_a_setting_that_is_no_such_thing_is_named(setting: str, value: str) -> None:
    """By its variable."""
    done = newsieve("ingest", "feeds", env={f"NEWSIEVE_INGEST__{setting}": value})

    assert done.code == 2
    assert f"NEWSIEVE_INGEST__{setting}" in done.err


def test_intervals_have_to_be_in_order() -> None:
    """The shorter one is the least."""
    env = {
        "NEWSIEVE_INGEST__MIN_INTERVAL_SECONDS": "3600",
        "NEWSIEVE_INGEST__MAX_INTERVAL_SECONDS": "1800",
    }

    done = newsieve("ingest", "feeds", env=env)

    assert done.code == 2
    assert "min_interval_seconds is more than max_interval_seconds" in done.err

"""A list of feeds that changes is read again, and one that cannot be read changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from newsieve.errors import InputFileInvalid
from newsieve.feeds.feed_list import read_feed_list
from newsieve.programs.ingest.watched_list import LOOK_SECONDS, SETTLED_SECONDS, WatchedFeedList

START = 1_800_000_000.0


class Listed:
    """A list, and the clock that its times are read by."""

    def __init__(self, path: Path) -> None:
        self.now, self.path = START, path
        self.write("https://a.example/")
        self.list = WatchedFeedList(path, read_feed_list, lambda: self.now)

    def write(self, text: str) -> None:
        self.path.write_text(text)
        os.utime(self.path, (self.now, self.now))

    def look_after(self, seconds: float) -> bool:
        self.now += seconds
        return self.list.look_again()

    @property
    def urls(self) -> list[str]:
        return [feed.url for feed in self.list.feeds]


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    return Listed(tmp_path / "feeds.txt")


def test_a_change_is_seen_within_seconds(listed: Listed) -> None:
    """Not at once: the file is looked at now and then."""
    listed.write("https://a.example/\nhttps://b.example/")

    assert not listed.look_after(LOOK_SECONDS / 2)
    assert listed.look_after(LOOK_SECONDS)
    assert listed.urls == ["https://a.example/", "https://b.example/"]
    assert not listed.look_after(LOOK_SECONDS)


def test_a_file_that_is_being_written_is_left_alone(listed: Listed) -> None:
    """Half an address is none."""
    listed.now += LOOK_SECONDS
    listed.write("https://a.example/\nhttps://b.exa")
    assert not listed.list.look_again()
    assert listed.urls == ["https://a.example/"]
    listed.write("https://a.example/\nhttps://b.example/")

    assert listed.look_after(LOOK_SECONDS + SETTLED_SECONDS)
    assert listed.urls[1:] == ["https://b.example/"]


def test_a_list_that_cannot_be_read_leaves_the_former_one(listed: Listed) -> None:
    """It is said once, and forgotten when the list is good again."""
    listed.write("no address")
    assert listed.look_after(LOOK_SECONDS + SETTLED_SECONDS)
    assert listed.list.failure is not None and "line 1" in listed.list.failure
    assert listed.urls == ["https://a.example/"]
    assert not listed.look_after(LOOK_SECONDS)
    listed.path.unlink()
    assert listed.look_after(LOOK_SECONDS)
    listed.write("https://c.example/")

    assert listed.look_after(LOOK_SECONDS + SETTLED_SECONDS)
    assert listed.list.failure is None
    assert listed.urls == ["https://c.example/"]


def test_at_the_start_a_bad_list_is_an_error(tmp_path: Path) -> None:
    """There is no former one."""
    with pytest.raises(InputFileInvalid):
        WatchedFeedList(tmp_path / "nothing.txt", read_feed_list)

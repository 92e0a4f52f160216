"""A filter's folder from elsewhere: read within bounds, or FilterInvalid in one sentence."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from newsieve.errors import FilterInvalid
from newsieve.filters.registry import BUILTIN_FOLDER, load_folder
from newsieve.printable import one_line

GIB = 1024**3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = BUILTIN_FOLDER / "uplifting" / "v4"
    target = tmp_path / "uplifting" / "v4"
    return Path(shutil.copytree(source, target, ignore=shutil.ignore_patterns("student")))


def sparse(path: Path) -> None:
    with path.open("ab") as stream:
        stream.truncate(20 * GIB)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def with_pattern(folder: Path, pattern: str) -> None:
    path = folder / "filter.toml"
    text = path.read_text()
    assert "patterns = [" in text
    path.write_text(text.replace("patterns = [", f"patterns = ['{pattern}', ", 1))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: sparse(f / "filter.toml"), "bytes, at most 262,144"),
        (lambda f: sparse(f / "prompt.md"), "bytes, at most 1,048,576"),
        (lambda f: fifo(f / "filter.toml"), "no regular file"),
        (lambda f: fifo(f / "prompt.md"), "no regular file"),
        (lambda f: (f / "prompt.md").write_bytes(b"\xff\xfe\x00x"), "can't decode"),
        (lambda f: (f / "prompt.md").write_text("Score.\x1b[2J"), r"control character '\\x1b'"),
        (lambda f: (f / "prompt.md").write_text("a\x00"), r"control character '\\x00'"),
        (lambda f: (f / "filter.toml").write_bytes(b"\x00" * 99), "Invalid statement"),
        (lambda f: append(f / "filter.toml", "\nx = " + "[" * 99_000), "recursion"),
        (lambda f: append(f / "filter.toml", "\n" + "a." * 99_000 + "b = 1"), "more than 20 parts"),
        (lambda f: append(f / "filter.toml", "\n" + '"a" . ' * 9_999), "20 parts"),
        (lambda f: append(f / "filter.toml", "\nweight = nan"), "filter.toml"),
        (lambda f: append(f / "filter.toml", "\n[x]\n" + "k = 1\n" * 2), "filter.toml"),
        (lambda f: with_pattern(f, "[.]{1000}" * 90 + ".{1000}" * 90), "too large together"),
        (lambda f: with_pattern(f, r"\pL{900}"), "too large together"),
        (lambda f: with_pattern(f, "((a{999}){999}){999}"), "failed to add"),
    ],
)
def test_a_hostile_filter_is_one_sentence_at_little_cost(
    folder: Path, damage: Callable[[Path], object], complaint: str
) -> None:
    """Sizes, kinds of files, depth, keys and patterns are bounded before they cost anything."""
    damage(folder)
    before = time.process_time()

    with pytest.raises(FilterInvalid, match=complaint) as raised:
        load_folder(folder)

    assert time.process_time() - before < 5
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 3_000


def test_a_shipped_filter_is_far_within_the_bounds(folder: Path) -> None:
    """A hundred patterns are no large program."""
    assert load_folder(folder).name == "uplifting"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\n\tb", "a b"),
        ("\x1b[2Jx\u202e", r"\u001b[2Jx\u202e"),
        ("\ud800", "?"),
        ("x" * 400, "x" * 300 + "…"),
    ],
)
def test_others_text_is_shown_in_one_line_without_control_characters(text: str, shown: str) -> None:
    """And cut: a message is a sentence."""
    assert one_line(text) == shown

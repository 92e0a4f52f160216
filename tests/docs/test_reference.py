"""The pages of docs/ are what the code says, and build without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate
from docs.log_events import log_events

ROOT = Path(__file__).resolve().parents[2]
PAGES = generate.pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_of_the_reference_is_what_the_code_says(path: Path) -> None:
    """A page that was not generated again after a change of the code is stale."""
    assert path.read_text(encoding="utf-8") == PAGES[path], f"{path.name} is stale: run `make docs`"


def test_the_reference_has_no_other_page() -> None:
    """A page whose generator has gone would go stale without a test that says so."""
    assert set(generate.FOLDER.glob("*.md")) == set(PAGES) - {generate.SIZING, generate.FEED}


def test_every_log_event_is_found_by_its_name_level_and_fields(tmp_path: Path) -> None:
    """Both kinds of logger count, and an event that one of two names by a condition."""
    folder = tmp_path / "worker" / "newsieve" / "room"
    folder.mkdir(parents=True)
    (folder / "module.py").write_text(
        '_log.info("a.started", slot=1)\n'
        'log.warning("b.lost %s", 3)\n'
        '_log.info("c.opened" if so else "c.closed", port=2)\n'
        'message.info("d.none")\n'
        '_log.info("no event")\n'
    )

    found = [(event.name, event.level, event.fields, event.room) for event in log_events(tmp_path)]

    room = "worker/newsieve/room/"
    assert found == [
        ("a.started", "info", ("slot",), room),
        ("b.lost", "warning", (), room),
        ("c.closed", "info", ("port",), room),
        ("c.opened", "info", ("port",), room),
    ]


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    """A link that leads nowhere, or a page that no list of contents names, fails the build."""
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet",
         ROOT / "docs", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert built.returncode == 0, built.stderr
    assert (tmp_path / "concepts.html").is_file()

"""Files that people read: whole or not at all, on a full disk and after a kill, too."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from newsieve.cli import drift_status
from newsieve.files import STALE_SECONDS, partial_folder, whole_file
from newsieve.oracle.budget import Ledger
from newsieve.oracle.label_file_writer import CLAIMS, NO_DAY, LabelFileWriter
from newsieve_training.pipeline.files import copy_file, write_json, write_jsonl, write_text
from newsieve_training.reports.document import Heading, Paragraph, as_markdown
from tests.support.full_disk import full_disk
from tests.support.workers import ROOT

MUCH = "a line of some length\n" * 1_000


def _copy(path: Path) -> None:
    copy_file(Path(sys.executable), path)


WRITERS = {
    "text": lambda path: write_text(path, MUCH),
    "report": lambda path: write_text(path, as_markdown([Heading("x", 1), Paragraph(MUCH)])),
    "json": lambda path: write_json(path, [MUCH]),
    "jsonl": lambda path: write_jsonl(path, [{"text": MUCH}]),
    "a student's file": _copy,
    "the drift page": lambda path: drift_status._write(path, MUCH),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    """And nothing beside it; the error names the file that was to be written."""
    path = tmp_path / "file.txt"
    path.write_text("as it was")

    with full_disk(), pytest.raises(OSError, match="too large") as raised:
        WRITERS[name](path)

    assert raised.value.filename == str(path)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_claimed(tmp_path: Path) -> None:
    """Calls that may have been paid for are not forgotten."""
    out = tmp_path / "labels.jsonl"
    sheet = LabelFileWriter(out)
    sheet.claim(Ledger(NO_DAY, 1, 0.5, {0: 1}))
    before = (tmp_path / f"labels.jsonl{CLAIMS}").read_bytes()

    with full_disk(), pytest.raises(OSError, match="too large"):
        sheet.claim(Ledger(NO_DAY, 9, 0.5, dict.fromkeys(range(10_000), 1)))

    assert [item.name for item in tmp_path.iterdir()] == [f"labels.jsonl{CLAIMS}"]
    assert (tmp_path / f"labels.jsonl{CLAIMS}").read_bytes() == before


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_late_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Some say only when all is written that there was no room."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file.txt"
    path.write_text("as it was")
    monkeypatch.setattr(os, step, fail)

    with pytest.raises(OSError, match=r"No space left on device: .*file\.txt"):
        write_text(path, "new")

    assert path.read_text() == "as it was" and list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_what_was_there_and_the_next_write_takes_the_rest_away(
    tmp_path: Path,
) -> None:
    """A young one may be another process's that writes."""
    path = tmp_path / "file.txt"
    path.write_text("as it was")
    program = (
        "import os, signal, sys; from pathlib import Path; from newsieve.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, path], cwd=ROOT, check=False)
    (left,) = set(tmp_path.iterdir()) - {path}
    assert path.read_text() == "as it was"

    write_text(path, "new")
    assert path.read_text() == "new" and left.exists()
    os.utime(left, (0, left.stat().st_mtime - 2 * STALE_SECONDS))
    write_text(path, "newer")

    assert path.read_text() == "newer" and list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_making_is_gone_at_the_end_and_what_a_kill_left_later(
    tmp_path: Path,
) -> None:
    """Of this name alone; a young one may be another process's."""
    stale = tmp_path / ".student.1.partial"
    others = [tmp_path / name for name in (".student.2.partial", ".other.1.partial", ".student.x")]
    for folder in (stale, *others):
        (folder / "student").mkdir(parents=True)
        if folder != others[0]:
            os.utime(folder, (0, folder.stat().st_mtime - 2 * STALE_SECONDS))

    with partial_folder(tmp_path / "student") as partial:
        (partial / "student").mkdir()

    assert set(tmp_path.iterdir()) == set(others)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_who_may_read_a_file_still_may(tmp_path: Path, mode: int) -> None:
    """A page for others stays theirs, whatever the rights of new files are."""
    path = tmp_path / "page.html"
    path.write_text("as it was")
    path.chmod(mode)

    write_text(path, "new")

    assert path.stat().st_mode & 0o777 == mode and path.read_text() == "new"


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    """What is no file cannot be replaced."""
    target, link = tmp_path / "file.txt", tmp_path / "link"
    target.write_text("as it was")
    link.symlink_to(target)

    write_text(link, "new")
    with whole_file(Path("/dev/null")) as stream:
        stream.write(b"x")

    assert link.is_symlink() and target.read_text() == "new"
    assert Path("/dev/null").is_char_device()

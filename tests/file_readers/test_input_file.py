"""The files of a folder are all of them, or none; what messages call them is one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import InputFileInvalid
from newsieve.file_readers.input_file import input_files


def test_a_folder_is_its_files_whatever_links_are_in_it(tmp_path: Path) -> None:
    """Hidden files, links to folders and links in a circle are none."""
    (tmp_path / "sub").mkdir()
    for name in ("b.jsonl", "sub/a.jsonl", ".hidden", "sub/.hidden"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "circle").symlink_to("circle")

    found = [file.name for file in input_files([str(tmp_path)])]

    assert found == [str(tmp_path / "b.jsonl"), str(tmp_path / "sub" / "a.jsonl")]


def test_a_folder_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files would be missed and nobody told."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (tmp_path / "a.jsonl").write_text("{}")
    scan: Callable[[Any], Iterator[os.DirEntry[str]]] = os.scandir

    def scanning(folder: str) -> Iterator[os.DirEntry[str]]:
        if folder == str(secret):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr("os.scandir", scanning)

    with pytest.raises(InputFileInvalid, match="secret: Permission denied"):
        input_files([str(tmp_path)])


def test_a_name_with_a_line_end_is_one_line_in_a_message(tmp_path: Path) -> None:
    """No name of a file can look like a message of its own."""
    with pytest.raises(InputFileInvalid) as refused:
        input_files([str(tmp_path / "a\nproduced 9 records")])

    assert "a\\nproduced 9 records: No such file" in str(refused.value)

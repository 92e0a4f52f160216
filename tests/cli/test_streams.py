"""Standard streams that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.workers import ROOT


@pytest.mark.parametrize(
    ("redirection", "complaint"),
    [(">/dev/full", "No space left"), ("<&-", "is closed"), (">&-", "is closed")],
)
def test_a_stream_that_cannot_be_used_is_a_sentence(redirection: str, complaint: str) -> None:
    """A full disk, or a stream the shell has closed: exit 1, no traceback."""
    scores = '{"scores": {"agency": 5}}'
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m newsieve tier --filter uplifting {redirection}"],
        cwd=ROOT,
        env=dict(os.environ),
        input=scores,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr

"""What people decide about a drift monitor, before a broker is asked: tests/e2e has the rest."""

from __future__ import annotations

import pytest

from tests.support.cli import newsieve


@pytest.mark.parametrize("name", ["", " ", "\udcff", "\x1b[31m", "n" * 501])
@pytest.mark.parametrize("command", ["rebaseline", "acknowledge"])
def test_who_decides_is_a_name_that_a_record_can_carry(command: str, name: str) -> None:
    """Bytes of another encoding or control characters are wrong usage, not a traceback."""
    done = newsieve("drift", command, "--filter", "uplifting", "--yes", "--by", name)

    assert done.code == 2
    assert "--by" in done.err and "printable" in done.err

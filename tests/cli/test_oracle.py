"""`newsieve oracle`: what it says before it begins. The rest is in tests/oracle and tests/e2e."""

from __future__ import annotations

import pytest

from tests.support.cli import newsieve


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "NEWSIEVE_ORACLE__MODEL"),
        ({"MODEL": "m"}, "NEWSIEVE_ORACLE__API_KEY"),
        ({"PROVIDER": "label_file"}, "NEWSIEVE_ORACLE__LABEL_FILE"),
        ({"PROVIDER": "label_file", "LABEL_FILE": "nowhere.jsonl"}, "cannot read nowhere.jsonl"),
    ],
)
def test_an_oracle_that_is_not_set_up_says_what_is_missing(
    settings: dict[str, str], complaint: str
) -> None:
    """Exit 2, before anybody is asked for anything."""
    done = newsieve("oracle", env={f"NEWSIEVE_ORACLE__{k}": v for k, v in settings.items()})

    assert done.code == 2
    assert complaint in done.err
    assert "Traceback" not in done.err


def test_the_oracles_help_says_what_it_does_and_how_to_label_a_file() -> None:
    """One command, and one below it."""
    done = newsieve("oracle", "--help")

    assert "Example: newsieve oracle" in done.text
    assert "label" in done.text

"""Which addresses and secrets a push takes, and what is shown of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsieve.errors import SettingsInvalid
from newsieve.programs.pushing.address import checked_address, shown_address
from newsieve.settings.loader import load_settings

SECRET = "planted-secret-of-this-test"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/token", "https://hooks.slack.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://user:pass@example.org:8443/a?b=c", "https://example.org:8443"),
        (" http://[::1]:9000/x\n", "http://[::1]:9000"),
    ],
)
def test_an_address_is_shown_by_scheme_and_host_alone(address: str, shown: str) -> None:
    """Path, query and user may be secrets."""
    assert shown_address(checked_address(address)) == shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hooks.example.org/x",
        "ftp://example.org",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://example.org\\@evil.example/",
        "https://a@b@evil.example/",
        "https://exam ple.org",
        "https://example.org/\r\nX: y",
        "https://ex\u00e4mple.org",
        "https://example.org:99999/",
        "https://[::g]/",
        "https://example.org/#fragment",
        "https://example.org/" + "x" * 2_048,
    ],
)
def test_what_is_no_address_or_could_be_read_in_two_ways_is_refused(address: str) -> None:
    """The error does not quote it: it may be a secret."""
    with pytest.raises(ValueError, match=r"address|host") as raised:
        checked_address(address)
    assert "evil" not in str(raised.value) and "passwd" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("SECRET", f"{SECRET}!", "not base64"),
        ("SECRET", "c2hvcnQ=", "5 bytes where 24 to 64 are expected"),
        ("SECRET", "A" * 88, "66 bytes"),
        ("SECRET", f'"{SECRET}"', "quotation mark"),
        ("URL", f"ftp://{SECRET}", "not an address"),
        ("TIMEOUT_SECONDS", "31", "less than or equal to 30"),
    ],
)
def test_a_setting_that_is_a_slip_is_refused_without_being_shown(
    variable: str, value: str, complaint: str
) -> None:
    """The signing secret and the address are both secrets."""
    with pytest.raises(SettingsInvalid, match=complaint) as raised:
        load_settings(None, {f"NEWSIEVE_PUSH__{variable}": value})
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("field", ["secret", "url"])
def test_a_secret_in_the_settings_file_is_refused(field: str, tmp_path: Path) -> None:
    """People share newsieve.toml."""
    file = tmp_path / "n.toml"
    file.write_text(f'[push]\n{field} = "{SECRET}"\n')

    with pytest.raises(SettingsInvalid, match="must not be in a file that others read") as raised:
        load_settings(file, {})
    assert SECRET not in str(raised.value)

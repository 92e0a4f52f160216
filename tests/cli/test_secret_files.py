"""Secrets in files of their own, and the key that workers share: taken, refused, never shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from newsieve.errors import SettingsInvalid
from newsieve.settings.loader import load_settings
from tests.support.echoes import KEY
from tests.support.spellings import found

API_KEY = "NEWSIEVE_ORACLE__API_KEY"
OPTIONS = "NEWSIEVE_KAFKA__OPTIONS"
SAMPLING_KEY = "NEWSIEVE_SAMPLING__KEY"
SECRET = "planted-secret-of-this-test"
FILES = {
    "NEWSIEVE_PUSH__SECRET": (
        base64.b64encode(SECRET.encode()).decode(),
        lambda settings: settings.push.secret,
    ),
    "NEWSIEVE_PUSH__URL": (
        f"https://example.org/{SECRET}",
        lambda settings: settings.push.url,
    ),
    API_KEY: (KEY, lambda settings: settings.oracle.api_key),
    SAMPLING_KEY: (f"{SECRET}-{SECRET}", lambda settings: settings.sampling.key),
    OPTIONS: (
        json.dumps({"sasl.password": SECRET}),
        lambda settings: settings.kafka.options["sasl.password"],
    ),
}


@pytest.mark.parametrize("variable", FILES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_secret_may_lie_in_a_file_of_its_own(variable: str, end: str, tmp_path: Path) -> None:
    """Without the line end that it was written with; an empty name of a file counts as unset."""
    text, taken = FILES[variable]
    file = tmp_path / "secret"
    file.write_bytes(f"{text}{end}".encode())

    settings = load_settings(None, {f"{variable}_FILE": str(file)})

    plain = load_settings(None, {variable: text})
    assert taken(settings).get_secret_value() == taken(plain).get_secret_value()
    assert not found({"secret": SECRET, "key": KEY}, {"shown": f"{settings!r}"})
    assert load_settings(None, {f"{variable}_FILE": ""}) == load_settings(None, {})


@pytest.mark.parametrize("variable", FILES)
def test_a_file_that_holds_no_secret_is_refused_without_being_shown(
    variable: str, tmp_path: Path
) -> None:
    """Nor is its name, which may be the secret itself, put into the wrong variable."""
    large, odd, empty = (tmp_path / name for name in ("large", "odd", "empty"))
    large.write_text(SECRET * 100_000)
    odd.write_bytes(f"{SECRET}\xff".encode("latin-1"))
    empty.write_text("\n")
    name = f"{variable}_FILE"
    for value, complaint in (
        (SECRET, "No such file"),
        (str(tmp_path), "Is a directory"),
        (f"{SECRET}\0", "null byte"),
        (SECRET * 300, "File name too long"),
        (str(large), "larger than 1,000,000 bytes"),
        (str(odd), "not UTF-8"),
        (str(empty), name),
    ):
        with pytest.raises(SettingsInvalid, match=complaint) as raised:
            load_settings(None, {name: value})
        assert str(raised.value).startswith(name)
        assert not found({"secret": SECRET}, {"error": f"{raised.value} {raised.value!r}"})


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    """Nobody could say which one counts."""
    file = tmp_path / "key"
    file.write_text(KEY)
    both = {API_KEY: KEY, f"{API_KEY}_FILE": str(file)}

    for environment in (both, dict(reversed(both.items()))):
        with pytest.raises(SettingsInvalid, match="set one of them") as raised:
            load_settings(None, environment)
        assert API_KEY in str(raised.value) and f"{API_KEY}_FILE" in str(raised.value)


@pytest.mark.parametrize("field", ["MODEL_FILE", "SLOT_FILE", "API_KEY_FIL", "_FILE"])
def test_what_is_no_secret_has_no_file(field: str) -> None:
    """A name like any other that there is not."""
    with pytest.raises(SettingsInvalid, match="no setting"):
        load_settings(None, {f"NEWSIEVE_ORACLE__{field}": "x"})


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("a" * 31, "shorter than 32 characters"),
        ("", "nothing but white space"),
        (f"“{SECRET * 2}”", "a typographic quotation mark"),
        (f"{SECRET} {SECRET}", "white space"),
    ],
)
def test_a_sampling_key_that_could_be_guessed_or_is_a_slip_is_refused(
    key: str, complaint: str
) -> None:
    """With how to make one; what is around it is taken off, so that all workers have the same."""
    with pytest.raises(SettingsInvalid, match=complaint) as raised:
        load_settings(None, {SAMPLING_KEY: key or " "})

    assert SAMPLING_KEY in str(raised.value)
    assert not found({"key": SECRET}, {"error": f"{raised.value}"})
    good = load_settings(None, {SAMPLING_KEY: f" {'b' * 32}\n"}).sampling.key
    assert good is not None and good.get_secret_value() == "b" * 32

"""Checks secrets, with errors that say where the fault is and of which kind, but never quote one.

Secrets come from files, forms and documents, which add line ends, marks and typographic quotes.
This module knows no names of settings.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from pydantic import SecretStr

MIN_SAMPLING_KEY_CHARACTERS: Final = 32  # 128 bits in hexadecimal digits
MAKE_A_KEY: Final = "`openssl rand -hex 32`"
_WHITE_SPACE: Final = " \t\r\n\f\v"
_LINE_END: Final = "\r\n"
_KINDS: Final = {
    _LINE_END: "a line end",
    _WHITE_SPACE: "white space",
    "\u00a0": "a no-break space",
    "\ufeff": "a byte order mark",
    "‘’‚‛“”„‟«»‹›": "a typographic quotation mark",
}
_CATEGORIES: Final = {"Cc": "a control character", "Cs": "not UTF-8"}
_STRAIGHT_QUOTES: Final = "'\""
_NOT_IN_A_KEY: Final = re.compile(r"[^!-~]")  # of a token in a header: visible ASCII alone
_NOT_IN_A_PASSWORD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")
_NOT_IN_PEM: Final = re.compile(r"[^\t\r\n -~]")


def checked_key(value: SecretStr) -> SecretStr:
    """Return the key without the white space around it.

    Raises ValueError if no HTTP header can carry it.
    """
    key = value.get_secret_value().strip(_WHITE_SPACE)
    if not key:
        raise ValueError("nothing but white space")
    if key[0] in _STRAIGHT_QUOTES or key[-1] in _STRAIGHT_QUOTES:
        raise ValueError("begins or ends with a quotation mark. Set the key alone, without quotes")
    _require_none_of(_NOT_IN_A_KEY, key, "Set the key alone, as it was given to you")
    return SecretStr(key)


def checked_sampling_key(value: SecretStr) -> SecretStr:
    """Return the key without the white space around it.

    Raises ValueError if no HTTP header can carry it, or if it is so short that it could be guessed
    from the articles that were drawn with it.
    """
    key = checked_key(value)
    if len(key.get_secret_value()) < MIN_SAMPLING_KEY_CHARACTERS:
        raise ValueError(
            f"shorter than {MIN_SAMPLING_KEY_CHARACTERS} characters: it could be guessed. Make one "
            f"with {MAKE_A_KEY}"
        )
    return key


def checked_kafka_secret(name: str, value: str) -> SecretStr:
    """Return an option's value without the line ends behind it.

    Raises ValueError for what can only be a slip. A blank at the end stays, since passwords may
    have one.
    """
    secret = value.rstrip(_LINE_END)
    pattern = _NOT_IN_PEM if name.endswith(".pem") else _NOT_IN_A_PASSWORD
    _require_none_of(pattern, secret, "Set the secret alone, as it was given to you")
    return SecretStr(secret)


def _require_none_of(pattern: re.Pattern[str], secret: str, advice: str) -> None:
    found = pattern.search(secret)
    if found is not None:
        raise ValueError(f"character {found.start() + 1} is {_kind(found[0])}. {advice}")


def _kind(character: str) -> str:
    """Name the kind of a character without showing a letter of the secret."""
    for characters, kind in _KINDS.items():
        if character in characters:
            return kind
    return _CATEGORIES.get(unicodedata.category(character), "outside ASCII")

"""What sections have in common whose programs answer requests by HTTP: tokens, and whether an
address is reached from this machine alone.

It knows no section.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

from newsieve.settings.secret_checks import checked_key

MIN_TOKEN_CHARACTERS: Final = 16


def _checked_token(value: SecretStr) -> SecretStr:
    """Return the token without white space around it. Raises ValueError for one that an HTTP header
    cannot carry, or that could be guessed."""
    token = checked_key(value)
    if len(token.get_secret_value()) < MIN_TOKEN_CHARACTERS:
        raise ValueError(
            f"shorter than {MIN_TOKEN_CHARACTERS} characters: it could be guessed. Make one with "
            "`openssl rand -hex 32`"
        )
    return token


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Token = Annotated[SecretStr, AfterValidator(_checked_token)]

"""The address of a webhook: which ones are taken, and how one is shown. Pure.

A webhook's path or query is often its password, as Slack's is, so only scheme and host are shown.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

# A host is a name, an IPv4 address, or an IPv6 address in brackets: whatever else parsers of
# addresses disagree about (backslashes, letters that fold to others) is in none of these.
_HOST: Final = r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])"
_ADDRESS: Final = re.compile(
    rf"https?://([^\s/?#@\\]+@)?{_HOST}(:[0-9]{{1,5}})?(/[^\s?#@\\]*)?(\?[^\s#\\]*)?"
)
MAX_CHARACTERS: Final = 2_048


def checked_address(text: str) -> str:
    """Return the address. Raises ValueError, whose text does not quote it, if it is none that a
    request can go to, or could be read in two ways."""
    text = text.strip()
    if len(text) > MAX_CHARACTERS or not text.isascii() or not text.isprintable():
        raise ValueError(f"not an address of at most {MAX_CHARACTERS:,} characters of ASCII")
    if not _ADDRESS.fullmatch(text):
        raise ValueError("not an address such as https://example.org/hook, by http or https")
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise ValueError("its host or its port is not valid") from None
    return text


def shown_address(address: str) -> str:
    """Return what people may see of an address: scheme, host and port."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}"


def secret_parts(address: str) -> list[str]:
    """Return the parts of an address that are masked wherever a receiver sends them back."""
    parts = urlsplit(address)
    return [part for part in (parts.path, parts.query, parts.username, parts.password) if part]

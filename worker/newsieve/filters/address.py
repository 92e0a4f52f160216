"""Brings addresses of the web, however they are written, into one form for comparing.

Domain rules and the search for duplicates see the same host, whatever a feed, a content management
system or somebody who evades a rule made of the address. Never raises, and is linear in the
address. Nothing of this is shown to anybody or asked of a network.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from newsieve.filters.folding import INVISIBLE, fold

MAX_HOST_CHARACTERS: Final = 253  # of a name in DNS; no label of it has more than 63
_PUNYCODE: Final = "xn--"
_DEFAULT_PORTS: Final = ("", "80", "443")

_USUAL: Final = re.compile(r"https?://(?!https?\b)([a-z0-9.-]{0,252}[a-z0-9])(?=[/?#]|\Z)")
_IGNORED: Final = re.compile(f"[\t\n\r{INVISIBLE}]+")  # within an address, browsers skip them, too
_AROUND: Final = " <>\"'\u3000\u00a0"
# http://https://host, https:/host, https:\\host, http://https//host, view-source:https://host
_SCHEMES: Final = re.compile(
    r"(?:(?:https?|ftp|feed|view-source):[/\\]*|https?[/\\]{2,}|[a-z][a-z0-9+.-]*:[/\\]{2,})*+[/\\]*",
    re.IGNORECASE,
)
_WEB: Final = re.compile(r"(?:(?:feed|view-source):)?https?\b|[/\\]{2}", re.IGNORECASE)
_BARE: Final = re.compile(
    r"[^\s:/\\?#@]+\.[^\s:/\\?#@.]+\.?(?::\d*)?(?:[/\\?#]|\Z)"
)  # host.tld/path
_END_OF_HOST: Final = re.compile(r"[/\\?#]")
_IDEOGRAPHIC_STOPS: Final = str.maketrans("\u3002\uff0e\uff61", "...")
# Parameters that say where a reader came from. All others may name the article.
_TRACKING: Final = re.compile(
    r"utm_\w+|at_(medium|campaign\w*)|mc_[ce]id|[a-z]*clid|gbraid|wbraid|igshid|ocid|cmpid|spm",
    re.IGNORECASE,
)


class _Parts(NamedTuple):
    """Host, port, and all that stands behind them."""

    host: str
    port: str
    rest: str


def host_of(url: str) -> str:
    """Return the host of a url in lower case, decoded from punycode, without user, port or trailing
    dots; "" if there is none."""
    usual = _USUAL.match(url)
    if usual is not None and _PUNYCODE not in usual[1]:
        return usual[1]
    return _parts(_cleaned(url)).host


def canonical_address(url: str) -> str | None:
    """Return the address without scheme, user, usual port, `www.`, fragment and tracking
    parameters, its other parameters in one order; None for what is no address of the web.

    A fragment that is a path stays: to some sites it is the page.
    """
    cleaned = _cleaned(url)
    host, port, rest = _parts(cleaned)
    if not host or not (_WEB.match(cleaned) or _BARE.match(cleaned)):
        return None
    before, _, fragment = rest.partition("#")
    path, _, query = before.partition("?")
    page = f"#{fragment}" if fragment.startswith(("/", "!")) else ""
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = sorted(pair for pair in pairs if not _TRACKING.fullmatch(pair[0]))
    place = host.removeprefix("www.") + (f":{port}" if port not in _DEFAULT_PORTS else "")
    path = path.replace("\\", "/").rstrip("/")
    query = urlencode(kept, errors="surrogatepass")  # a text of JSON may hold lone surrogates
    return f"{place}{path}?{query}{page}"


def _cleaned(url: str) -> str:
    return _IGNORED.sub("", url).strip(_AROUND)


def _parts(cleaned: str) -> _Parts:
    after = cleaned[_SCHEMES.match(cleaned).end() :]  # type: ignore[union-attr]
    end = _END_OF_HOST.search(after)
    authority, rest = (after[: end.start()], after[end.start() :]) if end else (after, "")
    if "%" in authority or not authority.isascii():
        plain = fold(unquote(authority).translate(_IDEOGRAPHIC_STOPS))
        hidden = _END_OF_HOST.search(plain)
        if hidden:  # as in https://host%2fpath
            plain, rest = plain[: hidden.start()], plain[hidden.start() :] + rest
        authority = plain
    place = authority.rpartition("@")[2]
    if place.startswith("["):  # an IPv6 address keeps its colons
        address, closed, port = place.lower().partition("]")
        return _Parts(address + closed if closed else "", port.removeprefix(":"), rest)
    name, _, port = place.partition(":")
    return _Parts(_host(name), port, rest)


def _host(name: str) -> str:
    name = name.partition(" ")[0].strip(".").lower()
    if len(name) > MAX_HOST_CHARACTERS:
        return ""
    return unicodedata.normalize("NFKC", ".".join(map(_label, name.split("."))))


def _label(label: str) -> str:
    """Decode a label from punycode. One that would be encoded in another way stays: no registry
    accepts it."""
    if not label.startswith(_PUNYCODE):
        return label
    written = label.removeprefix(_PUNYCODE)
    try:
        read = written.encode("ascii").decode("punycode").lower()
        is_proper = not read.isascii() and read.encode("punycode") == written.encode()
    except (UnicodeError, OverflowError, ValueError):
        return label
    return read if is_proper else label

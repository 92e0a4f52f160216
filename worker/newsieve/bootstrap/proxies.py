"""Decides whether a client uses the proxies that the environment names, and says so.

It does not know what is asked for over HTTP.
"""

from __future__ import annotations

from typing import Final
from urllib.request import getproxies

from newsieve.settings.oracle import is_loopback
from newsieve.stream.logs import get_logger

PROXIED: Final = ("https", "http", "all")  # schemes, of the variables that name proxies


def uses_proxies(url: str, section: str, *, is_wanted: bool) -> bool:
    """Return whether requests to this address go through proxies; where the environment names some,
    a log line says so. What is on this machine is asked directly: a proxy would read what is sent
    by http://. `section` is the settings' section with `use_proxies`."""
    known = getproxies()
    variables = [f"{scheme.upper()}_PROXY" for scheme in PROXIED if scheme in known]
    if not variables or is_loopback(url):
        return False
    log = get_logger(section)
    if is_wanted:
        log.info("proxies.used", of=variables)
    else:
        what = "the oracle is asked" if section == "oracle" else "the webhook is called"
        log.warning(
            "proxies.ignored",
            of=variables,
            advice=f"{what} directly: set {section}.use_proxies to go through them",
        )
    return is_wanted

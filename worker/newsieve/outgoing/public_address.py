"""Decides which addresses may be asked when others name them: those of the public Internet.

A list of feeds, a redirect or a name's record can point into the network that newsieve runs in.
Pure: it looks up nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443
FIRST_USER_PORT: Final = 1024  # those below are of mail, of files, of consoles (RFC 6335)
LAST_PORT: Final = 65_535

# IANA's special-purpose registries (RFC 6890 and later), and multicast.
_SPECIAL_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's own services for a machine, not in the registries
            "169.254.0.0/16",  # link-local, and clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")  # all other is local, mapped, NAT64 or unassigned
_SPECIAL_IPV6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


class AddressRefused(Exception):
    """An address or URL that is not asked: `str` says why, for people."""


class AllowedTargets(NamedTuple):
    """What may be asked besides public addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def allows_host(self, host: str) -> bool:
        """Return whether the host may have any address."""
        return host.lower().rstrip(".") in self.hosts

    def allows(self, address: Address) -> bool:
        """Return whether the address may be asked."""
        return is_public(address) or any(address in network for network in self.networks)


def parse_allowed(values: Iterable[str]) -> AllowedTargets:
    """Return what networks (10.1.0.0/16), addresses and host names allow. Raises ValueError, which
    names the value."""
    hosts, networks = set(), []
    for value in values:
        try:
            networks.append(ipaddress.ip_network(value))
        except ValueError as error:
            if "/" in value or ":" in value or not value or value.replace(".", "").isdigit():
                raise ValueError(
                    f"{value!r} is no network (10.1.0.0/16), address or host name: {error}"
                ) from None
            hosts.add(value.lower().rstrip("."))
    return AllowedTargets(frozenset(hosts), tuple(networks))


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return (
        address.scope_id is None
        and address in _GLOBAL_IPV6
        and not any(address in network for network in _SPECIAL_IPV6)
    )


def check_url(url: str) -> None:
    """Refuse a URL whose form says that it must not be asked. Raises AddressRefused.

    Where its host's name leads is checked when that is looked up.
    """
    try:
        url.encode()  # half of a surrogate pair is in no URL
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("it is no URL") from None
    if parts.scheme not in {"http", "https"}:
        raise AddressRefused("only http:// and https:// are asked")
    if not parts.hostname:
        raise AddressRefused("it names no host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("it has a user name or password in it")
    if port is not None and not (
        port in {HTTP_PORT, HTTPS_PORT} or FIRST_USER_PORT <= port <= LAST_PORT
    ):
        raise AddressRefused(f"port {port} is none of web servers: 80, 443, or 1024 and above")

"""Which addresses and URLs may be asked when others name them."""

from __future__ import annotations

import ipaddress

import pytest

from newsieve.outgoing.public_address import (
    AddressRefused,
    AllowedTargets,
    check_url,
    is_public,
    parse_allowed,
)

REFUSED = [
    "0.0.0.9", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192",
    "192.0.2.7", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.9",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
    "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    "2606:4700::1%eth0",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00::1"]


@pytest.mark.parametrize("text", REFUSED)
def test_an_address_of_no_public_network_is_not_asked(text: str) -> None:
    """Private, loopback, link-local, shared, multicast, reserved; those that carry an IPv4
    address; and those of one interface."""
    assert not is_public(ipaddress.ip_address(text))
    assert not AllowedTargets().allows(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_public_internet_is_asked(text: str) -> None:
    """Also those next to a private network."""
    assert is_public(ipaddress.ip_address(text))


def test_a_setting_allows_networks_addresses_and_hosts() -> None:
    """And nothing besides: other networks, and other spellings of hosts are not."""
    allowed = parse_allowed(["10.1.0.0/16", "192.168.7.7", "fd00::/8", "Feeds.Intern.", "news"])
    answers = {
        text: allowed.allows(ipaddress.ip_address(text))
        for text in ("10.1.2.3", "10.2.0.1", "192.168.7.7", "192.168.7.8", "fd12::1", "fe80::1")
    }
    assert answers == {
        "10.1.2.3": True, "10.2.0.1": False, "192.168.7.7": True, "192.168.7.8": False,
        "fd12::1": True, "fe80::1": False,
    }  # fmt: skip
    assert allowed.allows_host("FEEDS.intern")
    assert not allowed.allows_host("a.feeds.intern")


@pytest.mark.parametrize("value", ["10.1.2.3/8", "10.0.0.0/33", "300.1.1.1", "fd00::/200", ""])
def test_what_allows_nothing_is_named(value: str) -> None:
    """A network with bits of a host, or none at all."""
    with pytest.raises(ValueError, match="is no network") as error:
        parse_allowed([value])
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://a.example/feed", "only http:// and https://"),
        ("file:///etc/passwd", "only http:// and https://"),
        ("a.example/feed", "only http:// and https://"),
        ("http:///feed", "no host"),
        ("https://user@a.example/", "user name"),
        ("https://:word@a.example/", "user name"),
        ("http://a.example:25/", "port 25"),
        ("http://a.example:6/", "port 6"),
        ("http://a.example:99999/", "no URL"),
        ("http://[::1/", "no URL"),
    ],
)
def test_a_url_of_another_form_is_not_asked(url: str, reason: str) -> None:
    """Whatever its host is."""
    with pytest.raises(AddressRefused, match=reason):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["http://a.example", "https://a.example:443/x", "http://a.example:8080/", "http://é.x/"]
)
def test_a_url_of_a_web_server_is_asked(url: str) -> None:
    """The ports of web servers are 80, 443, and all that need no rights."""
    check_url(url)

"""Addresses: only trusted proxies speak for others, and no spelling passes a rule."""

import pytest

from engine.errors import ConfigError
from engine.security.addresses import Networks, address_key, client_address, parse_address, parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "fd00::/8"])


def forwarded(*lines):
    return [(b"host", b"x"), *((b"X-Forwarded-For", line.encode("latin-1")) for line in lines)]


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),  # nobody trusts this peer
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.7"], "198.51.100.7"),  # the client wrote the first one itself
        ("10.0.0.1", ["6.6.6.6, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.7"], "198.51.100.7"),  # two lines are one list
        ("10.0.0.1", ["6.6.6.6, junk, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6,"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8:0:0::7"], "2001:db8::7"),
        ("10.0.0.1", ["fe80::7%eth0"], "fe80::7"),
        ("10.0.0.1", ["[fe80::7%eth0]:1"], "fe80::7"),
        ("10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["010.0.0.1"], "10.0.0.1"),  # octal or decimal? neither
        ("10.0.0.1", ["127.1"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7\xff"], "10.0.0.1"),
        ("", ["1.2.3.4"], ""),
        ("/run/app.sock", ["1.2.3.4"], "/run/app.sock"),
    ],
)
def test_a_forwarded_address_is_believed_as_far_as_trusted_proxies_wrote_it(peer, lines, expected):
    assert client_address(peer, forwarded(*lines), TRUSTED) == expected


def test_without_trusted_proxies_nothing_is_believed():
    assert client_address("10.0.0.1", forwarded("1.2.3.4"), ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("allow", "deny", "address", "allowed"),
    [
        ([], [], "203.0.113.1", True),
        ([], [], "no address", True),
        (["10.0.0.0/8"], [], "10.1.2.3", True),
        (["10.0.0.0/8"], [], "11.1.2.3", False),
        (["10.0.0.0/8"], ["10.1.0.0/16"], "10.1.2.3", False),  # deny wins
        ([], ["2001:db8::/32"], "2001:db8::1", False),
        ([], ["2001:db8::/32"], "2001:DB8:0000::0001%eth0", False),
        ([], ["2001:db8::/32"], "2001:db9::1", True),
        ([], ["203.0.113.0/24"], "::ffff:203.0.113.5", False),
        ([], ["203.0.113.0/24"], "::ffff:cb00:7105", False),
        ([], ["::ffff:203.0.113.0/120"], "203.0.113.5", False),
        (["10.0.0.0/8"], [], "no address", False),
        ([], ["10.0.0.0/8"], "no address", False),
        ([], ["10.0.0.5"], "10.0.0.5", False),
        ([], ["10.0.0.0/8"], "2001:db8::1", True),
    ],
)
def test_lists_of_networks(allow, deny, address, allowed):
    assert Networks(allow=allow, deny=deny).allows(address) is allowed


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example.org", ""])
def test_what_is_no_network_is_refused_by_name(text):
    with pytest.raises(ConfigError, match="no network"):
        parse_networks([text])


def test_a_limit_counts_the_whole_64_bit_network_of_an_ipv6_client():
    assert address_key("2001:db8:1:2:3::4") == address_key("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert address_key("203.0.113.5") == "203.0.113.5"
    assert address_key("unknown") == "unknown"


def test_brackets_ports_and_zones_are_not_part_of_an_address():
    assert str(parse_address(" [::1%lo]:80 ")) == "::1"
    assert parse_address("[::1") is None
    assert parse_address("1.2.3.4:http") is None

"""Addresses: who the client is behind proxies that are trusted, and lists of networks that may or may not come in.

IPv4 in IPv6 (::ffff:a.b.c.d, RFC 4291 2.5.5.2) is read as IPv4 everywhere, so no rule is passed by writing it differently.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from engine.errors import ConfigError
from engine.security.headers import Headers

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_V4_WITH_PORT = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.%A-Za-z_-]+)\](?::\d{1,5})?")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_address(text: str) -> Address | None:
    """Return the address in `text`, without port, brackets and zone; None when there is none."""
    text = text.strip()
    found = _V4_WITH_PORT.fullmatch(text) or _BRACKETED.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] if found else text).split("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks written in CIDR form. Raises ConfigError that names the wrong one."""
    return tuple(_network(text) for text in texts)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError:
        raise ConfigError(
            f"{text!r} is no network", hint="write it as 10.0.0.0/8 or 2001:db8::/32, without bits right of the prefix"
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network


def within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Tell whether one of `networks` contains `address`; None is in none."""
    return address is not None and any(address.version == network.version and address in network for network in networks)


class Networks:
    """An allow list and a deny list. Deny wins; an empty allow list allows everybody."""

    def __init__(self, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self._allow = parse_networks(allow)
        self._deny = parse_networks(deny)

    def allows(self, address: str) -> bool:
        """Tell whether `address` may come in. What is no address passes only when there are no lists at all."""
        parsed = parse_address(address)
        if parsed is None:
            return not self._allow and not self._deny
        return not within(parsed, self._deny) and (not self._allow or within(parsed, self._allow))


def client_address(peer: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """Return the address of the client in canonical form; `peer` itself when it is no address (a socket file, say).

    X-Forwarded-For is believed only as far as a trusted proxy wrote it: it is walked from the right while the hop that
    reported an entry is in `trusted`. A malformed entry ends the walk at the proxy that passed it on.
    """
    current = parse_address(peer)
    if current is None:
        return peer
    lines = (value.decode("latin-1") for key, value in headers if key.lower() == b"x-forwarded-for")
    for entry in reversed(",".join(lines).split(",")):
        if not within(current, trusted):
            break
        hop = parse_address(entry)
        if hop is None:
            break
        current = hop
    return str(current)


def address_key(address: str) -> str:
    """Return what a rate limit counts: the address, or the /64 of an IPv6 one, for a single client owns all of it."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
    return str(parsed or address)

"""Which addresses outside the server may connect to: the rules, and how a web address is read.

Networks follow the special-purpose registries of IANA (RFC 6890 and what was added since). Addresses that hold an IPv4
address are judged by it. Everything fails closed: what is not known to be public is not.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias
from urllib.parse import quote

import idna

from engine.errors import AddressDenied, ConfigError, InputError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[..., Sequence[Any]]
"""As `socket.getaddrinfo(host, port, type=...)`."""

CLASSES = ("public", "loopback", "private")
PORTS = {"http": 80, "https": 443}
MAX_URL_CHARS = 4_000


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(one) for one in text.split())


# Never, whatever is set: this network and none, link-local with the metadata services of clouds, those that lie elsewhere
# (168.63.129.16 Azure, 100.100.100.200 Alibaba, fd00:ec2::254 AWS, fd20:ce::254 Google), protocol assignments, multicast,
# reserved, site-local, and tunnels that would carry an IPv4 address past these rules (6to4, Teredo, local NAT64, ::/96).
_NEVER = _networks(
    "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 168.63.129.16/32 100.100.100.200/32 224.0.0.0/4 240.0.0.0/4 ::/96 fe80::/10"
    " fec0::/10 ff00::/8 fd00:ec2::254/128 fd20:ce::254/128 2002::/16 2001::/32 64:ff9b:1::/48"
)
_LOOPBACK = _networks("127.0.0.0/8 ::1/128")
_PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7")
# Only where their network itself is listed: shared address space, documentation, benchmarks, former 6to4 relays.
_SPECIAL = _networks(
    "100.64.0.0/10 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 2001::/23 2001:db8::/32 3fff::/20"
)
_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?")
_PLACE = re.compile(r"(?P<host>[^:\[\]]+|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5})?)?")
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_KEPT = "!$%&'()*+,/:;=?@~-._[]"


@dataclass(frozen=True, slots=True)
class Target:
    """A web address in the one form that every reader of URLs understands alike; `host` is an IP or ASCII in small letters."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The address without user, fragment and usual port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def target(url: str) -> Target:
    """Return a web address as it will be connected to. Offline. Raises InputError, whose text repeats nothing of it."""
    url = url.strip(" \t\r\n") if isinstance(url, str) else ""
    if not 0 < len(url) <= MAX_URL_CHARS or not url.isprintable() or re.search(r"[\s\\<>\"^`{|}]", url):
        raise InputError("this is no web address", hint="Copy it from a browser, for example https://example.com/report.pdf.")
    found = _URL.fullmatch(url)
    scheme = found["scheme"].lower() if found else ""
    if not found or scheme not in PORTS:
        raise InputError("a web address begins with http:// or https://", hint="Copy it from a browser.")
    if "@" in found["place"]:
        raise InputError("the address holds a user or a password", hint="Take out what stands before the @.")
    place = _PLACE.fullmatch(found["place"])
    if not place:
        raise InputError("the host of the address cannot be read", hint="Copy it from a browser.")
    port = int(place["port"] or PORTS[scheme])
    if not 0 < port < 65536:
        raise InputError("the port of the address cannot be right", hint="Ports are 1 to 65535.")
    query = "" if found["query"] is None else "?" + quote(found["query"], safe=_KEPT)
    return Target(scheme, canonical(place["host"]), port, (quote(found["path"], safe=_KEPT) or "/") + query)


def canonical(host: str) -> str:
    """Return a host as ASCII in small letters without a final dot, or an IP in its usual form.

    Raises InputError for IPv4 in decimal, octal, hexadecimal or short form, which connectors read and people do not.
    """
    if host.startswith("["):
        host = host.removeprefix("[").removesuffix("]")
    if ":" in host:
        return str(_literal(host.partition("%")[0]) or _odd())
    try:
        name = (host if host.isascii() else idna.encode(host, uts46=True).decode()).lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError):
        _odd()
    if not _HOST.fullmatch(name):
        _odd()
    if _NUMBER.fullmatch(name.rpartition(".")[2]):  # as the URL standard of WHATWG: such a host is an IPv4 address or wrong
        return str((_QUAD.fullmatch(name) and _literal(name)) or _odd())
    return name


def _odd() -> NoReturn:
    raise InputError("the host is written in a way that is not understood alike everywhere", hint="Enter its usual form.")


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def kind_of(address: Address) -> str:
    """Return "public", "loopback", "private", "special" (only by its own network) or "never"."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return kind_of(address.ipv4_mapped)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
            return "public" if kind_of(inner) == "public" else "never"
    # Loopback first: ::1 lies in the range of addresses that embed IPv4.
    for kind, networks in (("loopback", _LOOPBACK), ("never", _NEVER), ("private", _PRIVATE), ("special", _SPECIAL)):
        if any(address in network for network in networks):
            return kind
    return "public" if address.version == 4 or address in _UNICAST else "never"


class Egress:
    """Rules for one purpose. Satisfies Guard; thread-safe.

    `allow` holds "public", "loopback", "private", networks ("10.20.0.0/16", "10.1.2.3"), hosts ("files.example.com") and
    patterns ("*.example.com"). A host that is listed may lie in a public or private network. `ports` of None allows any.
    Raises ConfigError for an entry that is none of these.
    """

    def __init__(
        self, allow: Sequence[str], *, ports: Collection[int] | None = None, resolve: Resolve = socket.getaddrinfo
    ) -> None:
        self._classes: set[str] = set()
        self._networks: list[Network] = []
        self._names: set[str] = set()
        self._ports = ports
        self._resolve = resolve
        for entry in allow:
            self._take(entry.strip().lower())

    def _take(self, entry: str) -> None:
        if entry in CLASSES or entry == "localhost":
            self._classes.add("loopback" if entry == "localhost" else entry)
            return
        with suppress(ValueError):  # a name, or nothing at all
            self._networks.append(ipaddress.ip_network(entry))
            return
        try:
            self._names.add("*." * entry.startswith("*.") + canonical(entry.removeprefix("*.")))
        except InputError:
            raise ConfigError(
                f"egress: {entry[:80]!r} names no address",
                hint='Use "public", "loopback", "private", a network such as 10.20.0.0/16, a host, or "*.example.com".',
            ) from None

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of `host`: every one is allowed, or none is returned. Raises AddressDenied."""
        try:
            host = canonical(host)
        except InputError:
            raise AddressDenied(host=host[:253]) from None
        named = self._is_named(host)
        if self._ports is not None and port not in self._ports:
            raise AddressDenied(host=host)
        if not (named or self._classes or self._networks):
            raise AddressDenied(host=host)  # without asking a name server, which would tell it the name
        literal = _literal(host)
        found = [literal] if literal else self._looked_up(host, port)
        if not all(self._allows(address, named=named) for address in found):
            raise AddressDenied(host=host)
        return tuple(str(address) for address in found)

    def _looked_up(self, host: str, port: int) -> list[Address]:
        try:
            texts = [str(info[4][0]).partition("%")[0] for info in self._resolve(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError):
            texts = []
        found = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        if not found:
            raise AddressDenied(host=host, by_rule=False)
        return found

    def _is_named(self, host: str) -> bool:
        labels = host.split(".")
        return host in self._names or any("*." + ".".join(labels[n:]) in self._names for n in range(1, len(labels)))

    def _allows(self, address: Address, *, named: bool) -> bool:
        kind = kind_of(address)
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        if kind == "never":
            return False
        listed = any(address in network for network in self._networks)
        return listed or kind in self._classes or (named and kind in ("public", "private"))

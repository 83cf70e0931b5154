"""One request as the rules see it, whichever server interface it came through."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.security.headers import Headers
from engine.security.identity import Identity
from engine.security.wire import header

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What claims an identity is set by us or by nobody. Underscores are read as hyphens, as CGI does.
IDENTITY_HEADERS = frozenset({"remote-user", "x-remote-user", "x-forwarded-user", "x-authenticated-user"})
IDENTITY_PREFIXES = ("x-wb-", "x-security-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked. `target` and `query` are as sent (percent-encoded), `path` is decoded, header names are lower case."""

    kind: str  # "http" or "websocket"
    method: str
    path: str
    target: bytes
    query: bytes
    headers: Headers = field(repr=False)
    peer: str
    secure: bool

    @property
    def changes_something(self) -> bool:
        """Whether it may change something; an open websocket may."""
        return self.kind == "websocket" or self.method not in SAFE_METHODS

    def values(self, name: bytes) -> list[str]:
        """Return every value of a header."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    def value(self, name: bytes) -> str:
        """Return the first value of a header, or ""."""
        return header(self.headers, name)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What became of a request: filled in on its way through the rules, written to the audit log at its end."""

    request: Request
    request_id: str
    address: str
    secure: bool
    started: float
    public: bool = False
    identity: Identity | None = None
    flags: frozenset[str] = frozenset()
    quota: tuple[int, int] | None = None  # limit and what remains
    outcome: str = ""
    route: str = ""


def claims_identity(name: str) -> bool:
    """Tell whether a header of that name would speak for somebody."""
    plain = name.lower().replace("_", "-")
    return plain in IDENTITY_HEADERS or plain.startswith(IDENTITY_PREFIXES)

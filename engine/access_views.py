"""What screens show of people and of what they may reach: users, groups, sessions, keys, grants. Never a hash or a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.types import Right, Role


class Scope(StrEnum):
    """What an API key or a token may be used for; it narrows what its user may do and never widens it."""

    READ = "read"
    ASK = "ask"
    WRITE = "write"
    OPERATE = "operate"  # health, breakers and measurements: for operators and admins
    ADMIN = "admin"


def scopes_for(role: Role) -> tuple[Scope, ...]:
    """Return the scopes that a key of somebody with this role may have."""
    closed = {Role.ANALYST: {Scope.OPERATE, Scope.ADMIN}, Role.OPERATOR: {Scope.ADMIN}, Role.ADMIN: set()}[role]
    return tuple(scope for scope in Scope if scope not in closed)


class Step(StrEnum):
    """What a sign-in still needs before there is a session."""

    DONE = ""
    SECOND_FACTOR = "second_factor"
    PASSWORD = "password"  # noqa: S105 - the name of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How far a sign-in has come: a session `token` when done, else a one-time `ticket` for the next step."""

    step: Step = Step.DONE
    token: str = ""
    ticket: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInfo:
    """A user as admins see them; never a hash. `invited` = there is no password yet, the invitation is open or has expired."""

    id: str
    name: str
    role: Role
    created_at: datetime
    last_seen_at: datetime | None
    disabled: bool
    invited: bool = False
    must_change: bool = False
    second_factor: bool = False
    locked_until: datetime | None = None
    sessions: int = 0
    keys: int = 0
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A one-time link for choosing a password: shown once. `path` is "/invite?token=..."."""

    user: UserInfo
    path: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """A new TOTP secret (RFC 6238) that is in force once a code was confirmed: base32, and as an otpauth:// URI."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """An open sign-in; `current` marks the one that asks."""

    id: str
    user_id: str
    user: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str
    user_agent: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInfo:
    """A group; `members` are user ids and names, `collections` what it was granted: (collection name, right)."""

    id: str
    name: str
    created_at: datetime
    members: tuple[tuple[str, str], ...]
    collections: tuple[tuple[str, Right], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantInfo:
    """Who was granted what on one collection; `kind` is "user" or "group"."""

    kind: str
    id: str
    name: str
    right: Right


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """An API key; `state` is "active", "expired" or "revoked"."""

    id: str
    user_id: str
    user: str
    name: str
    scopes: tuple[Scope, ...]
    state: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made: `text` is shown once and stored nowhere."""

    info: KeyInfo
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A short-lived JWT for the API."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedUser:
    """What became (or would become) of one line of an imported list: `outcome` is "new", "exists" or "refused"."""

    line: int
    name: str
    role: str
    outcome: str
    reason: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One collection that somebody may read, and why: `via` names "granted", "group NAME" or "role admin"."""

    collection_id: str
    collection: str
    right: Right
    via: tuple[str, ...]
    documents: int

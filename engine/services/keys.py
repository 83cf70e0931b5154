"""API keys: made by the user they belong to, shown once, narrowed by scopes, and gone at once when revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from engine.access_views import KeyInfo, NewKey, Scope
from engine.database import keys
from engine.database.access_models import ApiKey
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.errors import AccessDenied, InputError, NotFound
from engine.security.api_key import new_api_key
from engine.services.accounts import require_role
from engine.services.naming import clean_name
from engine.services.permits import acts_as_admin
from engine.types import Principal, Role

KEYS_PER_USER = 20
MAX_DAYS = 365
NAME_CHARS = 100
EVERYBODY = "*"


class Keys:
    """The API keys of this installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def api_keys(self, principal: Principal, user_id: str | None = None) -> list[KeyInfo]:
        """Return one's own keys, newest first; admins may name another user, or "*" for all. Raises AccessDenied."""
        if user_id not in (None, principal.user_id):
            require_role(principal, Role.ADMIN)
        whose = "" if user_id == EVERYBODY else principal.user_id if user_id is None else user_id
        async with self._database.read() as session:
            return await keys.infos(session, user_id=whose)

    async def create_api_key(
        self, principal: Principal, name: str, scopes: Sequence[Scope], *, days: int | None = 90
    ) -> NewKey:
        """Make a key that ends after `days` (1 to 365; None = never, for admins). Its text is shown here and nowhere else.

        Raises AccessDenied for a key or a preview, for scopes that the principal's role has not, and for no end unless the
        principal is an admin; InputError for a bad name, bad scopes or days, and when the user has 20 active keys.
        """
        if principal.preview or principal.scopes is not None:
            raise AccessDenied("neither a preview nor a key may make a key", hint="Sign in for this.")
        name, wanted = clean_name(name, "a key", most=NAME_CHARS, hint="Say what it is for."), _clean_scopes(scopes)
        if Scope.OPERATE in wanted and principal.role is Role.ANALYST:
            raise AccessDenied("only operators and admins make keys that operate", hint="Choose other scopes.")
        if principal.role is not Role.ADMIN and (Scope.ADMIN in wanted or days is None):
            raise AccessDenied("only admins make keys that administer, or that never end", hint="Choose less.")
        if days is not None and (isinstance(days, bool) or not 1 <= days <= MAX_DAYS):
            raise InputError(f"a key lasts 1 to {MAX_DAYS} days", hint="Choose a number in between.")
        key_id, text, digest = new_api_key()
        async with self._database.write() as session:
            user = await session.get(User, principal.user_id)
            if user is None or user.disabled_at is not None:
                raise AccessDenied("keys belong to users, and this is none", hint="Sign in as the user who needs the key.")
            if await keys.active(session, user.id) >= KEYS_PER_USER:
                raise InputError(f"you have {KEYS_PER_USER} active keys already", hint="Revoke one that is not needed.")
            row = ApiKey(
                id=key_id,
                user_id=user.id,
                name=name,
                secret_sha256=digest,
                scopes=[scope.value for scope in wanted],
                expires_at=now() + timedelta(days=days) if days is not None else None,
            )
            session.add(row)
            await session.flush()
            await record(session, principal, "api_key.create", key_id, name=name, scopes=row.scopes, days=days)
            return NewKey(info=(await keys.infos(session, key_id=key_id))[0], text=text)

    async def revoke_api_key(self, principal: Principal, key_id: str) -> None:
        """End a key and every token that was issued from it, at once. Raises NotFound unless it is one's own, or for admins."""
        async with self._database.write() as session:
            row = await session.get(ApiKey, key_id)
            if row is None or (row.user_id != principal.user_id and not acts_as_admin(principal)):
                raise NotFound("there is no such key, or it is not yours", hint="Choose one from the list.")
            if row.revoked_at is None:
                row.revoked_at, row.revoked_by = now(), principal.user_id
                await record(session, principal, "api_key.revoke", key_id, name=row.name, of=row.user_id)


def _clean_scopes(scopes: Sequence[Scope]) -> list[Scope]:
    if not scopes or any(scope not in list(Scope) for scope in scopes):
        raise InputError("a key needs at least one scope", hint=f"known scopes: {', '.join(Scope)}")
    return [scope for scope in Scope if scope in scopes]

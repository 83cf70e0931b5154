"""What each user chose for a screen: a closed list of names, each in a row of its own."""

from __future__ import annotations

from engine.database import users
from engine.database.database import Database
from engine.database.operations_models import Preference
from engine.errors import InputError
from engine.types import Principal

NAMES = ("health_range", "health_refresh", "documents_collection")
VALUE_CHARS = 200


class Preferences:
    """Everybody's own, and nobody else's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def preference(self, principal: Principal, name: str) -> str:
        """Return what the principal chose, "" for nothing yet. Raises InputError."""
        async with self._database.read() as session:
            row = await session.get(Preference, (principal.user_id, _known(name)))
        return row.value if row else ""

    async def set_preference(self, principal: Principal, name: str, value: str) -> None:
        """Keep a choice: up to 200 printable characters. Raises InputError, NotFound for who is no user any more."""
        if not isinstance(value, str) or len(value) > VALUE_CHARS or not value.isprintable():
            raise InputError(f"a choice has up to {VALUE_CHARS} printable characters", hint="Choose from the list.")
        known = _known(name)
        async with self._database.write() as session:
            user = await users.by_id(session, principal.user_id)
            await session.merge(Preference(user_id=user.id, name=known, value=value))


def _known(name: str) -> str:
    if name not in NAMES:
        raise InputError("there is no such choice to keep", hint=f"known: {', '.join(NAMES)}")
    return name

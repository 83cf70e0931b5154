"""One-time codes of users: secrets sealed in SQL, no code accepted twice."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from engine.access_views import SecondFactor
from engine.database import users
from engine.database.models import User
from engine.security import totp
from engine.security.sealing import Sealer


class Codes:
    """TOTP over the users table. `clock` gives seconds since 1970."""

    def __init__(self, sealer: Sealer, *, clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self.clock = clock

    def begin(self, user: User) -> SecondFactor:
        """Give a user a new secret that is not in force yet."""
        secret = totp.new_secret()
        user.sealed_totp, user.totp_confirmed = self._sealer.seal(secret), False
        return SecondFactor(secret=secret, uri=totp.uri(secret, name=user.name))

    async def accept(self, session: AsyncSession, user: User, code: str) -> bool:
        """Tell whether this is a code of now, and use it up. Raises MissingSecret when the secret was sealed elsewhere."""
        if user.sealed_totp is None:
            return False
        secret = self._sealer.open(user.sealed_totp)
        step = totp.matched_step(secret, code, at=self.clock(), after=user.totp_step)
        return step is not None and await users.accept_step(session, user.id, step)

    @staticmethod
    def remove(user: User) -> None:
        """Take the second factor away. The last step stays: its code is not accepted again."""
        user.sealed_totp, user.totp_confirmed = None, False

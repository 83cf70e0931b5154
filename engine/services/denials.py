"""Refusals in the audit: that somebody tried what they may not do, without letting them fill the table with it."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select

from engine.database.audit import record
from engine.database.database import Database
from engine.database.models import Session, User
from engine.types import Principal

logger = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
REMEMBERED = 2000
WHAT_CHARS = 100


class Denials:
    """Writes at most one row for the same user and the same thing in a minute. `clock` gives seconds that only grow."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def note(self, principal: Principal, what: str) -> None:
        """Write that `what` was refused. Never raises: the refusal itself must reach the reader."""
        shown = "".join(character for character in what if character.isprintable())[:WHAT_CHARS]
        key, moment = (principal.user_id, shown), self._clock()
        if moment - self._noted.get(key, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._noted[key] = moment
        self._noted.move_to_end(key)
        if len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)
        try:
            await self._write(principal, shown)
        except Exception:  # whatever it was, the answer to the request stays the refusal
            logger.exception("a refusal is missing in the audit")

    async def _write(self, principal: Principal, what: str) -> None:
        async with self._database.write() as session:
            actor, seen_as = principal, ""
            if principal.preview:  # the admin who looks was refused, not the user who is looked at
                query = select(User).join(Session, Session.user_id == User.id).where(Session.id == principal.session_id)
                admin = await session.scalar(query)
                actor = replace(principal, user_id=admin.id if admin else "", name=admin.name if admin else "")
                seen_as = principal.user_id
            details = {"seen_as": seen_as} if seen_as else {}
            await record(session, actor, "permission.denied", what, outcome="denied", **details)

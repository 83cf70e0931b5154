"""How much one user may upload in any 60 minutes, counted in SQL, so that it holds for all processes together."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import uploads
from engine.database.access_models import Upload
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import User
from engine.errors import FileTooLarge, QuotaExceeded
from engine.sections import UploadLimits
from engine.types import Principal

WINDOW = timedelta(hours=1)


class Quotas:
    """The limits on uploads."""

    def __init__(self, database: Database, limits: UploadLimits) -> None:
        self._database = database
        self._limits = limits

    async def take(self, session: AsyncSession, principal: Principal, size_bytes: int) -> None:
        """Count a file in the transaction that receives it. Raises QuotaExceeded.

        Every file that arrives counts, also one that is there already: it cost its transfer and its hash. Who is no user (the
        command line on the machine itself) is not limited.
        """
        if await session.get(User, principal.user_id) is None:
            return
        await self.require(session, principal, files=1, size_bytes=size_bytes)
        session.add(Upload(user_id=principal.user_id, at=now(), size_bytes=size_bytes))

    async def require(self, session: AsyncSession, principal: Principal, *, files: int, size_bytes: int) -> None:
        """Look whether so much may come now; nothing is counted.

        Raises QuotaExceeded, and FileTooLarge for what would never be allowed in one hour.
        """
        if await session.get(User, principal.user_id) is None:
            return
        most_files, most_bytes = self._limits.files_per_hour, self._limits.mb_per_hour << 20
        limits = f"{most_files} files and {self._limits.mb_per_hour} MB"
        if files > 1 and (files > most_files or size_bytes > most_bytes):
            told = f"{files:,} files and {max(1, size_bytes >> 20):,} MB are more than you may bring in in an hour ({limits})"
            raise FileTooLarge(told, hint="Ask an operator to import it on the server: `python -m engine import FILE`.")
        moment = now()
        some, size, first = await uploads.since(session, principal.user_id, moment - WINDOW)
        if some + files > most_files or size + size_bytes > most_bytes:
            wait = (first + WINDOW - moment if first else WINDOW).total_seconds()
            raise QuotaExceeded(f"you may upload {limits} in an hour", retry_after_seconds=wait)

    async def left(self, session: AsyncSession, principal: Principal) -> tuple[int, int] | None:
        """Return how many files and bytes may come now; None where there is no limit."""
        if await session.get(User, principal.user_id) is None:
            return None
        files, size, _ = await uploads.since(session, principal.user_id, now() - WINDOW)
        return max(0, self._limits.files_per_hour - files), max(0, (self._limits.mb_per_hour << 20) - size)

    async def purge(self) -> None:
        """Forget what no limit counts any more. For the engine."""
        async with self._database.write() as session:
            await uploads.purge(session, now() - WINDOW)

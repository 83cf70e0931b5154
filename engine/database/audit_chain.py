"""The chain of the audit: each row is signed together with the signature of the row before it.

`hash = HMAC-SHA256(key, canonical JSON of all other columns)`, one of which is `prev_hash` (RFC 2104; the construction of a
hash chain over log entries follows Schneier & Kelsey, "Secure Audit Logs to Support Computer Forensics", 1999). The key is
derived from the installation's secret and never in the database: who can only write there can cut or break the chain, not
extend or mend it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.audit import PENDING
from engine.database.audit_models import Audit, AuditHead
from engine.database.columns import now
from engine.database.mariadb import is_busy
from engine.errors import StoreError

logger = logging.getLogger(__name__)

BATCH = 1000
START = "audit.start"
CLOCK_SLACK = timedelta(seconds=5)
_COLUMNS = tuple(column.name for column in Audit.__table__.columns if column.name != "hash")


def canonical(row: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: every column but the hash, times in UTC to the microsecond, names sorted."""
    values = {name: row[name] for name in _COLUMNS}
    values["at"] = values["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sign(key: bytes, data: bytes) -> str:
    """Return the signature in hexadecimal."""
    return hmac.digest(key, data, "sha256").hex()


def is_signed(key: bytes, row: Mapping[str, Any]) -> bool:
    """Whether a row is as it was written with this key."""
    return hmac.compare_digest(sign(key, canonical(row)).encode(), str(row["hash"]).encode())


class Chain:
    """Signs and writes what was recorded. Without a key nothing can be recorded."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.newest = 0
        """The number of the newest row that this process wrote."""

    async def append(self, session: AsyncSession) -> None:
        """Write what was recorded in this session, as the last thing before it commits. Raises StoreError."""
        if not session.info[PENDING]:
            return
        if not self._key:
            raise StoreError("the audit has no key here, so nothing was changed", hint="Give Database the key of the audit.")
        # What is wrong with the change itself is told as such, not as a failure of the audit.
        await session.flush()
        try:
            await self._write(session, session.info[PENDING])
        except SQLAlchemyError as error:
            if is_busy(error):  # nothing is wrong with the audit
                raise
            logger.error("the audit cannot be written: %s", error)  # noqa: TRY400 - the error itself goes up
            raise StoreError(
                "the audit cannot be written, so nothing was changed",
                hint="An operator must mend the audit table first; see docs/audit.md.",
            ) from error

    async def begin(self, session: AsyncSession) -> None:
        """Start the chain if there is none: its first row seals the rows that were written before there were chains."""
        if self._key:
            await self._write(session, [])

    async def _write(self, session: AsyncSession, events: Sequence[Mapping[str, Any]]) -> None:
        head = await head_of(session, lock=True)
        seq, opening = (head.seq, []) if head.hash else await _opening(session)
        rows: list[dict[str, Any]] = []
        moment = now()
        back = head.at - moment
        for number, event in enumerate([*opening, *events], start=seq + 1):
            row = {**event, "seq": number, "at": moment, "prev_hash": rows[-1]["hash"] if rows else head.hash}
            if head.hash and back > CLOCK_SLACK and not rows:
                row["details"] = {**event["details"], "clock_back_seconds": round(back.total_seconds(), 3)}
            rows.append({**row, "hash": sign(self._key, canonical(row))})
        if not rows:
            return
        await session.execute(insert(Audit), rows)
        moved = {"seq": rows[-1]["seq"], "at": moment, "hash": rows[-1]["hash"], "written": head.written + len(rows)}
        await session.execute(update(AuditHead).where(AuditHead.name == "audit").values(moved))
        self.newest = rows[-1]["seq"]


async def head_of(session: AsyncSession, *, lock: bool = False) -> AuditHead:
    """Return where the chain ends; with `lock` nobody else can extend it until the transaction ends. Raises StoreError."""
    statement = select(AuditHead).where(AuditHead.name == "audit").execution_options(populate_existing=True)
    head = await session.scalar(statement.with_for_update() if lock else statement)
    if head is None:
        raise StoreError("the head of the audit is missing", hint="Restore the database from a backup; see docs/audit.md.")
    return head


async def batches(session: AsyncSession, *, after: int = 0, size: int = BATCH) -> AsyncIterator[list[dict[str, Any]]]:
    """Give all rows of the audit after one of them, in their order, `size` at a time."""
    while True:
        statement = select(Audit.__table__).where(Audit.seq > after).order_by(Audit.seq).limit(size)
        rows = [dict(row) for row in (await session.execute(statement)).mappings()]
        if not rows:
            return
        yield rows
        after = rows[-1]["seq"]


class Before:
    """Count and SHA-256 over rows from before the chain."""

    def __init__(self) -> None:
        self.rows, self.first, self.last = 0, 0, 0
        self._sha256 = hashlib.sha256()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one more row in."""
        self.rows, self.first, self.last = self.rows + 1, self.first or row["seq"], row["seq"]
        self._sha256.update(canonical(row) + b"\n")

    @property
    def seal(self) -> dict[str, Any]:
        """What the first row of the chain holds about them."""
        return {"rows": self.rows, "first_seq": self.first, "last_seq": self.last, "sha256": self._sha256.hexdigest()}


async def _opening(session: AsyncSession) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of the newest row so far, and the row that begins the chain."""
    before = Before()
    async for rows in batches(session):
        for row in rows:
            before.add(row)
    event: dict[str, Any] = {name: "" for name in _COLUMNS if name not in {"seq", "at", "prev_hash"}}
    return before.last, [event | {"action": START, "outcome": "success", "details": before.seal}]

"""Checks the whole chain against its key, its head and the checkpoints, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.audit_views import Verification
from engine.database.audit_chain import BATCH, START, Before, batches, head_of, is_signed
from engine.database.audit_checkpoints import Checkpoint
from engine.database.audit_models import Audit, AuditHead
from engine.errors import StoreError

RETAIN = "audit.retain"
_MOVED_WITHIN = 1000  # how far from its place a row is looked for, to say what became of it


class _Problem(Exception):  # noqa: N818 - not an error of ours: what the check is looking for
    """The first thing that is wrong, and the number of the first row that it concerns."""

    def __init__(self, first_bad: int | None, text: str) -> None:
        super().__init__(text)
        self.first_bad = first_bad


async def verify(session: AsyncSession, key: bytes, checkpoints: Sequence[Checkpoint], damage: str = "") -> Verification:
    """Return what a check of everything finds; it ends at the first problem.

    `session` is a new one for reading. The checkpoints were read before it began, so that all rows they name are in its view;
    `damage` is what was wrong with their file. Raises StoreError when the database fails.
    """
    if session.get_bind().dialect.name != "sqlite":  # there, every transaction has one view anyway
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    walk = _Walk(key, checkpoints)
    try:
        await walk.all(session)
    except _Problem as found:
        problem = "; ".join(filter(None, (str(found), damage)))
        return replace(walk.result(), ok=False, first_bad=found.first_bad, problem=problem)
    return replace(walk.result(), ok=not damage, problem=damage)


class _Walk:
    """How far the check has come: the last row that was good, and the checkpoints that are still ahead."""

    def __init__(self, key: bytes, checkpoints: Sequence[Checkpoint]) -> None:
        self._key = key
        self._ahead = list(reversed(checkpoints))
        self._before = Before()
        self._begun = False
        self._read = 0  # the last row looked at
        self._seq, self._hash = 0, ""  # the last row of the chain that was good
        self._written = 0  # rows chained up to there, removed ones included
        self._rows = self._agreed = 0

    def result(self) -> Verification:
        """Return how far it came."""
        return Verification(
            ok=True, rows=self._rows, first_bad=None, problem="", head=self._seq, head_hash=self._hash, checkpoints=self._agreed
        )

    async def all(self, session: AsyncSession) -> None:
        """Check everything. Raises _Problem."""
        try:
            head = await head_of(session)
        except StoreError as error:
            raise _Problem(None, str(error)) from error
        await self._pass_removed(session)
        try:
            await self._through(session, BATCH)
        except (ValueError, TypeError):
            # A value that is not even of its column's type hides the rows beside it: one by one shows which it is.
            try:
                await self._through(session, 1)
            except (ValueError, TypeError) as error:
                seq = await session.scalar(select(func.min(Audit.seq)).where(Audit.seq > self._read))
                raise _Problem(seq, f"row {seq} was changed: it cannot be read") from error
        self._end(head)

    async def _through(self, session: AsyncSession, size: int) -> None:
        async for rows in batches(session, after=self._read, size=size):
            for row in rows:
                self._take(row)

    async def _pass_removed(self, session: AsyncSession) -> None:
        """Begin where the last retention ended: its own row, further on, tells where, and is signed like any."""
        statement = select(Audit.__table__).where(Audit.action == RETAIN).order_by(Audit.seq.desc()).limit(1)
        row = (await session.execute(statement)).mappings().first()
        if row is None:
            return
        if not is_signed(self._key, dict(row)):
            raise _Problem(row["seq"], f"row {row['seq']} was changed, or written without the key")
        removed = row["details"]
        self._begun = True
        self._seq, self._hash, self._written = removed["last_seq"], removed["last_hash"], removed["written"]
        while self._ahead and self._ahead[-1].seq < self._seq:
            self._ahead.pop()
        self._compare()

    def _take(self, row: Mapping[str, Any]) -> None:
        seq = row["seq"]
        if not self._begun and not row["hash"]:
            self._before.add(row)
        else:
            self._check_place(row)
            if not is_signed(self._key, row):
                raise _Problem(seq, self._what_became_of(row))
            if not self._begun:
                self._check_opening(row)
            elif row["prev_hash"] != self._hash:
                raise _Problem(seq, f"row {seq} does not follow the row before it")
            self._begun = True
            self._seq, self._hash, self._written = seq, row["hash"], self._written + 1
            self._compare()
        self._read = seq
        self._rows += 1

    def _check_place(self, row: Mapping[str, Any]) -> None:
        seq, expected = row["seq"], self._seq + 1 if self._begun else self._before.last + 1
        if seq < expected:
            raise _Problem(seq, f"row {seq} was removed by retention and is there again")
        if seq > expected and (self._begun or row["action"] != START):
            raise _Problem(expected, _missing(expected, seq - 1))

    def _check_opening(self, row: Mapping[str, Any]) -> None:
        seq = row["seq"]
        if row["action"] != START or row["prev_hash"]:
            raise _Problem(seq, f"row {seq} does not begin the chain, and no row before it does")
        sealed = row["details"]
        if sealed != self._before.seal:
            first, last = sealed["first_seq"], sealed["last_seq"]
            raise _Problem(first or self._before.first, f"the rows from before the chain ({first} to {last}) were changed")

    def _what_became_of(self, row: Mapping[str, Any]) -> str:
        seq = row["seq"]
        for other in range(max(1, seq - _MOVED_WITHIN), seq + _MOVED_WITHIN):
            if is_signed(self._key, {**row, "seq": other}):
                return f"row {seq} was exchanged: it holds what was written as row {other}"
        return f"row {seq} was changed, or written without the key"

    def _compare(self) -> None:
        while self._ahead and self._ahead[-1].seq <= self._seq:
            seen = self._ahead.pop()
            if (seen.seq, seen.hash, seen.rows) != (self._seq, self._hash, self._written):
                raise _Problem(
                    seen.seq,
                    f"row {seen.seq} is not the one that the checkpoint of {seen.at:%Y-%m-%d %H:%M:%S} saw: "
                    "the table was replaced, or rolled back and written on",
                )
            self._agreed += 1

    def _end(self, head: AuditHead) -> None:
        if self._ahead and self._ahead[0].seq > self._seq:
            seen = self._ahead[0]
            text = f"{_missing(self._seq + 1, max(seen.seq, head.seq))} at the end"
            raise _Problem(self._seq + 1, f"{text}: the checkpoint of {seen.at:%Y-%m-%d %H:%M:%S} saw row {seen.seq}")
        if head.seq > self._seq:
            text = f"{_missing(self._seq + 1, head.seq)} at the end"
            raise _Problem(self._seq + 1, f"{text}: the head of the chain names row {head.seq}")
        if not self._begun:
            raise _Problem(None, "the chain has not begun")
        if (head.seq, head.hash, head.written) != (self._seq, self._hash, self._written):
            raise _Problem(self._seq, f"the head of the chain is not row {self._seq}, the newest one")


def _missing(first: int, last: int) -> str:
    return f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"

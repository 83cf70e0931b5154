"""What the chain costs: appends a second with 8 processes at once, chained against the same rows without a chain.

python -m benchmarks.audit
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from engine.database.audit import record
from engine.database.database import Database

KEY = b"k" * 32
PLAIN = (
    "INSERT INTO plain (at, actor_id, actor, session_id, request_id, action, object_type, object, outcome, reason, ip, details)"
    " VALUES (:at, '', '', '', '', 'document.upload', 'document', :object, 'success', '', '', '{\"number\": 1}')"
)
TABLE = (
    "CREATE TABLE plain (seq INTEGER PRIMARY KEY, at, actor_id, actor, session_id, request_id, action, object_type, object, "
    "outcome, reason, ip, details)"
)


async def write(url: str, kind: str, rows: int) -> float:
    """Append, and return the seconds from the first to the last."""
    database = Database(url, audit_key=KEY)
    await database.ping()
    began = time.perf_counter()
    for number in range(rows):
        async with database.write() as session:
            if kind == "chained":
                await record(session, None, "document.upload", f"d-{number}", number=number)
            else:
                await session.execute(text(PLAIN), {"at": time.time(), "object": f"d-{number}"})
    seconds = time.perf_counter() - began
    await database.close()
    return seconds


async def prepared(url: str) -> None:
    database = Database(url, audit_key=KEY)
    await database.migrate()
    async with database.write() as session:
        await session.execute(text(TABLE))
    await database.close()


def measured(kind: str, writers: int, rows: int) -> float:
    """Return appends a second of all writers together: all rows over the time of the slowest."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder)}/x.db"
        asyncio.run(prepared(url))
        command = [sys.executable, "-m", "benchmarks.audit", "--worker", url, "--kind", kind, "--rows", str(rows)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(writers)]
        seconds = [float(process.communicate()[0]) for process in running]
    return writers * rows / max(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--worker", default="")
    parser.add_argument("--kind", default="chained")
    given = parser.parse_args()
    if given.worker:
        print(asyncio.run(write(given.worker, given.kind, given.rows)))
        return
    plain, chained = (measured(kind, given.writers, given.rows) for kind in ("plain", "chained"))
    print(f"{given.writers} processes x {given.rows} appends, SQLite, each a transaction of its own")
    print(f"without a chain {plain:8.0f} /s")
    print(f"chained         {chained:8.0f} /s   {chained / plain:.2f} of it")


if __name__ == "__main__":
    main()

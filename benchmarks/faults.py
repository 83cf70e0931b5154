"""The fault matrix: what must hold after the worst moments, tried for real. Prints one line a row, ends with 1 on a violation.

    python benchmarks/faults.py [--only F1,F2] [--quick] [--keep FOLDER]

Processes are killed by SIGKILL at named points (WORKBENCH_FAULT) and from outside, a disk is really full (a tmpfs of a few MB, for
which this must run as root), servers are really stopped. Documents are small texts; the embedder is a server that speaks OpenAI's
protocol and counts. Leases last 3 s instead of 60 (jobs) and 45 (spaces), so that a restart does not wait a minute: add that to the times.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks import fault_rows_kill, fault_rows_live, fault_rows_operations
from benchmarks.fault_ground import Ground, Row, violated

ROWS = {
    "F1": fault_rows_kill.f1,
    "F2": fault_rows_kill.f2,
    "F3": fault_rows_kill.f3,
    "F4": fault_rows_operations.f4,
    "F5": fault_rows_kill.f5,
    "F6": fault_rows_live.f6,
    "F7": fault_rows_live.f7,
    "F8": fault_rows_live.f8,
    "F9": fault_rows_live.f9,
    "F10": fault_rows_operations.f10,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(ROWS), help="rows, by commas")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, shorter outages")
    parser.add_argument("--keep", type=Path, help="keep everything in this folder")
    given = parser.parse_args()
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as temporary,
        Ground(given.keep or Path(temporary), given.quick) as ground,
    ):
        for name in given.only.split(","):
            started = time.perf_counter()
            try:
                row = ROWS[name](ground)
                row = asyncio.run(row) if asyncio.iscoroutine(row) else row
            except Exception as error:  # noqa: BLE001 - a row that breaks is a violation, and the others still count
                traceback.print_exc()
                row = Row(name, "broke", [f"{type(error).__name__}: {error}"])
            row.seconds = time.perf_counter() - started
            rows.append(row)
            print(row.line(), flush=True)
            for problem in row.problems:
                print(f"     VIOLATION: {problem}", flush=True)
    print()
    print("| # | fault | tried | figures | s | |\n|---|---|---|---|---|---|")
    for row in rows:
        print(row.cells())
    return 1 if violated(rows) else 0


if __name__ == "__main__":
    sys.exit(main())

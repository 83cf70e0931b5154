"""Places where a fault can be provoked, for the fault matrix of benchmarks/faults.py; see docs/faults.md.

Nothing happens at them unless the process was started with WORKBENCH_FAULT, which `engine.settings` reads: no request, no
user and no row in SQL can arm one.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass, field

from engine import errors

logger = logging.getLogger(__name__)

POINTS = frozenset(
    {
        "blob.written",  # the original is in its temporary file
        "blob.renamed",  # and under its own name, before SQL knows
        "original.stored",  # SQL knows the upload; the client was not told yet
        "ingest.parsed",
        "ingest.chunked",
        "ingest.embedded",  # after each batch
        "ingest.live",  # after the switch
        "space.upsert",  # before a store that keeps its vectors is written to
        "space.upserted",  # it has them, and SQL does not know yet
        "space.moved",  # SQL knows how far the space has come
        "snapshot.renamed",  # an index file has its name, and SQL does not know it yet
    }
)
ACTIONS = ("kill", "raise", "sleep", "enospc")


@dataclass(slots=True)
class _Fault:
    point: str
    action: str
    argument: str
    nth: int
    passed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_armed: _Fault | None = None


def arm(spec: str) -> None:
    """Arm "<point>:<action>[:<nth>]", or nothing for "". Raises ConfigError.

    Actions: "kill" (SIGKILL to this process), "raise:<name of an EngineError>", "sleep:<seconds>", "enospc" (the OSError of
    a full disk). It happens when the point is reached for the nth time (1: the first time), and once.
    """
    global _armed  # noqa: PLW0603 - a process has one, from its start to its end
    _armed = _parsed(spec) if spec else None
    if _armed is not None:
        logger.warning("WORKBENCH_FAULT IS SET: this process breaks on purpose (%s). Never serve anybody with it.", spec)


def point(name: str) -> None:
    """Do what is armed for this point; else nothing."""
    if _armed is not None and _armed.point == name:
        _reached(_armed)


def _reached(fault: _Fault) -> None:
    with fault.lock:
        fault.passed += 1
        if fault.passed != fault.nth:
            return
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault.action == "sleep":
        time.sleep(float(fault.argument))
    elif fault.action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    else:
        raise getattr(errors, fault.argument)(f"provoked at {fault.point}")


def _parsed(spec: str) -> _Fault:
    name, _, rest = spec.partition(":")
    action, *more = rest.split(":")
    argument = more.pop(0) if action in ("raise", "sleep") and more else ""
    nth = more.pop(0) if more else "1"
    if name not in POINTS or action not in ACTIONS or more or not nth.isdigit() or not _fits(action, argument):
        raise errors.ConfigError(
            "WORKBENCH_FAULT is not <point>:<action>[:<nth>]",
            hint=f"points: {', '.join(sorted(POINTS))}; actions: kill, raise:<StoreError ...>, sleep:<seconds>, enospc",
        )
    return _Fault(name, action, argument, int(nth))


def _fits(action: str, argument: str) -> bool:
    if action == "sleep":
        return argument.replace(".", "", 1).isdigit()
    kind = getattr(errors, argument, None)
    return action != "raise" or (isinstance(kind, type) and issubclass(kind, errors.EngineError))

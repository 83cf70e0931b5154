"""One audit entry for each request, handed to a sink.

An entry says who did what from where and how it ended: never a credential, a query, a body or a header. Keys: time (UTC),
request_id, method, path (the route's template where the framework tells it), status (0 before the call), user, address, ms,
outcome, flags.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.security.request import Exchange

MAX_PATH_CHARS = 300
logger = logging.getLogger("engine.security.audit")


def entry_of(exchange: Exchange, *, status: int, now: float, epoch: float) -> dict[str, Any]:
    """Return the entry. `now` is on the clock of `exchange.started`, `epoch` in epoch seconds."""
    request = exchange.request
    return {
        "time": datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds"),
        "request_id": exchange.request_id,
        "method": "WEBSOCKET" if request.kind == "websocket" else request.method[:20],
        "path": (exchange.route or request.path)[:MAX_PATH_CHARS],
        "status": status,
        "user": exchange.identity.subject if exchange.identity else None,
        "address": exchange.address,
        "ms": round((now - exchange.started) * 1000, 1),
        "outcome": exchange.outcome,
        "flags": sorted(exchange.flags),
    }


def log_entry(entry: Mapping[str, Any]) -> None:
    """Write `entry` as one line of ASCII JSON to the logger "engine.security.audit": nothing in it can start a new line."""
    if not logger.isEnabledFor(logging.INFO):
        _say_that_nothing_is_kept()
    logger.info("%s", json.dumps(entry, ensure_ascii=True, default=str))


@functools.cache
def _say_that_nothing_is_kept() -> None:
    # Python's logging shows warnings only, unless it is configured.
    logger.warning("audit entries are dropped: set the level of this logger to INFO, or give the option 'audit' a sink")

"""Recording: what is recorded in a transaction is chained and written just before that transaction commits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.audit_actions import ACTIONS, type_of
from engine.types import Principal

PENDING = "audit"
_INT64 = 2**63
_BREAKS = re.compile("[\x01-\x1f\x7f\x85\u2028\u2029]")


async def record(
    session: AsyncSession,
    principal: Principal | None,
    action: str,
    object_: str = "",
    *,
    outcome: str = "success",
    ip: str = "",
    request_id: str = "",
    reason: str = "",
    object_type: str = "",
    **details: Any,
) -> None:
    """Record one action with the change that `session`, one of `Database.write()`, makes: both are kept, or neither is.

    `action` is one of `ACTIONS`; `outcome` is "success", "failure" or "denied"; `object_type` is given where it is not
    the action's domain. `details` hold ids and counts, never text of documents or secrets. Address and request are the
    principal's when not given.
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}: give it a row in engine/database/audit_actions.py")
    if PENDING not in session.info:
        raise RuntimeError("only what is done in Database.write() can be recorded")
    session.info[PENDING].append(
        {
            "actor_id": _text(principal.user_id if principal else "", 32),
            "actor": _text(principal.name if principal else "", 100),
            "session_id": _text(principal.session_id if principal else "", 32),
            "request_id": _text(request_id or (principal.request_id if principal else ""), 64),
            "action": action,
            "object_type": _text(object_type or (type_of(action) if object_ else ""), 40),
            "object": _text(object_, 200),
            "outcome": outcome,
            "reason": _text(reason, 200),
            "ip": _text(ip or (principal.ip if principal else ""), 64),
            "details": storable(details),
        }
    )


def storable(value: Any) -> Any:
    """Return `value` in the form in which every database gives it back: what is signed must be what is read."""
    match value:
        case str():
            return _text(value)
        case bool() | None:
            return value
        case int():
            return value if -_INT64 <= value < _INT64 else str(value)
        case float():
            return value + 0.0 if math.isfinite(value) else str(value)  # -0.0 becomes 0.0
        case Mapping():
            return {_text(str(name)): storable(one) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [storable(one) for one in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
        case _:
            return _text(str(value))


def _text(text: str, limit: int | None = None) -> str:
    # PostgreSQL takes no NUL, and no database takes half a surrogate pair. What has a limit is shown as one line: a line
    # break in a name must not look like another entry.
    if limit is not None:
        text = _BREAKS.sub(" ", str(text))
    clean = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in str(text))
    return clean[:limit]

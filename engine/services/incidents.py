"""What happened lately, on one line of time: alerts, breakers, changes by admins, starts of servers. Read from the audit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import select

from engine.database.audit_models import Audit
from engine.database.columns import now
from engine.database.database import Database
from engine.operations_views import Incident, Range
from engine.services.accounts import require_operator
from engine.types import Principal

MOST = 500


class _Look(NamedTuple):
    kind: str
    state: str
    title: str


# What is not here is no incident. Titles take the object and the details of the row.
LOOKS: Mapping[str, _Look] = {
    "alert.fire": _Look("alert", "bad", "Alert fired: {rule}"),
    "alert.resolve": _Look("alert", "good", "Alert resolved: {rule}"),
    "alert.acknowledge": _Look("alert", "note", "Alert acknowledged: {rule}"),
    "alert.silence": _Look("alert", "note", "Rule silenced for {minutes} min: {name}"),
    "breaker.open": _Look("breaker", "bad", "Breaker opened: {object}"),
    "breaker.probe": _Look("breaker", "note", "Breaker is probing: {object}"),
    "breaker.close": _Look("breaker", "good", "Breaker closed: {object}"),
    "breaker.trip": _Look("breaker", "bad", "Tripped by an operator: {object}"),
    "breaker.drain": _Look("breaker", "bad", "Drained by an operator: {object}"),
    "breaker.hold": _Look("breaker", "note", "Held closed by an operator: {object}"),
    "breaker.reset": _Look("breaker", "good", "Given back to its breaker: {object}"),
    "provider.add": _Look("change", "note", "Provider added: {object}"),
    "provider.edit": _Look("change", "note", "Provider changed: {object}"),
    "provider.remove": _Look("change", "note", "Provider removed: {object}"),
    "providers.choose": _Look("change", "note", "Providers chosen anew: {object}"),
    "collection.store.move": _Look("change", "note", "A collection moved to another store"),
    "collection.store.revert": _Look("change", "note", "A collection went back to its former store"),
    "config.change": _Look("change", "note", "A setting was changed: {object}"),
    "alert.rule": _Look("change", "note", "Alert rule {what}: {name}"),
    "alert.channel": _Look("change", "note", "Alert channel {what}: {object}"),
    "cache.clear": _Look("change", "note", "Kept answers were thrown away"),
    "system.start": _Look("server", "note", "A server started ({version})"),
    "system.stop": _Look("server", "note", "A server stopped"),
}

DONE = {"make": "added", "add": "added", "change": "changed", "edit": "changed", "remove": "removed", "test": "tested"}


class Incidents:
    """The timeline."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def incidents(self, principal: Principal, range_: Range) -> list[Incident]:
        """Return at most 500 incidents of the range, newest first; never an address or a session. Raises AccessDenied."""
        require_operator(principal)
        columns = (Audit.at, Audit.action, Audit.object, Audit.actor, Audit.reason, Audit.details)
        query = (
            select(*columns)
            .where(Audit.action.in_(list(LOOKS)), Audit.at >= now() - timedelta(seconds=range_.seconds))
            .order_by(Audit.seq.desc())
            .limit(MOST)
        )
        async with self._database.read() as session:
            rows = (await session.execute(query)).all()
        return [_incident(row) for row in rows]


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def _incident(row: Any) -> Incident:
    look = LOOKS[row.action]
    facts = _Known({name: value for name, value in row.details.items() if isinstance(value, str | int | float)})
    facts["object"] = row.object
    if "what" in facts:
        facts["what"] = DONE.get(facts["what"], facts["what"])
    return Incident(
        at=row.at,
        kind=look.kind,
        state=look.state,
        title=look.title.format_map(facts),
        detail=row.reason or str(row.details.get("reason", "")),
        by=row.actor,
    )

"""What operators look at and do from outside: health checks, breakers, measurements, alerts and incidents. Scope "operate"."""

from __future__ import annotations

from typing import Annotated, Protocol, cast

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Operator, engine
from engine.operations_views import AlertInfo, BreakerCommand, BreakerInfo, Incident, Measurements, Range
from engine.types import Principal
from engine.views import Check

router = APIRouter(tags=["health"])


class Desk(Protocol):
    """The part of the facade that is used here."""

    async def health(self, principal: Principal, *, fresh: bool = False) -> list[Check]:
        """See `engine.services.checkup`."""
        ...

    async def breakers(self, principal: Principal) -> list[BreakerInfo]:
        """See `engine.services.breakers`."""
        ...

    async def command_breaker(
        self, principal: Principal, breaker_id: str, command: BreakerCommand, *, reason: str = ""
    ) -> None:
        """See `engine.services.breakers`."""
        ...

    async def measurements(self, principal: Principal, range_: Range) -> Measurements:
        """See `engine.services.measurements`."""
        ...

    async def alerts(self, principal: Principal, *, limit: int = 100) -> list[AlertInfo]:
        """See `engine.services.alerts`."""
        ...

    async def acknowledge_alert(self, principal: Principal, alert_id: str) -> None:
        """See `engine.services.alerts`."""
        ...

    async def incidents(self, principal: Principal, range_: Range) -> list[Incident]:
        """See `engine.services.incidents`."""
        ...


class Why(BaseModel):
    """Why a breaker is forced; the audit and whoever looks at it see it."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=200)] = ""


Within = Annotated[Range, Query(alias="range", description="how far back")]


def desk(request: Request) -> Desk:
    """Return the running workbench, as an operator uses it."""
    return cast("Desk", engine(request))


@router.get("/health")
async def health(request: Request, principal: Operator, fresh: bool = False) -> list[Check]:
    """Return the result of every check, at most seconds old; `fresh=true` looks now. For operators and admins."""
    return await desk(request).health(principal, fresh=fresh)


@router.get("/breakers")
async def breakers(request: Request, principal: Operator) -> list[BreakerInfo]:
    """Return the breaker of every model and store. For operators and admins."""
    return await desk(request).breakers(principal)


@router.post("/breakers/{breaker_id}/{command}", status_code=204)
async def command_breaker(
    request: Request, principal: Operator, breaker_id: str, command: BreakerCommand, why: Why | None = None
) -> None:
    """Trip, drain, hold or reset a breaker in every process, and keep it so over restarts. For operators and admins."""
    await desk(request).command_breaker(principal, breaker_id, command, reason=why.reason if why else "")


@router.get("/measurements")
async def measurements(request: Request, principal: Operator, within: Within = Range.HOUR) -> Measurements:
    """Return what the charts of the health page show, of all processes together. For operators and admins."""
    return await desk(request).measurements(principal, within)


@router.get("/alerts")
async def alerts(request: Request, principal: Operator, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[AlertInfo]:
    """Return alerts, firing ones first. For operators and admins."""
    return await desk(request).alerts(principal, limit=limit)


@router.post("/alerts/{alert_id}/acknowledge", status_code=204)
async def acknowledge_alert(request: Request, principal: Operator, alert_id: str) -> None:
    """Say that somebody looks after an alert. For operators and admins."""
    await desk(request).acknowledge_alert(principal, alert_id)


@router.get("/incidents")
async def incidents(request: Request, principal: Operator, within: Within = Range.DAY) -> list[Incident]:
    """Return what happened, newest first: alerts, breakers, changes, starts and stops. For operators and admins."""
    return await desk(request).incidents(principal, within)

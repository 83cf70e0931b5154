"""What operators look at and do from outside: health checks, breakers, measurements, alerts and incidents. Scope "operate"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Operator, engine
from engine.operations_views import AlertInfo, BreakerCommand, BreakerInfo, Incident, Measurements, Range
from engine.views import Check

router = APIRouter(tags=["health"])


class Why(BaseModel):
    """Why a breaker is forced; the audit and whoever looks at it see it."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=200)] = ""


Within = Annotated[Range, Query(alias="range", description="how far back")]


@router.get("/health")
async def health(request: Request, principal: Operator, fresh: bool = False) -> list[Check]:
    """Return the result of every check, at most seconds old; `fresh=true` looks now. For operators and admins."""
    return await engine(request).health(principal, fresh=fresh)


@router.get("/breakers")
async def breakers(request: Request, principal: Operator) -> list[BreakerInfo]:
    """Return the breaker of every model and store. For operators and admins."""
    return await engine(request).breakers(principal)


@router.post("/breakers/{breaker_id}/{command}", status_code=204)
async def command_breaker(
    request: Request, principal: Operator, breaker_id: str, command: BreakerCommand, why: Why | None = None
) -> None:
    """Trip, drain, hold or reset a breaker in every process, and keep it so over restarts. For operators and admins."""
    await engine(request).command_breaker(principal, breaker_id, command, reason=why.reason if why else "")


@router.get("/measurements")
async def measurements(request: Request, principal: Operator, within: Within = Range.HOUR) -> Measurements:
    """Return what the charts of the health page show, of all processes together. For operators and admins."""
    return await engine(request).measurements(principal, within)


@router.get("/alerts")
async def alerts(request: Request, principal: Operator, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[AlertInfo]:
    """Return alerts, firing ones first. For operators and admins."""
    return await engine(request).alerts(principal, limit=limit)


@router.post("/alerts/{alert_id}/acknowledge", status_code=204)
async def acknowledge_alert(request: Request, principal: Operator, alert_id: str) -> None:
    """Say that somebody looks after an alert. For operators and admins."""
    await engine(request).acknowledge_alert(principal, alert_id)


@router.get("/incidents")
async def incidents(request: Request, principal: Operator, within: Within = Range.DAY) -> list[Incident]:
    """Return what happened, newest first: alerts, breakers, changes, starts and stops. For operators and admins."""
    return await engine(request).incidents(principal, within)

"""What admins look at: users and the audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.access import Admin, engine
from engine.access_views import UserInfo
from engine.audit_views import AuditEntry

router = APIRouter(tags=["operations"])


@router.get("/users")
async def users(request: Request, principal: Admin) -> list[UserInfo]:
    """Return all users. For admins."""
    return await engine(request).users(principal)


@router.get("/audit")
async def audit(request: Request, principal: Admin, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> list[AuditEntry]:
    """Return the newest audit rows. For admins."""
    return await engine(request).audit(principal, limit=limit)

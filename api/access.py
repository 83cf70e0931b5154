"""Who calls, and what their key is for. Each route names the one scope that it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Depends, Request

from engine.access_views import Scope
from engine.errors import AccessDenied
from engine.types import Principal

if TYPE_CHECKING:
    from engine.workbench import Workbench

WorkbenchSource: TypeAlias = "Callable[[], Workbench]"


def needs(scope: Scope, *others: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """Return the dependency that gives a route its principal. Raises AccessDenied when the key has neither scope.

    A scope narrows; whether the user may do it at all is decided below, in SQL, at each call.
    """

    async def principal_with(request: Request) -> Principal:
        principal = request.scope.get("state", {}).get("principal")
        if not isinstance(principal, Principal):
            raise AccessDenied("this request did not come through the gate", hint="Send a valid API key or token.")
        # For the audit; the gate's own copy is shared by all requests of a key.
        address = request.client.host if request.client else ""
        principal = replace(principal, ip=address, request_id=str(request.scope["state"].get("request_id", "")))
        if principal.scopes is not None and not principal.scopes & {scope, *others}:
            await engine(request).note_denied(principal, f"{request.method} {getattr(request.scope.get('route'), 'path', '')}")
            raise AccessDenied(f"this key is not for {scope.value!r}", hint=f"Use a key with the scope {scope.value}.")
        return principal

    principal_with.scope = scope  # type: ignore[attr-defined]  # the route matrix lists it
    return principal_with


def engine(request: Request) -> Workbench:
    """Return the running workbench. It belongs to the loop that this runs in."""
    source: WorkbenchSource = request.app.state.workbench
    return source()


Reader: TypeAlias = Annotated[Principal, Depends(needs(Scope.READ))]
Asker: TypeAlias = Annotated[Principal, Depends(needs(Scope.ASK))]
Writer: TypeAlias = Annotated[Principal, Depends(needs(Scope.WRITE))]
Admin: TypeAlias = Annotated[Principal, Depends(needs(Scope.ADMIN))]
Operator: TypeAlias = Annotated[Principal, Depends(needs(Scope.OPERATE, Scope.ADMIN))]

"""The FastAPI dependency: the caller that the middleware verified. The only module here that needs Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import HTTPConnection

from engine.security.asgi import USER
from engine.security.identity import Identity
from engine.security.refusals import Refused, unauthenticated


def auth_dependency(scopes: Iterable[str] = ()) -> Callable[[HTTPConnection], Awaitable[Identity]]:
    """Return a dependency that gives the Identity; it refuses with 401 who has none, with 403 who lacks one of `scopes`.

    The refusal is an exception that the middleware turns into its answer. Without the middleware it is an error 500:
    an application that was not wrapped lets nobody in.
    """
    needed = frozenset(scopes)

    async def current_user(connection: HTTPConnection) -> Identity:
        identity = connection.scope.get("state", {}).get(USER)
        if not isinstance(identity, Identity):
            raise unauthenticated()
        if missing := sorted(needed - identity.scopes):
            raise Refused(403, "the credential does not allow this", hint=f"It lacks the scope {', '.join(missing)}.")
        return identity

    return current_user

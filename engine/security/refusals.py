"""An HTTP answer that is given instead of calling the protected app."""

from __future__ import annotations

from engine.errors import EngineError


class Refused(EngineError):
    """The request is answered here. `status` is the HTTP status, `headers` what belongs to it (RFC 9110)."""

    def __init__(self, status: int, message: str, *, hint: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = headers


def unauthenticated(reason: str = "authentication is required") -> Refused:
    """Return the 401 with the challenge that RFC 6750 asks for; `reason` never holds the credential."""
    return Refused(
        401,
        reason,
        hint="Send a valid token as 'Authorization: Bearer ...', or an API key as 'X-API-Key'.",
        headers=(("www-authenticate", "Bearer"),),
    )


def overloaded(message: str, *, retry_after_seconds: int) -> Refused:
    """Return the 503 that asks to come back later."""
    return Refused(503, message, hint="Try again later.", headers=(("retry-after", str(max(1, retry_after_seconds))),))

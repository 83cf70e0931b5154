"""Errors of the engine as HTTP answers: {"error", "hint", "request_id"}. Mapped once, by family; never a traceback.

Refusals are audited where they are decided: in `api.access` for scopes, in the facade for everything else.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from engine.errors import (
    AccessDenied,
    CallNotPermitted,
    EngineError,
    FileTooLarge,
    InputError,
    NotFound,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    StoreError,
    TooMany,
)

logger = logging.getLogger(__name__)

# The first family that fits; what is in none (settings, missing parts) is the operator's, and its text stays in the log.
STATUS: tuple[tuple[type[EngineError], int], ...] = (
    (TooMany, 429),
    (QuotaExceeded, 429),
    (AccessDenied, 403),
    (NotFound, 404),
    (FileTooLarge, 413),
    (InputError, 400),
    (RateLimited, 429),
    (ProviderError, 502),
    (StoreError, 503),
    (CallNotPermitted, 503),
)


def add_handlers(api: FastAPI) -> None:
    """Make `api` answer every failure in one form."""
    api.add_exception_handler(EngineError, engine_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _unexpected)


async def engine_error(request: Request, error: Exception) -> JSONResponse:
    """Return the answer for an EngineError."""
    assert isinstance(error, EngineError)  # noqa: S101 - Starlette types every handler for any exception
    status = next((status for family, status in STATUS if isinstance(error, family)), 500)
    if status == 500:
        return await _unexpected(request, error)
    headers = {}
    if isinstance(error, (RateLimited, TooMany, QuotaExceeded, CallNotPermitted)) and error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_seconds)))
    return _answer(request, status, str(error), error.hint, headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # Where and what, never the value: it may be a secret in the wrong place.
    problems = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
    return _answer(request, 422, problems[:1000], "Compare the request with /api/v1/openapi.json.")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _answer(request, error.status_code, str(error.detail), "", dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    request_id = _state(request).get("request_id", "")
    logger.error("request %s failed", request_id, exc_info=error)
    return _answer(request, 500, "something went wrong on our side", "Tell an operator the request_id.")


def _answer(request: Request, status: int, error: str, hint: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"error": error, "hint": hint, "request_id": _state(request).get("request_id", "")}
    return JSONResponse(body, status, headers)


def _state(request: Request) -> dict[str, object]:
    state: dict[str, object] = request.scope.get("state", {})
    return state

"""What an error says about the dependency that was called: its failure, or somebody else's; and whether trying again helps.

Any exception that is not listed as neutral is a failure, whatever its class: a breaker that ignores what it does not know
protects nothing. `BadResponse` is one, because a provider or proxy that answers with nonsense does so for everybody; it is
not retried, because the same question gets the same nonsense. `NoAnswer` is none: a question that makes a model think until no
token is left must not take the model from everybody else. `DatabaseBusy` is neutral and may be retried: the database
works, others were quicker. Classes of other libraries are read by their `status_code`, as openai and httpx set it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from engine.errors import (
    AccessDenied,
    CallNotPermitted,
    CollectionMissing,
    ConfigError,
    DatabaseBusy,
    DimensionMismatch,
    EngineError,
    InputError,
    NoAnswer,
    NoTimeLeft,
    ProviderRejected,
)
from engine.vendors.status import retry_seconds, waiting_helps

Outcome: TypeAlias = Literal["success", "failure", "neutral"]

NEUTRAL = (
    AccessDenied,
    CallNotPermitted,
    CollectionMissing,
    ConfigError,
    DatabaseBusy,
    DimensionMismatch,
    InputError,
    NoAnswer,
    NoTimeLeft,
    ProviderRejected,
)
NOT_OURS_TO_RETRY = (AccessDenied, CallNotPermitted)
KEY_REFUSED = frozenset({401, 403})


def outcome_of(error: BaseException | None) -> Outcome:
    """Return what a call counts as that ended with `error` (None: it returned).

    Neutral are: cancellation and the end of a generator (no `Exception`), what the user, an admin or the settings have to
    change, 4xx that waiting does not cure, and calls that were never made.
    """
    if error is None:
        return "success"
    if not isinstance(error, Exception) or isinstance(error, NEUTRAL):
        return "neutral"
    status = status_of(error)
    return "neutral" if status is not None and 400 <= status < 500 and not waiting_helps(status) else "failure"


def retryable(error: BaseException) -> bool:
    """Return whether the same call may succeed a moment later.

    Errors of our tree say so themselves (`EngineError.retryable`), except refusals of this package and of rate limits, which
    somebody else waits for. Of others: time-outs, broken connections, and the statuses 408, 409, 425, 429 and 5xx.
    """
    if isinstance(error, EngineError):
        return error.retryable and not isinstance(error, NOT_OURS_TO_RETRY)
    if isinstance(error, OSError):  # TimeoutError and ConnectionError are among them
        return isinstance(error, TimeoutError | ConnectionError)
    status = status_of(error)
    return status is not None and waiting_helps(status)


def any_failure(error: BaseException) -> bool:
    """Return whether to retry, for functions whose errors are of unknown classes: what is a failure and no EngineError."""
    return retryable(error) if isinstance(error, EngineError) else outcome_of(error) == "failure"


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error, if it tells one as `status`, `status_code` or `response.status_code`."""
    for where in (error, getattr(error, "response", None)):
        for name in ("status", "status_code"):
            value = getattr(where, name, None)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def key_refused(error: BaseException | None) -> bool:
    """Return whether the provider refused who is asking (401, 403): no failure, but somebody must enter another key."""
    return error is not None and status_of(error) in KEY_REFUSED


def asked_wait(error: BaseException) -> float | None:
    """Return the seconds that the dependency asked us to wait (Retry-After, RFC 9110 section 10.2.3), None if it did not."""
    told = getattr(error, "retry_after_seconds", None)
    if isinstance(told, int | float):
        return max(0.0, float(told))
    read = getattr(getattr(getattr(error, "response", None), "headers", None), "get", None)
    header = read("retry-after") if callable(read) else None
    return retry_seconds(header) if isinstance(header, str) else None


def name_of(error: BaseException) -> str:
    """Return the class of an error, and its status if it has one: what may stand in metrics and logs."""
    status = status_of(error)
    return type(error).__name__ if status is None else f"{type(error).__name__} {status}"

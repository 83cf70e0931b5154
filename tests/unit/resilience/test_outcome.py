"""What an error counts as, whether it is retried, and how long is waited for it."""

from __future__ import annotations

import asyncio
import email.utils
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from pinecone import ApiError

from engine import errors
from engine.resilience.outcome import any_failure, asked_wait, key_refused, name_of, outcome_of, retryable
from engine.stores import clients
from engine.types import Endpoint
from engine.vendors import pinecone as vendors_pinecone
from engine.vendors import postgres
from engine.vendors.status import from_status, too_slow, unreachable


def of_status(status: int, retry_after: str | None = None) -> errors.ProviderError:
    return from_status(status, "", provider="p", endpoint=Endpoint(), retry_after=retry_after)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_b10_what_the_request_is_refused_for_is_neutral_and_not_retried(status) -> None:
    error = of_status(status)
    assert (outcome_of(error), retryable(error), error.status) == ("neutral", False, status)


@pytest.mark.parametrize(
    "error",
    [
        errors.ProviderRejected("a filter withheld it"),
        errors.ProviderDenied("no"),
        errors.NoAnswer("it thought until no token was left"),
        errors.InputError("no"),
        errors.QuotaExceeded("no", retry_after_seconds=5),
        errors.AccessDenied("no"),
        errors.TooMany("no", retry_after_seconds=5),
        errors.ConfigError("no"),
        errors.MissingSecret("no"),
        errors.Overloaded("full"),
        errors.CircuitOpen("open"),
        errors.NoTimeLeft("over"),
        errors.DimensionMismatch("no"),
        errors.CollectionMissing("no"),
        asyncio.CancelledError(),
        GeneratorExit(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_b10_what_is_not_the_dependencys_fault_is_neutral_and_not_retried(error) -> None:
    assert (outcome_of(error), retryable(error), any_failure(error)) == ("neutral", False, False)


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422])
def test_b10_stores_that_refuse_a_request_are_neutral_too(status) -> None:
    error = clients.failed("Qdrant", ValueError("no"), Endpoint(), status=status)
    assert (outcome_of(error), retryable(error), name_of(error)) == ("neutral", False, f"StoreError {status}")


@pytest.mark.parametrize(("status", "reachable"), [(0, False), (408, True), (429, True), (500, True), (503, True)])
def test_b11_stores_in_trouble_are_failures_and_asked_again(status, reachable) -> None:
    error = clients.failed("Qdrant", ValueError("no"), Endpoint(), status=status, reachable=reachable)
    assert (outcome_of(error), retryable(error)) == ("failure", True)


def test_b10_b11_pinecone_and_postgresql_speak_the_same() -> None:
    def pinecone(status: int, **headers: str):
        return vendors_pinecone.translated(ApiError("no", status_code=status, headers=headers), Endpoint())

    assert [(outcome_of(pinecone(status)), retryable(pinecone(status))) for status in (401, 429, 503)] == [
        ("neutral", False), ("failure", True), ("failure", True)]  # fmt: skip
    assert asked_wait(pinecone(429, **{"Retry-After": "9"})) == 9.0
    down = postgres.translated(ConnectionRefusedError(), Endpoint())
    assert (outcome_of(down), retryable(down)) == ("failure", True)
    locked_out = postgres.translated(asyncpg.InvalidPasswordError("no"), Endpoint())
    assert (outcome_of(locked_out), key_refused(locked_out)) == ("neutral", True)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_b11_statuses_that_waiting_may_cure_are_failures_and_retried(status) -> None:
    error = of_status(status)
    assert (outcome_of(error), retryable(error)) == ("failure", True)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (too_slow(provider="p", seconds=3), True),
        (unreachable("", provider="p", endpoint=Endpoint()), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (OSError(28, "no space left"), False),
        (errors.StoreError("broken"), False),
        (errors.BadResponse("?"), False),
        (RuntimeError("unknown"), False),
    ],
    ids=lambda one: type(one).__name__,
)
def test_b11_time_outs_broken_connections_and_the_unknown_are_failures(error, again) -> None:
    assert (outcome_of(error), retryable(error)) == ("failure", again)


def test_a_busy_database_works_but_may_be_asked_again() -> None:
    assert (outcome_of(errors.DatabaseBusy("")), retryable(errors.DatabaseBusy(""))) == ("neutral", True)


class Foreign(Exception):
    def __init__(self, status: int, retry_after: str = "") -> None:
        super().__init__("words of a user")
        self.status_code = status
        self.response = type("Response", (), {"headers": {"retry-after": retry_after}, "status_code": status})()


def test_b10_b11_errors_of_other_libraries_are_read_by_their_status() -> None:
    assert [(outcome_of(Foreign(status)), any_failure(Foreign(status))) for status in (400, 401, 429, 503)] == [
        ("neutral", False), ("neutral", False), ("failure", True), ("failure", True)]  # fmt: skip
    assert asked_wait(Foreign(429, "7")) == 7.0


def test_b11_retry_after_is_read_in_both_forms() -> None:
    assert asked_wait(of_status(429, "12")) == 12.0
    later = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert asked_wait(of_status(429, later)) == pytest.approx(90, abs=5)
    assert asked_wait(Foreign(429, later)) == pytest.approx(90, abs=5)
    assert asked_wait(of_status(429)) is None
    assert asked_wait(Foreign(429, "soon")) is None


def test_the_name_of_an_error_holds_its_status_and_no_words() -> None:
    assert (name_of(Foreign(503)), name_of(of_status(401)), name_of(ValueError("x"))) == (
        "Foreign 503", "ProviderRejected 401", "ValueError")  # fmt: skip

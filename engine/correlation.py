"""Which request the present work belongs to, so that its log lines can be found together. Set by the gate, carried by tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """Return the id of the request that is being worked on, or ""."""
    return _request.get()


def belongs_to(request: str) -> None:
    """Say what the rest of this task or thread is for; for a thread that runs one page after the other."""
    _request.set(request)


@contextmanager
def working_for(request: str) -> Iterator[None]:
    """Let what runs inside, and the tasks made in there, belong to a request; "" leaves things as they are."""
    before = _request.set(request or _request.get())
    try:
        yield
    finally:
        _request.reset(before)

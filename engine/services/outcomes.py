"""What became of calls, told to the meter: errors by class, what was slowed down, and sign-ins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.access_views import SignIn
from engine.errors import AccessDenied, QuotaExceeded, TooMany
from engine.protocols import Meter


def failed(meter: Meter, error: BaseException, what: str = "") -> None:
    """Tell of an error; of one that asks to slow down also `what` it was about."""
    meter.counted("errors_total", (type(error).__name__,))
    if isinstance(error, (TooMany, QuotaExceeded)) and what:
        meter.counted("limited_total", (what,))


class SigningIn:
    """A sign-in that is watched: `done` tells how it went on."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def done(self, result: SignIn) -> SignIn:
        """Tell of a sign-in that is complete or wants one more step, and give it back."""
        self._meter.counted("sign_ins_total", ("success" if result.token else "next_step",))
        return result


@contextmanager
def signing_in(meter: Meter) -> Iterator[SigningIn]:
    """Tell of a sign-in that is refused within."""
    try:
        yield SigningIn(meter)
    except Exception as error:
        outcome = "locked" if isinstance(error, TooMany) else "denied" if isinstance(error, AccessDenied) else "failed"
        meter.counted("sign_ins_total", (outcome,))
        failed(meter, error, "sign_in")
        raise

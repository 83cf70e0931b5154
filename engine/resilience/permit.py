"""Leave to make one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.resilience.breaker import Breaker


class Permit:
    """Leave to make one call, whose end is reported by `succeeded`, `failed` or `neutral`; a second report does nothing."""

    __slots__ = ("_breaker", "_generation", "_probe", "_reported", "_trips")

    def __init__(self, breaker: Breaker, generation: int, trips: int, *, probe: bool) -> None:
        self._breaker, self._generation, self._trips, self._probe = breaker, generation, trips, probe
        self._reported = False

    @property
    def given_up(self) -> bool:
        """Whether an operator tripped the breaker since: what is still running stops as soon as it can."""
        return self._trips != self._breaker.trips

    def alive(self) -> None:
        """Tell that the call is still delivering, so that a long probe does not count as lost."""
        if self._probe:
            self._breaker.prolong(self, self._generation)

    def succeeded(self, seconds: float) -> None:
        """Report a call that returned after `seconds`."""
        self._report(seconds, None)

    def failed(self, error: BaseException, seconds: float) -> None:
        """Report a failure of the dependency."""
        self._report(seconds, error)

    def neutral(self) -> None:
        """Report an end that says nothing about the dependency."""
        self._report(None, None)

    def _report(self, seconds: float | None, error: BaseException | None) -> None:
        if not self._reported:
            self._reported = True
            self._breaker.report(self, self._generation, seconds, error)

"""A chain of ways to get the same thing: the first that delivers is taken, and its label says who it was.

    chain = Chain([Link("primary", ask_one), Link("secondary", ask_other), Link("last resort", quote_passages)])
    served = await chain.acall(question)        # served.value, served.label, served.skipped

When every link fails, the error of the first is raised, which says what is wrong with what was wanted, with a note of the
others. Never put a cache of other users' answers, or an embedding model of another vector space, into a chain.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from engine.errors import AccessDenied, CircuitOpen, InputError
from engine.resilience.outcome import name_of

T = TypeVar("T")


def worth_another(error: BaseException) -> bool:
    """Return whether the next link may do better: not for what the user has to change, and not for cancellation."""
    return isinstance(error, Exception) and not isinstance(error, InputError | AccessDenied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Generic[T]):
    """What came, from which link, and why those before it did not deliver: their labels, and the classes of their errors."""

    value: T
    label: str
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def fallback(self) -> bool:
        """Whether it is not from the first link."""
        return bool(self.skipped)


@dataclass(frozen=True, slots=True)
class Link:
    """One way. `run` takes the arguments of the call; it returns the value, an awaitable of it, or an async iterator."""

    label: str
    run: Callable[..., Any]


class Chain:
    """Links in the order of preference. `worth` tells for which errors the next one is tried."""

    def __init__(self, links: Sequence[Link], *, worth: Callable[[BaseException], bool] = worth_another) -> None:
        if not links:
            raise ValueError("a chain needs a link")
        self._links, self._worth = tuple(links), worth

    def call(self, *args: Any, **named: Any) -> Served[Any]:
        """Return what the first link that works returns; blocking."""
        failed: list[tuple[Link, Exception]] = []
        for link in self._links:
            try:
                return _served(link.run(*args, **named), link, failed)
            except Exception as error:  # noqa: BLE001 - raised again unless another link may do better
                self._note(link, error, failed)
        raise _honest(failed)

    async def acall(self, *args: Any, **named: Any) -> Served[Any]:
        """Return what the first link that works returns; links may be sync or async."""
        failed: list[tuple[Link, Exception]] = []
        for link in self._links:
            try:
                value = link.run(*args, **named)
                return _served(await value if inspect.isawaitable(value) else value, link, failed)
            except Exception as error:  # noqa: BLE001 - raised again unless another link may do better
                self._note(link, error, failed)
        raise _honest(failed)

    async def stream(self, *args: Any, **named: Any) -> AsyncGenerator[Served[Any], None]:
        """Yield the items of the first link that works.

        The next link takes over before a first item came, and later only when an operator tripped the breaker (CircuitOpen).
        It begins anew: when `label` changes, forget the items of the label before. An empty stream is a result.
        """
        failed: list[tuple[Link, Exception]] = []
        for link in self._links:
            begun = False
            source = None
            try:
                source = link.run(*args, **named)
                async for item in source:
                    begun = True
                    yield _served(item, link, failed)
                return  # noqa: TRY300 - the end of a generator
            except Exception as error:  # noqa: BLE001 - raised again unless another link may do better
                if begun and not isinstance(error, CircuitOpen):
                    raise
                self._note(link, error, failed)
            finally:
                close = getattr(source, "aclose", None)
                if close is not None:
                    await close()
        raise _honest(failed)

    def _note(self, link: Link, error: Exception, failed: list[tuple[Link, Exception]]) -> None:
        if not self._worth(error):
            raise error
        failed.append((link, error))


def _served(value: Any, link: Link, failed: list[tuple[Link, Exception]]) -> Served[Any]:
    return Served(value=value, label=link.label, skipped=tuple((one.label, name_of(error)) for one, error in failed))


def _honest(failed: list[tuple[Link, Exception]]) -> Exception:
    error = failed[0][1]
    for link, other in failed[1:]:
        error.add_note(f"{link.label} failed too: {name_of(other)}")
    return error

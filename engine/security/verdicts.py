"""Who a credential belongs to, remembered for a second, so that a burst of requests or frames asks SQL once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from engine.errors import EngineError
from engine.types import Principal

logger = logging.getLogger(__name__)
MAX_REMEMBERED = 2000


class Verdicts:
    """Verdicts by the SHA-256 of a credential, which itself is kept nowhere.

    Strangers are remembered apart from users, so that a flood of invented tokens pushes nobody out, and requests that
    come together with one credential share one look-up.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float], size: int = MAX_REMEMBERED) -> None:
        self._seconds = seconds
        self._clock = clock
        self._size = size
        self._users: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._strangers: OrderedDict[str, float] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Principal | None]] = {}

    def __len__(self) -> int:
        return len(self._users) + len(self._strangers)

    def known(self, credential: str) -> bool:
        """Tell whether this credential was good when it was last looked up, or needs no new look-up to be refused."""
        key = _key(credential)
        return key in self._users or self._clock() - self._strangers.get(key, float("-inf")) < self._seconds

    async def of(
        self, credential: str, ask: Callable[[], Awaitable[Principal | None]], *, fresh: bool = False
    ) -> Principal | None:
        """Return whose `credential` is, by `ask()` unless that was answered less than `seconds` ago.

        With `fresh` a good credential is looked up each time, so that taking it back acts at once. What `ask` raises is
        raised to everybody who waits, and not remembered.
        """
        key, now = _key(credential), self._clock()
        if not fresh and key in self._users and now - self._users[key][0] < self._seconds:
            return self._users[key][1]
        if now - self._strangers.get(key, float("-inf")) < self._seconds:
            return None
        # The look-up is a task of its own: the first to ask may be cancelled while others wait for the same answer.
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._look_up(key, now, ask))
        return await asyncio.shield(task)

    async def _look_up(self, key: str, now: float, ask: Callable[[], Awaitable[Principal | None]]) -> Principal | None:
        try:
            principal = await ask()
        except EngineError as error:
            logger.warning("a credential cannot be looked up: %s", type(error).__name__)
            raise
        finally:
            del self._asking[key]
        self._users.pop(key, None)
        self._strangers.pop(key, None)
        if principal is None:
            self._strangers[key] = now
            self._trim(self._strangers)
        else:
            self._users[key] = (now, principal)
            self._trim(self._users)
        return principal

    def _trim(self, remembered: OrderedDict[str, float] | OrderedDict[str, tuple[float, Principal]]) -> None:
        while len(remembered) > self._size:
            remembered.popitem(last=False)


def _key(credential: str) -> str:
    return hashlib.sha256(credential.encode()).hexdigest()

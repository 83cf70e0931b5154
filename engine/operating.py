"""What operators work with: health, breakers, measurements, alerts; and what keeps them up to date in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

from engine.errors import EngineError
from engine.foundation import Foundation
from engine.services.cache_desk import CacheDesk
from engine.services.operations import Operations

logger = logging.getLogger(__name__)


class Operating(Foundation):
    """The part of `engine.assembly.Assembly` between its foundation and the stories."""

    @cached_property
    def operations(self) -> Operations:
        """What the facade hands on to."""
        return Operations(cache=CacheDesk(cache=self.cache, database=self.database))

    def operating_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        return (self._warm_up,)

    async def _warm_up(self) -> None:
        # The first question should not pay for loading the model.
        try:
            await asyncio.to_thread(self.parts.local().embed_query, "warm up")
        except EngineError as error:  # the health page shows it
            logger.warning("the embedder is not ready: %s", error)

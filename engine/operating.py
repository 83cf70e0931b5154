"""What operators work with: health, breakers, measurements, alerts; and what keeps them up to date in the background."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

from engine.foundation import Foundation
from engine.services.operations import Operations


class Operating(Foundation):
    """The part of `engine.assembly.Assembly` between its foundation and the stories."""

    @cached_property
    def operations(self) -> Operations:
        """What the facade hands on to."""
        return Operations()

    def operating_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        return ()

"""What every wrapped part needs: where numbers go, what is kept, and what stands in front of everything that may fail."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from engine.protocols import Meter
from engine.settings import Settings


class _Nowhere:
    def timed(self, *_a: Any, **_o: Any) -> None: ...
    def counted(self, *_a: Any, **_o: Any) -> None: ...
    def gauged(self, *_a: Any, **_o: Any) -> None: ...


class _Stub:  # stands in until branch caching is here
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        self.kept[key] = value

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def delete_prefix(self, prefix: str) -> int:
        found = [key for key in self.kept if key.startswith(prefix)]
        for key in found:
            del self.kept[key]
        return len(found)


class Groundwork:
    """The lowest part of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def meter(self) -> Meter:
        """Where numbers go."""
        return _Nowhere()

    @cached_property
    def cache(self) -> Any:
        """What is kept to be quick."""
        return _Stub()

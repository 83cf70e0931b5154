"""What is kept to be quick, in Redis or in this process, and limits that all processes share.

    from engine.caching import ProductionCacheManager, cache_embeddings

Names are loaded on first use, so that importing this package loads no vendor library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.caching.decorators import cache_embeddings
    from engine.caching.manager import CacheStatus, ProductionCacheManager

__all__ = ["CacheStatus", "ProductionCacheManager", "cache_embeddings"]

_HOMES = {
    "CacheStatus": "engine.caching.manager",
    "ProductionCacheManager": "engine.caching.manager",
    "cache_embeddings": "engine.caching.decorators",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine.caching' has no attribute {name!r}")

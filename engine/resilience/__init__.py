"""What stands between the engine and everything that may fail: breakers, retries, bulkheads, deadlines, fallbacks.

    from engine.resilience import ErrorHandlingIntegration

Names are loaded on first use. See docs/resilience.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.resilience.guards import Guards
    from engine.resilience.integration import ErrorHandlingIntegration

__all__ = ["ErrorHandlingIntegration", "Guards"]

_HOMES = {
    "ErrorHandlingIntegration": "engine.resilience.integration",
    "Guards": "engine.resilience.guards",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine.resilience' has no attribute {name!r}")

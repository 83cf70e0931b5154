"""The product without its screens: ingestion, retrieval, cited answers, permissions.

    settings = load_settings()
    async with build_workbench(settings) as workbench: ...

Names are loaded on first use, so that `import engine` costs nothing and pulls in no vendor library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.assembly import build_workbench
    from engine.errors import EngineError
    from engine.settings import Settings, load_settings
    from engine.workbench import Workbench

__version__ = "0.1.0"
__all__ = ["EngineError", "Settings", "Workbench", "build_workbench", "load_settings"]

_HOMES = {
    "EngineError": "engine.errors",
    "Settings": "engine.settings",
    "Workbench": "engine.workbench",
    "build_workbench": "engine.assembly",
    "load_settings": "engine.settings",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")

"""What is measured: timings, counters, traces and logs, kept in this process and told to Prometheus.

    from engine.monitoring import MonitoringIntegration

Names are loaded on first use, so that importing this package loads no vendor library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.monitoring.integration import MonitoringIntegration

__all__ = ["MonitoringIntegration"]

_HOMES = {"MonitoringIntegration": "engine.monitoring.integration"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine.monitoring' has no attribute {name!r}")

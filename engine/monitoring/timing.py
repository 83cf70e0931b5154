"""Timing a piece of work in one line, so that a story stays readable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.protocols import Meter


@contextmanager
def timing(meter: Meter, metric: str, *labels: str) -> Iterator[None]:
    """Note how long the block takes; one that raises is noted as failed, one that is cancelled not at all."""
    started = time.perf_counter()
    try:
        yield
    except Exception:
        meter.timed(metric, labels, time.perf_counter() - started, ok=False)
        raise
    meter.timed(metric, labels, time.perf_counter() - started)

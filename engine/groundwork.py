"""What every wrapped part needs: where numbers go, what is kept, and what stands in front of everything that may fail."""

from __future__ import annotations

from functools import cached_property

from engine.monitoring.hub import Hub
from engine.monitoring.tracing import Traces
from engine.settings import Settings


class Groundwork:
    """The lowest part of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def meter(self) -> Hub:
        """Where numbers go."""
        return Hub(on_timed=self.traces.timed)

    @cached_property
    def traces(self) -> Traces:
        """Where traces go."""
        return Traces(self.settings.monitoring.otlp_endpoint, instance=self.settings.monitoring.instance)

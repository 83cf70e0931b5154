"""What every wrapped part needs: where numbers go, what is kept, and what stands in front of everything that may fail."""

from __future__ import annotations

from engine.settings import Settings


class Groundwork:
    """The lowest part of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

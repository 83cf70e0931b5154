"""What every wrapped part needs: where numbers go, what is kept, and what stands in front of everything that may fail."""

from __future__ import annotations

from functools import cached_property

from engine.protocols import SharedStates
from engine.resilience.guards import Guards
from engine.resilience.protected import Protection
from engine.services.breakers import Alone, Transitions
from engine.settings import Settings


class Groundwork:
    """The lowest part of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def transitions(self) -> Transitions:
        """What breakers did, until it is audited."""
        return Transitions()

    @cached_property
    def shared_states(self) -> SharedStates:
        """How processes tell each other of open breakers."""
        return Alone()

    @cached_property
    def guards(self) -> Guards:
        """What stands in front of models and stores, one for each."""
        return Guards(self.settings.resilience, on_transition=self.transitions.put)

    @cached_property
    def protection(self) -> Protection:
        """What puts them there."""
        return Protection(self.guards)

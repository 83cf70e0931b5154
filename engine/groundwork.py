"""What every wrapped part needs: where numbers go, what is kept, and what stands in front of everything that may fail."""

from __future__ import annotations

from functools import cached_property

from engine.caching.manager import ProductionCacheManager
from engine.monitoring.hub import Hub
from engine.monitoring.tracing import Traces
from engine.protocols import SharedStates
from engine.resilience.guards import Guards
from engine.resilience.protected import Protection
from engine.security.sealing import Sealer, audit_key, naming_key
from engine.services.breakers import Alone, Transitions
from engine.settings import Settings, load_secrets


class Groundwork:
    """The lowest part of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._secret = load_secrets(settings)["secret_key"].get_secret_value()
        self.sealer = Sealer(self._secret)
        self.audit_key = audit_key(self._secret)
        self.naming_key = naming_key(self._secret)

    @cached_property
    def meter(self) -> Hub:
        """Where numbers go."""
        return Hub(on_timed=self.traces.timed)

    @cached_property
    def traces(self) -> Traces:
        """Where traces go."""
        return Traces(self.settings.monitoring.otlp_endpoint, instance=self.settings.monitoring.instance)

    @cached_property
    def cache(self) -> ProductionCacheManager:
        """Values and limits: in Redis, sealed, if there is an address of one; else in this process."""
        caching = self.settings.caching
        url = caching.redis_url.get_secret_value()
        config = {"prefix": caching.prefix, "memory_mb": caching.memory_mb, "replicas": self.settings.replicas}
        where = {"provider": "redis", "redis": {"url": url}} if url else {"provider": "memory"}
        return ProductionCacheManager(config | where, sealing=self.sealer, meter=self.meter)

    @cached_property
    def transitions(self) -> Transitions:
        """What breakers did, until it is audited."""
        return Transitions()

    @cached_property
    def shared_states(self) -> SharedStates:
        """How processes tell each other of open breakers."""
        return self.cache.shared_states() or Alone()

    @cached_property
    def guards(self) -> Guards:
        """What stands in front of models and stores, one for each."""
        return Guards(self.settings.resilience, meter=self.meter, on_transition=self.transitions.put)

    @cached_property
    def protection(self) -> Protection:
        """What puts them there."""
        return Protection(self.guards)

"""What every wrapped part needs: where numbers go, what is kept, and what stands in front of everything that may fail."""

from __future__ import annotations

from functools import cached_property

from engine.caching.manager import ProductionCacheManager
from engine.security.sealing import Sealer, audit_key, naming_key
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
    def cache(self) -> ProductionCacheManager:
        """Values and limits: in Redis, sealed, if there is an address of one; else in this process."""
        caching = self.settings.caching
        url = caching.redis_url.get_secret_value()
        config = {"prefix": caching.prefix, "memory_mb": caching.memory_mb, "replicas": self.settings.replicas}
        where = {"provider": "redis", "redis": {"url": url}} if url else {"provider": "memory"}
        return ProductionCacheManager(config | where, sealing=self.sealer)

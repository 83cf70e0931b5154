"""What is within reach but not used: a server on this machine, a key in the environment. Offered, never switched on unasked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine import registry
from engine.errors import EngineError, InputError, NotFound
from engine.provider_views import Offer, ProviderInfo
from engine.services.accounts import require_role
from engine.services.configuration import Configured
from engine.services.providers import Providers
from engine.specs import Spec
from engine.types import Endpoint, Principal, Role

PROBE_SECONDS = 1.0
KEPT_SECONDS = 30.0


class Offers:
    """Detection. `environment(names)` returns those of the named variables that are set."""

    def __init__(
        self, *, providers: Providers, configured: Configured, environment: Callable[[Sequence[str]], Mapping[str, str]]
    ) -> None:
        self._providers = providers
        self._configured = configured
        self._environment = environment
        self._probed: dict[str, tuple[float, tuple[str, ...] | None]] = {}

    async def all(self, principal: Principal) -> list[Offer]:
        """Return what was found and is not a provider yet. Never raises for what cannot be reached."""
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        there = {row.kind for row in live.providers.values()}
        offers = [_key_offer(kind, spec.secret) for kind, spec in self._keys().items() if kind not in there]
        servers = {
            kind: spec for kind, spec in registry.GENERATORS.items() if spec.url.startswith("http") and kind not in there
        }
        found = await asyncio.gather(*(self._models(kind, spec) for kind, spec in servers.items()))
        offers += [
            _server_offer(kind, servers[kind], models)
            for kind, models in zip(servers, found, strict=True)
            if models is not None
        ]
        return offers

    async def accept(self, principal: Principal, offer_id: str) -> ProviderInfo:
        """Add the provider of an offer; it still has to be chosen. Raises NotFound, InputError."""
        offers = {one.id: one for one in await self.all(principal)}
        if offer_id not in offers:
            raise NotFound("this offer is not there any more", hint="Load the page again.")
        kind = offers[offer_id].kind
        spec = next(iter(registry.roles(kind).values()))
        key = _read(self._environment([spec.secret]).get(spec.secret, "")) if spec.secret else ""
        url = spec.url if spec.url != "vendor" else ""
        return await self._providers.add(principal, kind, name=offers[offer_id].name, base_url=url, key=key)

    def _keys(self) -> dict[str, Spec]:
        rows = {
            kind: spec for table in (registry.GENERATORS, registry.EMBEDDERS) for kind, spec in table.items() if spec.secret
        }
        found = self._environment([spec.secret for spec in rows.values()])
        # Two kinds may read the same variable: the first row of the table is the one to recommend.
        first = {spec.secret: kind for kind, spec in reversed(rows.items())}
        return {kind: rows[kind] for secret, kind in first.items() if secret in found}

    async def _models(self, kind: str, spec: Spec) -> tuple[str, ...] | None:
        probed, models = self._probed.get(kind, (-KEPT_SECONDS, None))
        if time.monotonic() - probed > KEPT_SECONDS:
            models = await _probe(spec)
            self._probed[kind] = (time.monotonic(), models)
        return models


async def _probe(spec: Spec) -> tuple[str, ...] | None:
    """Return the models of a server at its usual address; None when nobody answers there."""
    try:
        load = await asyncio.to_thread(spec.load)
        part = load(Endpoint(base_url=spec.url, model=spec.model, timeout_seconds=PROBE_SECONDS))
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return tuple(await part.models())
        finally:
            await part.close()
    except (EngineError, TimeoutError):
        return None


def _key_offer(kind: str, secret: str) -> Offer:
    label = next(iter(registry.roles(kind).values())).label
    return Offer(id=f"key:{kind}", kind=kind, name=kind, text=f"Found a key for {label} in the environment ({secret}).")


def _server_offer(kind: str, spec: Spec, models: tuple[str, ...]) -> Offer:
    count = f"{len(models)} model{'s' * (len(models) != 1)}"
    return Offer(
        id=f"server:{kind}", kind=kind, name=kind, text=f"Found: {spec.label} with {count} at {spec.url}.", models=models
    )


def _read(value: str) -> str:
    """Return a key: the value itself, or the content of the file that it names (credentials of Google Cloud)."""
    if not value.endswith(".json"):
        return value
    try:
        return Path(value).read_text()
    except OSError as error:
        raise InputError("the file of credentials cannot be read", hint="Check the path in the environment.") from error

"""The choices in force: which part does which job. Kept in SQL with a version, so that every process follows within a second.

A change is one new row; a writer names the version it saw, so that two admins cannot overwrite each other unnoticed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from engine import registry
from engine.database.database import Database
from engine.database.provider_models import Configuration, PriceRow, Provider
from engine.errors import InputError
from engine.provider_views import Choice, Choices
from engine.settings import Settings

FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Live:
    """Everything that admins chose, as it is now: choices, added providers by name, and prices by (provider, model)."""

    choices: Choices
    providers: Mapping[str, Provider]
    prices: Mapping[tuple[str, str], tuple[float, float]]


class Configured:
    """What is configured in SQL, read again when somebody changed it."""

    def __init__(self, *, database: Database, settings: Settings) -> None:
        self._database = database
        self._defaults = Choices(
            version=0,
            chain=(Choice(provider=settings.generator),),
            embedding=Choice(provider=settings.embedder),
            store=settings.store,
        )
        self._live: Live | None = None
        self._checked = 0.0

    async def current(self, *, fresh: bool = False) -> Live:
        """Return what is in force: at most a second old, or with `fresh` as it is now. Raises StoreError."""
        if self._live is None or fresh or time.monotonic() - self._checked > FRESH_SECONDS:
            checked = time.monotonic()
            async with self._database.read() as session:
                version = await newest_version(session)
                if self._live is None or self._live.choices.version < version:
                    read = await self._read(session, version)
                    # A slower reader must not bring an older state back.
                    if self._live is None or self._live.choices.version < version:
                        self._live = read
            self._checked = checked
        return self._live

    async def _read(self, session: AsyncSession, version: int) -> Live:
        row = await session.get(Configuration, version) if version else None
        prices = await session.scalars(select(PriceRow))
        return Live(
            choices=choices_of(row) if row and row.value else replace(self._defaults, version=version),
            providers={one.name: one for one in await session.scalars(select(Provider).order_by(Provider.name))},
            prices={(one.provider, one.model): (one.input_usd, one.output_usd) for one in prices},
        )

    async def bump(self, session: AsyncSession, seen: Choices, *, by: str, value: Choices | None = None) -> None:
        """Write the next version, in the caller's transaction: `value`, or the choices as they were seen.

        Raises InputError when another change came first.
        """
        if await newest_version(session) != seen.version:
            raise _overtaken()
        # Nothing chosen yet stays nothing: until then the settings of the installation decide.
        before = await session.get(Configuration, seen.version)
        kept = _to_json(value) if value else before.value if before else {}
        session.add(Configuration(version=seen.version + 1, value=kept, created_by=by[:100]))
        try:
            await session.flush()
        except IntegrityError as error:
            raise _overtaken() from error


def _overtaken() -> InputError:
    return InputError(
        "somebody else changed the providers meanwhile", hint="Look at what they are now, then change them again."
    )


async def newest_version(session: AsyncSession) -> int:
    """Return the version in force; 0 before the first change."""
    return await session.scalar(select(func.max(Configuration.version))) or 0


def choices_of(row: Configuration) -> Choices:
    """Return the choices that a row holds."""
    value = row.value

    def one(name: str) -> Choice | None:
        return Choice(**value[name]) if value.get(name) else None

    return Choices(
        version=row.version,
        chain=tuple(Choice(**link) for link in value["chain"]),
        embedding=Choice(**value["embedding"]),
        store=value["store"],
        rewrite=one("rewrite"),
        rerank=one("rerank"),
        changed_at=row.created_at,
        changed_by=row.created_by,
    )


def _to_json(choices: Choices) -> dict[str, Any]:
    value = asdict(choices)
    return {name: value[name] for name in ("chain", "embedding", "store", "rewrite", "rerank")}


def kind_of(live: Live, name: str) -> str:
    """Return the registry name behind a provider's name: built-in parts are their own."""
    row = live.providers.get(name)
    return row.kind if row else name


def is_free(live: Live, name: str) -> bool:
    """Whether calls of a provider cost nothing: it takes no key, so it is this machine or one of one's own."""
    kind = kind_of(live, name)
    rows = [table[kind] for table in registry.ROLES.values() if kind in table]
    return (name in live.providers or all(row.built_in for row in rows)) and bool(rows) and not any(row.secret for row in rows)

"""The tables behind the providers page: providers, choices, prices, the ledger of calls, and spaces in stores."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from engine.database.columns import Base, LongText, Real, now


class Provider(Base):
    """A provider that an admin added. The key is sealed; `revision` grows with each change, so that parts are made anew."""

    __tablename__ = "providers"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    base_url: Mapped[str] = mapped_column(String(500), default="")
    sealed_key: Mapped[str | None] = mapped_column(LongText)
    key_last4: Mapped[str] = mapped_column(String(4), default="")
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    timeout_seconds: Mapped[float] = mapped_column(Real, default=60.0)
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class ProviderTest(Base):
    """The last test of one role of a provider, built-in ones included."""

    __tablename__ = "provider_tests"
    provider: Mapped[str] = mapped_column(String(40), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), default="")
    ok: Mapped[bool]
    detail: Mapped[str] = mapped_column(LongText, default="")
    hint: Mapped[str] = mapped_column(LongText, default="")
    elapsed_ms: Mapped[float] = mapped_column(Real)
    at: Mapped[datetime] = mapped_column(default=now)


class Configuration(Base):
    """Every state that the choices ever had; the highest version is in force, and all processes look for it."""

    __tablename__ = "configurations"
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    value: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str] = mapped_column(String(100), default="")


class PriceRow(Base):
    """US dollars per one million tokens."""

    __tablename__ = "prices"
    provider: Mapped[str] = mapped_column(String(40), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    input_usd: Mapped[float] = mapped_column(Real)
    output_usd: Mapped[float] = mapped_column(Real)


class CallRow(Base):
    """One call of a model. `cost_usd` is what it cost at the prices of that moment, NULL when they were unknown."""

    __tablename__ = "calls"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(default=now)
    day: Mapped[str] = mapped_column(String(10), index=True)
    user_id: Mapped[str] = mapped_column(String(32), default="")
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200), default="")
    job: Mapped[str] = mapped_column(String(20))
    error: Mapped[str] = mapped_column(String(60), default="")
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    cost_usd: Mapped[float | None] = mapped_column(Real)
    elapsed_ms: Mapped[float] = mapped_column(Real)


class SpaceRow(Base):
    """The vectors of one collection in a store that keeps them itself, and how far it has followed SQL.

    Whoever holds the lease writes to it. A retired space is kept for reverting, then removed from its store.
    """

    __tablename__ = "spaces"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    collection_id: Mapped[str] = mapped_column(String(32), index=True)
    store: Mapped[str] = mapped_column(String(40))
    dimension: Mapped[int]
    seq: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str] = mapped_column(String(32), default="")
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    retired_at: Mapped[datetime | None]

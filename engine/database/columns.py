"""Column types, names of constraints, and the clock: what every table has in common."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Float,
    LargeBinary,
    MetaData,
    Text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

# MariaDB's TEXT and BLOB end at 64 KB (a page of a long document does not), its FLOAT has four bytes, its DATETIME whole seconds.
LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
Bytes = LargeBinary().with_variant(mysql.LONGBLOB(), "mariadb")
Real = Float().with_variant(mysql.DOUBLE(asdecimal=False), "mariadb")
_MICROSECONDS = mysql.DATETIME(fsp=6)


def new_id() -> str:
    """Return a random identifier of 32 hexadecimal characters."""
    return uuid.uuid4().hex


def now() -> datetime:
    """Return the present moment, in UTC and aware of it."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite and MariaDB drop the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep microseconds on every database: what was signed must come back."""
        return dialect.type_descriptor(_MICROSECONDS if dialect.name == "mariadb" else self.impl_instance)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware moment."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Common column types, and names for constraints so that migrations can change them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON, bytes: Bytes}

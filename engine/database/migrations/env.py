"""Alembic's entry: runs on the connection that `Database.migrate` hands over, inside its transaction."""

from alembic import context

from engine.database import (  # noqa: F401 - fills the metadata
    access_models,
    audit_models,
    chat_models,
    ingestion_models,
    models,
    operations_models,
    provider_models,
)
from engine.database.columns import Base, UtcDateTime
from engine.database.mariadb import prepare

connection = context.config.attributes["connection"]
if connection.dialect.name == "mariadb":
    prepare(connection)
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    render_item=lambda kind, item, _context: "MOMENT" if isinstance(item, UtcDateTime) else False,
    transactional_ddl=True,
)
context.run_migrations()

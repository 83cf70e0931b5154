"""logs of jobs, recognised text, generations, sources, backups, retention and legal holds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from engine.database.migrations.portable import BYTES, MOMENT, REAL

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

LONG = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
BIG = sa.BigInteger()
NO = sa.false()


def _text(name: str, size: int, *, nullable: bool = False) -> 'sa.Column[str]':
    return sa.Column(name, sa.String(length=size), nullable=nullable)


def _whole(name: str, *, nullable: bool = False) -> 'sa.Column[int]':
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> 'sa.Column[object]':
    return sa.Column(name, MOMENT, nullable=nullable)


ADDED: 'tuple[tuple[str, sa.Column[object]], ...]' = (
    ('collections', sa.Column('generation', sa.String(length=32), nullable=False, server_default='')),
    ('documents', sa.Column('disabled_at', MOMENT, nullable=True)),
    ('versions', sa.Column('source', sa.String(length=500), nullable=False, server_default='')),
    ('versions', sa.Column('replaces', sa.Boolean(), nullable=False, server_default=NO)),
    ('pages', sa.Column('recognised', sa.Boolean(), nullable=False, server_default=NO)),
    ('pages', sa.Column('lines', sa.JSON(), nullable=False, server_default='[]')),
    ('chunks', sa.Column('generation', sa.String(length=32), nullable=False, server_default='')),
    ('chunks', sa.Column('recognised', sa.Boolean(), nullable=False, server_default=NO)),
    ('citations', sa.Column('recognised', sa.Boolean(), nullable=False, server_default=NO)),
    ('snapshots', sa.Column('generation', sa.String(length=32), nullable=False, server_default='')),
    ('jobs', sa.Column('worker', sa.String(length=60), nullable=False, server_default='')),
    ('jobs', sa.Column('stage', sa.String(length=20), nullable=False, server_default='')),
    ('jobs', sa.Column('stage_at', MOMENT, nullable=True)),
    ('jobs', sa.Column('units_done', sa.Integer(), nullable=False, server_default='0')),
    ('jobs', sa.Column('units_total', sa.Integer(), nullable=False, server_default='0')),
    ('jobs', sa.Column('started_at', MOMENT, nullable=True)),
    ('jobs', sa.Column('cancelled_at', MOMENT, nullable=True)),
)


def upgrade() -> None:
    for table, column in ADDED:  # not in batch mode: it drops the table, and with it every row that refers to it
        op.add_column(table, column)
    op.create_index(op.f('ix_jobs_updated_at'), 'jobs', ['updated_at'])
    op.create_table(
        'job_events',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        _text('version_id', 32), _moment('at'), _text('stage', 20), _text('level', 10), _text('text', 500),
        sa.ForeignKeyConstraint(['version_id'], ['versions.id'], name=op.f('fk_job_events_version_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_job_events')),
    )  # fmt: skip
    op.create_index(op.f('ix_job_events_version_id'), 'job_events', ['version_id'])
    op.create_table(
        'generations',
        _text('id', 32), _text('collection_id', 32), _whole('number'), _text('state', 20), _text('chunker', 40),
        _whole('chunk_tokens'), _whole('overlap_tokens'), _text('embedder', 40), _text('model_id', 120), _whole('dimension'),
        _text('embedding_model', 200), sa.Column('probe', BYTES, nullable=True),
        sa.Column('normalised', sa.Boolean(), nullable=False), _whole('max_tokens'), _text('store', 40), _text('space', 32),
        _whole('documents_total'), _whole('documents_done'), _whole('chunks'), sa.Column('recall', REAL, nullable=True),
        _whole('questions'), sa.Column('report', sa.JSON(), nullable=False), sa.Column('reason', LONG, nullable=False),
        sa.Column('hint', LONG, nullable=False), _text('started_by', 100), _moment('started_at'),
        _moment('switched_at', nullable=True), _moment('retired_at', nullable=True), _text('owner', 64),
        _moment('lease_until', nullable=True),
        sa.ForeignKeyConstraint(
            ['collection_id'], ['collections.id'], name=op.f('fk_generations_collection_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_generations')),
        sa.UniqueConstraint('collection_id', 'number', name=op.f('uq_generations_collection_id_number')),
    )  # fmt: skip
    op.create_index(op.f('ix_generations_state'), 'generations', ['state'])
    op.create_table(
        'cuts',
        _text('version_id', 32), _text('generation', 32), _whole('chunks'), sa.Column('embedded', sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(['version_id'], ['versions.id'], name=op.f('fk_cuts_version_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('version_id', 'generation', name=op.f('pk_cuts')),
    )  # fmt: skip
    op.create_index(op.f('ix_cuts_generation'), 'cuts', ['generation'])
    _fill()
    op.create_table(
        'sources',
        _text('id', 32), _text('collection_id', 32), _text('document_id', 32), _text('root', 500),
        sa.Column('location', LONG, nullable=False), _text('sha256', 64), sa.Column('size_bytes', BIG, nullable=False),
        sa.Column('modified_ns', BIG, nullable=False), _text('etag', 300), _moment('seen_at'),
        sa.ForeignKeyConstraint(
            ['collection_id'], ['collections.id'], name=op.f('fk_sources_collection_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_sources')),
    )  # fmt: skip
    op.create_index(op.f('ix_sources_document_id'), 'sources', ['document_id'])
    op.create_index('ix_sources_collection_root', 'sources', ['collection_id', 'root'])
    op.create_table(
        'backups',
        _text('id', 32), _text('name', 500), sa.Column('scheduled', sa.Boolean(), nullable=False), _text('state', 10),
        sa.Column('size_bytes', BIG, nullable=False), _whole('documents'), _whole('row_count'), _whole('files'),
        sa.Column('encrypted', sa.Boolean(), nullable=False), _text('sha256', 64), _moment('started_at'),
        _moment('ended_at', nullable=True), _moment('tested_at', nullable=True),
        sa.Column('test_ok', sa.Boolean(), nullable=True), sa.Column('detail', LONG, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_backups')),
    )  # fmt: skip
    op.create_index(op.f('ix_backups_started_at'), 'backups', ['started_at'])
    op.create_table(
        'retention_rules',
        _text('id', 32), _text('kind', 20), _text('collection_id', 32), _whole('days'),
        sa.Column('enabled', sa.Boolean(), nullable=False), _text('changed_by', 100), _moment('changed_at'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_retention_rules')),
    )  # fmt: skip
    op.create_table(
        'legal_holds',
        _text('id', 32), _text('kind', 20), _text('object_id', 32), _text('reason', 500), _text('set_by', 100),
        _moment('set_at'), _text('released_by', 100), _moment('released_at', nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_legal_holds')),
    )  # fmt: skip
    op.create_index(op.f('ix_legal_holds_object_id'), 'legal_holds', ['object_id'])
    # Not a count: the row that who sets a hold and who removes something wait for each other by.
    op.bulk_insert(sa.table('counters', sa.column('name', sa.String), sa.column('value', sa.Integer)), [{'name': 'holds', 'value': 0}])


def _fill() -> None:
    """What is there becomes the first generation of its collection, which is called like the collection."""
    op.execute('UPDATE collections SET generation = id')
    op.execute('UPDATE chunks SET generation = (SELECT collection_id FROM versions WHERE versions.id = chunks.version_id)')
    op.execute('UPDATE snapshots SET generation = collection_id')
    op.execute(
        'INSERT INTO cuts (version_id, generation, chunks, embedded) '
        "SELECT id, collection_id, chunks, state IN ('embedded', 'live', 'replaced', 'deleted') FROM versions "
        "WHERE state NOT IN ('stored', 'parsed')"
    )


def downgrade() -> None:
    op.execute("DELETE FROM counters WHERE name = 'holds'")
    for table in ('legal_holds', 'retention_rules', 'backups', 'sources', 'cuts', 'generations', 'job_events'):
        op.drop_table(table)
    op.drop_index(op.f('ix_jobs_updated_at'), 'jobs')
    for table, column in reversed(ADDED):
        op.drop_column(table, column.name)

"""providers, choices, prices, the ledger of calls, and stores that keep vectors themselves"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from alembic import op

from engine.database.migrations.portable import BYTES, MOMENT, REAL

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('calls',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.Column('day', sa.String(length=10), nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=False),
    sa.Column('provider', sa.String(length=40), nullable=False),
    sa.Column('model', sa.String(length=200), nullable=False),
    sa.Column('job', sa.String(length=20), nullable=False),
    sa.Column('error', sa.String(length=60), nullable=False),
    sa.Column('input_tokens', sa.Integer(), nullable=False),
    sa.Column('output_tokens', sa.Integer(), nullable=False),
    sa.Column('cost_usd', REAL, nullable=True),
    sa.Column('elapsed_ms', REAL, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_calls'))
    )
    with op.batch_alter_table('calls', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_calls_day'), ['day'], unique=False)

    op.create_table('configurations',
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('value', sa.JSON(), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('created_by', sa.String(length=100), nullable=False),
    sa.PrimaryKeyConstraint('version', name=op.f('pk_configurations'))
    )
    op.create_table('prices',
    sa.Column('provider', sa.String(length=40), nullable=False),
    sa.Column('model', sa.String(length=200), nullable=False),
    sa.Column('input_usd', REAL, nullable=False),
    sa.Column('output_usd', REAL, nullable=False),
    sa.PrimaryKeyConstraint('provider', 'model', name=op.f('pk_prices'))
    )
    op.create_table('provider_tests',
    sa.Column('provider', sa.String(length=40), nullable=False),
    sa.Column('role', sa.String(length=20), nullable=False),
    sa.Column('model', sa.String(length=200), nullable=False),
    sa.Column('ok', sa.Boolean(), nullable=False),
    sa.Column('detail', sa.Text().with_variant(mysql.LONGTEXT(), 'mariadb').with_variant(mysql.LONGTEXT(), 'mysql'), nullable=False),
    sa.Column('hint', sa.Text().with_variant(mysql.LONGTEXT(), 'mariadb').with_variant(mysql.LONGTEXT(), 'mysql'), nullable=False),
    sa.Column('elapsed_ms', REAL, nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('provider', 'role', name=op.f('pk_provider_tests'))
    )
    op.create_table('providers',
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('base_url', sa.String(length=500), nullable=False),
    sa.Column('sealed_key', sa.Text().with_variant(mysql.LONGTEXT(), 'mariadb').with_variant(mysql.LONGTEXT(), 'mysql'), nullable=True),
    sa.Column('key_last4', sa.String(length=4), nullable=False),
    sa.Column('options', sa.JSON(), nullable=False),
    sa.Column('timeout_seconds', REAL, nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('updated_at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_providers'))
    )
    op.create_table('spaces',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('collection_id', sa.String(length=32), nullable=False),
    sa.Column('store', sa.String(length=40), nullable=False),
    sa.Column('dimension', sa.Integer(), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('owner', sa.String(length=32), nullable=False),
    sa.Column('lease_until', MOMENT, nullable=True),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('retired_at', MOMENT, nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_spaces'))
    )
    with op.batch_alter_table('spaces', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_spaces_collection_id'), ['collection_id'], unique=False)

    # Not in batch mode: that would copy the tables, and dropping the old ones takes every row that refers to them along.
    def text(table: str, name: str, length: int, default: str = '') -> None:
        op.add_column(table, sa.Column(name, sa.String(length=length), nullable=False, server_default=default))

    text('collections', 'embedding_model', 200)
    op.add_column('collections', sa.Column('probe', BYTES, nullable=True))
    op.add_column('collections', sa.Column('normalised', sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column('collections', sa.Column('max_tokens', sa.Integer(), nullable=False, server_default='0'))
    text('collections', 'store', 40, 'faiss')
    text('collections', 'space', 32)
    text('collections', 'previous_store', 40)
    text('collections', 'previous_space', 32)
    op.add_column('jobs', sa.Column('crashes', sa.Integer(), nullable=False, server_default='0'))
    op.add_column('messages', sa.Column('serving', sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column('messages', 'serving')
    op.drop_column('jobs', 'crashes')
    for name in ('previous_space', 'previous_store', 'space', 'store', 'max_tokens', 'normalised', 'probe', 'embedding_model'):
        op.drop_column('collections', name)
    for name in ('spaces', 'providers', 'provider_tests', 'prices', 'configurations', 'calls'):
        op.drop_table(name)

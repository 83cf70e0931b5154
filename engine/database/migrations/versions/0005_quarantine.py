"""how suspicious a passage is, and whether it is kept out of answers"""

import sqlalchemy as sa
from alembic import op

from engine.database.migrations.portable import REAL

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode: that would copy the table, and dropping the old one takes every row that refers to it along.
    op.add_column('chunks', sa.Column('suspicion', REAL, nullable=False, server_default='0'))
    op.add_column('chunks', sa.Column('findings', sa.JSON(), nullable=False, server_default='[]'))
    op.add_column('chunks', sa.Column('quarantine', sa.String(length=10), nullable=False, server_default=''))
    op.add_column('chunks', sa.Column('decided_by', sa.String(length=100), nullable=False, server_default=''))
    op.create_index(op.f('ix_chunks_quarantine'), 'chunks', ['quarantine'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_chunks_quarantine'), table_name='chunks')
    for name in ('decided_by', 'quarantine', 'findings', 'suspicion'):
        op.drop_column('chunks', name)

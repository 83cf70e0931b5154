"""the class of what a version failed with"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('versions', sa.Column('error', sa.String(length=40), nullable=False, server_default=''))


def downgrade() -> None:
    op.drop_column('versions', 'error')

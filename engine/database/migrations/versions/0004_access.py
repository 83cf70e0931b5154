"""groups, API keys, one-time tickets, revoked tokens, second factors and forced changes of passwords"""

import sqlalchemy as sa
from alembic import op

from engine.database.migrations.portable import MOMENT

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('user_groups',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user_groups')),
    sa.UniqueConstraint('name', name=op.f('uq_user_groups_name'))
    )
    op.create_table('group_members',
    sa.Column('group_id', sa.String(length=32), nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=False),
    sa.ForeignKeyConstraint(['group_id'], ['user_groups.id'], name=op.f('fk_group_members_group_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_group_members_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('group_id', 'user_id', name=op.f('pk_group_members'))
    )
    op.create_index(op.f('ix_group_members_user_id'), 'group_members', ['user_id'])
    op.create_table('group_grants',
    sa.Column('collection_id', sa.String(length=32), nullable=False),
    sa.Column('group_id', sa.String(length=32), nullable=False),
    sa.Column('access_right', sa.String(length=10), nullable=False),
    sa.ForeignKeyConstraint(['collection_id'], ['collections.id'], name=op.f('fk_group_grants_collection_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['group_id'], ['user_groups.id'], name=op.f('fk_group_grants_group_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('collection_id', 'group_id', name=op.f('pk_group_grants'))
    )
    op.create_index(op.f('ix_group_grants_group_id'), 'group_grants', ['group_id'])
    op.create_table('api_keys',
    sa.Column('id', sa.String(length=12), nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('secret_sha256', sa.String(length=64), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('expires_at', MOMENT, nullable=True),
    sa.Column('last_used_at', MOMENT, nullable=True),
    sa.Column('revoked_at', MOMENT, nullable=True),
    sa.Column('revoked_by', sa.String(length=32), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_api_keys_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys'))
    )
    op.create_index(op.f('ix_api_keys_user_id'), 'api_keys', ['user_id'])
    op.create_table('tickets',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('token_sha256', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.Column('expires_at', MOMENT, nullable=False),
    sa.Column('used_at', MOMENT, nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_tickets_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tickets')),
    sa.UniqueConstraint('token_sha256', name=op.f('uq_tickets_token_sha256'))
    )
    op.create_index(op.f('ix_tickets_user_id'), 'tickets', ['user_id'])
    op.create_table('revoked_tokens',
    sa.Column('jti', sa.String(length=64), nullable=False),
    sa.Column('expires_at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('jti', name=op.f('pk_revoked_tokens'))
    )
    op.create_index(op.f('ix_revoked_tokens_expires_at'), 'revoked_tokens', ['expires_at'])

    op.create_table('uploads',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.Column('size_bytes', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_uploads_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_uploads'))
    )
    op.create_index('ix_uploads_user_id_at', 'uploads', ['user_id', 'at'])

    # Not in batch mode: that would copy the table, and dropping the old one takes every row that refers to it along.
    op.add_column('users', sa.Column('must_change', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('users', sa.Column('sealed_totp', sa.String(length=300), nullable=True))
    op.add_column('users', sa.Column('totp_confirmed', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('users', sa.Column('totp_step', sa.Integer(), nullable=False, server_default='0'))
    op.add_column('sessions', sa.Column('revoked_by', sa.String(length=32), nullable=False, server_default=''))


def downgrade() -> None:
    op.drop_column('sessions', 'revoked_by')
    for name in ('totp_step', 'totp_confirmed', 'sealed_totp', 'must_change'):
        op.drop_column('users', name)
    for name in ('uploads', 'revoked_tokens', 'tickets', 'api_keys', 'group_grants', 'group_members', 'user_groups'):
        op.drop_table(name)

"""the audit becomes a chain whose rows are never changed; filters that admins keep"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from engine.database.migrations.portable import MOMENT

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

REFUSAL = 'rows of the audit are never changed or deleted'
RETAINED = "SELECT 1 FROM audit_head WHERE name = 'audit' AND deletable_to >= OLD.seq"
# REPLACE deletes without firing the trigger on DELETE (unless recursive_triggers is on), so taking a taken number is refused.
SQLITE = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN NOT EXISTS ({RETAINED}) "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq) "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF TG_OP = 'DELETE' THEN IF EXISTS ({RETAINED}) THEN RETURN OLD; END IF; END IF; "
    f"RAISE EXCEPTION '{REFUSAL}'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_guard()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_guard()",
)
# Without AUTO_INCREMENT the number is ours. OR REPLACE: an interrupted migration is done again.
MARIADB = (
    'ALTER TABLE audit MODIFY seq INTEGER NOT NULL',
    "CREATE OR REPLACE TRIGGER audit_no_update BEFORE UPDATE ON audit FOR EACH ROW "
    f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{REFUSAL}'",
    f"CREATE OR REPLACE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW IF NOT EXISTS ({RETAINED}) THEN "
    f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{REFUSAL}'; END IF",
)
STATEMENTS = {'sqlite': SQLITE, 'postgresql': POSTGRESQL, 'mariadb': MARIADB}
COLUMNS = (('request_id', 64), ('object_type', 40), ('reason', 200), ('prev_hash', 64), ('hash', 64))


def upgrade() -> None:
    head = op.create_table('audit_head',
    sa.Column('name', sa.String(length=20), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('at', MOMENT, nullable=False),
    sa.Column('hash', sa.String(length=64), nullable=False),
    sa.Column('written', sa.Integer(), nullable=False),
    sa.Column('deletable_to', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_audit_head'))
    )
    op.create_table('audit_views',
    sa.Column('user_id', sa.String(length=32), nullable=False),
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('query', sa.JSON(), nullable=False),
    sa.Column('created_at', MOMENT, nullable=False),
    sa.PrimaryKeyConstraint('user_id', 'name', name=op.f('pk_audit_views'))
    )
    # Never in batch mode, now or later: that would copy the table, and the triggers would stay behind.
    for name, length in COLUMNS:
        op.add_column('audit', sa.Column(name, sa.String(length=length), nullable=False, server_default=''))
    for statement in STATEMENTS[op.get_context().dialect.name]:
        op.execute(statement)
    # An empty hash: the first row that is chained seals the rows that are there already. The key is not known here. Last, for
    # DDL would commit it on MariaDB, and an interrupted migration would find it there.
    start = {'name': 'audit', 'seq': 0, 'at': datetime.now(UTC), 'hash': '', 'written': 0, 'deletable_to': 0}
    op.bulk_insert(head, [start])


def downgrade() -> None:
    dialect = op.get_context().dialect.name
    if dialect == 'postgresql':
        op.execute('DROP TRIGGER audit_no_truncate ON audit')
        op.execute('DROP TRIGGER audit_no_change ON audit')
        op.execute('DROP FUNCTION audit_guard()')
    else:
        for name in ('audit_no_update', 'audit_no_delete', *(['audit_no_replace'] if dialect == 'sqlite' else [])):
            op.execute(f'DROP TRIGGER {name}')
    if dialect == 'mariadb':
        op.execute('ALTER TABLE audit MODIFY seq INTEGER NOT NULL AUTO_INCREMENT')
    for name, _ in COLUMNS:
        op.drop_column('audit', name)
    op.drop_table('audit_views')
    op.drop_table('audit_head')

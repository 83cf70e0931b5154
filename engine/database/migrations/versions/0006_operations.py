"""history of measurements, forced breakers, alerts, heartbeats, preferences"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from engine.database.migrations.portable import MOMENT, REAL

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

# What an installation begins with; admins and operators change it. (name, metric, threshold, minutes)
RULES = (
    ('Questions fail', 'error_rate', 5.0, 2.0),
    ('Answers are slow', 'stage_p95_ms', 60_000.0, 5.0),
    ('A model or store is left alone', 'breaker_open', 0.0, 0.0),
    ('A health check fails', 'check_failed', 0.0, 2.0),
    ('Documents wait too long', 'queue_oldest_seconds', 900.0, 1.0),
)
LONG = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')


def _text(name: str, size: int, *, nullable: bool = False) -> 'sa.Column[str]':
    return sa.Column(name, sa.String(length=size), nullable=nullable)


def _rule(number: int, name: str, metric: str, threshold: float, minutes: float) -> dict[str, object]:
    return {
        'id': f'{number:032x}', 'name': name, 'metric': metric, 'label': '', 'above': True, 'threshold': threshold,
        'for_minutes': minutes, 'cooldown_minutes': 1.0, 'enabled': True, 'channels': [], 'silenced_until': None,
        'changed_by': '', 'changed_at': datetime.now(UTC),
    }  # fmt: skip


def upgrade() -> None:
    op.create_table(
        'rollups',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('resolution', sa.Integer(), nullable=False),
        sa.Column('at', MOMENT, nullable=False),
        _text('replica', 60), _text('metric', 60), _text('label', 300),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.Column('errors', sa.Integer(), nullable=False),
        sa.Column('total', REAL, nullable=False),
        sa.Column('buckets', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_rollups')),
    )  # fmt: skip
    op.create_index('ix_rollups_resolution_metric_at', 'rollups', ['resolution', 'metric', 'at'])
    op.create_table(
        'breaker_forces',
        _text('id', 64),
        sa.Column('dependency', sa.JSON(), nullable=False),
        _text('state', 20), _text('by', 100), _text('reason', 200),
        sa.Column('at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_breaker_forces')),
    )  # fmt: skip
    rules = op.create_table(
        'alert_rules',
        _text('id', 32), _text('name', 100), _text('metric', 60), _text('label', 300),
        sa.Column('above', sa.Boolean(), nullable=False),
        sa.Column('threshold', REAL, nullable=False),
        sa.Column('for_minutes', REAL, nullable=False),
        sa.Column('cooldown_minutes', REAL, nullable=False),
        sa.Column('enabled', sa.Boolean(), nullable=False),
        sa.Column('channels', sa.JSON(), nullable=False),
        sa.Column('silenced_until', MOMENT, nullable=True),
        _text('changed_by', 100),
        sa.Column('changed_at', MOMENT, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_alert_rules')),
    )  # fmt: skip
    op.bulk_insert(rules, [_rule(number, *values) for number, values in enumerate(RULES, start=1)])
    op.create_table(
        'alert_channels',
        _text('id', 32), _text('name', 100), _text('kind', 20),
        sa.Column('sealed_target', LONG, nullable=False),
        _text('shown', 200), _text('last_result', 300),
        sa.Column('last_at', MOMENT, nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_alert_channels')),
    )  # fmt: skip
    op.create_table(
        'alerts',
        _text('id', 32), _text('rule_id', 32), _text('rule', 100), _text('open_key', 32, nullable=True),
        sa.Column('value', REAL, nullable=False),
        _text('detail', 500),
        sa.Column('started_at', MOMENT, nullable=False),
        sa.Column('resolved_at', MOMENT, nullable=True),
        sa.Column('acknowledged_at', MOMENT, nullable=True),
        _text('acknowledged_by', 100),
        sa.Column('deliveries', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_alerts')),
        sa.UniqueConstraint('open_key', name=op.f('uq_alerts_open_key')),
    )  # fmt: skip
    op.create_index(op.f('ix_alerts_rule_id'), 'alerts', ['rule_id'])
    op.create_index(op.f('ix_alerts_started_at'), 'alerts', ['started_at'])
    op.create_table(
        'heartbeats',
        _text('id', 60), _text('kind', 20),
        sa.Column('started_at', MOMENT, nullable=False),
        sa.Column('at', MOMENT, nullable=False),
        sa.Column('facts', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_heartbeats')),
    )  # fmt: skip
    op.create_table(
        'preferences',
        _text('user_id', 32), _text('name', 40), _text('value', 200),
        sa.PrimaryKeyConstraint('user_id', 'name', name=op.f('pk_preferences')),
    )  # fmt: skip


def downgrade() -> None:
    for table in ('preferences', 'heartbeats', 'alerts', 'alert_channels', 'alert_rules', 'breaker_forces', 'rollups'):
        op.drop_table(table)

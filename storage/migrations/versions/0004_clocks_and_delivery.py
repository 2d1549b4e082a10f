"""clocks and delivery: when a ticket has to be looked at next, who was not reached, leaves"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

PENDING = sa.text("status = 'pending'")
UNREPORTED = sa.text("status = 'dead' and reported_at is null")


def upgrade() -> None:
    op.create_table('leaves',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('start_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('end_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('reason', sa.String(length=60), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_leaves_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_leaves'))
    )
    with op.batch_alter_table('leaves', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_leaves_staff_id'), ['staff_id'], unique=False)
    op.add_column('tickets', sa.Column('look_at', storage.types.UtcDateTime(), nullable=True))
    op.add_column('tickets', sa.Column('repeat_at', storage.types.UtcDateTime(), nullable=True))
    op.create_index(op.f('ix_tickets_look_at'), 'tickets', ['look_at'])
    op.create_index('ix_tickets_callback_at', 'tickets', ['callback_at'])
    op.create_index('ix_tickets_created', 'tickets', ['community_id', 'created_at'])
    op.create_index('ix_tickets_closed', 'tickets', ['community_id', 'closed_at'])
    op.create_index('ix_tickets_handler', 'tickets', ['handler_id', 'status'])
    op.drop_index('ix_tickets_handler_id', table_name='tickets')
    op.create_index('ix_assignments_staff', 'assignments', ['staff_id', 'state'])
    op.create_index('ix_assignments_turn', 'assignments', ['staff_id', 'offered_at'])
    op.drop_index('ix_assignments_staff_id', table_name='assignments')
    # The clocks look once at everything that may still have one running, and find out themselves when to look next.
    op.execute(
        "update tickets set look_at = created_at "
        "where status not in ('closed','cancelled','referred','merged')"
    )
    op.add_column('outbox', sa.Column('reported_at', storage.types.UtcDateTime(), nullable=True))
    # What was given up before anybody was told of it is past telling.
    op.execute("update outbox set reported_at = created_at where status = 'dead'")
    op.create_index(
        op.f('ix_outbox_waiting'), 'outbox', ['conversation_id', 'id'], sqlite_where=PENDING, postgresql_where=PENDING
    )
    op.create_index(
        op.f('ix_outbox_unreported'), 'outbox', ['id'], sqlite_where=UNREPORTED, postgresql_where=UNREPORTED
    )
    op.drop_index('ix_outbox_due', table_name='outbox')


def downgrade() -> None:
    op.create_index('ix_outbox_due', 'outbox', ['status', 'due_at'])
    op.drop_index(op.f('ix_outbox_unreported'), table_name='outbox')
    op.drop_index(op.f('ix_outbox_waiting'), table_name='outbox')
    op.drop_column('outbox', 'reported_at')
    op.create_index('ix_assignments_staff_id', 'assignments', ['staff_id'])
    op.drop_index('ix_assignments_turn', table_name='assignments')
    op.drop_index('ix_assignments_staff', table_name='assignments')
    op.create_index('ix_tickets_handler_id', 'tickets', ['handler_id'])
    op.drop_index('ix_tickets_handler', table_name='tickets')
    op.drop_index('ix_tickets_closed', table_name='tickets')
    op.drop_index('ix_tickets_created', table_name='tickets')
    op.drop_index('ix_tickets_callback_at', table_name='tickets')
    op.drop_index(op.f('ix_tickets_look_at'), table_name='tickets')
    op.drop_column('tickets', 'repeat_at')
    op.drop_column('tickets', 'look_at')
    with op.batch_alter_table('leaves', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_leaves_staff_id'))
    op.drop_table('leaves')

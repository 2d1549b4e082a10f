"""followers of a ticket; like faults found by code and time"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('followers',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('ticket_id', sa.Integer(), nullable=False),
    sa.Column('resident_id', sa.Integer(), nullable=True),
    sa.Column('staff_id', sa.Integer(), nullable=True),
    sa.Column('conversation_id', sa.Integer(), nullable=True),
    sa.Column('child_id', sa.Integer(), nullable=True),
    sa.Column('place_key', sa.String(length=160), nullable=False),
    sa.Column('place_text', sa.String(length=200), nullable=False),
    sa.Column('at', storage.types.UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['child_id'], ['tickets.id'], name=op.f('fk_followers_child_id_tickets')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], name=op.f('fk_followers_conversation_id_conversations')),
    sa.ForeignKeyConstraint(['resident_id'], ['residents.id'], name=op.f('fk_followers_resident_id_residents')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_followers_staff_id_staff')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_followers_ticket_id_tickets')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_followers')),
    sa.UniqueConstraint('ticket_id', 'resident_id', name=op.f('uq_followers_ticket_id_resident_id')),
    sa.UniqueConstraint('ticket_id', 'staff_id', name=op.f('uq_followers_ticket_id_staff_id'))
    )
    with op.batch_alter_table('followers', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_followers_resident_id'), ['resident_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_followers_ticket_id'), ['ticket_id'], unique=False)

    with op.batch_alter_table('tickets', schema=None) as batch_op:
        batch_op.create_index('ix_tickets_like', ['community_id', 'code', 'created_at'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('tickets', schema=None) as batch_op:
        batch_op.drop_index('ix_tickets_like')

    with op.batch_alter_table('followers', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_followers_ticket_id'))
        batch_op.drop_index(batch_op.f('ix_followers_resident_id'))

    op.drop_table('followers')

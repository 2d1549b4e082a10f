"""talks between residents and colleagues; colleagues who help with a matter"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('co_handlers',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('ticket_id', sa.Integer(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('at', storage.types.UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_co_handlers_staff_id_staff')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_co_handlers_ticket_id_tickets')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_co_handlers')),
    sa.UniqueConstraint('ticket_id', 'staff_id', name=op.f('uq_co_handlers_ticket_id_staff_id'))
    )
    with op.batch_alter_table('co_handlers', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_co_handlers_staff_id'), ['staff_id'], unique=False)
    op.create_table('talks',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('community_id', sa.Integer(), nullable=False),
    sa.Column('resident_id', sa.Integer(), nullable=False),
    sa.Column('conversation_id', sa.Integer(), nullable=False),
    sa.Column('ticket_id', sa.Integer(), nullable=True),
    sa.Column('staff_id', sa.Integer(), nullable=True),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('why', sa.String(length=12), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('current', sa.Boolean(), nullable=False),
    sa.Column('asked_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('answer_by', storage.types.UtcDateTime(), nullable=False),
    sa.Column('ring_at', storage.types.UtcDateTime(), nullable=True),
    sa.Column('rung', sa.Integer(), nullable=False),
    sa.Column('taken_at', storage.types.UtcDateTime(), nullable=True),
    sa.Column('ended_at', storage.types.UtcDateTime(), nullable=True),
    sa.Column('ended_as', sa.String(length=10), nullable=False),
    sa.CheckConstraint("state in ('waiting','active','ended')", name=op.f('ck_talks_state')),
    sa.CheckConstraint("state <> 'active' or staff_id is not null", name=op.f('ck_talks_active_has_staff')),
    sa.ForeignKeyConstraint(['community_id'], ['communities.id'], name=op.f('fk_talks_community_id_communities')),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversations.id'], name=op.f('fk_talks_conversation_id_conversations')),
    sa.ForeignKeyConstraint(['resident_id'], ['residents.id'], name=op.f('fk_talks_resident_id_residents')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_talks_staff_id_staff')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_talks_ticket_id_tickets')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_talks'))
    )
    with op.batch_alter_table('talks', schema=None) as batch_op:
        batch_op.create_index('ix_talks_ring', ['state', 'ring_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_talks_staff_id'), ['staff_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_talks_ticket_id'), ['ticket_id'], unique=False)
        batch_op.create_index('uq_talks_open', ['resident_id'], unique=True, sqlite_where=sa.text("state <> 'ended'"), postgresql_where=sa.text("state <> 'ended'"))
    op.create_table('talk_lines',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('talk_id', sa.Integer(), nullable=False),
    sa.Column('at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('actor', sa.String(length=40), nullable=False),
    sa.Column('actor_name', sa.String(length=60), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('image_key', sa.String(length=80), nullable=False),
    sa.ForeignKeyConstraint(['talk_id'], ['talks.id'], name=op.f('fk_talk_lines_talk_id_talks')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_talk_lines'))
    )
    with op.batch_alter_table('talk_lines', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_talk_lines_talk_id'), ['talk_id'], unique=False)
    with op.batch_alter_table('conversations', schema=None) as batch_op:
        batch_op.drop_column('with_person')


def downgrade() -> None:
    with op.batch_alter_table('conversations', schema=None) as batch_op:
        batch_op.add_column(sa.Column('with_person', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_table('talk_lines')
    op.drop_table('talks')
    op.drop_table('co_handlers')

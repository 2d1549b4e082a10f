"""tickets by the time they were finished, by their callback and by their place within a community"""

from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_tickets_finished', 'tickets', ['community_id', 'finished_at'])
    op.create_index('ix_tickets_callback', 'tickets', ['community_id', 'callback_at'])
    op.create_index('ix_tickets_place', 'tickets', ['community_id', 'place_key', 'code'])
    op.drop_index('ix_tickets_place_code', table_name='tickets')


def downgrade() -> None:
    op.create_index('ix_tickets_place_code', 'tickets', ['place_key', 'code'])
    op.drop_index('ix_tickets_place', table_name='tickets')
    op.drop_index('ix_tickets_callback', table_name='tickets')
    op.drop_index('ix_tickets_finished', table_name='tickets')

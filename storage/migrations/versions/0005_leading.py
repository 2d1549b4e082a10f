"""rectifications, access log, exports"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('login_codes', schema=None) as batch_op:
        batch_op.add_column(sa.Column('residency_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key(batch_op.f('fk_login_codes_residency_id_residencies'), 'residencies', ['residency_id'], ['id'])

    op.create_table('access_log',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('community_id', sa.Integer(), nullable=False),
    sa.Column('at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('actor', sa.String(length=40), nullable=False),
    sa.Column('action', sa.String(length=40), nullable=False),
    sa.Column('target', sa.String(length=60), nullable=False),
    sa.Column('allowed', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['community_id'], ['communities.id'], name=op.f('fk_access_log_community_id_communities')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_access_log'))
    )
    with op.batch_alter_table('access_log', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_access_log_at'), ['at'], unique=False)

    op.create_table('exports',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('file_name', sa.String(length=120), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('expires_at', storage.types.UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_exports_staff_id_staff')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_exports')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_exports_token_hash'))
    )
    op.create_table('rectifications',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('community_id', sa.Integer(), nullable=False),
    sa.Column('ticket_id', sa.Integer(), nullable=True),
    sa.Column('what', sa.Text(), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=False),
    sa.Column('asked_by_id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('due_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('remind_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('done_at', storage.types.UtcDateTime(), nullable=True),
    sa.Column('result', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['asked_by_id'], ['staff.id'], name=op.f('fk_rectifications_asked_by_id_staff')),
    sa.ForeignKeyConstraint(['community_id'], ['communities.id'], name=op.f('fk_rectifications_community_id_communities')),
    sa.ForeignKeyConstraint(['owner_id'], ['staff.id'], name=op.f('fk_rectifications_owner_id_staff')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_rectifications_ticket_id_tickets')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rectifications'))
    )
    with op.batch_alter_table('rectifications', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_rectifications_community_id'), ['community_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_rectifications_owner_id'), ['owner_id'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('rectifications', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_rectifications_owner_id'))
        batch_op.drop_index(batch_op.f('ix_rectifications_community_id'))

    op.drop_table('rectifications')
    op.drop_table('exports')
    with op.batch_alter_table('access_log', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_access_log_at'))

    op.drop_table('access_log')
    with op.batch_alter_table('login_codes', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_login_codes_residency_id_residencies'), type_='foreignkey')
        batch_op.drop_column('residency_id')

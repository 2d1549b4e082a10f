"""platform tokens, reply windows, groups that hear of jobs"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

ADDED = (('conversations', 'hears_dispatch'), ('identities', 'preferred'))


def upgrade() -> None:
    op.create_table('platform_tokens',
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('token', sa.Text(), nullable=False),
    sa.Column('expires_at', storage.types.UtcDateTime(), nullable=True),
    sa.Column('forced_at', storage.types.UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_platform_tokens'))
    )
    op.create_table('reply_windows',
    sa.Column('channel', sa.String(length=12), nullable=False),
    sa.Column('chat_id', sa.String(length=80), nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.Column('until_at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('left', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('channel', 'chat_id', 'kind', name=op.f('pk_reply_windows'))
    )
    # The default fills the rows that are there; new ones get their value from the model.
    for table, name in ADDED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column(name, server_default=None)


def downgrade() -> None:
    for table, name in ADDED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column(name)
    op.drop_table('reply_windows')
    op.drop_table('platform_tokens')

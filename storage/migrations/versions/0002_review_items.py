"""review items"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('review_items',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('community_id', sa.Integer(), nullable=False),
    sa.Column('source_key', sa.String(length=200), nullable=False),
    sa.Column('at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('why', sa.String(length=10), nullable=False),
    sa.Column('intent', sa.String(length=40), nullable=False),
    sa.Column('category', sa.String(length=4), nullable=False),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.Column('suggested', sa.String(length=40), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('label', sa.String(length=40), nullable=False),
    sa.Column('labelled_at', storage.types.UtcDateTime(), nullable=True),
    sa.CheckConstraint("state in ('open','labelled','dropped')", name=op.f('ck_review_items_state')),
    sa.CheckConstraint("why in ('unsure','corrected')", name=op.f('ck_review_items_why')),
    sa.ForeignKeyConstraint(['community_id'], ['communities.id'], name=op.f('fk_review_items_community_id_communities')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_review_items')),
    sa.UniqueConstraint('community_id', 'source_key', name=op.f('uq_review_items_community_id_source_key'))
    )
    with op.batch_alter_table('review_items', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_review_items_state'), ['state'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('review_items', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_review_items_state'))

    op.drop_table('review_items')

"""candidates for written answers, files of residents, people to forget"""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('knowledge_candidates',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('community_id', sa.Integer(), nullable=False),
    sa.Column('ticket_id', sa.Integer(), nullable=False),
    sa.Column('code', sa.String(length=4), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('answer', sa.Text(), nullable=False),
    sa.Column('staff_id', sa.Integer(), nullable=False),
    sa.Column('at', storage.types.UtcDateTime(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('entry', sa.String(length=60), nullable=False),
    sa.Column('settled_at', storage.types.UtcDateTime(), nullable=True),
    sa.CheckConstraint("state in ('open','accepted','dropped')", name=op.f('ck_knowledge_candidates_state')),
    sa.ForeignKeyConstraint(['community_id'], ['communities.id'], name=op.f('fk_knowledge_candidates_community_id_communities')),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_knowledge_candidates_staff_id_staff')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_knowledge_candidates_ticket_id_tickets')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_knowledge_candidates')),
    sa.UniqueConstraint('ticket_id', name=op.f('uq_knowledge_candidates_ticket_id'))
    )
    op.create_index(op.f('ix_knowledge_candidates_community_id'), 'knowledge_candidates', ['community_id'])
    with op.batch_alter_table('residents', schema=None) as batch_op:
        batch_op.add_column(sa.Column('forget_at', storage.types.UtcDateTime(), nullable=True))
        batch_op.create_index(op.f('ix_residents_forget_at'), ['forget_at'])
    with op.batch_alter_table('exports', schema=None) as batch_op:
        batch_op.add_column(sa.Column('resident_id', sa.Integer(), nullable=True))
        batch_op.alter_column('staff_id', existing_type=sa.Integer(), nullable=True)
        batch_op.create_foreign_key(op.f('fk_exports_resident_id_residents'), 'residents', ['resident_id'], ['id'])
        batch_op.create_check_constraint(op.f('ck_exports_one_person'), '(resident_id is null) <> (staff_id is null)')


def downgrade() -> None:
    op.execute('delete from exports where staff_id is null')
    with op.batch_alter_table('exports', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_exports_one_person'), type_='check')
        batch_op.drop_constraint(op.f('fk_exports_resident_id_residents'), type_='foreignkey')
        batch_op.alter_column('staff_id', existing_type=sa.Integer(), nullable=False)
        batch_op.drop_column('resident_id')
    with op.batch_alter_table('residents', schema=None) as batch_op:
        batch_op.drop_index(op.f('ix_residents_forget_at'))
        batch_op.drop_column('forget_at')
    op.drop_table('knowledge_candidates')

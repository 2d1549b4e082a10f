"""Answers of colleagues that may become written ones (data/knowledge), waiting for a person's word. Texts come in masked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import KnowledgeCandidate, Staff, Ticket


def keep(session: Session, ticket: Ticket, staff: Staff, question: str, answer: str, now: datetime) -> None:
    """One line for each question; a later answer takes the place of the former, also after somebody looked at that."""
    row = session.scalar(select(KnowledgeCandidate).where(KnowledgeCandidate.ticket_id == ticket.id))
    if row is None:
        row = KnowledgeCandidate(community_id=ticket.community_id, ticket_id=ticket.id, code=ticket.code)
        session.add(row)
    row.question, row.answer, row.staff_id, row.at, row.state = question, answer, staff.id, now, "open"


def waiting(session: Session, community_id: int) -> Sequence[KnowledgeCandidate]:
    """What nobody has looked at yet, oldest first."""
    query = select(KnowledgeCandidate).where(
        KnowledgeCandidate.community_id == community_id, KnowledgeCandidate.state == "open"
    )
    return session.scalars(query.order_by(KnowledgeCandidate.id)).all()


def settle(row: KnowledgeCandidate, entry: str, now: datetime) -> None:
    """A person's word on it: the id of the written answer it became, or "" for none."""
    row.state, row.entry, row.settled_at = ("accepted" if entry else "dropped"), entry, now

"""Reading a ticket's timeline: what happened last, how often, and since when its limits run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import Ticket, TicketEvent

# From here on the limits run anew.
RESTARTS = ("level", "not_fixed", "reopen")


def last_of(session: Session, ticket: Ticket, *actions: str) -> TicketEvent | None:
    """The newest line with one of these actions."""
    query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action.in_(actions))
    return session.scalars(query.order_by(TicketEvent.id.desc()).limit(1)).first()


def count_of(session: Session, ticket: Ticket, action: str, note: str) -> int:
    """How many lines say exactly this."""
    query = select(func.count()).where(
        TicketEvent.ticket_id == ticket.id, TicketEvent.action == action, TicketEvent.note == note
    )
    return session.scalar(query) or 0


def clock_start(session: Session, ticket: Ticket) -> datetime:
    """Since when the limits of a ticket run: intake, the last change of class, or the begin of this round."""
    last = last_of(session, ticket, *RESTARTS)
    return last.at if last else ticket.created_at

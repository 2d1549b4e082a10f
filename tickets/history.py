"""Reading a ticket's timeline: what happened last, how often, and since when its limits run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import Ticket, TicketEvent
from tickets.texts import clock, say

# From here on the limits run anew.
RESTARTS = ("level", "not_fixed", "reopen", "again")
# What a reader of a short account of a repair wants to know.
MILESTONES = ("open", "assign", "reassign", "accept", "grab", "take_over", "arrived", "finish", "not_fixed", "again",
              "reopen", "hold", "late_told")  # fmt: skip
SHOWN = 8


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


def recent_lines(session: Session, ticket_id: int, now: datetime) -> str:
    """What happened to a ticket, one short line for each step that matters, for people who must know before they call."""
    ticket = session.get_one(Ticket, ticket_id)
    query = select(TicketEvent).where(TicketEvent.ticket_id == ticket_id, TicketEvent.action.in_(MILESTONES))
    events = list(session.scalars(query.order_by(TicketEvent.id.desc()).limit(SHOWN)))
    lines = [
        say("history.line", at=clock(one.at, now), action=say(f"actions.{one.action}"), who=one.actor_name)
        for one in reversed(events)
    ]
    return "\n".join([say("history.head", no=ticket.ticket_no), *lines])

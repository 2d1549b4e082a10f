"""Who is away: a leave takes somebody off duty, whatever their weekly spans say (domain.md §7.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Leave, Staff, Ticket
from tickets import lifecycle, notify
from tickets.errors import BadInput, NotAllowed
from tickets.people import LEADER_ROLES, Actor
from tickets.texts import clock, say

# A stretch of so many hours means the whole day.
DAY_HOURS = timedelta(hours=7)


def span_of_leave(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """From midnight to midnight where no hours were meant (明天, 6月13日到15日), else the hours themselves (明天下午)."""
    if end - start < DAY_HOURS and end > start:
        return start, end
    first, last = (moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in (start, end))
    return first, last if last == end and last > first else last + timedelta(days=1)


def grant_leave(
    session: Session, staff: Staff, start: datetime, end: datetime, reason: str, actor: Actor, now: datetime
) -> list[Ticket]:
    """请假: a leader notes that a colleague is away. They get no more offers for that time, what they have not taken goes to
    somebody else when it begins (tickets/clocks.py); returns the jobs they have taken, which the leader sees to."""
    leader = actor.staff
    if leader is None or leader.role not in LEADER_ROLES or leader.community_id != staff.community_id:
        raise NotAllowed(action="leave")
    if end <= max(start, now):
        raise BadInput(window=clock(end, now))
    staff.leaves.append(Leave(start_at=start, end_at=end, reason=reason[:60]))
    session.flush()
    jobs = session.scalars(
        select(Ticket).where(Ticket.handler_id == staff.id, Ticket.status.in_(lifecycle.OPEN)).order_by(Ticket.id)
    ).all()
    for ticket in jobs:
        # Their clocks have to find out that the duty ends earlier.
        ticket.look_at = now
    text = say("push.leave_noted", start=clock(start, now), end=clock(end, now))
    notify.push(session, staff, text, key=f"leave:{staff.id}:{start.isoformat()}:{end.isoformat()}", now=now)
    return [ticket for ticket in jobs if ticket.status != "assigned"]

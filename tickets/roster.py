"""Who is away: a leave takes somebody off duty, whatever their weekly spans say (domain.md §7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Leave, Staff, Ticket
from tickets import lifecycle, notify, verbs
from tickets.errors import BadInput, DeskError, NotAllowed
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


@dataclass(frozen=True)
class Handover:
    """What becomes of the jobs of somebody on leave: those that went to a colleague, those that stay with him until a leader sees
    to them, and of these the ones that nobody else could take."""

    moved: tuple[Ticket, ...] = ()
    kept: tuple[Ticket, ...] = ()
    nobody: tuple[Ticket, ...] = ()
    offered: tuple[Ticket, ...] = ()
    """Not taken yet: they go on by themselves when the leave begins (tickets/clocks.py)."""


def grant_leave(
    session: Session, staff: Staff, start: datetime, end: datetime, reason: str, actor: Actor, now: datetime
) -> Handover:
    """请假: a leader notes that a colleague is away. They get no more offers for that time, and what has to be done meanwhile and is
    not begun goes to somebody else, at the time that was agreed."""
    leader = actor.staff
    if leader is None or leader.role not in LEADER_ROLES or leader.community_id != staff.community_id:
        raise NotAllowed(action="leave")
    if end <= max(start, now):
        raise BadInput(window=clock(end, now))
    leave = Leave(start_at=start, end_at=end, reason=reason[:60])
    staff.leaves.append(leave)
    session.flush()
    jobs = session.scalars(
        select(Ticket).where(Ticket.handler_id == staff.id, Ticket.status.in_(lifecycle.OPEN)).order_by(Ticket.id)
    ).all()
    for ticket in jobs:
        # Their clocks have to find out that the duty ends earlier.
        ticket.look_at = now
    offered = tuple(one for one in jobs if _clocks_see_to(one, start))
    taken = [one for one in jobs if one not in offered]
    found = replace(_hand_over(session, taken, staff, leave, actor, now), offered=offered)
    text = say("push.leave_noted", start=clock(start, now), end=clock(end, now))
    notify.push(
        session, staff, "\n".join([text, *told_of(found)]), now=now,
        key=f"leave:{staff.id}:{start.isoformat()}:{end.isoformat()}",
    )  # fmt: skip
    return found


def told_of(found: Handover) -> list[str]:
    """Which jobs went on and which stay, by their numbers, for whoever is away."""
    rows = (("push.leave_moved", found.moved), ("push.leave_kept", found.kept))
    return [say(key, numbers=say("list.comma").join(one.tail for one in jobs)) for key, jobs in rows if jobs]


def _clocks_see_to(ticket: Ticket, start: datetime) -> bool:
    """An offer not taken when the leave begins goes on by itself (tickets/clocks.py)."""
    return ticket.status == "assigned" and (ticket.accept_by is None or start <= ticket.accept_by)


def _hand_over(
    session: Session, jobs: Sequence[Ticket], away: Staff, leave: Leave, actor: Actor, now: datetime
) -> Handover:
    kept, moved, nobody = [], [], []
    for ticket in jobs:
        due = falls_into(ticket, leave, now)
        if due and _passed_on(session, ticket, away, leave, actor, now):
            moved.append(ticket)
        else:
            kept.append(ticket)
            nobody += [ticket] if due else []
    return Handover(tuple(moved), tuple(kept), tuple(nobody))


def falls_into(ticket: Ticket, leave: Leave, now: datetime) -> bool:
    """Whether a repair is not begun and somebody has to be there while the worker is away; what is late already, too."""
    due = _due(ticket)
    if ticket.kind not in ("BX", "YH") or ticket.status not in lifecycle.OWNED or ticket.arrived_at or due is None:
        return False
    return due <= leave.end_at and (due >= leave.start_at or leave.start_at <= now)


def _due(ticket: Ticket) -> datetime | None:
    return ticket.appointment_end_at or ticket.wanted_end_at or ticket.arrive_by or ticket.finish_by


def _passed_on(session: Session, ticket: Ticket, away: Staff, leave: Leave, actor: Actor, now: datetime) -> bool:
    """The best colleague who is there when somebody is expected (or now, if the leave has begun) gets the job offered; what the
    resident was told stays."""
    expected = ticket.appointment_start_at or ticket.wanted_start_at or _due(ticket) or now
    moments = [max(now, expected), *([now] if leave.start_at <= now else [])]
    found = (verbs.candidates(session, ticket, moment, exclude=frozenset({away.id})) for moment in moments)
    ranked = next((one for one in found if one), None)
    if ranked is None:
        return False
    colleague, note = session.get_one(Staff, ranked[0][0].staff_id), say("staff.leave_note", name=away.name)
    try:
        with session.begin_nested():
            verbs.assign(session, ticket, colleague, actor, now, reason=note, old_told=False)
    except DeskError:
        # Not this leader's department.
        return False
    return True

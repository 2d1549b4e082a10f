"""What leaders read: one ticket's timeline, lists of open ones, today's figures. Reads only, apart from a report on behalf."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from nlu.slots import mask_text
from storage.models import Staff, Ticket
from tickets import finding, lifecycle, notify, verbs
from tickets.people import Actor, may_see
from tickets.texts import LOCAL, clock, has_text, say

PAGE = 8
TIMELINE_LINES = 14


def visible(session: Session, ticket: Ticket, actor: Actor) -> bool:
    return may_see(session, ticket, actor)


def lines(tickets: list[Ticket], now: datetime) -> str:
    return "\n".join(say("staff.line_time", **notify.facts(ticket, now)) for ticket in tickets[:PAGE])


def timeline(session: Session, ticket: Ticket, now: datetime) -> str:
    """Where a ticket stands and every step that brought it there."""
    events = list(ticket.history)
    shown = [event for event in events if say_action(event.action)]
    rows = [
        say(
            "staff.status_line",
            at=clock(event.at, now),
            action=say_action(event.action),
            who=event.actor_name,
            note=_short(event.note),
        ).strip()
        for event in shown[-TIMELINE_LINES:]
    ]
    head = say("staff.status_head", **notify.facts(ticket, now))
    scores = ""
    if ticket.score_attitude:
        scores = "\n" + say("staff.status_scores", attitude=ticket.score_attitude, quality=ticket.score_quality)
    return "\n".join([head + scores, *rows])


def say_action(action: str) -> str:
    return say(f"actions.{action}") if has_text(f"actions.{action}") else ""


def _short(note: str) -> str:
    note = mask_text(" ".join(note.split()))
    return note if len(note) <= 30 else note[:29] + "…"


def listing(session: Session, staff: Staff, name: str, page: int, now: datetime) -> str:
    """One page of a named list; the page after it is offered by its number."""
    query = _base(staff).where(*_conditions(name, now)).order_by(Ticket.level, Ticket.finish_by, Ticket.id)
    tickets = list(session.scalars(query))
    head = say(f"staff.{name}_head", count=len(tickets))
    if not tickets:
        return head + say("staff.nothing")
    start = (page - 1) * PAGE
    text = f"{head}\n{lines(tickets[start : start + PAGE], now)}"
    left = len(tickets) - start - PAGE
    return text + (
        "\n" + say("staff.more", count=left, again=say(f"staff.{name}_again", page=page + 1)) if left > 0 else ""
    )


def _base(staff: Staff) -> Select[Ticket]:
    return select(Ticket).where(Ticket.community_id == staff.community_id)


def _conditions(name: str, now: datetime) -> list[ColumnElement[bool]]:
    waiting_for_worker = Ticket.status.in_(("new", "assigned"))
    running = Ticket.status.in_(("new", "survey", "assigned", "in_progress", "rework"))
    if name == "unaccepted":
        return [waiting_for_worker, Ticket.kind.in_(("BX", "YH", "TS"))]
    if name == "overdue":
        return [running, or_(Ticket.finish_by < now, Ticket.arrived_at.is_(None) & (Ticket.arrive_by < now))]
    if name == "waiting":
        return [Ticket.status == "done"]
    return [Ticket.status.in_(lifecycle.OPEN)]


def overdue(session: Session, community_id: int, now: datetime) -> list[Ticket]:
    query = select(Ticket).where(Ticket.community_id == community_id, *_conditions("overdue", now))
    return list(session.scalars(query))


def today(session: Session, staff: Staff, now: datetime) -> str:
    """New, finished, open and overdue since local midnight, in all and by kind."""
    local = now.astimezone(LOCAL)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)

    def count(*conditions: ColumnElement[bool]) -> dict[str, int]:
        query = (
            select(Ticket.kind, func.count())
            .where(Ticket.community_id == staff.community_id, *conditions)
            .group_by(Ticket.kind)
        )
        return dict(session.execute(query).all())

    new = count(Ticket.created_at >= midnight)
    finished = count(Ticket.closed_at >= midnight, Ticket.status == "closed")
    still = count(Ticket.status.in_(lifecycle.OPEN))
    late = count(*_conditions("overdue", now))
    day = f"{local.month}-{local.day}"
    head = say(
        "staff.today_head",
        day=day,
        new=sum(new.values()),
        finished=sum(finished.values()),
        open=sum(still.values()),
        overdue=sum(late.values()),
    )
    rows = [
        say("staff.by_kind", kind=say(f"kind.{kind}"), new=new.get(kind, 0), open=still.get(kind, 0))
        for kind in verbs.KINDS
        if kind in new or kind in still
    ]
    return "\n".join([head, *rows])


def load(session: Session, colleague: Staff, now: datetime) -> str:
    """How many jobs a colleague has on hand, and which."""
    jobs = finding.jobs_of(session, colleague, "assigned", "in_progress", "rework", "on_hold")
    head = say("staff.load_head", name=colleague.name, count=len(jobs))
    return f"{head}\n{lines(jobs, now)}" if jobs else head + say("staff.nothing")


def waiting_for_inspection(session: Session, staff: Staff) -> list[Ticket]:
    query = _base(staff).where(Ticket.status == "done", Ticket.public_area)
    return list(session.scalars(query.order_by(Ticket.id)))


def emergencies(session: Session, staff: Staff) -> list[Ticket]:
    """Open U0 and U1 tickets of the community, newest first."""
    query = _base(staff).where(Ticket.level.in_(("U0", "U1")), Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.level, Ticket.id.desc())))

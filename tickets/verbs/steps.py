"""The one step of a ticket and its line in the history, and what every other verb needs for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Assignment, OpenQuestion, Staff, Ticket, TicketEvent
from tickets import lifecycle, notify
from tickets.errors import AlreadyTaken, BadInput, NotAllowed, WrongStatus
from tickets.people import SYSTEM, Actor, may_see, relations
from tickets.sla import due_times
from tickets.texts import say


def record(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    action: str,
    now: datetime,
    *,
    note: str = "",
    came: str = "",
    to: str = "",
    **data: Any,
) -> TicketEvent:
    """Append one line to the timeline. Every transition and every event has exactly one."""
    event = TicketEvent(
        ticket_id=ticket.id,
        at=now,
        actor=actor.key,
        actor_name=actor.name,
        action=action,
        from_status=came,
        to_status=to,
        note=note,
        data=data,
    )
    session.add(event)
    # Whatever happens may start or stop a clock.
    ticket.look_at = now
    session.flush()
    return event


def move(
    session: Session, ticket: Ticket, actor: Actor, action: str, now: datetime, *, note: str = "", **data: Any
) -> TicketEvent:
    """Take the step `action` of the lifecycle table, checked for this person; the only place that assigns a status."""
    came = ticket.status
    to = lifecycle.next_status(came, action, relations(session, ticket, actor))
    ticket.status = to
    if to == "new":
        ticket.handler = None
    if to in lifecycle.FINAL:
        ticket.closed_at = now
    elif came in lifecycle.FINAL:
        ticket.closed_at = None
    return record(session, ticket, actor, action, now, note=note, came=came, to=to, **data)


def load(session: Session, ticket_id: int) -> Ticket:
    """The ticket, locked for this transaction (SQLite's write transaction already is the lock)."""
    # Refreshed under the lock: what was read before may have been changed by the transaction we waited for.
    query = select(Ticket).where(Ticket.id == ticket_id).with_for_update(of=Ticket)
    ticket = session.scalar(query.execution_options(populate_existing=True))
    if ticket is None:
        raise BadInput(ticket=ticket_id)
    return ticket


def last_event(session: Session, ticket: Ticket, action: str) -> TicketEvent | None:
    return next(iter(events_of(session, ticket, action)), None)


def events_of(session: Session, ticket: Ticket, *actions: str) -> list[TicketEvent]:
    """Lines of the timeline with these actions, newest first."""
    query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action.in_(actions))
    return list(session.scalars(query.order_by(TicketEvent.id.desc())))


def end_pause(session: Session, ticket: Ticket, now: datetime) -> None:
    """Give the clocks back the time they stood still."""
    started = last_event(session, ticket, "hold")
    if started is None or not ticket.hold_reason:
        return
    pause = now - started.at
    if ticket.finish_by:
        ticket.finish_by += pause
    if ticket.arrive_by and not ticket.arrived_at:
        ticket.arrive_by += pause
    if ticket.appointment_end_at and ticket.appointment_end_at <= now:
        ticket.appointment_start_at = ticket.appointment_end_at = None
    if ticket.wanted_end_at and ticket.wanted_end_at <= now:
        ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = "", None, None
    ticket.hold_reason, ticket.wake_at = "", None


def comment(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> TicketEvent:
    """A note in the timeline, by somebody who may read it."""
    if not may_see(session, ticket, actor):
        raise NotAllowed(action="comment")
    return record(session, ticket, actor, "comment", now, note=words)


def escalate(session: Session, ticket: Ticket, now: datetime, key: str, who: list[Staff], **more: object) -> None:
    """A clock ran out: one line in the timeline and one push to each of `who`."""
    event = record(session, ticket, SYSTEM, "escalate", now, note=key, told=[one.id for one in who])
    for staff in who:
        notify.tell_staff(session, staff, ticket, event, key, now, **more)


def open_question(session: Session, ticket: Ticket, kind: str) -> OpenQuestion | None:
    query = select(OpenQuestion).where(
        OpenQuestion.ticket_id == ticket.id, OpenQuestion.kind == kind, OpenQuestion.state == "open"
    )
    return session.scalars(query).first()


def require_handler(session: Session, ticket: Ticket, actor: Actor, *statuses: str) -> None:
    if lifecycle.HANDLER not in relations(session, ticket, actor):
        raise not_yours(ticket) if ticket.handler_id else NotAllowed(action="visit")
    if ticket.status not in statuses:
        raise WrongStatus(status=ticket.status, action="visit")


def require_reporter(session: Session, ticket: Ticket, actor: Actor) -> None:
    if lifecycle.REPORTER not in relations(session, ticket, actor):
        raise NotAllowed(action="resident")


def require_reporter_or_leader(session: Session, ticket: Ticket, actor: Actor) -> None:
    """Raises NotAllowed, or WrongStatus once it is over. A colleague may say more about what they reported themselves."""
    own = actor.staff is not None and actor.staff.id == ticket.reporter_staff_id
    if not own and not relations(session, ticket, actor) & {
        lifecycle.REPORTER,
        lifecycle.FOLLOWER,
        lifecycle.DESK,
        lifecycle.SUPERVISOR,
        lifecycle.SYSTEM,
    }:
        raise NotAllowed(action="correct")
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="correct")


def staff_of(actor: Actor) -> Staff:
    if actor.staff is None or not actor.staff.active:
        raise NotAllowed(action="staff")
    return actor.staff


def not_yours(ticket: Ticket) -> Exception:
    if ticket.handler and ticket.status in lifecycle.OPEN:
        return AlreadyTaken(no=ticket.tail, name=ticket.handler.name)
    return NotAllowed(action="accept")


def end_assignments(session: Session, ticket: Ticket, state: str, now: datetime, *, reason: str = "") -> None:
    live = select(Assignment).where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("offered", "accepted")))
    for one in session.scalars(live):
        one.state, one.ended_at, one.reason = state, now, reason
    session.flush()


def tell_housemate(session: Session, ticket: Ticket, actor: Actor, event: TicketEvent, key: str, now: datetime) -> None:
    """Somebody of the same flat acted, not the reporter: they hear the same answer."""
    person = actor.resident
    if person is None or person.id == ticket.reporter_id:
        return
    text_ = say(key, **notify.facts(ticket, now))
    notify.push(session, person, text_, key=f"t{ticket.id}:e{event.id}:{key}:{actor.key}", now=now, ticket=ticket)


def set_clocks(ticket: Ticket, start: datetime) -> None:
    due = due_times(ticket.level, start)
    ticket.accept_by, ticket.arrive_by, ticket.finish_by = due.accept_by, due.arrive_by, due.finish_by
    if ticket.wanted_end_at and ticket.level not in ("U0", "U1"):
        # A time the resident chose replaces the limits (domain.md §2.2).
        ticket.arrive_by = ticket.wanted_end_at
        ticket.finish_by = max(ticket.finish_by, ticket.wanted_end_at + timedelta(hours=4))

"""The visit and the work: a time, the plan and its consent, waiting for something (domain.md §2.1, §2.2)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Household, Residency, Resident, Ticket
from tickets import lifecycle, notify, questions
from tickets.errors import BadInput, WrongStatus
from tickets.people import Actor, leaders, lives_at
from tickets.texts import say, span
from tickets.verbs.dispatching import accept
from tickets.verbs.returning import goes_on, waits_for_resident
from tickets.verbs.steps import (
    comment,
    record,
    require_handler,
    require_reporter,
    tell_housemate,
)


def wish(ticket: Ticket, start: datetime, end: datetime, label: str) -> None:
    """The window in which somebody is expected; it replaces the arrival limit (domain.md §2.2)."""
    ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = label, start, end
    ticket.arrive_by = end


def propose_appointment(
    session: Session, ticket: Ticket, actor: Actor, start: datetime, end: datetime, now: datetime
) -> None:
    """预约: the worker offers a window; the resident may agree or name another."""
    require_handler(session, ticket, actor, "in_progress", "rework", "assigned")
    if end <= now:
        raise BadInput(window=span(start, end, now))
    if ticket.status in ("assigned", "rework"):
        accept(session, ticket, actor, now)
    event = record(session, ticket, actor, "appointment_proposed", now, start=start.isoformat(), end=end.isoformat())
    _set_appointment(ticket, start, end)
    buttons = [(f"agree:{ticket.id}", say("button.agree_time")), (f"change:{ticket.id}", say("button.change_time"))]
    notify.tell_reporter(session, ticket, event, "push.appointment", now, buttons=buttons)
    if ticket.reporter:
        questions.ask(
            session, ticket.reporter, "appointment", now, ticket=ticket, start=start.isoformat(), end=end.isoformat()
        )


def _set_appointment(ticket: Ticket, start: datetime, end: datetime) -> None:
    ticket.appointment_start_at, ticket.appointment_end_at = start, end
    ticket.arrive_by = end
    ticket.arrive_step = 0
    if ticket.finish_by and ticket.finish_by < end and ticket.level not in ("U0", "U1"):
        ticket.finish_by = end + timedelta(hours=4)


def agree_appointment(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    require_reporter(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN or ticket.appointment_start_at is None:
        raise WrongStatus(status=ticket.status, action="agree")
    event = record(session, ticket, actor, "appointment_agreed", now)
    tell_household(session, ticket, now)
    questions.withdraw(session, ticket, "appointment")
    notify.tell_reporter(session, ticket, event, "push.appointment_fixed", now)
    tell_housemate(session, ticket, actor, event, "push.appointment_fixed", now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.appointment_agreed", now)


def change_appointment(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    start: datetime | None,
    end: datetime | None,
    label: str,
    now: datetime,
) -> None:
    """The resident wants another time: it is set, the worker is told first, the clock follows (domain.md §2.2, SC08 b)."""
    require_reporter(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="change")
    questions.withdraw(session, ticket, "appointment")
    old = notify.window_text(ticket, now)
    first = not ticket.appointment_start_at and not ticket.wanted_label
    if start and end:
        _set_wished(session, ticket, start, end, label, now)
    else:
        ticket.wanted_label = label
    event = record(
        session, ticket, actor, "appointment_changed", now, note=label, old=old, end=end.isoformat() if end else ""
    )
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.time_changed_staff", now, old=old)
    key = "push.time_noted" if first else "push.time_changed" if ticket.handler else "push.time_changed_unowned"
    notify.tell_reporter(session, ticket, event, key, now)
    tell_housemate(session, ticket, actor, event, key, now)
    if ticket.accepted_at:
        tell_household(session, ticket, now)


def _set_wished(session: Session, ticket: Ticket, start: datetime, end: datetime, label: str, now: datetime) -> None:
    """The resident's own window. Who names a time will be at home: nothing waits for them any more."""
    if waits_for_resident(ticket):
        goes_on(session, ticket, label, now)
    _set_appointment(ticket, start, end)
    ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = label, start, end


def set_out(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """马上去: on the way; accepts first if that was still open."""
    if ticket.status in ("assigned", "rework"):
        accept(session, ticket, actor, now)
    require_handler(session, ticket, actor, "in_progress")
    if ticket.on_the_way_at:
        return
    ticket.on_the_way_at = now
    event = record(session, ticket, actor, "on_the_way", now)
    notify.tell_reporter(session, ticket, event, "push.on_the_way", now)
    tell_household(session, ticket, now)


def tell_household(session: Session, ticket: Ticket, now: datetime) -> None:
    """Before a visit that somebody else asked for, the flat's own people hear of it; once for each flat (SC04)."""
    if ticket.public_area or not ticket.place_key or ticket.kind != "BX":
        return
    if ticket.reporter and lives_at(session, ticket.reporter, ticket.place_key):
        return
    for person in _people_at(session, ticket):
        text_ = say("push.household_notice", **notify.facts(ticket, now))
        notify.push(
            session, person, text_, key=f"t{ticket.id}:{ticket.place_key}:household:{person.id}", now=now, ticket=ticket
        )


def _people_at(session: Session, ticket: Ticket) -> list[Resident]:
    query = (
        select(Resident)
        .join(Residency, Residency.resident_id == Resident.id)
        .join(Household, Household.id == Residency.household_id)
        .where(Household.community_id == ticket.community_id, Household.key == ticket.place_key)
        .where(Residency.verified_at.is_not(None), Residency.ended_at.is_(None))
    )
    return list(session.scalars(query.order_by(Resident.id)))


def arrive(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """到场, stamped once; a later word of the same changes nothing."""
    if ticket.status in ("assigned", "rework"):
        accept(session, ticket, actor, now)
    require_handler(session, ticket, actor, "in_progress")
    if ticket.arrived_at:
        return
    ticket.arrived_at = now
    event = record(session, ticket, actor, "arrived", now)
    notify.tell_reporter(session, ticket, event, "push.arrived", now)


def ask_help(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """帮手/加人: the supervisor is asked for a second pair of hands."""
    require_handler(session, ticket, actor, "assigned", "in_progress", "rework")
    event = record(session, ticket, actor, "help_asked", now, note=words)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.help", now, words=words)


def remark(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """备注: what a worker tells of the job without any step taken stays in its history, and the leaders of the trade read it."""
    require_handler(session, ticket, actor, "assigned", "in_progress", "rework", "on_hold")
    event = comment(session, ticket, actor, words, now)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.worker_says", now, words=words)

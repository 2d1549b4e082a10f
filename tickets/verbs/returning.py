"""Nobody was at home, and now somebody is: the work that waited for the resident goes on (domain.md §7.4 改期)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from storage.models import Ticket, TicketEvent
from tickets import notify, questions
from tickets.catalog import hold_reasons
from tickets.people import SYSTEM, Actor, leaders, on_shift
from tickets.sla import due_times
from tickets.verbs.steps import end_pause, move, record, require_reporter, tell_housemate


def waits_for_resident(ticket: Ticket) -> bool:
    """Whether the job stands still because the resident was out or has to say something."""
    return ticket.status == "on_hold" and ticket.hold_reason == hold_reasons()[1]


def goes_on(session: Session, ticket: Ticket, words: str, now: datetime) -> TicketEvent:
    """The wait for the resident is over. Somebody has to come a second time: setting out and arriving are told anew."""
    event = move(session, ticket, SYSTEM, "resume", now, note=words)
    end_pause(session, ticket, now)
    ticket.on_the_way_at = ticket.arrived_at = None
    ticket.arrive_step = 0
    again = due_times(ticket.level, now).arrive_by
    if again and (ticket.arrive_by is None or ticket.arrive_by < again):
        ticket.arrive_by = again
    return event


def home_again(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """「我到家了 来吧」: the worker reads it, or the leaders where he is off duty by now, and the resident hears who comes until when."""
    require_reporter(session, ticket, actor)
    record(session, ticket, actor, "comment", now, note=words)
    questions.withdraw(session, ticket, "appointment")
    event = goes_on(session, ticket, words, now)
    worker = ticket.handler
    there = worker is not None and on_shift(worker, now)
    if worker:
        notify.tell_staff(session, worker, ticket, event, "push.home_again_staff", now, words=words)
    for leader in [] if there else leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.home_again_leader", now, words=words)
    key = "push.home_again" if there else "push.home_again_off"
    notify.tell_reporter(session, ticket, event, key, now)
    tell_housemate(session, ticket, actor, event, key, now)

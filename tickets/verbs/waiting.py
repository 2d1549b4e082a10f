"""Work that has to wait: a reason, a date to go on, and who allows it (domain.md §2.1 挂起, §7.4 改期)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from storage.models import Ticket, TicketEvent
from tickets import lifecycle, notify, questions
from tickets.catalog import hold_reasons
from tickets.errors import BadInput, NotAllowed, ReasonNeeded, WrongStatus
from tickets.people import SYSTEM, Actor, leaders, relations
from tickets.texts import clock, say
from tickets.verbs.dispatching import match_reason
from tickets.verbs.steps import end_assignments, end_pause, events_of, move, record

ALONE = timedelta(hours=24)
"""How long a worker may pause a job without the supervisor's word."""
NOT_HOME_WAIT = timedelta(hours=48)


def hold(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    reason: str,
    wake_at: datetime,
    now: datetime,
    *,
    note: str = "",
    nobody_home: bool = False,
) -> None:
    """挂起 with a reason from the list and a date. What is asked beyond 24 h begins only with the supervisor's approval:
    until then the ticket wakes after a day. A resident who is not at home has a rule of 48 h, which nobody has to approve."""
    chosen = match_reason(reason, hold_reasons())
    if not chosen:
        raise ReasonNeeded(reasons=say("list.comma").join(hold_reasons()), name="")
    if wake_at <= now:
        raise BadInput(window=clock(wake_at, now))
    found = relations(session, ticket, actor)
    lifecycle.next_status(ticket.status, "hold", found)
    asks = wake_at - now > ALONE and not nobody_home and lifecycle.SUPERVISOR not in found
    ticket.hold_reason, ticket.wake_at = chosen, now + ALONE if asks else wake_at
    kept = {"wished": wake_at.isoformat() if asks else "", "nobody_home": nobody_home}
    ticket.detail = {**(ticket.detail or {}), "hold": kept}
    event = move(session, ticket, actor, "hold", now, note=note or chosen, wake_at=wake_at.isoformat())
    told = "push.hold_not_home" if nobody_home else "push.hold"
    notify.tell_reporter(session, ticket, event, told, now, reason=chosen, wake=clock(ticket.wake_at, now))
    _tell_leaders(session, ticket, event, wake_at, now, asks=asks)


def _tell_leaders(
    session: Session, ticket: Ticket, event: TicketEvent, wished: datetime, now: datetime, *, asks: bool
) -> None:
    """A long pause is put to the supervisor, a second one is noticed."""
    times = len(events_of(session, ticket, "hold"))
    if not asks and times < 2:
        return
    key = "push.hold_approve" if asks else "push.hold_again"
    wake, reason = clock(wished, now), ticket.hold_reason
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, key, now, reason=reason, wake=wake, times=times)


def approve_hold(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """The supervisor agrees to a pause of more than 24 h: only now it lasts that long, and the resident hears the date."""
    if not relations(session, ticket, actor) & {lifecycle.SUPERVISOR}:
        raise NotAllowed(action="approve")
    asked = ((ticket.detail or {}).get("hold") or {}).get("wished")
    if ticket.status != "on_hold" or not asked:
        raise WrongStatus(status=ticket.status, action="approve")
    ticket.wake_at = datetime.fromisoformat(asked)
    ticket.detail = {**ticket.detail, "hold": {**ticket.detail["hold"], "wished": ""}}
    event = record(session, ticket, actor, "hold_approved", now)
    wake = clock(ticket.wake_at, now)
    notify.tell_reporter(session, ticket, event, "push.hold", now, reason=ticket.hold_reason, wake=wake)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.hold_approved", now, wake=wake)


def resume(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """The wait is over; the finish clock gets back the time it was paused."""
    event = move(session, ticket, actor, "resume", now)
    end_pause(session, ticket, now)
    if ticket.handler and actor.staff is not ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.woken", now)
    notify.tell_reporter(session, ticket, event, "push.resumed", now)


def wake(session: Session, ticket: Ticket, now: datetime) -> None:
    """The date has come. Whoever was not at home and has not said a word since cannot be reached: the ticket ends, and
    comes back with one word of the resident (domain.md §7.4 改期)."""
    held = events_of(session, ticket, "hold")[0]
    heard = [one for one in events_of(session, ticket, *HEARD) if one.id > held.id]
    if not ((ticket.detail or {}).get("hold") or {}).get("nobody_home") or heard:
        resume(session, ticket, SYSTEM, now)
        return
    event = move(session, ticket, SYSTEM, "unreachable", now, note=ticket.hold_reason)
    end_pause(session, ticket, now)
    end_assignments(session, ticket, "withdrawn", now)
    questions.withdraw(session, ticket)
    notify.tell_reporter(session, ticket, event, "push.unreachable", now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.unreachable_staff", now)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.unreachable_staff", now)


# Lines of the timeline that are the resident's own word.
HEARD = ("appointment_changed", "appointment_agreed", "comment", "urge", "correct")

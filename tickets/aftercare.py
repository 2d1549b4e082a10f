"""What is asked when the work is over: callbacks, referred matters, suggestions nobody answered (domain.md §7.1).

Sweeps like those of `tickets/clocks.py`: plain functions of (session, now), without a second effect.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import OpenQuestion, Ticket
from tickets import answering, emergencies, notify, questions, quiet_hours, verbs
from tickets.people import SYSTEM, leaders
from tickets.periods import midnight
from tickets.texts import say

DAY = timedelta(days=1)


def sweep(session: Session, now: datetime) -> None:
    callbacks(session, now)
    unfinished_complaints(session, now)
    referrals(session, now)
    unanswered_joins(session, now)
    undecided_changes(session, now)


def callbacks(session: Session, now: datetime) -> None:
    """回访 of closed repairs: is it still fine? Up to three attempts (domain.md §7.1)."""
    query = select(Ticket).where(Ticket.callback_at <= now, Ticket.status == "closed")
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        verbs.ask_callback(session, ticket, now, dangerous=bool(emergencies.danger(ticket)))


def call_back_complaint(session: Session, ticket: Ticket, question: OpenQuestion, now: datetime) -> None:
    """投诉回访: a C1 is the manager's to telephone; the others are asked here, three times on different times of day, then a
    person who is not complained about telephones (domain.md §7.1)."""
    tried = list(((ticket.detail or {}).get("callback") or {}).get("tried", []))
    event = verbs.record(session, ticket, SYSTEM, "callback_asked", now, attempt=len(tried) + 1)
    if ticket.level == "C1":
        verbs.ask_manager(session, ticket, event, now)
        ticket.callback_at = now + DAY
    elif len(tried) >= verbs.CALLBACK_TIMES:
        for staff in leaders(session, ticket.community_id, "desk"):
            notify.tell_staff(session, staff, ticket, event, "push.answer_unconfirmed", now)
        ticket.callback_at = now + DAY
    else:
        tried.append(verbs.slot_of(now))
        ticket.detail = {
            **(ticket.detail or {}),
            "callback": {**(ticket.detail or {}).get("callback", {}), "tried": tried},
        }
        buttons = [(f"confirm:{ticket.id}", say("button.solved")), (f"not_fixed:{ticket.id}", say("button.unsolved"))]
        notify.tell_reporter(session, ticket, event, "push.callback_TS", now, buttons=buttons)
        question.expires_at = now + DAY * 3
        question.remind_at = (
            verbs.next_slot(midnight(now) + DAY, tried) if len(tried) < verbs.CALLBACK_TIMES else now + DAY
        )


def unfinished_complaints(session: Session, now: datetime) -> None:
    """A day later the file still lacks the manager's call, the outcome, or cause and prevention: who has to see to it is asked
    again, from the second time on with the leaders."""
    query = select(Ticket).where(
        Ticket.callback_at <= now, Ticket.kind == "TS", Ticket.status.in_(("done", "callback"))
    )
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        ticket.callback_at = quiet_hours.allowed_at("status", now + DAY)
        if verbs.close_ready(session, ticket, now):
            continue
        event = verbs.record(session, ticket, SYSTEM, "reminded", now)
        if verbs.callback_missing(ticket):
            verbs.ask_manager(session, ticket, event, now)
        elif ticket.status == "done":
            for staff in leaders(session, ticket.community_id, "desk"):
                notify.tell_staff(session, staff, ticket, event, "push.answer_unconfirmed", now)
        if ticket.status == "callback" and verbs.missing(ticket):
            verbs.ask_cause(session, ticket, event, now)


def referrals(session: Session, now: datetime) -> None:
    """A matter of somebody else's: the next day, once, whether it is settled."""
    query = select(Ticket).where(Ticket.callback_at <= now, Ticket.status == "referred")
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        ticket.callback_at = None
        if ticket.reporter is None:
            continue
        event = verbs.record(session, ticket, SYSTEM, "referral_asked", now)
        buttons = [("say:" + say(key), say(key)) for key in ("button.solved", "button.unsolved")]
        unit = str((ticket.detail or {}).get("referred", ""))
        notify.tell_reporter(session, ticket, event, "push.referral", now, unit=unit, buttons=buttons)
        questions.ask(session, ticket.reporter, "referred", now, ticket=ticket)


def unanswered_joins(session: Session, now: datetime) -> None:
    """Whoever did not say whether theirs is the same as a neighbour's is noted with it: what they told is not lost."""
    query = select(OpenQuestion).where(
        OpenQuestion.state == "open", OpenQuestion.kind == "join", OpenQuestion.remind_at <= now
    )
    for question in session.scalars(query.with_for_update(of=OpenQuestion)):
        question.remind_at = None
        answering.join_unanswered(session, question, now)


def undecided_changes(session: Session, now: datetime) -> None:
    """A later date a worker asked for, which nobody has decided on by the time the resident was told."""
    query = select(OpenQuestion).where(
        OpenQuestion.state == "open", OpenQuestion.kind == "change", OpenQuestion.remind_at <= now
    )
    for question in session.scalars(query.with_for_update(of=OpenQuestion)):
        ticket = verbs.load(session, question.ticket_id or 0)
        question.remind_at = now + verbs.DECIDE_IN
        verbs.undecided_change(session, ticket, now)

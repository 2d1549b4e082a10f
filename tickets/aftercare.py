"""What is asked when the work is over: callbacks, referred matters, suggestions nobody answered (domain.md §7.1).

Sweeps like those of `tickets/clocks.py`: plain functions of (session, now), without a second effect.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import OpenQuestion, Ticket
from tickets import answering, emergencies, notify, questions, verbs
from tickets.people import SYSTEM
from tickets.texts import say


def sweep(session: Session, now: datetime) -> None:
    callbacks(session, now)
    referrals(session, now)
    unanswered_joins(session, now)
    undecided_changes(session, now)


def callbacks(session: Session, now: datetime) -> None:
    """回访 of closed repairs: is it still fine? Up to three attempts (domain.md §7.1)."""
    query = select(Ticket).where(Ticket.callback_at <= now, Ticket.status == "closed")
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        verbs.ask_callback(session, ticket, now, dangerous=bool(emergencies.danger(ticket)))


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

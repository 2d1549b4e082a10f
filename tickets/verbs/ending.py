"""Ends without acceptance: called off, or ended by a leader (domain.md §7.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Community, Conversation, Draft, Ticket, TicketEvent
from tickets import lifecycle, notify, questions
from tickets.catalog import Outside, category, outside_units
from tickets.errors import PublicArea, ReasonNeeded, TooLate
from tickets.people import Actor, each_once, leaders, relations
from tickets.texts import LOCAL, clock, say
from tickets.verbs.complaining import require_complete
from tickets.verbs.registering import Report
from tickets.verbs.reporting import open_ticket
from tickets.verbs.steps import end_assignments, move, record, tell_housemate
from tickets.words import is_false_alarm


def cancel(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """取消: not a public area by its reporter, not after the worker arrived; an emergency only after a phone call (domain.md §7.4).

    The call is asked for here, and the resident told so, instead of raising: a refusal would be rolled back with its pushes.
    """
    lifecycle.next_status(ticket.status, "cancel", relations(session, ticket, actor))
    if actor.resident:
        if ticket.public_area:
            raise PublicArea(no=ticket.ticket_no)
        if ticket.arrived_at:
            raise TooLate(no=ticket.tail)
        if ticket.level in ("U0", "U1"):
            _ask_phone_check(session, ticket, actor, now)
            return
    worker = ticket.handler
    event = move(session, ticket, actor, "cancel", now, note=reason)
    end_assignments(session, ticket, "withdrawn", now)
    questions.withdraw(session, ticket)
    if worker:
        notify.tell_staff(
            session, worker, ticket, event, "push.cancelled_staff", now, reason=reason or say("reason.none")
        )
    notify.tell_reporter(session, ticket, event, "push.cancelled", now)
    tell_housemate(session, ticket, actor, event, "push.cancelled", now)


def _ask_phone_check(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    event = have_rung(session, ticket, actor, "cancel_asked", "push.verify_by_phone", now)
    text_ = say("push.cancel_needs_call", no=ticket.ticket_no)
    key = f"t{ticket.id}:e{event.id}:push.cancel_needs_call:{actor.key}"
    notify.push(session, actor.resident, text_, key=key, now=now, ticket=ticket)


def have_rung(session: Session, ticket: Ticket, actor: Actor, action: str, key: str, now: datetime) -> TicketEvent:
    """Who leads and who goes are asked to ring whoever told it, before anything ends."""
    event = record(session, ticket, actor, action, now)
    asked = [*leaders(session, ticket.community_id, ticket.department), *([ticket.handler] if ticket.handler else [])]
    for staff in each_once(asked):
        notify.tell_staff(session, staff, ticket, event, key, now)
    return event


def resolve(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime) -> None:
    """A leader closes by hand with what was done (emergency over, false alarm, answered in person)."""
    if not note:
        raise ReasonNeeded(reasons=say("resolve.reason_example", tail=ticket.tail), name="")
    if not is_false_alarm(note):
        require_complete(ticket)
    event = move(session, ticket, actor, "resolve", now, note=note)
    if is_false_alarm(note):
        # Left out of every figure (domain.md §7.1).
        ticket.detail = {**(ticket.detail or {}), "false_alarm": True}
    end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    notify.tell_reporter(session, ticket, event, "push.resolved", now, note=note)
    _offer_parked_draft(session, ticket, event, now)


def false_alarm(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime) -> None:
    """误报: there was nothing; the ticket ends, and counts nowhere."""
    word = say("false_alarm.word")
    resolve(session, ticket, actor, f"{word} {note}".strip() if word not in note else note, now)


def refer(session: Session, ticket: Ticket, actor: Actor, unit: Outside, reason: str, now: datetime) -> None:
    """转告: somebody else is responsible. The resident hears who, with the number, and is asked the next day whether it is
    settled; nobody is sent away with 「不归我们管」 (domain.md §2.1, §5.7)."""
    lifecycle.next_status(ticket.status, "refer", relations(session, ticket, actor))
    worker = ticket.handler
    settings = session.get_one(Community, ticket.community_id).settings
    number = str(settings.get(unit.phone) or "")
    asked_at = _next_day(now)
    ticket.detail = {**(ticket.detail or {}), "referred": unit.name}
    event = move(session, ticket, actor, "refer", now, note=" ".join(filter(None, (unit.name, reason))))
    ticket.callback_at = asked_at
    end_assignments(session, ticket, "withdrawn", now)
    questions.withdraw(session, ticket)
    if worker and worker is not actor.staff:
        notify.tell_staff(session, worker, ticket, event, "push.referred_staff", now, unit=unit.name)
    phone = say("unit.phone", phone=number) if number else ""
    when = clock(asked_at, now)
    notify.tell_reporter(session, ticket, event, "push.referred", now, unit=unit.name, phone=phone, when=when)


def unit_named(words: str) -> Outside | None:
    """The outside unit a leader's sentence names."""
    return next((unit for unit in outside_units() if any(word in words for word in unit.words)), None)


def _next_day(now: datetime) -> datetime:
    day = now.astimezone(LOCAL) + timedelta(days=1)
    return day.replace(hour=10, minute=0, second=0, microsecond=0)


def referral_answered(
    session: Session, ticket: Ticket, actor: Actor, settled: bool, words: str, now: datetime
) -> Ticket | None:
    """What the resident says the next day; if it is not settled the desk takes it up with the unit again, as a matter of its
    own with a promised time, which is returned."""
    event = record(session, ticket, actor, "referral_ok" if settled else "referral_open", now, note=words)
    questions.withdraw(session, ticket, "referred")
    if settled:
        return None
    unit = str((ticket.detail or {}).get("referred", ""))
    report = Report(
        kind="ZX",
        code="Q99",
        symptom=say("referral.open", unit=unit, words=words, **notify.facts(ticket, now)),
        source_key=f"referral:{ticket.id}:{event.id}",
        place_key=ticket.place_key,
        place_text=ticket.place_text,
        reporter=ticket.reporter,
        conversation=session.get(Conversation, ticket.conversation_id) if ticket.conversation_id else None,
        linked=ticket,
    )
    return open_ticket(session, ticket.community_id, report, now)[0]


def _offer_parked_draft(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """What the resident was telling when the emergency broke in is offered again, not lost (SC06)."""
    if ticket.conversation_id is None or ticket.reporter is None:
        return
    draft = session.scalar(select(Draft).where(Draft.conversation_id == ticket.conversation_id, Draft.parked))
    if draft is None:
        return
    about = category(str(draft.data.get("code") or ("T99" if draft.kind == "TS" else "X00"))).name
    kind = say(f"kind.{draft.kind}")
    buttons = [
        ("say:" + say("button.still_yes"), say("button.still_yes")),
        ("say:" + say("button.still_no"), say("button.still_no")),
    ]
    notify.tell_reporter(
        session, ticket, event, "push.resume_draft", now, about=about, draft_kind=kind, buttons=buttons
    )
    questions.ask(session, ticket.reporter, "resume_draft", now, draft=draft.id)

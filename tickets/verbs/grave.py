"""A 重大投诉 is the manager's: who telephones the resident, by when, and what the manager reads at once (domain.md §2.2)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from storage.models import Staff, Ticket
from tickets import audit, complaints, notify, quiet_hours
from tickets.catalog import complaint_rules
from tickets.history import recent_lines
from tickets.people import SYSTEM, Actor, company, is_accused, managers
from tickets.texts import clock, say
from tickets.verbs.steps import record


def caller_of(session: Session, ticket: Ticket) -> Staff | None:
    """Who telephones about a C1: the manager, or whoever stands above if it is about them."""
    people = [*managers(session, ticket.community_id), *company(session, ticket.community_id)]
    return next((one for one in people if not is_accused(ticket, one)), None)


def call_by(now: datetime) -> datetime:
    """When somebody telephones at the latest: soon, in hours in which people may be telephoned."""
    return quiet_hours.allowed_at("acceptance", now) + complaint_rules().call


def owe_call(session: Session, ticket: Ticket, now: datetime) -> None:
    """From now on a call is owed to the resident, and watched (`tickets/clocks.py`)."""
    manager = caller_of(session, ticket)
    if manager and ticket.reporter_id and not (ticket.detail or {}).get("call"):
        kept = {"by": call_by(now).isoformat(), "name": manager.name, "who": str(manager.id)}
        ticket.detail = {**(ticket.detail or {}), "call": kept}


def tell_grave(session: Session, ticket: Ticket, now: datetime) -> None:
    """The manager hears at once what it is, what has happened so far, and until when to telephone; once for each ticket."""
    owe_call(session, ticket, now)
    manager = caller_of(session, ticket)
    if manager is None or (manager.id == ticket.handler_id and ticket.created_at == now):
        # The card of whoever handles it says the same.
        return
    event = record(session, ticket, SYSTEM, "grave", now, note=manager.name)
    handler = ticket.handler.name if ticket.handler else say("person.nobody")
    why, more = reason_of(ticket), background(session, ticket, manager, now)
    notify.tell_staff(session, manager, ticket, event, "push.c1", now, handler=handler, why=why, more=more)


def reason_of(ticket: Ticket) -> str:
    """Why it is a C1, "" if its category says so."""
    reason = str((ticket.detail or {}).get("grave", ""))
    return say(f"grave.{reason}") if reason else ""


def background(session: Session, ticket: Ticket, reader: Staff, now: datetime) -> str:
    """What a card says below: the history of the repair behind the complaint, and the number only to whoever has to call it."""
    call, due = complaints.call_of(ticket), complaints.call_due(ticket)
    wish = (ticket.detail or {}).get("wish")
    wanted = say("complaint.card_wish", wish=wish) if wish else ""
    past = recent_lines(session, ticket.linked_id, now) if ticket.linked_id else ""
    owed = ""
    if due and call["who"] == str(reader.id):
        phone = number_for(session, ticket, reader, now)
        owed = say("grave.call", name=call["name"], by=clock(due, now), phone=phone, tail=ticket.tail)
    return "".join(f"\n{line}" for line in (wanted, past, owed) if line)


def number_for(session: Session, ticket: Ticket, reader: Staff, now: datetime) -> str:
    """The number to ring, for whoever has to; that it was given out is kept (domain.md §9.3)."""
    audit.note(session, ticket.community_id, Actor(staff=reader), "phone", now, target=ticket.ticket_no, allowed=True)
    return ticket.contact_phone or say("phone.missing")

"""A resident's own file: who they are to the desk, their tickets, what they agreed to, who was on it (domain.md §9.5)."""

from __future__ import annotations

from datetime import datetime

from openpyxl import Workbook
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Resident, Ticket, TicketEvent
from tickets.catalog import category
from tickets.people import homes_of
from tickets.report_book import first_sheet, head, row, to_bytes
from tickets.texts import clock, say

PROFILE = (("item", 16), ("value", 44))
TICKETS = (
    ("no", 18),
    ("kind", 8),
    ("what", 20),
    ("place", 26),
    ("symptom", 40),
    ("status", 12),
    ("worker", 12),
    ("created_at", 17),
    ("finished_at", 17),
    ("closed_at", 17),
    ("result", 30),
    ("score", 10),
)
CONSENTS = (("at", 17), ("no", 18), ("agreed", 12), ("words", 44))
# What a resident says yes or no to.
AGREEMENTS = ("consent", "appointment_agreed", "confirm", "score", "cancel")


def own_file(session: Session, resident: Resident, now: datetime) -> bytes:
    """The workbook; everything in it is the person's own, so their own number stands in it as it is."""
    book = Workbook()
    sheet = first_sheet(book, say("own.profile"))
    head(sheet, 1, PROFILE, "own")
    for name, value in _profile(session, resident, now):
        row(sheet, (say(f"own.{name}"), value))
    tickets = list(session.scalars(select(Ticket).where(Ticket.reporter_id == resident.id).order_by(Ticket.id)))
    sheet = book.create_sheet(say("own.tickets"))
    head(sheet, 1, TICKETS, "own")
    for ticket in tickets:
        row(sheet, [_cell(ticket, name) for name, _ in TICKETS])
    sheet = book.create_sheet(say("own.consents"))
    head(sheet, 1, CONSENTS, "own")
    for event, number in _agreed(session, resident):
        row(sheet, (event.at, number, say(f"actions.{event.action}"), event.note))
    return to_bytes(book)


def _profile(session: Session, resident: Resident, now: datetime) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [
        ("name", resident.name),
        ("salutation", resident.salutation),
        ("phone", resident.phone),
        ("notices", say("own.notices_yes" if resident.notices else "own.notices_no")),
    ]
    for home in homes_of(session, resident):
        relation = say(f"relation.{home.relation}")
        since = clock(home.verified_at, now) if home.verified_at else say("own.unverified")
        found.append(("home", say("own.home_line", home=home.household.display, relation=relation, since=since)))
    return [*found, ("made", now)]


def _cell(ticket: Ticket, name: str) -> object:
    shown: dict[str, object] = {
        "no": ticket.ticket_no,
        "kind": say(f"kind.{ticket.kind}"),
        "what": category(ticket.code).name,
        "place": ticket.place_text,
        "status": say(f"status.{ticket.status}"),
        "worker": ticket.handler.name if ticket.handler else "",
        "result": ticket.remark,
        "score": "/".join(str(one) for one in (ticket.score_attitude, ticket.score_quality) if one is not None),
    }
    return shown[name] if name in shown else getattr(ticket, name)


def _agreed(session: Session, resident: Resident) -> list[tuple[TicketEvent, str]]:
    query = (
        select(TicketEvent, Ticket.ticket_no)
        .join(Ticket, Ticket.id == TicketEvent.ticket_id)
        .where(TicketEvent.actor == f"resident:{resident.id}", TicketEvent.action.in_(AGREEMENTS))
        .order_by(TicketEvent.id)
    )
    return [(event, number) for event, number in session.execute(query)]

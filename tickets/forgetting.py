"""Being forgotten, once the manager has agreed: what need not stay goes at once, the rest after the last open ticket (domain.md §9.4, §9.5).

Tickets stay for the years of data/catalog/privacy.yml, without a telephone where nothing is disputed or paid.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from storage.files import remove_file
from storage.models import (
    Attachment,
    Conversation,
    Draft,
    Identity,
    InboxMessage,
    OutboxMessage,
    Residency,
    Resident,
    Talk,
    TalkLine,
    Ticket,
    WebMessage,
)
from tickets import lifecycle
from tickets.retention import is_disputed, is_paper, take_away

LOOK_AGAIN = timedelta(hours=1)
# Somebody may still have to prove what happened: complaints, and work that was paid for.
DISPUTED = ("TS",)


def carry_out(session: Session, files: Path, now: datetime) -> int:
    """Do what is due; returns how many people are forgotten altogether now. Twice has no second effect."""
    done = 0
    query = select(Resident).where(Resident.forget_at.is_not(None), Resident.forget_at <= now)
    for resident in session.scalars(query.order_by(Resident.id)):
        running = list(session.scalars(select(Ticket).where(_of(resident), Ticket.status.in_(lifecycle.OPEN))))
        since = min((ticket.created_at for ticket in running), default=now)
        _words(session, resident, since)
        _files(session, resident, files)
        if running:
            resident.forget_at = now + LOOK_AGAIN
        else:
            _person(session, resident, now)
            done += 1
    return done


def _of(resident: Resident) -> ColumnElement[bool]:
    return Ticket.reporter_id == resident.id


def _words(session: Session, resident: Resident, before: datetime) -> None:
    """What was typed and said in the person's chats before their oldest open matter."""
    chats = list(session.scalars(select(Conversation.id).join(Identity).where(Identity.resident_id == resident.id)))
    inbox = update(InboxMessage).where(InboxMessage.conversation_id.in_(chats), InboxMessage.done_at.is_not(None))
    session.execute(inbox.where(InboxMessage.received_at < before).values(text="", payload={}))
    outbox = update(OutboxMessage).where(OutboxMessage.conversation_id.in_(chats), OutboxMessage.status != "pending")
    session.execute(outbox.where(OutboxMessage.created_at < before).values(text="", buttons=[]))
    web = delete(WebMessage).where(WebMessage.conversation_id.in_(chats), WebMessage.at < before)
    session.execute(web)
    talks = list(session.scalars(select(Talk.id).where(Talk.resident_id == resident.id, Talk.state == "ended")))
    session.execute(update(Talk).where(Talk.id.in_(talks), Talk.asked_at < before).values(words=""))
    session.execute(update(TalkLine).where(TalkLine.talk_id.in_(talks), TalkLine.at < before).values(text=""))
    session.execute(delete(Draft).where(Draft.conversation_id.in_(chats), Draft.updated_at < before))


def _files(session: Session, resident: Resident, files: Path) -> None:
    """Pictures and voice notes, but those of open and disputed matters and of paid work, and vouchers."""
    chats = select(Conversation.id).join(Identity).where(Identity.resident_id == resident.id)
    query = select(Attachment).where(Attachment.conversation_id.in_(chats))
    rows = [row for row in session.scalars(query).all() if not _stays(session, row)]
    take_away(session, rows, lambda key: remove_file(files, key))


def _stays(session: Session, row: Attachment) -> bool:
    ticket = session.get(Ticket, row.ticket_id) if row.ticket_id else None
    return is_paper(row) or (ticket is not None and (ticket.status in lifecycle.OPEN or _must_stay(ticket)))


def _must_stay(ticket: Ticket) -> bool:
    return ticket.kind in DISPUTED or is_disputed(ticket) or bool((ticket.detail or {}).get("quote"))


def _person(session: Session, resident: Resident, now: datetime) -> None:
    """Name, telephone and the tie to the home; the chat account stays as somebody unknown."""
    for ticket in session.scalars(select(Ticket).where(_of(resident))):
        if not _must_stay(ticket):
            ticket.contact_name = ticket.contact_phone = ""
    for tie in session.scalars(select(Residency).where(Residency.resident_id == resident.id)):
        tie.ended_at = tie.ended_at or now
    resident.name = resident.salutation = resident.phone = ""
    resident.notices, resident.forget_at = False, None

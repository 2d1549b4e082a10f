"""What is said beside a visit: whom to ring at the door, that a number was noted wrong, what shall not be mended after all, and what
stands in the ticket so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.slots import find_phone, find_salutation
from storage.models import Ticket, TicketEvent
from tickets import finding, notify, verbs
from tickets.people import Actor
from tickets.texts import say
from tickets.words import (
    about_visit,
    clauses_about,
    clauses_without,
    numbers_in,
    opens_the_door,
    person_named,
    takes_back,
)

NOTES = 2
"""So many of the newest words about a ticket are told to who asks what was noted."""


def keep(session: Session, ticket: Ticket, actor: Actor, text: str, now: datetime) -> None:
    """「明天上午十点 我姐叫刘梅 打她电话…」: beside a time, whom to ring and what else whoever comes has to know."""
    meets = opens_the_door(text)
    if not (meets or about_visit(text)) or ticket.public_area:
        return
    found = {"contact_phone": find_phone(text) if meets else "", "contact_name": name_in(text) if meets else ""}
    changed = {field: value for field, value in found.items() if value and value != getattr(ticket, field)}
    if changed:
        verbs.correct(session, ticket, actor, now, **changed)
    if not _told(session, ticket, text, now):
        verbs.add_detail(session, ticket, actor, text, now, flags={})


def name_in(text: str) -> str:
    """刘梅 of 「我姐叫刘梅」, or 王女士; "" if nobody is named."""
    return person_named(text) or find_salutation(text) or ""


def _told(session: Session, ticket: Ticket, words: str, now: datetime) -> bool:
    query = select(TicketEvent.id).where(TicketEvent.ticket_id == ticket.id, TicketEvent.note == words)
    return session.scalar(query.where(TicketEvent.action == "comment", TicketEvent.at >= now).limit(1)) is not None


def noted_so_far(session: Session, ticket: Ticket, now: datetime) -> str:
    """「你现在记的是几栋几单元」「敲门那个记上没」: what stands in the ticket, with the newest words that were added."""
    lines = [say("reply.noted_so_far", **notify.facts(ticket, now))]
    query = select(TicketEvent.note).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action == "comment")
    notes = [note for note in session.scalars(query.order_by(TicketEvent.id.desc()).limit(NOTES)) if note]
    if notes:
        lines.append(say("reply.noted_words", words=say("list.semicolon").join(reversed(notes))))
    return "\n".join(lines)


def withdrawn(tickets: Sequence[Ticket], text: str) -> tuple[Ticket, str] | None:
    """「0050那张撤了」, 「窗户那个不急 先撤了吧」 beside what is said of another: the one of several that shall not be done after all, and
    the other clauses."""
    numbered = [one for one in tickets if one.tail in numbers_in(text)]
    if numbered:
        return (numbered[0], "") if len(numbered) == 1 and takes_back(text) else None
    parts = clauses_about(text, [finding.told_of(one) for one in tickets]) if len(tickets) > 1 else {}
    meant = [index for index, words in parts.items() if takes_back(words)]
    return (tickets[meant[0]], clauses_without(text, parts[meant[0]])) if len(meant) == 1 else None

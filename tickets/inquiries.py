"""咨询 beside its ticket: what a resident asked last, what leans on it, and what is passed to a person (domain.md S51, S52).

A question gets a written answer or a ticket with a promised time; both only where the answer itself leaves something to a person.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Conversation, OpenQuestion, Resident, Ticket
from tickets import questions, verbs
from tickets.catalog import categories
from tickets.lifecycle import OPEN
from tickets.people import Actor, homes_of
from tickets.words import asks_on, leans

TOLD = "told"
LEANS_FOR = timedelta(minutes=10)
UNSORTED = "Q99"
MATTERS = ("TS", "BX", "JY")


def record(
    session: Session, chat: Conversation, actor: Actor, words: str, code: str, key: str, now: datetime
) -> Ticket:
    """Pass a question to a person; the ticket carries who answers it and by when. The same `key` opens it once only."""
    person = actor.resident or actor.staff
    assert person is not None
    report = verbs.Report(
        kind="ZX",
        code=code if code.startswith("Q") and code in categories() else UNSORTED,
        symptom=words,
        source_key=key,
        reporter=actor.resident,
        reporter_staff=actor.staff,
        conversation=chat,
    )
    ticket = verbs.open_ticket(session, person.community_id, report, now)[0]
    if actor.resident is not None:
        note_told(session, actor.resident, words, "", code, now, inquiry=ticket.id)
    return ticket


# --- what was asked last ----------------------------------------------------------------------------------------------


def note_told(
    session: Session, resident: Resident, asked: str, entry: str, code: str, now: datetime, *, inquiry: int = 0
) -> None:
    """Remember what was asked, which written answer was given ("" for none) and which ticket a person answers it with (0 for
    none): a short question after it leans on it. Nothing waits for a reply."""
    told = questions.ask(session, resident, TOLD, now, text=asked, entry=entry, code=code, inquiry=inquiry)
    questions.answered(told, "", now)


def last_told(session: Session, resident: Resident | None, now: datetime) -> OpenQuestion | None:
    """The written answer given in the last minutes, unless something without one was asked, or a matter told, after it."""
    asked = last_asked(session, resident, now)
    return asked if asked is not None and asked.data["entry"] else None


def open_inquiry(session: Session, asked: OpenQuestion) -> Ticket | None:
    """The ticket with which a person answers what was asked, while they have not."""
    ticket = session.get(Ticket, asked.data.get("inquiry") or 0)
    return ticket if ticket is not None and ticket.status in OPEN else None


def leans_on_last(session: Session, resident: Resident | None, text: str, now: datetime) -> bool:
    """Whether a message asks on about what was asked last, joined to it or not."""
    asked = last_asked(session, resident, now)
    return asked is not None and bool(leaning_part(str(asked.data["text"]), text))


def last_asked(session: Session, resident: Resident | None, now: datetime) -> OpenQuestion | None:
    """What was asked in the last minutes, with or without a written answer, unless a complaint or a fault was told after it:
    then a short question is about that (`matter_before`)."""
    asked = last_noted(session, resident, now)
    told = matter_before(session, resident, now) if asked is not None else None
    return None if asked is not None and told is not None and told.created_at > asked.asked_at else asked


def matter_before(session: Session, resident: Resident | None, now: datetime) -> Ticket | None:
    """The complaint or fault this person has told in the last minutes, and that is not over."""
    if resident is None:
        return None
    query = select(Ticket).where(
        Ticket.reporter_id == resident.id,
        Ticket.kind.in_(MATTERS),
        Ticket.status.in_(OPEN),
        Ticket.created_at >= now - LEANS_FOR,
    )
    return session.scalar(query.order_by(Ticket.id.desc()).limit(1))


def last_noted(session: Session, resident: Resident | None, now: datetime) -> OpenQuestion | None:
    """What was asked in the last minutes, whatever was told after it."""
    if resident is None:
        return None
    query = select(OpenQuestion).where(
        OpenQuestion.resident_id == resident.id, OpenQuestion.kind == TOLD, OpenQuestion.asked_at >= now - LEANS_FOR
    )
    return session.scalar(query.order_by(OpenQuestion.id.desc()).limit(1))


def last_offered(session: Session, resident: Resident, now: datetime) -> OpenQuestion | None:
    """The choices offered last to somebody who asked, in the last minutes."""
    query = select(OpenQuestion).where(
        OpenQuestion.resident_id == resident.id,
        OpenQuestion.kind == "which_question",
        OpenQuestion.asked_at >= now - LEANS_FOR,
    )
    return session.scalar(query.order_by(OpenQuestion.id.desc()).limit(1))


def joined(asked: str, text: str) -> str:
    """A question together with the one that leans on it."""
    return f"{asked}，{text}"


def leaning_part(asked: str, text: str) -> str:
    """The short question that leans on `asked`, alone or joined to it; "" when `text` is a question of its own."""
    part = text.removeprefix(joined(asked, ""))
    return part if (leans(part) or asks_on(part)) and part != asked else ""


def pays_for(session: Session, resident: Resident | None) -> bool:
    """Whether this person is the verified owner of a home: bills are told to nobody else (domain.md §2.5)."""
    return resident is not None and any(
        home.verified_at and home.relation == "owner" for home in homes_of(session, resident)
    )

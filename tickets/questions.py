"""Open questions: what was asked of whom and still waits for an answer (architecture.md §7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import OpenQuestion, Resident, Staff, Ticket

# How long an unanswered question still explains a short reply.
LASTS = {
    "acceptance": timedelta(days=7),
    "score": timedelta(days=2),
    "appointment": timedelta(days=2),
    "consent": timedelta(days=2),
    "detail": timedelta(hours=2),
    "confirm_address": timedelta(hours=2),
    "phone": timedelta(hours=2),
    "solved": timedelta(days=2),
    "safety": timedelta(minutes=30),
    "emergency": timedelta(hours=12),
    "cancel_which": timedelta(minutes=30),
    "resume_draft": timedelta(days=1),
    "self_check": timedelta(hours=4),
    "decline_reason": timedelta(hours=1),
    "callback": timedelta(days=3),
    "which_question": timedelta(minutes=30),
    "referred": timedelta(days=3),
    "restored": timedelta(days=2),
    "join": timedelta(hours=2),
    "part_photo": timedelta(hours=2),
    "paper": timedelta(minutes=10),
    "change": timedelta(days=7),
    "told": timedelta(minutes=10),
    "erase": timedelta(minutes=30),
    "own_file": timedelta(minutes=30),
    "new_phone": timedelta(minutes=30),
    "call": timedelta(hours=12),
    "suggestion": timedelta(minutes=30),
    "praise_name": timedelta(days=2),
    "which_talk": timedelta(minutes=30),
    "which_job": timedelta(minutes=10),
}


def ask(
    session: Session,
    person: Resident | Staff,
    kind: str,
    now: datetime,
    *,
    ticket: Ticket | None = None,
    remind_at: datetime | None = None,
    **data: Any,
) -> OpenQuestion:
    """Remember that `person` was asked; an older question of the same kind about the same ticket is replaced."""
    for old in waiting(session, person, now):
        if old.kind == kind and old.ticket_id == (ticket.id if ticket else None):
            old.state = "withdrawn"
    question = OpenQuestion(
        kind=kind,
        ticket_id=ticket.id if ticket else None,
        resident_id=person.id if isinstance(person, Resident) else None,
        staff_id=person.id if isinstance(person, Staff) else None,
        data=data,
        asked_at=now,
        expires_at=now + LASTS[kind],
        remind_at=remind_at,
    )
    session.add(question)
    session.flush()
    return question


def asked_since(session: Session, resident: Resident, kinds: Sequence[str], since: datetime) -> int:
    """How many questions of these kinds were put to a resident at or after a moment, answered or not."""
    query = select(func.count()).select_from(OpenQuestion)
    query = query.where(OpenQuestion.resident_id == resident.id, OpenQuestion.kind.in_(kinds))
    return session.scalar(query.where(OpenQuestion.asked_at >= since)) or 0


def denied_since(session: Session, resident: Resident, since: datetime, danger: str = "", told: str = "") -> bool:
    """Whether a resident answered the last safety question (about `danger`, if one is named, asked about words of `told`) since a
    moment, with a no."""
    query = select(OpenQuestion).where(OpenQuestion.resident_id == resident.id, OpenQuestion.kind == "safety")
    last = session.scalar(query.order_by(OpenQuestion.id.desc()).limit(1))
    return (
        last is not None
        and bool(last.data.get("denied"))
        and danger in ("", last.data.get("danger"))
        and (not told or str(last.data.get("text")) in told)
        and last.answered_at is not None
        and last.answered_at >= since
    )


def waiting(session: Session, person: Resident | Staff, now: datetime) -> list[OpenQuestion]:
    """What this person has not answered yet, newest first."""
    column = OpenQuestion.resident_id if isinstance(person, Resident) else OpenQuestion.staff_id
    query = (
        select(OpenQuestion)
        .where(column == person.id, OpenQuestion.state == "open", OpenQuestion.expires_at > now)
        .order_by(OpenQuestion.asked_at.desc(), OpenQuestion.id.desc())
    )
    return list(session.scalars(query))


def answered(question: OpenQuestion, text: str, now: datetime) -> None:
    question.state, question.answer, question.answered_at = "answered", text[:500], now


def withdraw(session: Session, ticket: Ticket, *kinds: str) -> None:
    """Take back what is still open about `ticket` (all kinds if none is named)."""
    query = select(OpenQuestion).where(OpenQuestion.ticket_id == ticket.id, OpenQuestion.state == "open")
    for question in session.scalars(query):
        if not kinds or question.kind in kinds:
            question.state = "withdrawn"

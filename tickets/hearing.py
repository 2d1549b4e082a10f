"""Taking a complaint, a suggestion or praise from somebody who speaks: listened to first, asked little (domain.md S54, §2.4).

Used by the dialogue and, where the words leave no doubt, before it, so that an angry resident is answered also while the dialogue
engine is away.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from nlu.slots import find_phone
from storage.models import Conversation, Staff, Ticket
from tickets import complaints, finding, inquiries, questions, talks, verbs
from tickets.catalog import complaint_rules
from tickets.people import Actor
from tickets.texts import say
from tickets.verbs import REOPEN_DAYS, Report
from tickets.words import points_back, speaks_of_worker


def hear(
    session: Session,
    actor: Actor,
    chat: Conversation,
    words: str,
    code: str,
    source_key: str,
    now: datetime,
    *,
    kind: str = "TS",
) -> Ticket:
    """Register it with everything its words tell. A complaint about a repair moves that repair too."""
    person = actor.resident or actor.staff
    assert person is not None
    real = complaints.read(words, code).code if kind == "TS" else code
    repair = complaints.failed_repair(session, actor, real, words)
    place = _where(session, actor, person.community_id, words, repair, real if kind == "TS" else "")
    if kind == "TS" and not repair and not place[1]:
        words, place = _with_what_was_told(session, actor, words, place, now)
    report = Report(kind=kind, code=code, symptom=words, source_key=source_key, reporter=actor.resident)
    report = replace(report, place_key=place[0], place_text=place[1], linked=repair, conversation=chat)
    report = replace(report, reporter_staff=actor.staff, contact_phone=find_phone(words) or "")
    if repair:
        # As it stands before this complaint moves it.
        report = replace(report, detail={"failure": complaints.failure(session, repair, now)})
    ticket, fresh = verbs.open_ticket(session, person.community_id, report, now)
    if fresh and repair:
        verbs.press_repair(session, verbs.load(session, repair.id), actor, words, now)
    if fresh and actor.resident and ticket.code in complaint_rules().person_now:
        talks.ask(session, chat, actor.resident, words, now, why="complaint", ticket=ticket)
    return ticket


def _where(
    session: Session, actor: Actor, community: int, words: str, repair: Ticket | None, code: str
) -> tuple[str, str]:
    """The place that is spoken of, else that of the repair behind it."""
    if repair is None:
        return complaints.place_of_complaint(session, actor, community, words, code=code)
    found = complaints.place_of_complaint(session, actor, community, words)
    return found if found[0] else (repair.place_key, repair.place_text)


POINTS_BACK_WITHIN = 24


def _with_what_was_told(
    session: Session, actor: Actor, words: str, place: tuple[str, str], now: datetime
) -> tuple[str, tuple[str, str]]:
    """「那他要打人这事你们管不管」: with who, where and why as they were told in the matter of the last minutes."""
    if len(words) > POINTS_BACK_WITHIN or not points_back(words):
        return words, place
    before = inquiries.matter_before(session, actor.resident, now)
    return (
        (inquiries.joined(before.symptom, words), (before.place_key, before.place_text)) if before else (words, place)
    )


def answer_anger(session: Session, ticket: Ticket, now: datetime) -> str:
    """The first answer to an angry resident; what they say next is read beside what was promised (`answering`)."""
    if ticket.reporter:
        questions.ask(session, ticket.reporter, "call", now, ticket=ticket)
    repair = verbs.load(session, ticket.linked_id) if ticket.linked_id else None
    return complaints.first_words(session, ticket, repair, now)


def praise(session: Session, actor: Actor, chat: Conversation, words: str, source_key: str, now: datetime) -> str:
    """表扬 goes on at once to whom it is meant for, without a name; the resident is asked whether to be named."""
    ticket = hear(session, actor, chat, words, "B01", source_key, now, kind="BY")
    staff = _praised(session, actor, ticket.community_id, words, now)
    if staff is None or actor.resident is None:
        return say("reply.praise", no=ticket.ticket_no)
    verbs.forward_praise(session, ticket, staff, Actor(), now)
    questions.ask(session, actor.resident, "praise_name", now, ticket=ticket)
    return say("reply.praise_forwarded", no=ticket.ticket_no, name=staff.name)


def _praised(session: Session, actor: Actor, community_id: int, words: str, now: datetime) -> Staff | None:
    """Who is named, else the worker of the resident's last repair if one is spoken of."""
    named = complaints.accused_in(session, community_id, words)
    if named is not None or not speaks_of_worker(words):
        return named
    last = finding.last_of(session, actor, kinds=("BX",))
    fresh = last is not None and (last.closed_at is None or now - last.closed_at <= REOPEN_DAYS)
    return last.handler if last is not None and fresh else None

"""What a complaint says: its core, what the resident wants, whom it is about, how grave it is, and which repair failed.

Words are kept as they were said; everything here is read off them and off the desk's own rows (domain.md §2.4, §5.7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nlu.slots import find_people
from storage.models import Community, Staff, Ticket, TicketEvent
from tickets import finding, notify
from tickets.catalog import complaint_rules
from tickets.history import last_of
from tickets.people import Actor
from tickets.texts import clock, say
from tickets.words import grave_reason, has_wish, hides_name, is_angry, threatens

CORE = 40
SAID = ("urge", "comment")
FAILED_REPAIR = "T02"
_CLAUSES = re.compile(r"[\s，。！？；,.!?;~…]+")


@dataclass(frozen=True)
class Reading:
    """What was read off the words of a complaint. `reason` is why it is C1, "" if the words give none."""

    core: str
    wish: str
    code: str
    reason: str
    hidden: bool


def read(words: str, code: str) -> Reading:
    """Read the words; a category that says little gives way to what they tell (「师傅收我200没收据」)."""
    rules, reason = complaint_rules(), grave_reason(words)
    told = rules.grave[reason] if reason else ""
    code = told if told and code in rules.vague else code
    return Reading(core_of(words), wish_of(words), code, reason, hides_name(words))


def core_of(words: str) -> str:
    """The matter in one sentence, in the resident's own words: without abuse, threats and wishes."""
    clauses = [clause for clause in _CLAUSES.split(words.strip()) if clause]
    told = [one for one in clauses if not (is_angry(one) or grave_reason(one) == "threat" or hides_name(one))]
    plain = [one for one in told if not has_wish(one)] or told or clauses
    return _short(say("list.pause").join(plain))


def wish_of(words: str) -> str:
    """What the resident wants to be done, "" if it was not said."""
    clauses = [clause for clause in _CLAUSES.split(words.strip()) if clause and not is_angry(clause)]
    return _short(say("list.pause").join(one for one in clauses if has_wish(one)))


def _short(words: str) -> str:
    return words if len(words) <= CORE else words[: CORE - 1] + "…"


# --- whom it is about -------------------------------------------------------------------------------------------------


def accused_in(session: Session, community_id: int, words: str) -> Staff | None:
    """The colleague named in a complaint, who is kept away from it."""
    staff = session.scalars(select(Staff).where(Staff.community_id == community_id).order_by(Staff.id)).all()
    named = find_people(words, [one.name for one in staff])
    return next((one for one in staff if one.name in named), None)


def department_meant(code: str, words: str, accused: Staff | None, usual: str) -> str:
    """Attitude is for the leader of whoever is meant, everything else for the department of its category (domain.md §2.4)."""
    rules = complaint_rules()
    if code != rules.attitude:
        return usual
    if accused is not None:
        return accused.department
    return next((name for name, pattern in rules.departments.items() if re.search(pattern, words)), usual)


# --- the repair behind it ---------------------------------------------------------------------------------------------


def failed_repair(session: Session, actor: Actor, code: str, words: str) -> Ticket | None:
    """The open repair that a complaint of this kind is about; everything worth asking is known from it."""
    if code != FAILED_REPAIR or actor.resident is None:
        return None
    mine = finding.open_of(session, actor, kinds=("BX",))
    return next(iter(finding.about(mine, words) or mine), None)


def visits(session: Session, ticket: Ticket) -> int:
    """How often somebody was there for a repair."""
    query = select(func.count()).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action == "arrived")
    return session.scalar(query) or 0


# --- the first answer -------------------------------------------------------------------------------------------------


def first_words(session: Session, ticket: Ticket, repair: Ticket | None, now: datetime) -> str:
    """The first answer to an angry resident asks nothing: what the desk knows, what happens now, who telephones by when
    (domain.md S54, §5.7)."""
    lines = [_failure(ticket, repair, now) if repair else say("reply.angry_heard", core=core_of(ticket.symptom))]
    if repair and repair.round >= 3 and repair.handler:
        lines.append(say("reply.angry_round", **notify.facts(repair, now)))
    lines.append(promise(ticket, now))
    return "\n".join(lines)


def failure(session: Session, repair: Ticket, now: datetime) -> dict[str, int]:
    """What the desk knows against itself: visits in vain, a promised time that has passed."""
    told = last_of(session, repair, "late_told") is not None
    return {"times": visits(session, repair), "late": int(told or _overdue(repair, now))}


def _failure(ticket: Ticket, repair: Ticket, now: datetime) -> str:
    """「厨房漏水来了2次还没修好，也过了答应您的时间，是我们没做好。」"""
    known = (ticket.detail or {}).get("failure") or {}
    key = "reply.failed_visits" if known.get("times") else "reply.failed_nobody"
    key = f"{key}_late" if known.get("late") else key
    return say(key, times=known.get("times", 0), **notify.facts(repair, now))


def _overdue(repair: Ticket, now: datetime) -> bool:
    dues = (repair.finish_by, repair.arrive_by if not repair.arrived_at else None)
    return any(due is not None and due <= now for due in dues)


def promise(ticket: Ticket, now: datetime) -> str:
    """Who speaks to the resident, and by when at the latest."""
    call = call_of(ticket)
    if call:
        key = "reply.will_call" if ticket.contact_phone else "reply.will_speak"
        return say(key, no=ticket.ticket_no, who=call["name"], by=clock(_moment(call["by"]), now))
    by = ticket.accept_by or ticket.finish_by
    return say("reply.will_contact", by=clock(by, now), **notify.facts(ticket, now))


def threatened_again(session: Session, ticket: Ticket, words: str) -> bool:
    """Whether these words threaten with somebody outside, and those of the complaint or a chaser of it did before."""
    if not threatens(words):
        return False
    query = select(TicketEvent.note).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action.in_(SAID))
    return threatens(ticket.symptom) or any(threatens(note) for note in session.scalars(query))


def repeated(session: Session, ticket: Ticket, now: datetime, *, robot: bool) -> str:
    """The same again to whoever is still angry, or doubts to whom they speak: short, no other tone, and the number to ring."""
    settings = session.get_one(Community, ticket.community_id).settings
    phone = settings.get("manager_phone") or settings.get("duty_phone") or say("reply.no_duty_phone")
    lines = [say("reply.am_robot")] if robot else []
    return "\n".join([*lines, promise(ticket, now), say("reply.manager_phone", phone=phone)])


def call_of(ticket: Ticket) -> dict[str, str]:
    """The telephone call that was promised and has not been made: by whom, until when; empty if none is owed."""
    call = dict((ticket.detail or {}).get("call") or {})
    return {} if call.get("made") else call


def call_due(ticket: Ticket) -> datetime | None:
    """Until when the promised call has to be made; None if none is owed."""
    call = call_of(ticket)
    return _moment(call["by"]) if call else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

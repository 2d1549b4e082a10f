"""What a complaint says: its core, what the resident wants, whom it is about, how grave it is, and which repair failed.

Words are kept as they were said; everything here is read off them and off the desk's own rows (domain.md §2.4, §5.7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nlu.address import Address
from nlu.slots import find_people
from storage.models import Community, Staff, Ticket, TicketEvent
from tickets import finding, notify
from tickets.catalog import complaint_rules
from tickets.history import last_of
from tickets.people import Actor, home_key, is_about_desk
from tickets.places import affected, is_exact, place_display, read_place
from tickets.texts import clock, say
from tickets.words import (
    asks_money_back,
    damage_by_worker,
    grave_reason,
    has_wish,
    heard_at_home,
    hides_name,
    is_angry,
    is_wish_topic,
    neighbour_room,
    of_many_homes,
    threatens,
)

CORE = 40
SAID = ("urge", "comment")
FAILED_REPAIR = "T02"
CHARGES, DAMAGE, OF_MANY, OTHER = "T03", "T25", "T29", "T99"
# Somebody has to know which home or spot it is about; and what is heard in the home of who complains.
NEEDS_PLACE = frozenset({"T09", "T10", "T11", "T12", "T13", "T15", "T16", "T18"})
AT_HOME = frozenset({"T09", "T18"})
# The place of 「隔壁」 of a home that is not registered.
UNKNOWN = "unknown"
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
    if code == OF_MANY and not of_many_homes(words):
        # 「大家一起死」 of one person is no matter of many homes.
        code = OTHER
    told = rules.grave[reason] if reason else ""
    told = told or (DAMAGE if damage_by_worker(words) else CHARGES if code == OTHER and asks_money_back(words) else "")
    code = told if told and code in rules.vague else code
    return Reading(core_of(words), wish_of(words), code, reason, hides_name(words))


def core_of(words: str) -> str:
    """The matter in one sentence, in the resident's own words: without abuse, threats and wishes."""
    clauses = [clause for clause in _CLAUSES.split(words.strip()) if clause]
    told = [one for one in clauses if not (is_angry(one) or grave_reason(one) == "threat" or hides_name(one))]
    return _short([one for one in told if not has_wish(one)] or told or clauses)


def wish_of(words: str) -> str:
    """What the resident wants to be done, "" if it was not said."""
    clauses = [clause for clause in _CLAUSES.split(words.strip()) if clause and not is_angry(clause)]
    return _short([one for one in clauses if has_wish(one) and not is_wish_topic(one)])


def _short(clauses: list[str]) -> str:
    """Whole clauses, as many as fit; only one that is too long by itself is cut."""
    kept = ""
    for clause in clauses:
        longer = say("list.pause").join(filter(None, (kept, clause)))
        if len(longer) > CORE:
            return f"{kept}…" if kept else clause[: CORE - 1] + "…"
        kept = longer
    return kept


# --- where it is ------------------------------------------------------------------------------------------------------


def place_of_complaint(
    session: Session, actor: Actor, community_id: int, words: str, *, code: str = "", before: str = ""
) -> tuple[str, str]:
    """The place that words speak of (`before`: what is known of it), else the home of who hears it there; without a text where it
    is not known well enough to be shown. Of several (「他1003 我1004 2栋1单元」) the one that is known whole."""
    place = read_place(session, community_id, words, resident=actor.resident, draft=before or None)
    if not place.source_key and (beside := _beside(session, community_id, place, words)):
        return beside
    place = affected(session, community_id, place)
    if place.action not in ("none", "invalid", "conflict") and place.key != UNKNOWN:
        whole = [one for one in place.key.split(" + ") if is_exact(one)]
        return (whole[0] if whole else place.key), place.display
    home = home_key(session, actor.resident)
    wrong = place.action in ("invalid", "conflict")
    if home and not wrong and code and (code in AT_HOME or heard_at_home(words)):
        return home, place_display(session, community_id, home)
    return "", ""


def _beside(session: Session, community_id: int, place: Address, words: str) -> tuple[str, str] | None:
    """「4栋1单元902 就对门901」: the flat that is complained of, and not that of who tells it; None where none is told beside it."""
    room = neighbour_room(words)
    told = place.key.split(" + ") if room and place.action not in ("none", "invalid", "conflict") else []
    for key in (one for one in told if is_exact(one) and not one.startswith("PUB:")):
        other = f"{key.rpartition('/')[0]}/{room}"
        if (shown := place_display(session, community_id, other)) != other:
            return other, shown
    return None


def hidden_key(ticket: Ticket) -> str:
    """Who can still see name and home of somebody who is not to be named, as it is told them."""
    return "reply.name_hidden_desk" if is_about_desk(ticket) else "reply.name_hidden"


def lacks_place(ticket: Ticket) -> bool:
    """Whether nobody can act on a complaint of this kind without knowing where it is, and it was not said."""
    return ticket.kind == "TS" and ticket.code in NEEDS_PLACE and not ticket.place_text


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


def said_so_far(session: Session, ticket: Ticket) -> list[str]:
    """What stands in a complaint: its words, and what its reporter has added."""
    query = select(TicketEvent.note).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action == "comment")
    return [ticket.symptom, *session.scalars(query.order_by(TicketEvent.id))]


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

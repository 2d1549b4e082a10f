"""Tying a chat account to a home: by a code sent to the registered people's chats, or by the desk's word (domain.md §9.3).

A claim is a residency that is not verified; nothing of the home is shown, and nothing done with it, before it is. Whoever claims
learns nothing about who lives there.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nlu.slots import mask_phone
from storage.models import AccessLog, Household, LoginCode, Residency, Resident, Staff
from tickets import audit, notify
from tickets.errors import BadInput, NotAllowed, NotFound, TooManyClaims
from tickets.people import Actor, managers, on_shift
from tickets.places import read_place
from tickets.sla import in_desk_hours, next_desk_opening
from tickets.texts import clock, say

CODE_LASTS = timedelta(minutes=30)
DESK_ANSWERS = timedelta(hours=2)
CLAIMS_A_DAY = 3


def claim(session: Session, person: Resident, words: str, now: datetime) -> str:
    """绑定 3-2-1502: ask the people of the home and the desk; returns what the resident reads. Raises TooManyClaims."""
    place = read_place(session, person.community_id, words)
    home = session.scalar(
        select(Household).where(Household.community_id == person.community_id, Household.key == place.key)
    )
    if place.action != "ok" or place.public or home is None:
        return say("binding.which_home")
    tie = session.scalar(select(Residency).where(Residency.resident_id == person.id, Residency.household_id == home.id))
    if tie and tie.verified_at and not tie.ended_at:
        return say("binding.already", home=home.display)
    _require_few(session, person, now)
    if tie is None:
        tie = Residency(resident=person, household=home, relation="family")
        session.add(tie)
    tie.verified_at = tie.ended_at = None
    session.flush()
    audit.note(session, person.community_id, Actor(resident=person), "claim", now, target=home.key, allowed=True)
    _send_code(session, tie, home, now)
    by = _ask_desk(session, tie, person, home, now)
    return say("binding.asked", home=home.display, by=clock(by, now))


def _require_few(session: Session, person: Resident, now: datetime) -> None:
    query = select(func.count()).where(
        AccessLog.actor == f"resident:{person.id}", AccessLog.action == "claim", AccessLog.at > now - timedelta(days=1)
    )
    if (session.scalar(query) or 0) >= CLAIMS_A_DAY:
        raise TooManyClaims()


def _send_code(session: Session, tie: Residency, home: Household, now: datetime) -> None:
    """The code goes to the chats of those who are registered; only its hash is kept."""
    query = (
        select(Resident)
        .join(Residency, Residency.resident_id == Resident.id)
        .where(Residency.household_id == home.id, Residency.verified_at.is_not(None), Residency.ended_at.is_(None))
        .where(Resident.id != tie.resident_id)
    )
    people = [one for one in session.scalars(query.order_by(Resident.id)) if notify.conversation_of(session, one)]
    if not people:
        return
    code = f"{secrets.randbelow(10**6):06d}"
    session.add(
        LoginCode(
            code_hash=hashlib.sha256(code.encode()).hexdigest(),
            resident_id=tie.resident_id,
            residency_id=tie.id,
            expires_at=now + CODE_LASTS,
        )
    )
    for one in people:
        text = say("binding.code", home=home.display, code=code, until=clock(now + CODE_LASTS, now))
        notify.push(session, one, text, key=f"binding:{tie.id}:{now.isoformat()}:resident:{one.id}", now=now)


def _ask_desk(session: Session, tie: Residency, person: Resident, home: Household, now: datetime) -> datetime:
    """The desk on duty may decide as well; returns by when."""
    query = select(Staff).where(Staff.community_id == person.community_id, Staff.role == "desk", Staff.active)
    desk = list(session.scalars(query.order_by(Staff.id)))
    pool = [one for one in desk if on_shift(one, now)] or desk or managers(session, person.community_id)
    name = person.salutation or person.name or say("person.unnamed")
    phone = mask_phone(person.phone) if person.phone else say("phone.missing")
    text = say("bind_desk.ask", id=tie.id, name=name, phone=phone, home=home.display)
    buttons = [(f"home_yes:{tie.id}", say("bind_desk.agree")), (f"home_no:{tie.id}", say("bind_desk.refuse"))]
    for one in pool:
        key = f"binding:{tie.id}:{now.isoformat()}:staff:{one.id}"
        notify.push(session, one, text, key=key, now=now, buttons=buttons)
    return now + DESK_ANSWERS if in_desk_hours(now) else next_desk_opening(now) + DESK_ANSWERS


def decide(session: Session, actor: Actor, tie_id: int, agreed: bool, now: datetime) -> Residency:
    """The desk, a supervisor or the manager confirms or refuses a claim; the resident hears it."""
    staff = actor.staff
    if staff is None or not staff.active or staff.role == "worker":
        raise NotAllowed(action="binding")
    tie = session.get(Residency, tie_id, with_for_update={"of": Residency})
    if tie is None or tie.household.community_id != staff.community_id:
        raise NotFound(no=tie_id)
    if tie.verified_at is not None or tie.ended_at is not None:
        raise BadInput(claim=tie_id)
    if agreed:
        verify(session, tie, now)
    else:
        tie.ended_at = now
    audit.note(session, staff.community_id, actor, "binding", now, target=tie.household.key, allowed=agreed)
    key = "binding.done" if agreed else "binding.refused"
    text = say(key, home=tie.household.display)
    notify.push(session, tie.resident, text, key=f"binding:{tie.id}:{key}:{now.isoformat()}", now=now)
    return tie


def verify(session: Session, tie: Residency, now: datetime) -> None:
    tie.verified_at, tie.ended_at = now, None
    session.flush()


def enter_code(session: Session, person: Resident | None, code: str, now: datetime) -> Residency | None:
    """The code of a claim, typed by whoever made the claim: the home is theirs from now on. None for any other code."""
    query = select(LoginCode).where(LoginCode.code_hash == hashlib.sha256(code.encode()).hexdigest())
    row = session.scalar(query.where(LoginCode.residency_id.is_not(None)).with_for_update())
    if row is None or person is None or row.resident_id != person.id or row.used_at or row.expires_at < now:
        return None
    tie = session.get_one(Residency, row.residency_id)
    if tie.verified_at is not None or tie.ended_at is not None:
        return None
    row.used_at = now
    verify(session, tie, now)
    return tie

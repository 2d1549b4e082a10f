"""A resident's rights over their own data, by chat: a file of it, who saw it, another telephone, being forgotten (domain.md §9.5).

Only to the person themselves, verified, in a private chat. A refusal always has a reason and a way to complain.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any

import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nlu.slots import find_phone, mask_phone
from storage.models import AccessLog, Assignment, Community, OpenQuestion, Resident, Staff, Ticket
from tickets import audit, lifecycle, notify, questions, verbs
from tickets.answering import Outcome, Turn
from tickets.errors import BadInput, NotAllowed
from tickets.own_file import own_file
from tickets.people import LEADER_ROLES, Actor, home_key, managers
from tickets.places import who_and_where
from tickets.texts import DATA, LOCAL, clock, say
from tickets.words import right_claimed, right_confirmed
from tickets.workdays import next_working_day

CODES = {"erase": "Q25", "phone": "Q26"}


@cache
def terms() -> dict[str, int]:
    """Times of data/catalog/privacy.yml."""
    return dict(yaml.safe_load((DATA / "catalog" / "privacy.yml").read_text("utf-8")))


def claimed(turn: Turn, address: str) -> Outcome | None:
    """The answer to somebody who uses a right over their own data, or goes on with that; None for anything else."""
    resident = turn.actor.resident
    if resident is None:
        return None
    for question in questions.waiting(turn.session, resident, turn.now):
        goes_on = GOES_ON.get(question.kind)
        outcome = goes_on(turn, resident, question, address) if goes_on else None
        if outcome is not None:
            return outcome
    right = right_claimed(turn.text)
    return _begin(turn, resident, right) if right else None


def _begin(turn: Turn, resident: Resident, right: str) -> Outcome:
    if turn.conversation.group:
        return Outcome(say("rights.in_private"))
    if home_key(turn.session, resident) is None:
        audit.note(turn.session, resident.community_id, turn.actor, f"right_{right}", turn.now, allowed=False)
        return Outcome(say("rights.verify_first"))
    return BEGINS[right](turn, resident)


# --- a file of one's own ----------------------------------------------------------------------------------------------


def _ask_file(turn: Turn, resident: Resident) -> Outcome:
    questions.ask(turn.session, resident, "own_file", turn.now)
    buttons = _yes_no("rights.file_yes", "rights.file_no")
    return Outcome(say("rights.file_ask", until=clock(turn.now + audit.LINK_LASTS, turn.now)), buttons)


def _yes_no(yes: str, no: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"say:{say(key)}", say(key)) for key in (yes, no))


def _give_file(turn: Turn, resident: Resident, question: OpenQuestion, address: str) -> Outcome | None:
    wanted = right_confirmed(turn.text)
    if wanted is None:
        return None
    questions.answered(question, turn.text, turn.now)
    if not wanted:
        return Outcome(say("rights.file_none"))
    content = own_file(turn.session, resident, turn.now)
    stamp = turn.now.astimezone(LOCAL).strftime("%Y%m%d-%H%M")
    token = audit.keep_own_file(turn.session, resident, f"{say('rights.file_name')} {stamp}.xlsx", content, turn.now)
    until = clock(turn.now + audit.LINK_LASTS, turn.now)
    return Outcome(say("rights.file_ready", link=f"{address}/api/exports/{token}", until=until))


# --- who saw it -------------------------------------------------------------------------------------------------------


def _tell_seen(turn: Turn, resident: Resident) -> Outcome:
    """The people on one's own tickets, those who looked at them, and the lists that were taken out."""
    since = turn.now - timedelta(days=terms()["seen_days"])
    found = [
        say("rights.seen_worker", name=name, count=count) for name, count in _workers(turn.session, resident, since)
    ]
    found += [
        say("rights.seen_looked", name=name, count=count) for name, count in _looked(turn.session, resident, since)
    ]
    lists = _lists_taken(turn.session, resident, since)
    found += [say("rights.seen_lists", count=lists)] if lists else []
    head = say("rights.seen_head", since=clock(since, turn.now), count=len(found))
    audit.note(turn.session, resident.community_id, turn.actor, "right_seen", turn.now, allowed=True)
    lines = found or [say("rights.seen_none")]
    return Outcome("\n".join([head, *lines, say("rights.seen_tail", way=_way_to_complain(turn.session, resident))]))


def _workers(session: Session, resident: Resident, since: datetime) -> list[tuple[str, int]]:
    """Who took jobs of this person, and so could read the telephone number."""
    query = (
        select(Staff.name, func.count())
        .join(Assignment, Assignment.staff_id == Staff.id)
        .join(Ticket, Ticket.id == Assignment.ticket_id)
        .where(Ticket.reporter_id == resident.id, Assignment.state.in_(("accepted", "done")))
        .where(Assignment.offered_at >= since)
        .group_by(Staff.name)
        .order_by(Staff.name)
    )
    return [(name, count) for name, count in session.execute(query)]


def _looked(session: Session, resident: Resident, since: datetime) -> list[tuple[str, int]]:
    """Colleagues who opened one of this person's tickets without being its worker."""
    numbers = select(Ticket.ticket_no).where(Ticket.reporter_id == resident.id)
    query = (
        select(AccessLog.actor, func.count())
        .where(AccessLog.action == audit.LOOK, AccessLog.allowed, AccessLog.at >= since, AccessLog.target.in_(numbers))
        .group_by(AccessLog.actor)
        .order_by(AccessLog.actor)
    )
    rows = [(int(actor.partition(":")[2]), count) for actor, count in session.execute(query)]
    return [(session.get_one(Staff, number).name, count) for number, count in rows]


def _lists_taken(session: Session, resident: Resident, since: datetime) -> int:
    """Workbooks of the community taken out since; numbers in them are masked."""
    query = select(func.count()).where(
        AccessLog.community_id == resident.community_id,
        AccessLog.action == "export",
        AccessLog.allowed,
        AccessLog.at >= since,
    )
    return session.scalar(query) or 0


def _way_to_complain(session: Session, resident: Resident) -> str:
    phone = session.get_one(Community, resident.community_id).settings.get("manager_phone")
    return say("rights.way_manager", phone=phone) if phone else say("rights.way")


# --- another telephone ------------------------------------------------------------------------------------------------


def _ask_phone(turn: Turn, resident: Resident) -> Outcome:
    phone = find_phone(turn.text)
    if phone:
        return _change_phone(turn, resident, phone)
    questions.ask(turn.session, resident, "new_phone", turn.now)
    return Outcome(say("rights.phone_which"))


def _hear_phone(turn: Turn, resident: Resident, question: OpenQuestion, _address: str) -> Outcome | None:
    phone = find_phone(turn.text)
    if not phone:
        return None
    questions.answered(question, turn.text, turn.now)
    return _change_phone(turn, resident, phone)


def _change_phone(turn: Turn, resident: Resident, phone: str) -> Outcome:
    """The desk telephones the old number first: an open chat alone proves too little (domain.md §9.5)."""
    if phone == resident.phone:
        return Outcome(say("rights.phone_same", tail=phone[-4:]))
    words = say("rights.phone_words", tail=phone[-4:])
    ticket = _register(turn, "phone", words, {"new_phone": phone})
    old = mask_phone(resident.phone) if resident.phone else say("phone.missing")
    if staff := ticket.handler:
        text = say(
            "rights_desk.phone_card",
            no=ticket.ticket_no,
            who=who_and_where(turn.session, resident),
            tail=phone[-4:],
            old=old,
        )
        _card(turn, ticket, staff, text, "rights_desk.phone_agree")
    return Outcome(say("rights.phone_asked", digits=phone[-4:], **notify.facts(ticket, turn.now)))


# --- being forgotten --------------------------------------------------------------------------------------------------


def _ask_erase(turn: Turn, resident: Resident) -> Outcome:
    """What goes, what stays and why, and by when it is decided; nothing happens before a plain yes."""
    if resident.forget_at:
        return Outcome(say("rights.erase_running"))
    questions.ask(turn.session, resident, "erase", turn.now)
    return Outcome(_plan(turn, resident), _yes_no("rights.erase_yes", "rights.erase_no"))


def _plan(turn: Turn, resident: Resident) -> str:
    open_ones = list(turn.session.scalars(open_of(resident)))
    lines = [say("rights.erase_goes")]
    if open_ones:
        numbers = say("list.comma").join(one.ticket_no for one in open_ones)
        lines.append(say("rights.erase_waits", count=len(open_ones), numbers=numbers))
    lines.append(say("rights.erase_stays", years=terms()["keep_ticket_years"]))
    lines.append(say("rights.erase_ask", by=clock(decided_by(turn.now), turn.now)))
    return "\n".join(lines)


def open_of(resident: Resident) -> Any:
    """The tickets of a person that are not over."""
    query = select(Ticket).where(Ticket.reporter_id == resident.id, Ticket.status.in_(lifecycle.OPEN))
    return query.order_by(Ticket.id)


def decided_by(now: datetime) -> datetime:
    """The end of the last working day on which a wish is answered."""
    day = next_working_day(now.astimezone(LOCAL).date(), terms()["answer_working_days"])
    return datetime.combine(day, time(18, 0), LOCAL)


def _hear_erase(turn: Turn, resident: Resident, question: OpenQuestion, _address: str) -> Outcome | None:
    wanted = right_confirmed(turn.text)
    if wanted is None:
        return None
    questions.answered(question, turn.text, turn.now)
    if not wanted:
        return Outcome(say("rights.erase_none"))
    ticket = _register(turn, "erase", say("rights.erase_words"), {})
    # Nothing that is not needed for open matters is used any more, whatever is decided.
    resident.notices = False
    for manager in managers(turn.session, resident.community_id):
        by = clock(ticket.finish_by, turn.now)
        text = say("rights_desk.erase_card", no=ticket.ticket_no, who=who_and_where(turn.session, resident), by=by)
        _card(turn, ticket, manager, text, "rights_desk.erase_agree")
    return Outcome(say("rights.erase_asked", no=ticket.ticket_no, by=clock(ticket.finish_by, turn.now)))


def _card(turn: Turn, ticket: Ticket, staff: Staff, text: str, agree: str) -> None:
    """The wish before whoever decides, with yes and no."""
    buttons = [(f"right_yes:{ticket.id}", say(agree)), (f"right_no:{ticket.id}", say("rights_desk.refuse"))]
    key = f"right:{ticket.id}:staff:{staff.id}"
    notify.push(turn.session, staff, text, key=key, now=turn.now, ticket=ticket, buttons=buttons)


def _register(turn: Turn, right: str, words: str, detail: dict[str, Any]) -> Ticket:
    report = verbs.Report(
        kind="ZX",
        code=CODES[right],
        symptom=words,
        source_key=f"{turn.key}:right",
        reporter=turn.actor.resident,
        conversation=turn.conversation,
        detail={"right": right, **detail},
    )
    assert turn.actor.resident is not None
    ticket, _ = verbs.open_ticket(turn.session, turn.actor.resident.community_id, report, turn.now)
    ticket.finish_by = decided_by(turn.now)
    audit.note(
        turn.session, ticket.community_id, turn.actor, f"right_{right}", turn.now, target=ticket.ticket_no, allowed=True
    )
    return ticket


# --- the desk's and the manager's word --------------------------------------------------------------------------------


def decide(session: Session, ticket: Ticket, actor: Actor, agreed: bool, reason: str, now: datetime) -> None:
    """Agree to a wish, or refuse it with a reason: a telephone by the desk, being forgotten by the manager alone."""
    right = (ticket.detail or {}).get("right")
    staff, resident = actor.staff, ticket.reporter
    if staff is None or resident is None or right not in CODES or not _may_decide(staff, str(right)):
        raise NotAllowed(action="right")
    if not agreed and not reason:
        raise BadInput(reason="")
    if agreed and right == "phone":
        _set_phone(session, ticket, resident)
    elif agreed:
        resident.forget_at = now
    words = _answer(session, ticket, resident, str(right), agreed, reason, now)
    verbs.answer_matter(session, ticket, actor, words, now)
    audit.note(session, ticket.community_id, actor, f"right_{right}", now, target=ticket.ticket_no, allowed=agreed)


def _may_decide(staff: Staff, right: str) -> bool:
    return staff.active and (staff.role == "manager" if right == "erase" else staff.role in {"desk", *LEADER_ROLES})


def _set_phone(session: Session, ticket: Ticket, resident: Resident) -> None:
    """The new number, also where the old one stands in a matter that is not over."""
    old, new = resident.phone, str(ticket.detail["new_phone"])
    resident.phone = new
    for one in session.scalars(open_of(resident)):
        if one.contact_phone in (old, ""):
            one.contact_phone = new


def _answer(
    session: Session, ticket: Ticket, resident: Resident, right: str, agreed: bool, reason: str, now: datetime
) -> str:
    if not agreed:
        return say(f"rights.{right}_refused", reason=reason, way=_way_to_complain(session, resident))
    if right == "phone":
        return say("rights.phone_done", tail=str(ticket.detail["new_phone"])[-4:])
    waits = [one for one in session.scalars(open_of(resident)) if one.id != ticket.id]
    numbers = say("list.comma").join(one.ticket_no for one in waits)
    key = "rights.erase_done_later" if waits else "rights.erase_done"
    return say(key, at=clock(now, now), numbers=numbers, years=terms()["keep_ticket_years"])


BEGINS: dict[str, Callable[[Turn, Resident], Outcome]] = {
    "file": _ask_file,
    "seen": _tell_seen,
    "phone": _ask_phone,
    "erase": _ask_erase,
}
GOES_ON: dict[str, Callable[[Turn, Resident, OpenQuestion, str], Outcome | None]] = {
    "own_file": _give_file,
    "new_phone": _hear_phone,
    "erase": _hear_erase,
}

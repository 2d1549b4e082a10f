"""Several reports, one matter: joining, merging, incidents of a whole building, the same fault again (domain.md §2.8, §7.4 并单)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from storage.models import Conversation, Follower, Household, Residency, Resident, Ticket, TicketEvent
from tickets import lifecycle, notify, questions
from tickets.catalog import Family, category, patterns
from tickets.errors import BadInput, NotAllowed, ReasonNeeded, WrongStatus
from tickets.people import SYSTEM, Actor, each_once, leaders, managers, relations
from tickets.places import part_display, part_of
from tickets.sla import more_urgent
from tickets.texts import say
from tickets.verbs.dispatching import auto_dispatch, offer
from tickets.verbs.registering import Report, register, start_repair
from tickets.verbs.steps import end_assignments, move, record, set_clocks

SHOWN = 6
# What is still being worked on can take in another report; what waits for acceptance cannot.
RUNNING = ("new", "survey", "assigned", "in_progress", "rework", "on_hold")


# --- finding what is the same -----------------------------------------------------------------------------------------


def family_of(code: str) -> Family | None:
    return next((one for one in patterns().families if code in (*one.codes, *one.absorbs)), None)


def running_like(session: Session, community_id: int, code: str, place_key: str, resident: Resident) -> Ticket | None:
    """What somebody else has reported and is being worked on: the incident this belongs to, or the same public place."""
    query = (
        select(Ticket)
        .where(Ticket.community_id == community_id, Ticket.kind == "BX", Ticket.status.in_(RUNNING), Ticket.public_area)
        .order_by(Ticket.id)
    )
    family = family_of(code)
    part = part_of(place_key, family.scope) if family else ""
    for ticket in session.scalars(query.where(Ticket.code == (family.incident if family else code))):
        if family and part and (ticket.detail or {}).get("part") == part:
            return ticket
        same = place_key.startswith("PUB:") and ticket.place_key == place_key
        if same and ticket.code == code and ticket.reporter_id != resident.id:
            return ticket
    return None


def is_incident(ticket: Ticket) -> bool:
    """Whether a ticket stands for a fault of many homes."""
    return bool((ticket.detail or {}).get("incident"))


def _alike(
    session: Session, ticket: Ticket, codes: tuple[str, ...], since: datetime, *conditions: ColumnElement[bool]
) -> list[Ticket]:
    """Other reports with these codes since then, oldest first, that are real and stand for themselves."""
    query = (
        select(Ticket)
        .where(Ticket.community_id == ticket.community_id, Ticket.code.in_(codes), Ticket.created_at >= since)
        .where(Ticket.id != ticket.id, Ticket.kind == "BX", Ticket.status.not_in(("cancelled", "merged")))
        .where(*conditions)
    )
    found = session.scalars(query.order_by(Ticket.id))
    return [one for one in found if not (one.detail or {}).get("false_alarm")]


# --- joining and merging ----------------------------------------------------------------------------------------------


def join(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    words: str,
    now: datetime,
    *,
    conversation: Conversation | None = None,
    place: tuple[str, str] = ("", ""),
) -> bool:
    """+1: one more person has the same matter and will hear what becomes of it; whether they were new to it."""
    if ticket.status not in RUNNING:
        raise WrongStatus(status=ticket.status, action="join")
    if not _follow(session, ticket, actor, now, conversation=conversation, place=place):
        return False
    count = count_of(session, ticket)
    event = record(session, ticket, actor, "join", now, note=words, count=count)
    if ticket.handler and not is_incident(ticket):
        notify.tell_staff(session, ticket.handler, ticket, event, "push.joined_staff", now, count=count)
    _suggest_notice(session, ticket, event, now)
    return True


def _follow(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    now: datetime,
    *,
    conversation: Conversation | None,
    place: tuple[str, str],
    child: Ticket | None = None,
) -> bool:
    if (actor.resident or actor.staff) is None or _known(session, ticket, actor):
        return False
    one = Follower(ticket_id=ticket.id, resident=actor.resident, staff=actor.staff, at=now)
    one.conversation_id = conversation.id if conversation else None
    one.child_id = child.id if child else None
    one.place_key, one.place_text = place
    session.add(one)
    session.flush()
    return True


def _known(session: Session, ticket: Ticket, actor: Actor) -> bool:
    """Whether this person reported it or follows it already."""
    if actor.resident and actor.resident.id == ticket.reporter_id:
        return True
    query = select(Follower.id).where(Follower.ticket_id == ticket.id)
    if actor.resident:
        query = query.where(Follower.resident_id == actor.resident.id)
    elif actor.staff:
        query = query.where(Follower.staff_id == actor.staff.id)
    return session.scalar(query.limit(1)) is not None


def count_of(session: Session, ticket: Ticket) -> int:
    """How many have reported it, the first one included."""
    followers = session.scalars(select(Follower.id).where(Follower.ticket_id == ticket.id)).all()
    return len(followers) + (1 if ticket.reporter_id or ticket.reporter_staff_id else 0)


def merge(session: Session, ticket: Ticket, parent: Ticket, actor: Actor, now: datetime, *, reason: str = "") -> None:
    """并单: `ticket` becomes a part of `parent`, which keeps the higher class and tells its reporter everything from now on."""
    if ticket.id == parent.id or parent.status not in RUNNING or ticket.community_id != parent.community_id:
        raise WrongStatus(status=parent.status, action="merge")
    if {ticket.kind, parent.kind} != {"BX"}:
        raise BadInput(kind=ticket.kind)
    lifecycle.next_status(ticket.status, "merge", relations(session, ticket, actor))
    if not reason and part_of(ticket.place_key, "building") != part_of(parent.place_key, "building"):
        raise ReasonNeeded(reasons=say("merge.reason_example", tail=ticket.tail, other=parent.tail), name="")
    worker = ticket.handler
    ticket.parent_id = parent.id
    event = move(session, ticket, actor, "merge", now, note=parent.ticket_no)
    end_assignments(session, ticket, "withdrawn", now)
    questions.withdraw(session, ticket)
    if worker and worker.id != parent.handler_id:
        notify.tell_staff(session, worker, ticket, event, "push.merged_staff", now, other=parent.ticket_no)
    _raise_with(parent, ticket, now)
    _hand_down_followers(session, ticket, parent, now)
    joined = record(session, parent, actor, "join", now, note=ticket.ticket_no, child=ticket.id)
    notify.tell_reporter(session, ticket, event, "push.merged_into", now, **_about(parent, now))
    _suggest_notice(session, parent, joined, now)


def _about(parent: Ticket, now: datetime) -> dict[str, object]:
    facts = notify.facts(parent, now)
    return {
        "main_no": facts["no"],
        "main_what": facts["what"],
        "main_place": facts["place"],
        "main_by": facts["latest"],
    }


def _raise_with(parent: Ticket, ticket: Ticket, now: datetime) -> None:
    level = more_urgent(parent.level, ticket.level)
    if level != parent.level:
        parent.level = level
        set_clocks(parent, now)


def _hand_down_followers(session: Session, ticket: Ticket, parent: Ticket, now: datetime) -> None:
    """The reporter follows the parent from now on, and so does everybody who followed the child."""
    chat = session.get(Conversation, ticket.conversation_id) if ticket.conversation_id else None
    reporter = Actor(resident=ticket.reporter, staff=None if ticket.reporter else ticket.reporter_staff)
    place = (ticket.place_key, ticket.place_text)
    _follow(session, parent, reporter, now, conversation=chat, place=place, child=ticket)
    for one in session.scalars(select(Follower).where(Follower.ticket_id == ticket.id)).all():
        other = session.get(Conversation, one.conversation_id) if one.conversation_id else None
        person = Actor(resident=one.resident, staff=one.staff)
        _follow(session, parent, person, now, conversation=other, place=(one.place_key, one.place_text))
        session.delete(one)
    session.flush()


# --- incidents --------------------------------------------------------------------------------------------------------


def watch(session: Session, ticket: Ticket, now: datetime) -> None:
    """Look at a new report beside the others: part of an incident, the beginning of one, or the same fault once again."""
    if ticket.level == "U0":
        return
    family = family_of(ticket.code)
    part = part_of(ticket.place_key, family.scope) if family else ""
    if family and part:
        _watch_family(session, ticket, family, part, now)
    if ticket.status != "merged":
        _watch_repeats(session, ticket, now)


def _watch_family(session: Session, ticket: Ticket, family: Family, part: str, now: datetime) -> None:
    since = now - timedelta(minutes=patterns().minutes)
    alike = _alike(session, ticket, (*family.codes, *family.absorbs), since)
    near = [one for one in alike if part_of(one.place_key, family.scope) == part and one.status in RUNNING]
    running = next((one for one in near if is_incident(one)), None) or _older_incident(session, ticket, family, part)
    if running is None:
        own = [one for one in near if one.code in family.codes]
        together = [*own, ticket]
        if ticket.code not in family.codes or len({_home(one) for one in together}) < patterns().homes:
            return
        running = _open_incident(session, together, family, part, now)
        for one in own:
            if one.status != "rework":
                merge(session, one, running, SYSTEM, now)
    merge(session, ticket, running, SYSTEM, now)


def _home(ticket: Ticket) -> str:
    """Which home a report speaks for: its own, or, about a place all share, that of who told it."""
    return f"by:{ticket.reporter_id or ticket.id}" if ticket.place_key.startswith("PUB:") else ticket.place_key


def _older_incident(session: Session, ticket: Ticket, family: Family, part: str) -> Ticket | None:
    query = select(Ticket).where(
        Ticket.community_id == ticket.community_id, Ticket.code == family.incident, Ticket.status.in_(RUNNING)
    )
    return next((one for one in session.scalars(query) if (one.detail or {}).get("part") == part), None)


def _open_incident(session: Session, reports: list[Ticket], family: Family, part: str, now: datetime) -> Ticket:
    """The ticket that stands for all of them: the earliest time, the highest class, one worker (domain.md §7.4 并单)."""
    first = reports[0]
    level = category(family.incident).level
    for one in reports:
        level = more_urgent(level, one.level)
    report = Report(
        kind="BX",
        code=family.incident,
        symptom=first.symptom,
        source_key=f"incident:{first.id}",
        place_key=f"PUB:{part}/-" if part.count("/") == 1 else f"PUB:{part}",
        place_text=part_display(session, first.community_id, part),
        public_area=True,
        level=level,
        source="incident",
        detail={"incident": family.name, "part": part},
    )
    incident = register(session, first.community_id, report, now)
    incident.created_at = first.created_at
    event = record(session, incident, SYSTEM, "open", now, note=first.symptom, to="new")
    start_repair(session, incident, event, now)
    for leader in leaders(session, incident.community_id, incident.department):
        notify.tell_staff(session, leader, incident, event, "push.incident", now, count=len(reports))
    return incident


def _suggest_notice(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """From the third home on the supervisor is asked whether everybody there shall hear of it; nothing goes out unasked."""
    detail = ticket.detail or {}
    count = count_of(session, ticket)
    if not is_incident(ticket) or detail.get("notice_suggested") or count < patterns().alert_homes:
        return
    ticket.detail = {**detail, "notice_suggested": True}
    buttons = [(f"broadcast:{ticket.id}", say("button.broadcast"))]
    told = [*leaders(session, ticket.community_id, ticket.department), *managers(session, ticket.community_id)]
    for leader in each_once(told):
        notify.tell_staff(session, leader, ticket, event, "push.incident_notice", now, count=count, buttons=buttons)


def broadcast(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> int:
    """发通知: every home of the building or unit hears of the incident, once; how many people that were."""
    if not relations(session, ticket, actor) & {lifecycle.SUPERVISOR, lifecycle.DESK}:
        raise NotAllowed(action="broadcast")
    if not is_incident(ticket) or ticket.status not in RUNNING:
        raise WrongStatus(status=ticket.status, action="broadcast")
    told = _neighbours(session, ticket)
    event = record(session, ticket, actor, "broadcast", now, count=len(told))
    for person in told:
        text = say("push.broadcast", **notify.facts(ticket, now))
        notify.push(session, person, text, key=f"t{ticket.id}:broadcast:{person.id}", now=now, ticket=ticket)
    ticket.detail = {**ticket.detail, "notice_sent": event.id}
    return len(told)


def _neighbours(session: Session, ticket: Ticket) -> list[Resident]:
    """Who lives in the part of an incident and has not reported it, so does not know of it yet."""
    part = str(ticket.detail["part"])
    known = select(Follower.resident_id).where(Follower.ticket_id == ticket.id, Follower.resident_id.is_not(None))
    query = (
        select(Resident)
        .join(Residency, Residency.resident_id == Resident.id)
        .join(Household, Household.id == Residency.household_id)
        .where(Household.community_id == ticket.community_id, Household.key.startswith(f"{part}/", autoescape=True))
        .where(Residency.verified_at.is_not(None), Residency.ended_at.is_(None), Resident.id.not_in(known))
    )
    return list(session.scalars(query.order_by(Resident.id)).unique())


def ask_restored(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """An incident is mended: everybody who reported it is asked about their own home, who only got the notice is told."""
    text = say("push.restored", **notify.facts(ticket, now))
    buttons = [("say:" + say(key), say(key)) for key in ("button.restored", "button.not_restored")]
    notify.tell_followers(session, ticket, event, "push.restored", text, now, buttons=buttons)
    for one in session.scalars(select(Follower).where(Follower.ticket_id == ticket.id)):
        if one.resident:
            questions.ask(session, one.resident, "restored", now, ticket=ticket, follower=one.id)
    if not ticket.detail.get("notice_sent"):
        return
    for person in _neighbours(session, ticket):
        over = say("push.broadcast_over", **notify.facts(ticket, now))
        notify.push(session, person, over, key=f"t{ticket.id}:e{event.id}:over:{person.id}", now=now, ticket=ticket)


# --- the same fault again ---------------------------------------------------------------------------------------------


def _watch_repeats(session: Session, ticket: Ticket, now: datetime) -> None:
    """The second time at one place is marked, the third makes a hidden danger of it, with the list (domain.md §2.8)."""
    since = now - timedelta(days=patterns().repeat_days)
    spot = _spot(ticket)
    alike = _alike(session, ticket, (ticket.code,), since, _around(ticket, spot)) if spot else []
    same = [one for one in alike if _spot(one) == spot]
    if not same:
        return
    ticket.detail = {**(ticket.detail or {}), "repeat": len(same) + 1}
    numbers = say("list.comma").join(one.ticket_no for one in [*same, ticket][-SHOWN:])
    record(session, ticket, SYSTEM, "repeat", now, note=numbers, times=len(same) + 1)
    if len(same) + 1 >= patterns().hazard_times:
        _raise_hazard(session, ticket, spot, len(same) + 1, numbers, now)


def _spot(ticket: Ticket) -> str:
    """Where a fault counts as the same: the flat, and for what all share the building."""
    if ticket.public_area or ticket.place_key.startswith("PUB:"):
        return part_of(ticket.place_key, "building") or ticket.place_key
    return ticket.place_key


def _around(ticket: Ticket, spot: str) -> ColumnElement[bool]:
    """The places whose spot can be this ticket's, so that not every report of the month is read."""
    if spot == ticket.place_key:
        return Ticket.place_key == spot
    heads = (spot, f"PUB:{spot}")
    return or_(Ticket.place_key.in_(heads), *(Ticket.place_key.startswith(f"{one}/", autoescape=True) for one in heads))


def _raise_hazard(session: Session, ticket: Ticket, spot: str, times: int, numbers: str, now: datetime) -> None:
    query = select(Ticket).where(
        Ticket.community_id == ticket.community_id,
        Ticket.kind == "YH",
        Ticket.code == ticket.code,
        Ticket.status.in_(lifecycle.OPEN),
    )
    known = next((one for one in session.scalars(query) if (one.detail or {}).get("spot") == spot), None)
    if known is not None:
        record(session, known, SYSTEM, "join", now, note=ticket.ticket_no, times=times)
        return
    symptom = say("hazard.symptom", times=times, days=patterns().repeat_days, numbers=numbers)
    hazard = _register_hazard(session, ticket, spot, symptom, now)
    set_clocks(hazard, now)
    chief = next(iter(leaders(session, hazard.community_id, hazard.department)), None)
    hazard.owner = chief
    if chief is None:
        auto_dispatch(session, hazard, now)
        return
    offer(session, hazard, chief, SYSTEM, "assign", now, why=["by_rule"])


def _register_hazard(session: Session, ticket: Ticket, spot: str, symptom: str, now: datetime) -> Ticket:
    report = Report(
        kind="YH",
        code=ticket.code,
        symptom=symptom,
        source_key=f"hazard:{ticket.id}",
        place_key=ticket.place_key,
        place_text=part_display(session, ticket.community_id, spot) if spot.count("/") == 1 else ticket.place_text,
        public_area=True,
        level="U4",
        source="pattern",
        linked=ticket,
        detail={"spot": spot},
    )
    hazard = register(session, ticket.community_id, report, now)
    record(session, hazard, SYSTEM, "open", now, note=report.symptom, to="new")
    return hazard

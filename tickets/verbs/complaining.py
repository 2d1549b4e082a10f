"""A complaint from its first word to the closed file (domain.md §2.2, §2.4, §7.1, §7.4, §7.5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import CoHandler, Staff, Ticket, TicketEvent
from tickets import complaints, lifecycle, notify, questions, quiet_hours
from tickets.catalog import complaint_rules, patterns
from tickets.errors import Accused, BadInput, CallbackNeeded, CauseNeeded, NotAllowed, WrongStatus
from tickets.finding import about
from tickets.people import SYSTEM, Actor, company, each_once, home_key, is_accused, leaders, managers, relations
from tickets.places import part_of
from tickets.texts import clock, say, span
from tickets.verbs.grave import call_by, caller_of, number_for, tell_grave
from tickets.verbs.registering import Report, register, start_desk_matter
from tickets.verbs.steps import end_assignments, move, record, staff_of
from tickets.words import grave_reason

MATTERS = ("TS", "ZX", "JY", "BY")
DAY = timedelta(days=1)
AFTER_VISIT = timedelta(hours=4)
OURS = frozenset({lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR})


# --- opening it -------------------------------------------------------------------------------------------------------


def prepared(session: Session, community_id: int, report: Report) -> Report:
    """The report with what its words say: category, class, who is meant, whether the name is to be hidden."""
    if report.kind not in ("TS", "JY", "BY"):
        return report
    found = complaints.read(report.symptom, report.code)
    detail = {**report.detail, "core": found.core, "wish": found.wish}
    if found.hidden and report.kind != "BY":
        detail["hidden"] = True
    accused = report.accused or complaints.accused_in(session, community_id, report.symptom)
    if report.kind != "TS":
        return replace(report, accused=accused, detail=detail)
    if found.reason:
        detail["grave"] = found.reason
    level = report.level or ("C1" if found.reason else "")
    return replace(report, code=found.code, level=level, accused=accused, detail=detail)


def watch_complaint(session: Session, ticket: Ticket, now: datetime) -> None:
    """Beside the other complaints: told again and again, or a facility that keeps failing."""
    if ticket.kind != "TS":
        return
    hide_beside(session, ticket)
    if _told(session, ticket, now) >= complaint_rules().told_times:
        make_grave(session, ticket, "told", now)
    if ticket.code == complaint_rules().faulty_code and _failures(session, ticket, now) >= patterns().hazard_times:
        make_grave(session, ticket, "faulty", now)


def make_grave(session: Session, ticket: Ticket, reason: str, now: datetime) -> bool:
    """From now on it is a C1; whether it was none before. Whoever must know is told by `tell_grave`."""
    if ticket.level == "C1":
        return False
    old = ticket.level
    ticket.level = "C1"
    ticket.detail = {**(ticket.detail or {}), "grave": reason}
    record(session, ticket, SYSTEM, "level", now, note=say(f"grave.{reason}"), old=old, new="C1")
    return True


def _told(session: Session, ticket: Ticket, now: datetime) -> int:
    """How often this person has told this: complaints of one category, and chasers."""
    rules = complaint_rules()
    if ticket.reporter_id is None or ticket.code in rules.group_not - {complaints.FAILED_REPAIR}:
        return 1
    query = select(func.count(), func.coalesce(func.sum(Ticket.urge_count), 0)).where(
        Ticket.community_id == ticket.community_id,
        Ticket.kind == "TS",
        Ticket.code == ticket.code,
        Ticket.reporter_id == ticket.reporter_id,
        Ticket.created_at >= now - rules.told_within,
        Ticket.status != "cancelled",
    )
    count, urged = session.execute(query).one()
    return int(count) + int(urged)


def chased(session: Session, ticket: Ticket, words: str, now: datetime) -> None:
    """催 of a complaint is telling it again; the third time it is the manager's, and so it is at once with words
    that make a complaint a C1 (domain.md §2.2)."""
    if ticket.kind != "TS":
        return
    told = _told(session, ticket, now) >= complaint_rules().told_times
    reason = "told" if told else grave_reason(words)
    if reason and make_grave(session, ticket, reason, now):
        tell_grave(session, ticket, now)


def _failures(session: Session, ticket: Ticket, now: datetime) -> int:
    """How often the facility complained about has failed lately, by the repairs of public places near the reporter."""
    since = now - timedelta(days=patterns().repeat_days)
    query = select(Ticket).where(
        Ticket.community_id == ticket.community_id,
        Ticket.kind == "BX",
        Ticket.public_area,
        Ticket.created_at >= since,
        Ticket.status.not_in(("cancelled", "merged")),
    )
    near = part_of(ticket.place_key or home_key(session, ticket.reporter) or "", "building")
    found = about(list(session.scalars(query)), ticket.symptom)
    return len([one for one in found if not near or part_of(one.place_key, "building") == near])


def watch_group(session: Session, ticket: Ticket, now: datetime) -> None:
    """Five homes with one matter in a day are a matter of their own, the manager's; he is told once (domain.md §2.4 T29)."""
    rules = complaint_rules()
    if ticket.kind != "TS" or ticket.code in rules.group_not or ticket.reporter_id is None:
        return
    query = select(Ticket).where(
        Ticket.community_id == ticket.community_id,
        Ticket.kind == "TS",
        Ticket.code == ticket.code,
        Ticket.created_at >= now - rules.group,
        Ticket.reporter_id.is_not(None),
        Ticket.status != "cancelled",
    )
    alike = list(session.scalars(query.order_by(Ticket.id)))
    known = next((one for one in alike if (one.detail or {}).get("group")), None)
    if known is not None:
        whole = session.get_one(Ticket, known.detail["group"])
        if whole.status in lifecycle.OPEN:
            _into_group(session, whole, [ticket], now)
            return
    if len({_home(session, one) for one in alike}) >= rules.group_homes:
        _into_group(session, _open_group(session, alike, now), alike, now)


def _home(session: Session, ticket: Ticket) -> str:
    return home_key(session, ticket.reporter) or f"by:{ticket.reporter_id}"


def _open_group(session: Session, alike: list[Ticket], now: datetime) -> Ticket:
    numbers = say("list.comma").join(one.ticket_no for one in alike)
    facts = notify.facts(alike[0], now)
    report = Report(
        kind="TS",
        code="T29",
        symptom=say("group.symptom", what=facts["what"], count=len(alike), numbers=numbers),
        source_key=f"group:{alike[-1].id}",
        source="pattern",
        linked=alike[0],
    )
    whole = register(session, alike[0].community_id, report, now)
    event = record(session, whole, SYSTEM, "open", now, note=whole.symptom, to="new")
    start_desk_matter(session, whole, event, report, now)
    return whole


def _into_group(session: Session, whole: Ticket, tickets: list[Ticket], now: datetime) -> None:
    for one in tickets:
        one.detail = {**(one.detail or {}), "group": whole.id}
        record(session, whole, SYSTEM, "join", now, note=one.ticket_no)


# --- the manager's call ------------------------------------------------------------------------------------------------


def called(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """已电话: somebody has spoken with the resident; what was agreed is passed on. With a C1 it has to be the manager."""
    staff = staff_of(actor)
    if ticket.kind not in MATTERS or not relations(session, ticket, actor) & OURS:
        raise NotAllowed(action="called")
    if complaints.call_of(ticket) and ticket.level == "C1" and staff.role != "manager":
        raise NotAllowed(action="called")
    if ticket.status not in ("assigned", "in_progress", "rework"):
        raise WrongStatus(status=ticket.status, action="called")
    if call := complaints.call_of(ticket):
        ticket.detail = {**ticket.detail, "call": {**call, "made": now.isoformat()}}
    ticket.repeat_at = None
    event = record(session, ticket, actor, "called", now, note=words)
    if ticket.reporter:
        questions.withdraw(session, ticket, "call")
    if words:
        notify.tell_reporter(session, ticket, event, "push.called", now, who=staff.name, words=words)
    if ticket.handler and ticket.handler is not staff:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.called_staff", now, who=staff.name, words=words)


def fix_visit(session: Session, repair: Ticket, actor: Actor, start: datetime, end: datetime, now: datetime) -> None:
    """A visit agreed on the telephone: the clocks follow it, the worker and the resident read it."""
    repair.appointment_start_at, repair.appointment_end_at = start, end
    repair.arrive_by, repair.arrive_step = end, 0
    if repair.finish_by and repair.finish_by < end:
        repair.finish_by = end + AFTER_VISIT
    note = span(start, None, now)
    event = record(session, repair, actor, "appointment_changed", now, note=note, end=end.isoformat())
    notify.tell_reporter(session, repair, event, "push.visit_fixed", now, start=note)
    if repair.handler:
        notify.tell_staff(session, repair.handler, repair, event, "push.visit_fixed_staff", now, start=note)


def call_missed(session: Session, ticket: Ticket, now: datetime) -> None:
    """The call was not made: the resident hears another time before this one passes, and whoever is above knows."""
    call, due = complaints.call_of(ticket), complaints.call_due(ticket)
    assert due is not None
    again = call_by(max(due, now) + (complaint_rules().call_again if call.get("missed") else timedelta(0)))
    ticket.detail = {**ticket.detail, "call": {**call, "by": again.isoformat(), "missed": "1"}}
    event = record(session, ticket, SYSTEM, "late_told", now, note=clock(again, now))
    told = {"who": call["name"], "old": clock(due, now), "new_time": clock(again, now)}
    notify.tell_reporter(session, ticket, event, "push.call_late", now, **told)
    people = [*company(session, ticket.community_id), *managers(session, ticket.community_id)]
    for staff in each_once(people):
        notify.tell_staff(session, staff, ticket, event, "push.call_late_leader", now, **told)


# --- who works on it --------------------------------------------------------------------------------------------------


def require_unaccused(ticket: Ticket, staff: Staff) -> None:
    """Nobody is given a complaint about themselves."""
    if is_accused(ticket, staff):
        raise Accused(name=staff.name)


def add_helper(session: Session, ticket: Ticket, staff: Staff, actor: Actor, now: datetime) -> bool:
    """协办: a colleague sees the matter and helps; its handler stays responsible. Whether they were new to it."""
    if ticket.kind not in MATTERS:
        raise BadInput(kind=ticket.kind)
    if not relations(session, ticket, actor) & OURS:
        raise NotAllowed(action="helper")
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="helper")
    require_unaccused(ticket, staff)
    if staff.id == ticket.handler_id:
        raise BadInput(name=staff.name)
    known = select(CoHandler.id).where(CoHandler.ticket_id == ticket.id, CoHandler.staff_id == staff.id)
    if session.scalar(known):
        return False
    session.add(CoHandler(ticket_id=ticket.id, staff=staff, at=now))
    event = record(session, ticket, actor, "helper", now, note=staff.name)
    notify.tell_staff(session, staff, ticket, event, "push.helper", now)
    if ticket.handler and ticket.handler is not actor.staff:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.helper_told", now, name=staff.name)
    return True


def helpers_of(session: Session, ticket: Ticket) -> list[Staff]:
    """Who helps with a matter."""
    query = select(CoHandler).where(CoHandler.ticket_id == ticket.id).order_by(CoHandler.id)
    return [one.staff for one in session.scalars(query)]


def tell_progress(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> bool:
    """进展: the handler's word goes to the resident, a helper's to the handler. Whether the resident heard it."""
    found = relations(session, ticket, actor)
    if ticket.kind not in MATTERS or not found & (OURS | {lifecycle.HELPER}):
        raise NotAllowed(action="progress")
    if ticket.status not in lifecycle.OWNED:
        raise WrongStatus(status=ticket.status, action="progress")
    event = record(session, ticket, actor, "progress", now, note=words)
    speaks = not only_helps(found)
    if speaks:
        notify.tell_reporter(session, ticket, event, "push.progress_words", now, words=words)
    for staff in _others(session, ticket, actor):
        notify.tell_staff(session, staff, ticket, event, "push.progress_staff", now, who=actor.name, words=words)
    return speaks


def only_helps(found: frozenset[str]) -> bool:
    """Whether somebody is on a matter as a helper, whatever rank they have elsewhere: the handler answers it."""
    return lifecycle.HELPER in found and lifecycle.HANDLER not in found


def _others(session: Session, ticket: Ticket, actor: Actor) -> list[Staff]:
    """Everybody on a matter but the one who acts: handler, helpers, and the first receiver who follows it (§7.5)."""
    people = [ticket.handler, ticket.owner, *helpers_of(session, ticket)]
    return each_once(one for one in people if one and one is not actor.staff)


def tell_others(session: Session, ticket: Ticket, actor: Actor, event: TicketEvent, key: str, now: datetime) -> None:
    """Helpers and the first receiver hear what became of it."""
    for staff in _others(session, ticket, actor):
        if staff.id != ticket.handler_id:
            notify.tell_staff(session, staff, ticket, event, key, now, who=actor.name)


# --- ending it --------------------------------------------------------------------------------------------------------


def settle(session: Session, ticket: Ticket, actor: Actor, now: datetime, *, remark: str = "") -> None:
    """The resident is content: the file closes as soon as cause and prevention are in it, with a C1 after the manager's call
    (domain.md §7.1, S60)."""
    event = move(session, ticket, actor, "settle", now, note=remark)
    ticket.confirmed_at = now
    ticket.remark = "\n".join(filter(None, (ticket.remark, remark)))
    ticket.callback_at = quiet_hours.allowed_at("status", now + DAY)
    questions.withdraw(session, ticket)
    if actor.resident:
        notify.tell_reporter(session, ticket, event, "push.closed_TS", now)
    if callback_missing(ticket):
        ask_manager(session, ticket, event, now)
    if not close_ready(session, ticket, now) and missing(ticket) and ticket.handler:
        ask_cause(session, ticket, event, now)


def ask_manager(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """A C1 is called back by the manager, whatever the resident has typed."""
    manager = caller_of(session, ticket)
    if manager:
        phone = number_for(session, ticket, manager, now)
        notify.tell_staff(session, manager, ticket, event, "push.callback_manager", now, phone=phone)


def ask_cause(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """Whoever has it is asked for what the file still lacks."""
    assert ticket.handler is not None
    notify.tell_staff(session, ticket.handler, ticket, event, "push.cause_wanted", now, missing=missing_text(ticket))


def missing(ticket: Ticket) -> tuple[str, ...]:
    """What the file of a complaint still lacks: cause, prevention."""
    detail = ticket.detail or {}
    return tuple(name for name in ("cause", "prevention") if not detail.get(name))


def missing_text(ticket: Ticket) -> str:
    return say("list.comma").join(say(f"complaint.{name}") for name in missing(ticket))


def callback_missing(ticket: Ticket) -> bool:
    """Whether a C1 still lacks the manager's call afterwards."""
    by_manager = ((ticket.detail or {}).get("callback") or {}).get("by_manager")
    return ticket.level == "C1" and ticket.reporter_id is not None and not by_manager


def give_cause(
    session: Session, ticket: Ticket, actor: Actor, cause: str, prevention: str, now: datetime
) -> tuple[str, ...]:
    """原因 and 预防: why it came to it and what is done so that it does not again; what is still missing."""
    if ticket.kind != "TS":
        raise BadInput(kind=ticket.kind)
    if not relations(session, ticket, actor) & OURS:
        raise NotAllowed(action="cause")
    said = {name: value for name, value in (("cause", cause), ("prevention", prevention)) if value}
    if not said:
        raise CauseNeeded(no=ticket.ticket_no, tail=ticket.tail, missing=missing_text(ticket))
    ticket.detail = {**(ticket.detail or {}), **said}
    for name, value in said.items():
        record(session, ticket, actor, name, now, note=value)
    close_ready(session, ticket, now)
    return missing(ticket)


def close_ready(session: Session, ticket: Ticket, now: datetime) -> bool:
    """Close what is settled and complete; whether it was."""
    if ticket.status != "callback" or missing(ticket) or callback_missing(ticket):
        return False
    event = move(session, ticket, SYSTEM, "close", now)
    ticket.callback_at = None
    end_assignments(session, ticket, "done", now)
    for staff in _others(session, ticket, SYSTEM):
        notify.tell_staff(session, staff, ticket, event, "push.complaint_closed", now)
    return True


def require_complete(ticket: Ticket) -> None:
    """Before a leader closes a complaint by hand: cause and prevention, and the manager's call with a C1."""
    if ticket.kind != "TS":
        return
    if missing(ticket):
        raise CauseNeeded(no=ticket.ticket_no, tail=ticket.tail, missing=missing_text(ticket))
    if callback_missing(ticket):
        raise CallbackNeeded(no=ticket.ticket_no, tail=ticket.tail)


def hide_name(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """别说是我, said afterwards: from now on name and home are the front desk's and the manager's only."""
    if lifecycle.REPORTER not in relations(session, ticket, actor):
        raise NotAllowed(action="hide")
    ticket.detail = {**(ticket.detail or {}), "hidden": True}
    hide_beside(session, ticket)
    record(session, ticket, actor, "hidden", now, note=words)


def hide_beside(session: Session, ticket: Ticket) -> None:
    """What somebody who is not to be named told of a shared place in the same breath names them as little; who comes to their own
    flat has to know whose it is."""
    if not (ticket.detail or {}).get("hidden"):
        return
    told_with = session.scalars(select(Ticket).where(Ticket.linked_id == ticket.id)).all()
    for one in (session.get(Ticket, ticket.linked_id or 0), *told_with):
        if one is not None and one.public_area and one.reporter_id == ticket.reporter_id:
            one.detail = {**(one.detail or {}), "hidden": True}


# --- praise -----------------------------------------------------------------------------------------------------------


def forward_praise(session: Session, ticket: Ticket, staff: Staff, actor: Actor, now: datetime) -> None:
    """表扬 goes to the person meant and to their leader; the resident is named only if they agree, afterwards (domain.md §2.4)."""
    if ticket.kind != "BY":
        raise BadInput(kind=ticket.kind)
    event = move(session, ticket, actor, "forward", now, note=staff.name)
    ticket.finished_at = now
    ticket.detail = {**(ticket.detail or {}), "praised": staff.id}
    end_assignments(session, ticket, "done", now)
    people = [staff, *leaders(session, ticket.community_id, staff.department)]
    words = notify.without_home(ticket, ticket.symptom)
    for one in each_once(people):
        notify.tell_staff(session, one, ticket, event, "push.praise", now, name=staff.name, symptom=words)


def name_praiser(session: Session, ticket: Ticket, actor: Actor, now: datetime, *, by: str = "") -> None:
    """The resident agrees to be named, as they say themselves (`by`) or as they are known."""
    staff = session.get(Staff, (ticket.detail or {}).get("praised") or 0)
    event = record(session, ticket, actor, "named", now)
    ticket.detail = {**(ticket.detail or {}), "named": True}
    if staff is None:
        return
    people = [staff, *leaders(session, ticket.community_id, staff.department)]
    for one in each_once(people):
        notify.tell_staff(session, one, ticket, event, "push.praise_by", now, name=staff.name, by=by or actor.name)

"""What people tell the desk: a report, and later more, other, or the same once again (domain.md §5.5, §7.4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.slots import mask_text
from storage.models import Attachment, Conversation, Draft, Resident, Staff, Ticket, TicketEvent
from tickets import lifecycle, notify
from tickets.catalog import sla_classes
from tickets.complaints import CHARGES, DAMAGE, hidden_key, place_of_complaint
from tickets.errors import BadInput, NotAllowed, ReasonNeeded, WrongStatus
from tickets.history import last_of
from tickets.people import SYSTEM, Actor, each_once, leaders, lives_at, managers, relations
from tickets.places import is_exact
from tickets.texts import say
from tickets.urgency import level_for
from tickets.verbs.complaining import chased, hide_name, prepared, watch_complaint, watch_group
from tickets.verbs.filing import belong
from tickets.verbs.linking import watch
from tickets.verbs.registering import (
    EMERGENCY_CONTACT,
    Report,
    alarm,
    register,
    reporter_actor,
    start_desk_matter,
    start_repair,
)
from tickets.verbs.steps import record, require_reporter, require_reporter_or_leader, set_clocks
from tickets.words import asks_money_back, damage_by_worker, disputes_visit, hides_name


def open_ticket(session: Session, community_id: int, report: Report, now: datetime) -> tuple[Ticket, bool]:
    """Register a report and start its clocks; returns (ticket, whether it is new). The same source opens it once only."""
    if report.source_key:
        known = session.scalar(
            select(Ticket).where(Ticket.community_id == community_id, Ticket.source_key == report.source_key)
        )
        if known:
            return known, False
    report = prepared(session, community_id, report)
    ticket = register(session, community_id, report, now)
    event = record(session, ticket, reporter_actor(report), "open", now, note=report.symptom, to="new")
    if report.kind in ("BX", "TS"):
        _take_photos(session, ticket, report.conversation, now)
    if report.kind == "BX":
        watch(session, ticket, now)
    if ticket.status == "merged":
        return ticket, True
    if report.kind in ("BX", "YH"):
        start_repair(session, ticket, event, now)
        _complaint_beside(session, ticket, report, now)
    else:
        watch_complaint(session, ticket, now)
        start_desk_matter(session, ticket, event, report, now)
        watch_group(session, ticket, now)
    return ticket, True


DAMAGED_LATELY = timedelta(days=30)
BESIDE = {DAMAGE: "push.damage_noted", CHARGES: "push.charge_noted"}


def _complaint_beside(session: Session, ticket: Ticket, report: Report, now: datetime) -> None:
    """「师傅来修门锁把我门框磕掉一大块漆」 is no fault of the lock alone, and 「收了600没拉走 退钱」 none of the rubbish: what our worker has
    damaged, or money asked back, is a complaint of its own beside the report, and no matter for whoever did it."""
    damaged = damage_by_worker(report.symptom)
    if report.reporter is None or report.kind != "BX" or not (damaged or asks_money_back(report.symptom)):
        return
    job = _job_before(session, ticket, now) if damaged else None
    told = Report(
        kind="TS",
        code=DAMAGE if damaged else CHARGES,
        symptom=report.symptom,
        source_key=f"{report.source_key}:d" if report.source_key else None,
        place_key=ticket.place_key,
        place_text=ticket.place_text,
        reporter=report.reporter,
        conversation=report.conversation,
        linked=job or ticket,
        accused=job.handler if job else None,
    )
    complaint, fresh = open_ticket(session, ticket.community_id, told, now)
    event = last_of(session, complaint, "open") if fresh else None
    if event is not None:
        notify.tell_reporter(session, complaint, event, BESIDE[told.code], now)


def _job_before(session: Session, ticket: Ticket, now: datetime) -> Ticket | None:
    """The last repair of this person before `ticket` that somebody came for."""
    query = select(Ticket).where(
        Ticket.reporter_id == ticket.reporter_id,
        Ticket.kind == "BX",
        Ticket.id != ticket.id,
        Ticket.arrived_at.is_not(None),
        Ticket.created_at >= now - DAMAGED_LATELY,
    )
    return session.scalar(query.order_by(Ticket.id.desc()).limit(1))


# How long a picture sent before its words still belongs to them; as long as a draft is kept.
PHOTO_WAITS = timedelta(hours=24)


def _take_photos(session: Session, ticket: Ticket, chat: Conversation | None, now: datetime) -> None:
    """What the resident photographed, or said by voice, before telling it."""
    if chat is None or ticket.reporter is None:
        return
    query = select(Attachment).where(
        Attachment.conversation_id == chat.id,
        Attachment.ticket_id.is_(None),
        Attachment.created_at > now - PHOTO_WAITS,
    )
    for photo in session.scalars(query.order_by(Attachment.id)).all():
        belong(session, photo, ticket, "before")


def begin_with_photo(session: Session, chat: Conversation, now: datetime) -> None:
    """A picture without words begins a report: what it shows is asked for, once more after ten minutes (SC07)."""
    if session.scalar(select(Draft.id).where(Draft.conversation_id == chat.id)) is None:
        session.add(Draft(conversation_id=chat.id, kind="BX", data={"photo": True}, updated_at=now))


def correct(session: Session, ticket: Ticket, actor: Actor, now: datetime, **changes: Any) -> None:
    """更正 of place, phone or words: the latest wins, old → new is kept, the worker is told (domain.md §5.5).

    `changes` are Ticket columns among place_key, place_text, public_area, contact_phone, contact_name, symptom.
    """
    require_reporter_or_leader(session, ticket, actor)
    if lifecycle.FOLLOWER in relations(session, ticket, actor):
        raise NotAllowed(action="correct")
    allowed = {"place_key", "place_text", "public_area", "contact_phone", "contact_name", "symptom"}
    if not changes or not set(changes) <= allowed:
        raise BadInput(fields=sorted(changes))
    old = {name: getattr(ticket, name) for name in changes}
    for name, value in changes.items():
        setattr(ticket, name, value)
    shown = next(name for name in ("place_text", "contact_phone", *changes) if name in changes)
    note = mask_text(f"{old[shown]} → {changes[shown]}")
    event = record(session, ticket, actor, "correct", now, note=note, old=old, new=changes)
    if ticket.handler:
        if "place_text" in changes:
            notify.tell_staff(
                session, ticket.handler, ticket, event, "push.corrected_place", now, old=old["place_text"]
            )
        elif "contact_phone" in changes:
            full = notify.has_accepted(ticket, ticket.handler)
            phone = ticket.contact_phone if full else say("phone.after_accept")
            notify.tell_staff(session, ticket.handler, ticket, event, "push.corrected_phone", now, phone=phone)


def add_detail(
    session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime, *, flags: dict[str, bool] | None = None
) -> bool:
    """More facts about the fault; they may raise the class (never lower it). Returns whether the class was raised."""
    require_reporter_or_leader(session, ticket, actor)
    before = (ticket.detail or {}).get("flags", {})
    known = {**before, **(flags or {})}
    ticket.detail = {**(ticket.detail or {}), "flags": known}
    event = record(session, ticket, actor, "comment", now, note=words, flags=flags or {})
    _place_told_later(session, ticket, actor, words, now)
    _name_hidden(session, ticket, actor, event, now)
    level = level_for(ticket.code, known, urgent_said=ticket.urgent_said) if ticket.kind == "BX" else ticket.level
    # Only a new fact raises it, so that a class lowered by a leader stays lowered until one is told.
    raised = level < ticket.level and known != before
    if raised:
        change_level(session, ticket, SYSTEM, level, words, now)
    elif ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.detail_staff", now, words=words)
    return raised


def _name_hidden(session: Session, ticket: Ticket, actor: Actor, event: TicketEvent, now: datetime) -> None:
    """「别说是我讲的啊」 beside anything else: kept, and said. Who comes to a flat has to know whose it is."""
    at_home = ticket.kind == "BX" and not ticket.public_area
    if at_home or actor.resident is None or (ticket.detail or {}).get("hidden") or not hides_name(event.note):
        return
    hide_name(session, ticket, actor, event.note, now)
    notify.tell_reporter(session, ticket, event, hidden_key(ticket), now)


def _place_told_later(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """A complaint told without a place gets the one that is named behind it; a known one changes by a correction only."""
    if ticket.kind != "TS" or is_exact(ticket.place_key) or actor.resident is None:
        return
    key, text = place_of_complaint(session, actor, ticket.community_id, words, before=ticket.place_key)
    if key and text and key != ticket.place_key:
        correct(session, ticket, actor, now, place_key=key, place_text=text)


def change_level(session: Session, ticket: Ticket, actor: Actor, level: str, reason: str, now: datetime) -> None:
    """Another class and its clocks, counted from now. Down only by a leader with a reason (domain.md §3.1)."""
    found = relations(session, ticket, actor)
    old = ticket.level
    lower = level > old
    if not found & ({lifecycle.SUPERVISOR} if lower else lifecycle.LEADERS):
        raise NotAllowed(action="level")
    if level not in sla_classes() or level[0] != old[0]:
        raise BadInput(level=level)
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="level")
    if lower and not reason:
        raise ReasonNeeded(reasons=say("level_change.reason_example", tail=ticket.tail, level=level), name="")
    ticket.level = level
    set_clocks(ticket, now)
    ticket.warned_step = ticket.accept_step = ticket.arrive_step = 0
    if ticket.accepted_at:
        ticket.accept_by = None
    event = record(session, ticket, actor, "level", now, note=reason, old=old, new=level)
    if level == "U0" != old:
        ticket.contact_at = now + EMERGENCY_CONTACT
        alarm(session, ticket, event, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.level_staff", now, old=old)


def urge(
    session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime, *, for_leaders: bool = False
) -> None:
    """催单: counted, never a new ticket; the responsible hears of it, then the supervisor, then the manager (domain.md §7.4).
    `for_leaders`: the resident is told that the supervisor reads it."""
    if lifecycle.FOLLOWER not in relations(session, ticket, actor):
        require_reporter(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="urge")
    ticket.urge_count += 1
    event = record(session, ticket, actor, "urge", now, note=words, count=ticket.urge_count)
    said = {"count": ticket.urge_count, "words": words}
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, _chase_key(ticket), now, **said)
    key = _chase_leader_key(ticket, words)
    for leader in _leaders_chased(session, ticket, words, now, for_leaders=for_leaders):
        if leader.id != ticket.handler_id or key == "push.urged_leader":
            notify.tell_staff(session, leader, ticket, event, key, now, **said)
    chased(session, ticket, words, now)


def _chase_key(ticket: Ticket) -> str:
    """What whoever has it reads: to go, what is wrong with the work, or that an answer is waited for."""
    if ticket.kind != "BX":
        return "push.urged_matter"
    return "push.urged_after" if ticket.arrived_at else "push.urged"


def _chase_leader_key(ticket: Ticket, words: str) -> str:
    if ticket.kind == "BX" and disputes_visit(words):
        return "push.visit_disputed"
    return "push.work_disputed" if ticket.kind == "BX" and ticket.arrived_at else "push.urged_leader"


def _leaders_chased(session: Session, ticket: Ticket, words: str, now: datetime, *, for_leaders: bool) -> list[Staff]:
    """Which leaders hear of a chaser: of the second, of a late or unowned job, and at once where the work or the visit itself is
    disputed: that is not for the worker alone."""
    overdue = (
        any(due and due < now for due in (ticket.accept_by, ticket.arrive_by, ticket.finish_by))
        and not ticket.arrived_at
    )
    disputed = for_leaders or (ticket.kind == "BX" and (ticket.arrived_at is not None or disputes_visit(words)))
    told: list[Staff] = []
    if ticket.urge_count >= 2 or overdue or disputed or ticket.handler is None:
        told = leaders(session, ticket.community_id, ticket.department)
    if ticket.urge_count >= 3:
        told = [*told, *managers(session, ticket.community_id)]
    return each_once(told)


def answer_urge_by(now: datetime) -> datetime:
    """When somebody who chased hears back: within ten minutes (domain.md §7.4)."""
    return now + timedelta(minutes=10)


def home_differs(session: Session, resident: Resident, place_key: str) -> bool:
    """Whether a place is not one of the resident's own homes."""
    return not lives_at(session, resident, place_key)


def remind_draft(session: Session, draft: Draft, now: datetime) -> None:
    """One nudge for what is still missing before a worker can be sent."""
    chat = session.get_one(Conversation, draft.conversation_id)
    person = chat.identity.resident or chat.identity.staff
    missing = say("missing.place" if not draft.data.get("place_key") else "missing.symptom")
    text_ = say("push.draft_reminder", missing=missing)
    notify.push(session, person, text_, key=f"draft:{draft.id}:{now.isoformat()}", now=now, conversation_id=chat.id)

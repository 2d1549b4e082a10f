"""The sweeps: every promise has a due-time column, and these functions look at it (architecture.md §6, domain.md §7.4).

Each is a plain function of (session, now). A sweep run twice has no second effect: what it did is written in the row it looked at.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Community, Draft, OpenQuestion, Resident, Staff, Ticket
from tickets import aftercare, emergencies, lifecycle, notify, verbs
from tickets.catalog import sla_classes
from tickets.people import SYSTEM, leaders, managers
from tickets.sla import DESK_CLOSES, DESK_OPENS, in_desk_hours, inquiry_promise
from tickets.texts import LOCAL, clock, say
from tickets.workdays import is_working_day

REMIND_TIMES = 2
DEFAULT_ACCEPTANCE = timedelta(hours=24)
LIFT_MINUTES = (15, 30, 60)
CONTACT_EVERY = timedelta(minutes=3)
NEW_TIME_IN = timedelta(minutes=30)
DAY = timedelta(days=1)
FINISH_STEPS = (50, 80, 100, 150)
OVERDUE_STEP = 3  # of FINISH_STEPS: 100 %
# Kinds that promise an answer by a clock time, and how long before that time a broken promise is owned up to.
PROMISED = ("ZX", "TS", "JY")
OWN_UP_BEFORE = timedelta(minutes=10)


def sweep(session: Session, now: datetime) -> None:
    """All clocks once. Waking comes first, so that what it starts is looked at in the same sweep."""
    waking(session, now)
    unaccepted(session, now)
    late_arrivals(session, now)
    late_finishes(session, now)
    late_promises(session, now)
    reminders(session, now)
    unconfirmed_answers(session, now)
    unanswered_safety(session, now)
    emergency_contact(session, now)
    aftercare.sweep(session, now)
    drafts(session, now)


def _minutes(since: datetime, now: datetime) -> int:
    return int((now - since).total_seconds() // 60)


def unaccepted(session: Session, now: datetime) -> None:
    """Not taken in time: the person again, the next worker, the supervisor, the manager (steps of data/catalog/sla.yml)."""
    query = select(Ticket).where(
        Ticket.status.in_(("new", "assigned", "rework")),
        Ticket.kind.in_(("BX", "YH", "TS")),
        Ticket.accept_by.is_not(None),
    )
    restarted = verbs.restarted_clocks(session)
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        steps = sla_classes()[ticket.level].accept_steps
        # The ladder counts from intake (or the round's begin), so that passing a ticket round never resets it; each single
        # offer runs out at its own `accept_by`.
        minutes = _minutes(restarted.get(ticket.id, ticket.created_at), now)
        timed_out = _offer_ran_out(ticket, now)
        passed = sum(1 for step in steps if minutes >= step)
        if passed > ticket.accept_step:
            ticket.accept_step = passed
            _accept_step(session, ticket, passed, minutes, now, timed_out=timed_out)
        if timed_out:
            verbs.accept_timeout(session, ticket, now)


def _offer_ran_out(ticket: Ticket, now: datetime) -> bool:
    offered = ticket.status in ("assigned", "rework") and ticket.kind in ("BX", "YH")
    return bool(offered and ticket.accept_by and ticket.accept_by <= now)


def _accept_step(session: Session, ticket: Ticket, step: int, minutes: int, now: datetime, *, timed_out: bool) -> None:
    """One step up the ladder: the last is the manager's, the one before the supervisor's; before that the worker is
    reminded, and the next one gets the offer when it runs out (domain.md §7.4)."""
    left = len(sla_classes()[ticket.level].accept_steps) - step
    if left >= 2 and ticket.handler:
        if not timed_out:
            verbs.escalate(session, ticket, now, "push.accept_reminder", [ticket.handler])
        return
    told = leaders(session, ticket.community_id, ticket.department)
    if ticket.level == "U0":
        # Whatever department it falls to, a danger to life is the engineers' matter too (SC06).
        told = [*told, *leaders(session, ticket.community_id, "engineering")]
    if left == 0:
        told = [*told, *managers(session, ticket.community_id)]
    people = list({one.id: one for one in told}.values())
    verbs.escalate(session, ticket, now, "push.unaccepted_leader", people, minutes=minutes)


def late_arrivals(session: Session, now: datetime) -> None:
    """Not there in time: the worker is warned before, the resident hears a new time unasked, then the supervisor (SC09).

    The new time is watched too: when it passes, the manager is told.
    """
    query = select(Ticket).where(
        Ticket.status.in_(("new", "survey", "assigned", "in_progress", "rework")),
        Ticket.kind == "BX",
        Ticket.arrived_at.is_(None),
        Ticket.arrive_by.is_not(None),
        Ticket.arrive_step < 4,
    )
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        assert ticket.arrive_by is not None
        early = timedelta(minutes=10 if ticket.level in ("U0", "U1") else 30)
        late = timedelta(minutes=5 if ticket.level == "U0" else 15)
        if ticket.arrive_step < 1 and ticket.arrive_by - early <= now < ticket.arrive_by:
            ticket.arrive_step = 1
            if now - ticket.created_at > timedelta(minutes=1) and _comes(ticket):
                verbs.escalate(session, ticket, now, "push.arrive_warning", _comes(ticket))
        if ticket.arrive_step < 2 and ticket.arrive_by <= now:
            ticket.arrive_step = 2
            _arrival_missed(session, ticket, now)
        if ticket.arrive_step == 2 and ticket.arrive_by + late <= now:
            ticket.arrive_step = 3
            told = leaders(session, ticket.community_id, ticket.department)
            verbs.escalate(session, ticket, now, "push.arrive_late_leader", told)
        if ticket.arrive_step == 3 and ticket.arrive_by + NEW_TIME_IN <= now:
            ticket.arrive_step = 4
            verbs.escalate(session, ticket, now, "push.arrive_late_leader", managers(session, ticket.community_id))


def _comes(ticket: Ticket) -> list[Staff]:
    """Who has promised to come; an offer nobody took yet belongs to the ladder of `unaccepted`."""
    return [ticket.handler] if ticket.handler and ticket.status == "in_progress" else []


def _arrival_missed(session: Session, ticket: Ticket, now: datetime) -> None:
    verbs.escalate(session, ticket, now, "push.arrive_warning", _comes(ticket))
    event = verbs.record(session, ticket, SYSTEM, "late_told", now)
    key = "push.late_arrival" if _comes(ticket) else "push.late_arrival_nobody"
    key = "push.late_arrival_public" if ticket.public_area else key
    notify.tell_reporter(session, ticket, event, key, now, new_time=clock(now + NEW_TIME_IN, now))


def late_finishes(session: Session, now: datetime) -> None:
    """50, 80, 100, 150 % of the time: worker, supervisor, manager and the resident (domain.md §7.4)."""
    query = select(Ticket).where(
        Ticket.status.in_(("new", "survey", "assigned", "in_progress", "rework")),
        Ticket.finish_by.is_not(None),
    )
    restarted = verbs.restarted_clocks(session)
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        used = _used_percent(ticket, restarted.get(ticket.id, ticket.created_at), now)
        before, passed = ticket.warned_step, sum(1 for percent in FINISH_STEPS if used >= percent)
        # A later date (new appointment, a pause) takes steps back, so that it is watched like the first one.
        ticket.warned_step = passed
        if passed > before:
            _finish_step(session, ticket, FINISH_STEPS[passed - 1], now, overdue=before < OVERDUE_STEP <= passed)


def _used_percent(ticket: Ticket, start: datetime, now: datetime) -> float:
    """How much of the limit is gone. A pause or a later appointment has moved `finish_by`, so it counts for nothing."""
    assert ticket.finish_by is not None
    if ticket.kind == "ZX":
        # Nobody can be asked at night: a question's time is the desk's time.
        whole, left = desk_time(start, ticket.finish_by), desk_time(now, ticket.finish_by)
        return (
            100 * (1 - left / whole) if left > timedelta(0) else 100 + 100 * ((now - ticket.finish_by) / (whole or DAY))
        )
    repair = ticket.kind in ("BX", "YH")
    whole = sla_classes()[ticket.level].finish if repair else ticket.finish_by - start
    return 100 * (1 - (ticket.finish_by - now) / whole) if whole > timedelta(0) else 100.0


def _finish_step(session: Session, ticket: Ticket, percent: int, now: datetime, *, overdue: bool) -> None:
    worker = [ticket.handler] if ticket.handler else []
    if percent < 100:
        told = worker if percent == 50 else [*worker, *leaders(session, ticket.community_id, ticket.department)]
        people = list({one.id: one for one in told}.values())
        verbs.escalate(session, ticket, now, "push.finish_warning", people, percent=percent)
        return
    told = [*worker, *leaders(session, ticket.community_id, ticket.department)]
    if percent >= 150 or ticket.level in ("U0", "U1", "C1"):
        told = [*told, *managers(session, ticket.community_id)]
    verbs.escalate(session, ticket, now, "push.finish_late_leader", list({one.id: one for one in told}.values()))
    if overdue and ticket.kind not in PROMISED:
        event = verbs.record(session, ticket, SYSTEM, "late_told", now)
        notify.tell_reporter(session, ticket, event, "push.late_finish", now, new_time=clock(now + NEW_TIME_IN, now))


def desk_time(start: datetime, end: datetime) -> timedelta:
    """How much of the front desk's working hours lies between two moments."""
    total, day = timedelta(0), start.astimezone(LOCAL).date()
    while day <= end.astimezone(LOCAL).date():
        if is_working_day(day):
            opens, closes = datetime.combine(day, DESK_OPENS, LOCAL), datetime.combine(day, DESK_CLOSES, LOCAL)
            total += max(timedelta(0), min(closes, end) - max(opens, start))
        day += timedelta(days=1)
    return total


def late_promises(session: Session, now: datetime) -> None:
    """Nobody is left waiting past a promised time: shortly before it passes the resident hears a new one, which is watched
    like the first. From the second time on the manager knows."""
    query = select(Ticket).where(
        Ticket.status.in_(("assigned", "in_progress", "rework")),
        Ticket.kind.in_(PROMISED),
        Ticket.finish_by <= now + OWN_UP_BEFORE,
    )
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        assert ticket.finish_by is not None
        kept = (ticket.detail or {}).get("promise", {})
        told = kept if kept.get("first") == ticket.finish_by.isoformat() else {}
        promised = datetime.fromisoformat(told["until"]) if told else ticket.finish_by
        if promised > now + OWN_UP_BEFORE:
            continue
        until = inquiry_promise(now) if told else _in_desk_time(max(promised, now) + timedelta(hours=2))
        promise = {"first": ticket.finish_by.isoformat(), "until": until.isoformat()}
        ticket.detail = {**(ticket.detail or {}), "promise": promise}
        event = verbs.record(session, ticket, SYSTEM, "late_told", now, note=clock(until, now))
        notify.tell_reporter(session, ticket, event, "push.late_promise", now, new_time=clock(until, now))
        if told:
            who = managers(session, ticket.community_id)
            verbs.escalate(session, ticket, now, "push.finish_late_leader", who)


def _in_desk_time(moment: datetime) -> datetime:
    """`moment`, or what is left of it after the desk has opened again."""
    if in_desk_hours(moment) and is_working_day(moment.astimezone(LOCAL).date()):
        return moment
    return inquiry_promise(moment - timedelta(days=1) if moment.astimezone(LOCAL).time() < DESK_OPENS else moment)


def waking(session: Session, now: datetime) -> None:
    """A paused ticket comes back on its date by itself."""
    query = select(Ticket).where(Ticket.status == "on_hold", Ticket.wake_at <= now)
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        verbs.wake(session, ticket, now)


def _allowed(now: datetime) -> datetime:
    """The next moment for a reminder: 08:30–12:00 and 14:00–20:30 (domain.md §7.3)."""
    local = now.astimezone(LOCAL)
    minute = local.hour * 60 + local.minute
    for start, end in ((510, 720), (840, 1230)):
        if minute < end:
            at = max(minute, start)
            return local.replace(hour=at // 60, minute=at % 60, second=0, microsecond=0) if at != minute else now
    return (local + timedelta(days=1)).replace(hour=8, minute=30, second=0, microsecond=0)


def reminders(session: Session, now: datetime) -> None:
    """Acceptance: reminded after 4 h and next day 10:00, then accepted by default, never as satisfied (domain.md §7.1)."""
    query = select(OpenQuestion).where(
        OpenQuestion.state == "open", OpenQuestion.kind == "acceptance", OpenQuestion.remind_at <= now
    )
    for question in session.scalars(query.with_for_update(of=OpenQuestion)):
        ticket = verbs.load(session, question.ticket_id or 0)
        if ticket.status != "done":
            question.state, question.remind_at = "withdrawn", None
        elif _allowed(now) > now:
            question.remind_at = _allowed(now)
        elif question.reminders >= REMIND_TIMES and now >= question.asked_at + DEFAULT_ACCEPTANCE:
            question.remind_at = None
            verbs.accept_by_default(session, ticket, now)
        elif question.reminders < REMIND_TIMES:
            question.reminders += 1
            event = verbs.record(session, ticket, SYSTEM, "reminded", now)
            buttons = [
                (f"confirm:{ticket.id}", say("button.fixed")),
                (f"not_fixed:{ticket.id}", say("button.not_fixed")),
            ]
            notify.tell_reporter(session, ticket, event, "push.acceptance_reminder", now, buttons=buttons)
            question.remind_at = _next_reminder(question, now)


def _next_reminder(question: OpenQuestion, now: datetime) -> datetime:
    if question.reminders >= REMIND_TIMES:
        return max(question.asked_at + DEFAULT_ACCEPTANCE, now + timedelta(hours=1))
    return (now.astimezone(LOCAL) + timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)


def unconfirmed_answers(session: Session, now: datetime) -> None:
    """An answer nobody commented on for a day: questions are closed, a complaint is called back by a person (domain.md §7.1)."""
    query = select(OpenQuestion).where(
        OpenQuestion.state == "open", OpenQuestion.kind == "solved", OpenQuestion.remind_at <= now
    )
    for question in session.scalars(query.with_for_update(of=OpenQuestion)):
        ticket = verbs.load(session, question.ticket_id or 0)
        if _allowed(now) > now:
            question.remind_at = _allowed(now)
            continue
        question.remind_at = None
        if ticket.status == "done" and ticket.kind == "TS":
            told = leaders(session, ticket.community_id, ticket.department)
            verbs.escalate(session, ticket, now, "push.answer_unconfirmed", told)
        elif ticket.status == "done":
            verbs.accept_by_default(session, ticket, now)


def unanswered_safety(session: Session, now: datetime) -> None:
    """A safety question nobody answered within two minutes becomes a suspicion for the duty people."""
    query = select(OpenQuestion).where(
        OpenQuestion.state == "open", OpenQuestion.kind == "safety", OpenQuestion.remind_at <= now
    )
    for question in session.scalars(query.with_for_update(of=OpenQuestion)):
        question.remind_at = None
        person = session.get(Resident, question.resident_id) or session.get(Staff, question.staff_id)
        if person:
            key = f"suspected:{question.id}"
            emergencies.unanswered(session, question.data, question.data["text"], person.community_id, now, key)


def emergency_contact(session: Session, now: datetime) -> None:
    """While an emergency runs the resident hears something every few minutes; a lift entrapment has alarms of its own."""
    query = select(Ticket).where(
        Ticket.level == "U0", Ticket.status.in_(("new", "assigned", "in_progress")), Ticket.contact_at <= now
    )
    for ticket in session.scalars(query.with_for_update(of=Ticket)):
        event = verbs.record(session, ticket, SYSTEM, "contact", now)
        settings = session.get_one(Community, ticket.community_id).settings
        key = "push.emergency_contact" if ticket.accepted_at else "push.emergency_trying"
        phone = settings.get("duty_phone") or say("reply.no_duty_phone")
        notify.tell_reporter(session, ticket, event, key, now, duty_phone=phone)
        quick = ticket.code == "L01" or not ticket.accepted_at
        ticket.contact_at = now + (CONTACT_EVERY if quick else timedelta(minutes=30))
        if ticket.code == "L01":
            _lift_alarm(session, ticket, now)


def _lift_alarm(session: Session, ticket: Ticket, now: datetime) -> None:
    passed = sum(1 for minutes in LIFT_MINUTES if _minutes(ticket.created_at, now) >= minutes)
    # Counted apart from `arrive_step`: these alarms ring also after somebody has accepted or arrived.
    if passed > (ticket.detail or {}).get("lift_alarms", 0):
        ticket.detail = {**(ticket.detail or {}), "lift_alarms": passed}
        told = [*leaders(session, ticket.community_id, ticket.department), *managers(session, ticket.community_id)]
        minutes = LIFT_MINUTES[passed - 1]
        verbs.escalate(session, ticket, now, "push.lift_alarm", told, minutes=minutes)


def drafts(session: Session, now: datetime) -> None:
    """A half-told fault: one reminder after ten minutes, dropped after a day (domain.md §5.3)."""
    query = select(Draft).where(Draft.parked.is_(False), Draft.updated_at <= now - timedelta(minutes=10))
    for draft in session.scalars(query.with_for_update(of=Draft)):
        if now - draft.updated_at > timedelta(hours=24):
            session.delete(draft)
        elif draft.reminded_at is None and draft.data.get("faults"):
            draft.reminded_at = now
            verbs.remind_draft(session, draft, now)


def open_promises(session: Session, community_id: int) -> list[Ticket]:
    """Open tickets without a person or a clock: must be empty (domain.md S1)."""
    query = select(Ticket).where(
        Ticket.community_id == community_id,
        Ticket.status.in_(lifecycle.OPEN),
        Ticket.handler_id.is_(None) & Ticket.owner_id.is_(None),
    )
    return list(session.scalars(query))

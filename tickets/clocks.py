"""The sweeps: every promise has a due-time column, and these functions look at it (architecture.md §6, domain.md §7.4).

Each is a plain function of (session, now). A ticket says in `look_at` when its clocks have to be looked at next; whatever
happens to it (`verbs.record`) sets that to now, so that a sweep touches only what is due, however many tickets there are.
A sweep run twice has no second effect: what it did is written in the row it looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import literal_column, select
from sqlalchemy.orm import Session

from storage.models import Assignment, Community, Draft, OpenQuestion, OutboxMessage, Resident, Staff, Ticket
from tickets import aftercare, complaints, emergencies, lifecycle, notify, quiet_hours, talks, verbs
from tickets.catalog import complaint_rules
from tickets.history import clock_start, count_of, last_of
from tickets.people import SYSTEM, chain, duty_ends, each_once, leaders, managers, next_duty, on_shift
from tickets.sla import DESK_CLOSES, DESK_OPENS, after, in_desk_hours, inquiry_promise, sla_class
from tickets.texts import LOCAL, clock, say
from tickets.workdays import is_known_year, is_working_day

log = logging.getLogger(__name__)

REMIND_TIMES = 2
DEFAULT_ACCEPTANCE = timedelta(hours=24)
LIFT_MINUTES = (15, 30, 60)
CONTACT_EVERY = timedelta(minutes=3)
CONTACT_ACCEPTED = timedelta(minutes=30)
NEW_TIME_IN = timedelta(minutes=30)
DAY = timedelta(days=1)
FINISH_STEPS = (50, 80, 100, 150)
OVERDUE_STEP = 3  # of FINISH_STEPS: 100 %
LATE_STEP = 3  # of `arrive_step`: the supervisor knows
# Kinds that promise an answer by a clock time, and how long before that time a broken promise is owned up to.
PROMISED = ("ZX", "TS", "JY")
OWN_UP_BEFORE = timedelta(minutes=10)
# A question's time is the desk's time, which no formula gives: it is looked at so often.
QUESTION_EVERY = timedelta(minutes=5)
# How often somebody with a free hand is looked for while nobody has a job.
ASK_AGAIN = timedelta(minutes=15)
AT_ONCE = 200
# A ticket whose clocks fail does not stop the others; it is tried again after this time.
FAILED_AGAIN = timedelta(minutes=1)
NOT_REACHED_AFTER = timedelta(minutes=3)

WAITING = ("new", "assigned", "rework")
RUNNING = ("new", "survey", "assigned", "in_progress", "rework")


def sweep(session: Session, now: datetime) -> bool:
    """All clocks once; True if more tickets wait than were looked at."""
    reminders(session, now)
    unconfirmed_answers(session, now)
    unanswered_safety(session, now)
    aftercare.sweep(session, now)
    talks.sweep(session, now)
    drafts(session, now)
    unknown_year(session, now)
    more = look_at_tickets(session, now)
    not_reached(session, now)
    return more


def look_at_tickets(session: Session, now: datetime, most: int = AT_ONCE) -> bool:
    """Every ticket whose time has come, longest due first."""
    query = select(Ticket).where(Ticket.look_at <= now).order_by(Ticket.look_at, Ticket.id).limit(most)
    found = list(session.scalars(query.with_for_update(of=Ticket, skip_locked=True)))
    for ticket in found:
        ticket_id = ticket.id
        try:
            with session.begin_nested():
                look(session, ticket, now)
                ticket.look_at = next_look(session, ticket, now)
        except Exception:
            log.exception("clocks.look_failed ticket=%s", ticket_id)
            ticket.look_at = now + FAILED_AGAIN
    session.flush()
    return len(found) == most


def look(session: Session, ticket: Ticket, now: datetime) -> None:
    """All clocks of one ticket. Waking comes first, so that what it starts is looked at in the same sweep."""
    waking(session, ticket, now)
    handover(session, ticket, now)
    verbs.try_again(session, ticket, now)
    unaccepted(session, ticket, now)
    late_arrival(session, ticket, now)
    late_finish(session, ticket, now)
    late_promise(session, ticket, now)
    late_call(session, ticket, now)
    open_too_long(session, ticket, now)
    ring_again(session, ticket, now)
    emergency_contact(session, ticket, now)
    progress(session, ticket, now)


def next_look(session: Session, ticket: Ticket, now: datetime) -> datetime | None:
    """When something about this ticket falls due next."""
    return min((moment for moment in _moments(session, ticket, now) if moment > now), default=None)


def _moments(session: Session, ticket: Ticket, now: datetime) -> Iterator[datetime]:
    if ticket.status not in lifecycle.OPEN:
        return
    for due in (ticket.wake_at, ticket.contact_at, ticket.repeat_at):
        if due:
            yield due
    yield from _accept_moments(session, ticket, now)
    yield from _arrive_moments(ticket)
    yield from _finish_moments(session, ticket, now)
    if ticket.kind == "TS":
        yield from _complaint_moments(ticket)
    if ticket.handler and ticket.status in lifecycle.OWNED and (ends := duty_ends(ticket.handler, now)):
        yield ends
    if ticket.level == "U0" and ticket.code == "L01":
        yield from (ticket.created_at + timedelta(minutes=minutes) for minutes in LIFT_MINUTES)


def _minutes(since: datetime, now: datetime) -> int:
    return int((now - since).total_seconds() // 60)


# --- taking it --------------------------------------------------------------------------------------------------------


def _is_unaccepted(ticket: Ticket) -> bool:
    return ticket.status in WAITING and ticket.kind in ("BX", "YH", "TS") and ticket.accept_by is not None


def _accept_moments(session: Session, ticket: Ticket, now: datetime) -> Iterator[datetime]:
    if _is_unaccepted(ticket):
        assert ticket.accept_by is not None
        yield ticket.accept_by
        yield from _accept_steps(session, ticket)
        if ticket.status == "new" and ticket.kind != "TS":
            yield now + ASK_AGAIN
            yield verbs.earliest(session, ticket, now) or now


def _accept_steps(session: Session, ticket: Ticket) -> list[datetime]:
    """The moments of the ladder. It counts from intake (or the round's begin), so that passing a ticket round never resets
    it; each single offer runs out at its own `accept_by`."""
    start = clock_start(session, ticket)
    return [after(ticket.level, start, step) for step in sla_class(ticket.level, start).accept_steps]


def unaccepted(session: Session, ticket: Ticket, now: datetime) -> None:
    """Not taken in time: the person again, the next worker, the supervisor, the manager (steps of data/catalog/sla.yml)."""
    if not _is_unaccepted(ticket):
        return
    steps = _accept_steps(session, ticket)
    timed_out = _offer_ran_out(ticket, now)
    passed = sum(1 for moment in steps if moment <= now)
    if passed > ticket.accept_step:
        ticket.accept_step = passed
        _accept_step(session, ticket, len(steps) - passed, now, timed_out=timed_out)
    if timed_out:
        verbs.accept_timeout(session, ticket, now)
    elif ticket.accept_by and ticket.accept_by <= now:
        verbs.nobody_grabbed(session, ticket, now)


def _offer_ran_out(ticket: Ticket, now: datetime) -> bool:
    offered = ticket.status in ("assigned", "rework") and ticket.kind in ("BX", "YH")
    return bool(offered and ticket.accept_by and ticket.accept_by <= now)


def _accept_step(session: Session, ticket: Ticket, left: int, now: datetime, *, timed_out: bool) -> None:
    """One step up the ladder, with `left` above it: the last is the manager's, the one before the supervisor's; before that
    the worker is reminded, and the next one gets the offer when it runs out (domain.md §7.4)."""
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
    minutes = _minutes(clock_start(session, ticket), now)
    _alarm(session, ticket, now, "push.unaccepted_leader", told, minutes=minutes)


def _alarm(session: Session, ticket: Ticket, now: datetime, key: str, told: list[Staff], **more: object) -> None:
    """Leaders are told, and told again until somebody acts."""
    verbs.escalate(session, ticket, now, key, each_once(told), **more)
    ticket.repeat_at = after(ticket.level, now, sla_class(ticket.level, now).repeat)


# --- coming -----------------------------------------------------------------------------------------------------------


def _early(ticket: Ticket) -> timedelta:
    return timedelta(minutes=10 if ticket.level in ("U0", "U1") else 30)


def _late(ticket: Ticket) -> timedelta:
    return timedelta(minutes=5 if ticket.level == "U0" else 15)


def _is_awaited(ticket: Ticket) -> bool:
    expected = ticket.status in RUNNING and ticket.kind == "BX"
    return expected and ticket.arrived_at is None and ticket.arrive_by is not None


def _arrive_moments(ticket: Ticket) -> Iterator[datetime]:
    if _is_awaited(ticket):
        assert ticket.arrive_by is not None
        yield from (ticket.arrive_by + shift for shift in (-_early(ticket), timedelta(0), _late(ticket), NEW_TIME_IN))


def late_arrival(session: Session, ticket: Ticket, now: datetime) -> None:
    """Not there in time: the worker is warned before, the resident hears a new time unasked, then the supervisor (SC09).

    The new time is watched too: when it passes, the manager is told.
    """
    if not _is_awaited(ticket) or ticket.arrive_step > LATE_STEP:
        return
    assert ticket.arrive_by is not None
    if ticket.arrive_step < 1 and ticket.arrive_by - _early(ticket) <= now < ticket.arrive_by:
        ticket.arrive_step = 1
        if now - ticket.created_at > timedelta(minutes=1) and _comes(ticket):
            verbs.escalate(session, ticket, now, "push.arrive_warning", _comes(ticket))
    if ticket.arrive_step < 2 and ticket.arrive_by <= now:
        ticket.arrive_step = 2
        _arrival_missed(session, ticket, now)
    if ticket.arrive_step == 2 and ticket.arrive_by + _late(ticket) <= now:
        ticket.arrive_step = LATE_STEP
        told = leaders(session, ticket.community_id, ticket.department)
        _alarm(session, ticket, now, "push.arrive_late_leader", told)
    if ticket.arrive_step == LATE_STEP and ticket.arrive_by + NEW_TIME_IN <= now:
        ticket.arrive_step = LATE_STEP + 1
        _alarm(session, ticket, now, "push.arrive_late_leader", managers(session, ticket.community_id))


def _comes(ticket: Ticket) -> list[Staff]:
    """Who has promised to come; an offer nobody took yet belongs to the ladder of `unaccepted`."""
    return [ticket.handler] if ticket.handler and ticket.status == "in_progress" else []


def _arrival_missed(session: Session, ticket: Ticket, now: datetime) -> None:
    verbs.escalate(session, ticket, now, "push.arrive_warning", _comes(ticket))
    event = verbs.record(session, ticket, SYSTEM, "late_told", now)
    key = "push.late_arrival" if _comes(ticket) else "push.late_arrival_nobody"
    key = "push.late_arrival_public" if ticket.public_area else key
    notify.tell_reporter(session, ticket, event, key, now, new_time=clock(now + NEW_TIME_IN, now))


# --- finishing --------------------------------------------------------------------------------------------------------


def _finish_moments(session: Session, ticket: Ticket, now: datetime) -> Iterator[datetime]:
    if ticket.status not in RUNNING or ticket.finish_by is None:
        return
    if ticket.kind == "ZX":
        yield now + QUESTION_EVERY
    else:
        whole = _whole(session, ticket)
        yield from (ticket.finish_by + whole * (percent / 100 - 1) for percent in FINISH_STEPS)
    if ticket.kind in PROMISED:
        yield _promised(ticket) - OWN_UP_BEFORE


def _whole(session: Session, ticket: Ticket) -> timedelta:
    """The time limit a pause or a later appointment has not lengthened: both have moved `finish_by`."""
    assert ticket.finish_by is not None
    start = clock_start(session, ticket)
    repair = ticket.kind in ("BX", "YH")
    return sla_class(ticket.level, start).finish if repair else max(ticket.finish_by - start, timedelta(minutes=1))


def late_finish(session: Session, ticket: Ticket, now: datetime) -> None:
    """50, 80, 100, 150 % of the time: worker, supervisor, manager and the resident (domain.md §7.4)."""
    if ticket.status not in RUNNING or ticket.finish_by is None:
        return
    used = _used_percent(session, ticket, now)
    before, passed = ticket.warned_step, sum(1 for percent in FINISH_STEPS if used >= percent)
    # A later date (new appointment, a pause) takes steps back, so that it is watched like the first one.
    if passed != before:
        ticket.warned_step = passed
    if passed > before:
        _finish_step(session, ticket, FINISH_STEPS[passed - 1], now, overdue=before < OVERDUE_STEP <= passed)


def _used_percent(session: Session, ticket: Ticket, now: datetime) -> float:
    """How much of the limit is gone."""
    assert ticket.finish_by is not None
    if ticket.kind == "ZX":
        # Nobody can be asked at night: a question's time is the desk's time.
        whole, left = desk_time(clock_start(session, ticket), ticket.finish_by), desk_time(now, ticket.finish_by)
        return (
            100 * (1 - left / whole) if left > timedelta(0) else 100 + 100 * ((now - ticket.finish_by) / (whole or DAY))
        )
    return 100 * (1 - (ticket.finish_by - now) / _whole(session, ticket))


def _finish_step(session: Session, ticket: Ticket, percent: int, now: datetime, *, overdue: bool) -> None:
    top = dict(sla_class(ticket.level, clock_start(session, ticket)).finish_steps).get(percent)
    told = chain(session, ticket, top) if top else []
    if percent < 100:
        if told:
            verbs.escalate(session, ticket, now, "push.finish_warning", told, percent=percent)
        return
    _alarm(session, ticket, now, "push.finish_late_leader", told)
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


def _promised(ticket: Ticket) -> datetime:
    """The time the resident counts on: the first promise, or the one that took its place."""
    assert ticket.finish_by is not None
    kept = (ticket.detail or {}).get("promise", {})
    renewed = kept.get("first") == ticket.finish_by.isoformat()
    return datetime.fromisoformat(kept["until"]) if renewed else ticket.finish_by


def late_promise(session: Session, ticket: Ticket, now: datetime) -> None:
    """Nobody is left waiting past a promised time: shortly before it passes the resident hears a new one, which is watched
    like the first. From the second time on the manager knows."""
    running = ticket.status in lifecycle.OWNED and ticket.kind in PROMISED
    if not running or ticket.finish_by is None or _promised(ticket) > now + OWN_UP_BEFORE:
        return
    promised = _promised(ticket)
    again = promised != ticket.finish_by
    until = inquiry_promise(now) if again else _in_desk_time(max(promised, now) + timedelta(hours=2))
    promise = {"first": ticket.finish_by.isoformat(), "until": until.isoformat()}
    ticket.detail = {**(ticket.detail or {}), "promise": promise}
    event = verbs.record(session, ticket, SYSTEM, "late_told", now, note=clock(until, now))
    notify.tell_reporter(session, ticket, event, "push.late_promise", now, new_time=clock(until, now))
    if again:
        who = managers(session, ticket.community_id)
        verbs.escalate(session, ticket, now, "push.finish_late_leader", who)


def _in_desk_time(moment: datetime) -> datetime:
    """`moment`, or what is left of it after the desk has opened again."""
    if in_desk_hours(moment) and is_working_day(moment.astimezone(LOCAL).date()):
        return moment
    return inquiry_promise(moment - timedelta(days=1) if moment.astimezone(LOCAL).time() < DESK_OPENS else moment)


# --- complaints -------------------------------------------------------------------------------------------------------


def _complaint_moments(ticket: Ticket) -> Iterator[datetime]:
    yield ticket.created_at + complaint_rules().open_for
    if due := complaints.call_due(ticket):
        yield due - complaint_rules().own_up


def late_call(session: Session, ticket: Ticket, now: datetime) -> None:
    """The manager has not telephoned by the promised time: those above know, and the resident hears a new time (SC05)."""
    due = complaints.call_due(ticket) if ticket.kind == "TS" else None
    if due is not None and ticket.status in RUNNING and due - complaint_rules().own_up <= now:
        verbs.call_missed(session, ticket, now)


def open_too_long(session: Session, ticket: Ticket, now: datetime) -> None:
    """A complaint that nobody could settle in a month is the manager's (domain.md §2.2)."""
    unsettled = ticket.kind == "TS" and ticket.status in (*RUNNING, "done", "on_hold")
    if not unsettled or ticket.created_at + complaint_rules().open_for > now:
        return
    if verbs.make_grave(session, ticket, "open", now):
        verbs.tell_grave(session, ticket, now)


# --- again, until somebody acts ---------------------------------------------------------------------------------------


def _stuck_at(session: Session, ticket: Ticket) -> str:
    """What an alarm about this ticket is still true for; "" if somebody has acted on it."""
    if _is_unaccepted(ticket):
        ordered = ticket.status == "new" and verbs.must_be_assigned(ticket)
        if ordered or ticket.accept_step >= len(_accept_steps(session, ticket)) - 1:
            return "accept"
    if _is_awaited(ticket) and ticket.arrive_step >= LATE_STEP:
        return "arrive"
    return "finish" if ticket.status in RUNNING and ticket.warned_step >= OVERDUE_STEP else ""


def ring_again(session: Session, ticket: Ticket, now: datetime) -> None:
    """An alarm to leaders rings again, one rung higher each time, until it is acted on. An acknowledgement (收到) keeps it
    quiet for a while; it rings again if nothing has come of it (domain.md §7.4)."""
    if ticket.repeat_at and ticket.repeat_at > now:
        return
    stuck = _stuck_at(session, ticket)
    every = sla_class(ticket.level, now).repeat
    if not stuck or ticket.repeat_at is None:
        # What comes back from a pause as late as it went into it is on the list again.
        ticket.repeat_at = after(ticket.level, now, every) if stuck else None
        return
    last = last_of(session, ticket, "ack", "escalate")
    if last and last.action == "ack" and after(ticket.level, last.at, 2 * every) > now:
        ticket.repeat_at = after(ticket.level, last.at, 2 * every)
        return
    times = count_of(session, ticket, "escalate", "push.still_late_leader") + 1
    told = chain(session, ticket, "manager" if times == 1 else "company", worker=False)
    what = say(f"stuck.{stuck}")
    _alarm(session, ticket, now, "push.still_late_leader", told, stuck=what, times=times)


# --- pausing, waking, going home --------------------------------------------------------------------------------------


def waking(session: Session, ticket: Ticket, now: datetime) -> None:
    """A paused ticket comes back on its date by itself."""
    if ticket.status == "on_hold" and ticket.wake_at and ticket.wake_at <= now:
        verbs.wake(session, ticket, now)


def handover(session: Session, ticket: Ticket, now: datetime) -> None:
    """The shift is over: what its worker has not taken yet goes to somebody on duty; what he has taken and what cannot wait
    for his next shift is the supervisor's to see to."""
    worker = ticket.handler
    if worker is None or ticket.kind not in ("BX", "YH") or on_shift(worker, now):
        return
    offer = session.scalars(
        select(Assignment)
        .where(Assignment.ticket_id == ticket.id, Assignment.staff_id == worker.id)
        .where(Assignment.state.in_(("offered", "accepted")))
        .order_by(Assignment.id.desc())
    ).first()
    # Whoever was asked while off duty was asked on purpose.
    if offer is None or not on_shift(worker, offer.offered_at):
        return
    if ticket.status == "assigned" and offer.state == "offered":
        if verbs.candidates(session, ticket, now, exclude=frozenset({worker.id})):
            verbs.hand_over(session, ticket, now)
    elif ticket.status == "in_progress" and ticket.arrived_at is None:
        _nobody_on_duty_for(session, ticket, offer, now)


def _nobody_on_duty_for(session: Session, ticket: Ticket, held: Assignment, now: datetime) -> None:
    due = ticket.arrive_by or ticket.finish_by
    back = next_duty(held.staff, now)
    told = last_of(session, ticket, "shift_over")
    if due is None or (back and due > back) or (told and told.at >= held.offered_at and now - told.at < DAY / 2):
        return
    event = verbs.record(session, ticket, SYSTEM, "shift_over", now)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.shift_over", now)


# --- accepted by the resident? ----------------------------------------------------------------------------------------


def _allowed(now: datetime) -> datetime:
    """The next moment for a reminder: 08:30–12:00 and 14:00–20:30 (domain.md §7.3)."""
    return quiet_hours.allowed_at("status", now)


def reminders(session: Session, now: datetime) -> None:
    """Acceptance: reminded after 4 h and next day 10:00, then accepted by default, never as satisfied (domain.md §7.1)."""
    query = select(OpenQuestion).where(
        OpenQuestion.state == "open", OpenQuestion.kind == "acceptance", OpenQuestion.remind_at <= now
    )
    for question in session.scalars(query.with_for_update(of=OpenQuestion)):
        ticket = verbs.load(session, question.ticket_id or 0)
        if ticket.status != "done":
            question.state, question.remind_at = "withdrawn", None
        elif _allowed(max(now, _first_reminder(question))) > now:
            question.remind_at = _allowed(max(now, _first_reminder(question)))
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


def _first_reminder(question: OpenQuestion) -> datetime:
    """Four hours after the question could be put: in the night it waits for the morning."""
    return quiet_hours.allowed_at("acceptance", question.asked_at) + verbs.ACCEPTANCE_REMINDER


def _next_reminder(question: OpenQuestion, now: datetime) -> datetime:
    if question.reminders >= REMIND_TIMES:
        return max(question.asked_at + DEFAULT_ACCEPTANCE, now + timedelta(hours=1))
    return (now.astimezone(LOCAL) + timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)


def unconfirmed_answers(session: Session, now: datetime) -> None:
    """An answer nobody commented on for a day: questions are closed, complaints called back (domain.md §7.1)."""
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
            aftercare.call_back_complaint(session, ticket, question, now)
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


# --- the resident hears something -------------------------------------------------------------------------------------


def emergency_contact(session: Session, ticket: Ticket, now: datetime) -> None:
    """While an emergency runs the resident hears something every few minutes; a lift entrapment has alarms of its own."""
    if ticket.level != "U0" or ticket.status not in (*RUNNING, "on_hold"):
        return
    if ticket.code == "L01" and ticket.contact_at:
        _lift_alarm(session, ticket, now)
    if ticket.contact_at is None or ticket.contact_at > now or emergencies.is_told_over(ticket):
        return
    event = verbs.record(session, ticket, SYSTEM, "contact", now)
    settings = session.get_one(Community, ticket.community_id).settings
    key = "push.emergency_contact" if ticket.accepted_at else "push.emergency_trying"
    phone = settings.get("duty_phone") or say("reply.no_duty_phone")
    notify.tell_reporter(session, ticket, event, key, now, duty_phone=phone)
    quick = ticket.code == "L01" or not ticket.accepted_at
    ticket.contact_at = now + (CONTACT_EVERY if quick else CONTACT_ACCEPTED)


def _lift_alarm(session: Session, ticket: Ticket, now: datetime) -> None:
    passed = sum(1 for minutes in LIFT_MINUTES if _minutes(ticket.created_at, now) >= minutes)
    # Counted apart from `arrive_step`: these alarms ring also after somebody has accepted or arrived.
    if passed > (ticket.detail or {}).get("lift_alarms", 0):
        ticket.detail = {**(ticket.detail or {}), "lift_alarms": passed}
        told = [*leaders(session, ticket.community_id, ticket.department), *managers(session, ticket.community_id)]
        minutes = LIFT_MINUTES[passed - 1]
        verbs.escalate(session, ticket, now, "push.lift_alarm", told, minutes=minutes)


def progress(session: Session, ticket: Ticket, now: datetime) -> None:
    """Nothing has changed for a while: the resident hears that nobody has forgotten them, and the time that counts
    (domain.md §7.4). Every other push to the reporter puts this off (`notify.tell_reporter`)."""
    if ticket.level == "U0" or ticket.contact_at is None or ticket.contact_at > now:
        return
    if notify.next_contact(ticket, now) is None:
        ticket.contact_at = None
        return
    event = verbs.record(session, ticket, SYSTEM, "progress_told", now)
    due = _promised(ticket) if ticket.finish_by else None
    key = "push.progress_running" if ticket.handler else "push.progress_nobody"
    key = "push.progress_late" if due is not None and due <= now else key
    key = "push.progress_held" if ticket.status == "on_hold" else key
    wake, reason = clock(ticket.wake_at, now), ticket.hold_reason
    notify.tell_reporter(session, ticket, event, key, now, due=clock(due, now), wake=wake, reason=reason)
    ticket.contact_at = notify.next_contact(ticket, now)


def not_reached(session: Session, now: datetime) -> None:
    """What could not be delivered, and what is urgent and still could not: somebody has to telephone, once for each."""
    dead = select(OutboxMessage).where(OutboxMessage.status == literal_column("'dead'")).order_by(OutboxMessage.id)
    # By conversation, as the index of what waits is; the queue is short, the past is not.
    urgent = (
        select(OutboxMessage)
        .where(OutboxMessage.status == literal_column("'pending'"), OutboxMessage.conversation_id.is_not(None))
        .where(OutboxMessage.priority == notify.URGENT, OutboxMessage.attempts > 0)
        .where(OutboxMessage.created_at <= now - NOT_REACHED_AFTER)
        .order_by(OutboxMessage.conversation_id, OutboxMessage.id)
    )
    for query in (dead, urgent):
        unreported = query.where(OutboxMessage.reported_at.is_(None)).limit(AT_ONCE)
        for row in session.scalars(unreported.with_for_update(skip_locked=True)):
            row.reported_at = now
            notify.telephone(session, row, now)


def unknown_year(session: Session, now: datetime) -> None:
    """In December the managers are reminded once that next year's holidays are not in any table yet."""
    local = now.astimezone(LOCAL)
    if local.month < 12 or is_known_year(local.year + 1):
        return
    for community in session.scalars(select(Community.id)):
        for manager in managers(session, community):
            key = f"calendar:{local.year + 1}:{manager.id}"
            notify.push(session, manager, say("push.calendar_unknown", year=local.year + 1), key=key, now=now)


def drafts(session: Session, now: datetime) -> None:
    """A half-told fault: one reminder after ten minutes, dropped after a day (domain.md §5.3)."""
    query = select(Draft).where(Draft.parked.is_(False), Draft.updated_at <= now - timedelta(minutes=10))
    for draft in session.scalars(query.with_for_update(of=Draft)):
        if now - draft.updated_at > timedelta(hours=24):
            session.delete(draft)
        elif draft.reminded_at is None and (draft.data.get("faults") or draft.data.get("photo")):
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

"""What can be done with a ticket. Each verb is one step inside the caller's transaction: check, change, history, pushes.

The caller commits; nothing here talks to a network or reads the clock. People are `Actor`s from the database. A verb raises a
`DeskError` and then has changed nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from nlu.slots import mask_text
from storage.models import (
    Assignment,
    Attachment,
    Conversation,
    Draft,
    Household,
    OpenQuestion,
    Residency,
    Resident,
    Staff,
    Ticket,
    TicketEvent,
)
from tickets import dispatch, lifecycle, notify, questions
from tickets.catalog import category, decline_reasons, hold_reasons, sla_classes
from tickets.errors import (
    AlreadyTaken,
    BadInput,
    NotAllowed,
    PublicArea,
    ReasonNeeded,
    SelfCheckNeeded,
    TooLate,
    WrongStatus,
    WrongTrade,
)
from tickets.people import SYSTEM, Actor, leaders, lives_at, managers, on_shift, relations
from tickets.sla import complaint_due, due_times, inquiry_promise
from tickets.texts import LOCAL, clock, has_text, say, span
from tickets.urgency import level_for

KINDS = ("BX", "TS", "ZX", "JY", "BY", "YH")
REOPEN_DAYS = timedelta(days=7)
ACCEPTANCE_REMINDER = timedelta(hours=4)
SOLVED_WAIT = timedelta(hours=24)
EMERGENCY_CONTACT = timedelta(minutes=3)


# --- opening ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """Everything known when a ticket is opened. `source_key` (channel:message:index) makes opening idempotent."""

    kind: str
    code: str
    symptom: str
    source_key: str | None
    place_key: str = ""
    place_text: str = ""
    public_area: bool = False
    reporter: Resident | None = None
    reporter_staff: Staff | None = None
    conversation: Conversation | None = None
    level: str = ""
    urgent_said: bool = False
    flags: dict[str, bool] = field(default_factory=dict)
    wanted_label: str = ""
    wanted_start_at: datetime | None = None
    wanted_end_at: datetime | None = None
    contact_name: str = ""
    contact_phone: str = ""
    source: str = "chat"
    linked: Ticket | None = None
    accused: Staff | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def open_ticket(session: Session, community_id: int, report: Report, now: datetime) -> tuple[Ticket, bool]:
    """Register a report and start its clocks; returns (ticket, whether it is new). The same source opens it once only."""
    if report.source_key:
        known = session.scalar(
            select(Ticket).where(Ticket.community_id == community_id, Ticket.source_key == report.source_key)
        )
        if known:
            return known, False
    ticket = _register(session, community_id, report, now)
    event = record(session, ticket, _reporter_actor(report), "open", now, note=report.symptom, to="new")
    if report.kind in ("BX", "YH"):
        _start_repair(session, ticket, event, now)
    else:
        _start_desk_matter(session, ticket, event, report, now)
    return ticket, True


def _reporter_actor(report: Report) -> Actor:
    return Actor(resident=report.reporter, staff=None if report.reporter else report.reporter_staff)


def _register(session: Session, community_id: int, report: Report, now: datetime) -> Ticket:
    day = now.astimezone(LOCAL).strftime("%Y%m%d")
    # One count for all communities: a ticket number is unique in the whole database.
    tail = f"{_next_number(session, f'tickets:{day}'):04d}"
    row = category(report.code)
    level = report.level or (
        level_for(report.code, report.flags, urgent_said=report.urgent_said) if report.kind == "BX" else row.level
    )
    person = report.reporter
    ticket = Ticket(
        community_id=community_id,
        ticket_no=f"{report.kind}{day}-{tail}",
        tail=tail,
        kind=report.kind,
        status="new",
        code=report.code,
        level=level or ("U2" if report.kind == "YH" else "C3"),
        urgent_said=report.urgent_said,
        place_key=report.place_key,
        place_text=report.place_text,
        public_area=report.public_area,
        symptom=report.symptom,
        detail=_first_detail(report),
        source=report.source,
        source_key=report.source_key,
        reporter=person,
        reporter_staff=report.reporter_staff,
        conversation_id=report.conversation.id if report.conversation else None,
        contact_name=report.contact_name or (person.salutation or person.name if person else ""),
        contact_phone=report.contact_phone or (person.phone if person else ""),
        department=row.department,
        linked_id=report.linked.id if report.linked else None,
        wanted_label=report.wanted_label,
        wanted_start_at=report.wanted_start_at,
        wanted_end_at=report.wanted_end_at,
        created_at=now,
        handler=None,
        owner=None,
    )
    session.add(ticket)
    session.flush()
    return ticket


def _first_detail(report: Report) -> dict[str, Any]:
    detail = dict(report.detail)
    if report.flags:
        detail["flags"] = report.flags
    if report.accused and report.kind == "TS":
        # From here on this colleague neither sees the complaint nor hears of it (tickets/people.py, tickets/notify.py).
        detail["accused"] = report.accused.id
    return detail


def _next_number(session: Session, name: str) -> int:
    bump = text(
        "insert into counters(name, value) values (:name, 1) "
        "on conflict(name) do update set value = counters.value + 1 returning value"
    )
    return int(session.execute(bump, {"name": name}).scalar_one())


def _start_repair(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    _set_clocks(ticket, now)
    ticket.owner = next(iter(leaders(session, ticket.community_id, ticket.department)), None)
    if ticket.level == "U0":
        ticket.contact_at = now + EMERGENCY_CONTACT
        _alarm(session, ticket, event, now)
    auto_dispatch(session, ticket, now)


def _set_clocks(ticket: Ticket, start: datetime) -> None:
    due = due_times(ticket.level, start)
    ticket.accept_by, ticket.arrive_by, ticket.finish_by = due.accept_by, due.arrive_by, due.finish_by
    if ticket.wanted_end_at and ticket.level not in ("U0", "U1"):
        # A time the resident chose replaces the limits (domain.md §2.2).
        ticket.arrive_by = ticket.wanted_end_at
        ticket.finish_by = max(ticket.finish_by, ticket.wanted_end_at + timedelta(hours=4))


def _alarm(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """Life safety: guards, engineering, desk on duty and the manager learn of it at once (domain.md §3.4 c)."""
    for staff in alarm_list(session, ticket.community_id, now):
        notify.tell_staff(session, staff, ticket, event, "push.alarm", now, extra=_staff_extra(ticket))


def alarm_list(session: Session, community_id: int, now: datetime) -> list[Staff]:
    """Whom a danger to life is told at once: leaders, the desk, and guards, plumbers and electricians on duty."""
    everyone = session.scalars(select(Staff).where(Staff.community_id == community_id, Staff.active).order_by(Staff.id))
    return [
        one
        for one in everyone
        if one.role in ("supervisor", "manager", "desk")
        or (on_shift(one, now) and {"security", "plumber", "electrician"} & set(one.trades))
    ]


def _staff_extra(ticket: Ticket) -> str:
    return str((ticket.detail or {}).get("staff_extra", ""))


def _start_desk_matter(session: Session, ticket: Ticket, event: TicketEvent, report: Report, now: datetime) -> None:
    """Complaints, questions, suggestions and praise go to a named colleague at once, never to the accused (domain.md §2.4)."""
    handler = _desk_handler(session, ticket, report.accused, now)
    if ticket.kind == "ZX":
        ticket.finish_by = inquiry_promise(now)
        ticket.accept_by = None
    else:
        due = due_times(ticket.level, now)
        ticket.accept_by, ticket.finish_by = due.accept_by, complaint_due(ticket.level, now)
    if handler is None:
        return
    ticket.owner = handler
    ticket.handler = handler
    move(session, ticket, SYSTEM, "assign", now, note=handler.name)
    session.add(
        Assignment(ticket_id=ticket.id, staff=handler, state="offered", offered_at=now, accept_by=ticket.accept_by)
    )
    notify.tell_staff(session, handler, ticket, event, f"push.desk_{ticket.kind}", now, buttons=_desk_buttons(ticket))
    if ticket.level == "C1":
        for manager in managers(session, ticket.community_id):
            if manager.id != handler.id:
                notify.tell_staff(session, manager, ticket, event, "push.c1", now, handler=handler.name)


def _desk_buttons(ticket: Ticket) -> list[tuple[str, str]]:
    return [] if ticket.kind == "ZX" else [(f"accept:{ticket.id}", say("button.take"))]


def _desk_handler(session: Session, ticket: Ticket, accused: Staff | None, now: datetime) -> Staff | None:
    community = ticket.community_id
    if ticket.kind in ("ZX", "JY", "BY") or category(ticket.code).department == "desk":
        query = (
            select(Staff).where(Staff.community_id == community, Staff.role == "desk", Staff.active).order_by(Staff.id)
        )
        desk = session.scalars(query).all()
        pool = [one for one in desk if on_shift(one, now)] or list(desk)
        if ticket.kind == "TS":
            pool = leaders(session, community, "desk") or pool
    elif category(ticket.code).department == "manager":
        pool = managers(session, community)
    else:
        pool = leaders(session, community, category(ticket.code).department)
    pool = [one for one in pool if accused is None or one.id != accused.id] or managers(session, community)
    return pool[0] if pool else None


# --- history and status -----------------------------------------------------------------------------------------------


def record(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    action: str,
    now: datetime,
    *,
    note: str = "",
    came: str = "",
    to: str = "",
    **data: Any,
) -> TicketEvent:
    """Append one line to the timeline. Every transition and every event has exactly one."""
    event = TicketEvent(
        ticket_id=ticket.id,
        at=now,
        actor=actor.key,
        actor_name=actor.name,
        action=action,
        from_status=came,
        to_status=to,
        note=note,
        data=data,
    )
    session.add(event)
    session.flush()
    return event


def move(
    session: Session, ticket: Ticket, actor: Actor, action: str, now: datetime, *, note: str = "", **data: Any
) -> TicketEvent:
    """Take the step `action` of the lifecycle table, checked for this person; the only place that assigns a status."""
    came = ticket.status
    to = lifecycle.next_status(came, action, relations(session, ticket, actor))
    ticket.status = to
    if to == "new":
        ticket.handler = None
    if to in lifecycle.FINAL:
        ticket.closed_at = now
    elif came in lifecycle.FINAL:
        ticket.closed_at = None
    return record(session, ticket, actor, action, now, note=note, came=came, to=to, **data)


def load(session: Session, ticket_id: int) -> Ticket:
    """The ticket, locked for this transaction (SQLite's write transaction already is the lock)."""
    # Refreshed under the lock: what was read before may have been changed by the transaction we waited for.
    query = select(Ticket).where(Ticket.id == ticket_id).with_for_update(of=Ticket)
    ticket = session.scalar(query.execution_options(populate_existing=True))
    if ticket is None:
        raise BadInput(ticket=ticket_id)
    return ticket


# --- dispatch ---------------------------------------------------------------------------------------------------------


def candidates(
    session: Session, ticket: Ticket, now: datetime, *, exclude: frozenset[int] = frozenset()
) -> list[tuple[dispatch.Candidate, list[str]]]:
    """Who could go, best first, with reasons."""
    open_jobs = dict(
        session.execute(
            select(Ticket.handler_id, func.count())
            .where(Ticket.community_id == ticket.community_id, Ticket.status.in_(("assigned", "in_progress", "rework")))
            .group_by(Ticket.handler_id)
        ).all()
    )
    staff = session.scalars(
        select(Staff).where(Staff.community_id == ticket.community_id, Staff.role.in_(("worker", "desk")), Staff.active)
    )
    rows = [
        dispatch.Candidate(
            one.id,
            one.name,
            tuple(one.trades),
            tuple(one.licences),
            on_shift(one, now),
            tuple(one.areas),
            one.cap,
            open_jobs.get(one.id, 0),
        )
        for one in staff
    ]
    trades = category(ticket.code).trades or ("desk",)
    need = dispatch.Need(trades, ticket.place_key, ticket.level in ("U0", "U1"), exclude, ticket.handler_id)
    return dispatch.rank(need, rows)


def auto_dispatch(session: Session, ticket: Ticket, now: datetime) -> Staff | None:
    """Offer the ticket to the best worker who has not refused it yet; nobody left → the supervisor must assign."""
    tried = frozenset(
        session.scalars(
            select(Assignment.staff_id).where(
                Assignment.ticket_id == ticket.id, Assignment.state.in_(("declined", "timed_out"))
            )
        )
    )
    ranked = candidates(session, ticket, now, exclude=tried)
    if not ranked:
        event = record(session, ticket, SYSTEM, "no_candidate", now)
        for leader in leaders(session, ticket.community_id, ticket.department):
            notify.tell_staff(session, leader, ticket, event, "push.nobody", now)
        return None
    best, why = ranked[0]
    staff = session.get_one(Staff, best.staff_id)
    _offer(session, ticket, staff, SYSTEM, "assign", now, why=why)
    return staff


def _offer(
    session: Session,
    ticket: Ticket,
    staff: Staff,
    actor: Actor,
    action: str,
    now: datetime,
    *,
    why: list[str],
    note: str = "",
) -> None:
    ticket.handler = staff
    event = move(session, ticket, actor, action, now, note=note or staff.name, why=why)
    limit = due_times(ticket.level, now).accept_by
    ticket.accept_by, ticket.accepted_at = limit, None
    session.add(Assignment(ticket_id=ticket.id, staff=staff, state="offered", offered_at=now, accept_by=limit, why=why))
    session.flush()
    send_card(session, ticket, staff, event, now)


def send_card(session: Session, ticket: Ticket, staff: Staff, event: TicketEvent, now: datetime) -> None:
    """The dispatch card with its four blocks: place, fault, time, cautions (domain.md §5.6)."""
    key = f"caution.{ticket.code}"
    caution = _staff_extra(ticket) or say(key if has_text(key) else f"caution.{_trade_of(ticket)}")
    since = now - timedelta(days=30)
    same = session.scalar(
        select(func.count())
        .select_from(Ticket)
        .where(
            Ticket.place_key == ticket.place_key,
            Ticket.code == ticket.code,
            Ticket.created_at > since,
            Ticket.id != ticket.id,
        )
    )
    notify.tell_staff(
        session,
        staff,
        ticket,
        event,
        "push.card",
        now,
        caution=caution,
        repeats=same or 0 if ticket.place_key else 0,
        buttons=[(f"accept:{ticket.id}", say("button.accept")), (f"decline:{ticket.id}", say("button.decline"))],
    )


def _trade_of(ticket: Ticket) -> str:
    return (category(ticket.code).trades or ("desk",))[0]


def assign(session: Session, ticket: Ticket, staff: Staff, actor: Actor, now: datetime, *, reason: str = "") -> None:
    """A leader names the worker. Another trade or someone off duty needs a reason, which is kept (domain.md S18)."""
    if staff.role not in ("worker", "desk", "supervisor"):
        raise BadInput(name=staff.name)
    needed = category(ticket.code).trades
    fits = not needed or dispatch.fits_trade(staff.trades, staff.licences, needed)
    if "electrician" in needed[:1] and "electrician" not in staff.licences:
        raise WrongTrade(name=staff.name, no=ticket.tail)
    if not reason and not (fits and on_shift(staff, now)):
        raise ReasonNeeded(name=staff.name, reasons=say("assign.reason_example", tail=ticket.tail, name=staff.name))
    action = "assign" if ticket.status in ("new", "survey") else "reassign"
    old = ticket.handler if action == "reassign" else None
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    _end_assignments(session, ticket, "withdrawn", now)
    _end_pause(session, ticket, now)
    _offer(session, ticket, staff, actor, action, now, why=["by_hand"], note=reason or staff.name)
    if old and old.id != staff.id:
        event = record(session, ticket, actor, "withdrawn", now, note=old.name)
        notify.tell_staff(session, old, ticket, event, "push.withdrawn", now)


def wish(ticket: Ticket, start: datetime, end: datetime, label: str) -> None:
    """The window in which somebody is expected; it replaces the arrival limit (domain.md §2.2)."""
    ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = label, start, end
    ticket.arrive_by = end


def _end_assignments(session: Session, ticket: Ticket, state: str, now: datetime, *, reason: str = "") -> None:
    live = select(Assignment).where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("offered", "accepted")))
    for one in session.scalars(live):
        one.state, one.ended_at, one.reason = state, now, reason
    session.flush()


def accept(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """接单: the worker takes the offered ticket (or an ownerless one). The loser of a race reads who has it."""
    staff = _staff(actor)
    offer = session.scalar(
        select(Assignment)
        .where(Assignment.ticket_id == ticket.id, Assignment.staff_id == staff.id, Assignment.state == "offered")
        .order_by(Assignment.id.desc())
    )
    if ticket.handler_id == staff.id and ticket.status == "in_progress":
        return
    if ticket.status == "new":
        grab(session, ticket, actor, now)
        return
    if offer is None and ticket.handler_id != staff.id:
        raise _not_yours(ticket)
    _take(session, ticket, actor, "accept" if ticket.handler_id == staff.id else "take_over", now)


def grab(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """抢单: an ownerless ticket goes to the first fitting worker."""
    staff = _staff(actor)
    if ticket.handler_id and ticket.handler_id != staff.id:
        raise _not_yours(ticket)
    needed = category(ticket.code).trades
    if needed and not dispatch.fits_trade(staff.trades, staff.licences, needed):
        raise WrongTrade(name=staff.name, no=ticket.tail)
    _take(session, ticket, actor, "grab", now)


def _not_yours(ticket: Ticket) -> Exception:
    if ticket.handler and ticket.status in lifecycle.OPEN:
        return AlreadyTaken(no=ticket.tail, name=ticket.handler.name)
    return NotAllowed(action="accept")


def _take(session: Session, ticket: Ticket, actor: Actor, action: str, now: datetime) -> None:
    staff = _staff(actor)
    former = ticket.handler
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    _held_by(session, ticket, staff, now)
    event = move(session, ticket, actor, action, now)
    ticket.accepted_at, ticket.accept_by = now, None
    session.flush()
    _after_accept(session, ticket, former, event, now)


def _held_by(session: Session, ticket: Ticket, staff: Staff, now: datetime) -> None:
    """From now on `staff` holds the ticket; every other offer of it ends."""
    live = session.scalars(
        select(Assignment).where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("offered", "accepted")))
    ).all()
    mine = next((one for one in live if one.staff_id == staff.id), None)
    for one in live:
        if one is not mine:
            one.state, one.ended_at = "withdrawn", now
    session.flush()
    if mine is None:
        mine = Assignment(ticket_id=ticket.id, staff=staff, offered_at=now, state="accepted")
        session.add(mine)
    mine.state = "accepted"
    # Both, so that `relations` sees it before the flush.
    ticket.handler, ticket.handler_id = staff, staff.id


def _after_accept(session: Session, ticket: Ticket, former: Staff | None, event: TicketEvent, now: datetime) -> None:
    staff = ticket.handler
    assert staff is not None
    if ticket.kind in ("BX", "YH"):
        # The full number only now, and only to this worker (domain.md §9.3).
        phone = ticket.contact_phone or say("phone.missing")
        buttons = [(f"arrive:{ticket.id}", say("button.arrive")), (f"finish:{ticket.id}", say("button.finish"))]
        notify.tell_staff(session, staff, ticket, event, "push.accepted_staff", now, phone=phone, buttons=buttons)
        key = "push.accepted_public" if ticket.public_area else "push.accepted"
        notify.tell_reporter(session, ticket, event, key, now)
    else:
        notify.tell_reporter(session, ticket, event, f"push.accepted_{ticket.kind}", now)
    if former and former.id != staff.id:
        notify.tell_staff(session, former, ticket, event, "push.withdrawn", now)


def _staff(actor: Actor) -> Staff:
    if actor.staff is None or not actor.staff.active:
        raise NotAllowed(action="staff")
    return actor.staff


def decline(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """拒单 with a reason from the list; the first refusal goes to the next candidate, the second to the supervisor."""
    chosen = match_reason(reason, decline_reasons())
    if not chosen:
        raise ReasonNeeded(reasons=say("list.comma").join(decline_reasons()), name="")
    _give_back(session, ticket, actor, "decline", "declined", chosen, now)


def match_reason(text_: str, reasons: tuple[str, ...]) -> str:
    """The listed reason that `text_` names, else ""."""
    return next((reason for reason in reasons if reason in text_ or (len(text_) >= 2 and text_ in reason)), "")


def accept_timeout(session: Session, ticket: Ticket, now: datetime) -> None:
    """Nobody took the offer in time: the next candidate gets it, the supervisor knows from the second time on."""
    _give_back(session, ticket, SYSTEM, "accept_timeout", "timed_out", "", now)


def _give_back(
    session: Session, ticket: Ticket, actor: Actor, action: str, state: str, reason: str, now: datetime
) -> None:
    old = ticket.handler
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    _end_assignments(session, ticket, state, now, reason=reason)
    relation_holder = ticket.handler_id
    event = move(session, ticket, actor, action, now, note=reason)
    if old and action == "accept_timeout":
        notify.tell_staff(session, old, ticket, event, "push.timed_out", now)
    refusals = session.scalar(
        select(func.count())
        .select_from(Assignment)
        .where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("declined", "timed_out")))
    )
    if refusals and refusals >= 2:
        for leader in leaders(session, ticket.community_id, ticket.department):
            if leader.id != relation_holder:
                notify.tell_staff(session, leader, ticket, event, "push.refused_twice", now)
    auto_dispatch(session, ticket, now)


def transfer(session: Session, ticket: Ticket, to: Staff, actor: Actor, now: datetime) -> None:
    """转单: offered to a colleague; the first stays responsible until the other accepts (domain.md §7.4)."""
    staff = _staff(actor)
    if ticket.handler_id != staff.id or ticket.status not in ("assigned", "in_progress", "rework"):
        raise NotAllowed(action="transfer")
    if to.id == staff.id:
        raise BadInput(name=to.name)
    needed = category(ticket.code).trades
    if needed and not dispatch.fits_trade(to.trades, to.licences, needed):
        raise WrongTrade(name=to.name, no=ticket.tail)
    event = record(session, ticket, actor, "transfer_asked", now, note=to.name, to_staff=to.id)
    session.add(Assignment(ticket_id=ticket.id, staff=to, state="offered", offered_at=now, why=["transfer"]))
    session.flush()
    send_card(session, ticket, to, event, now)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.transfer_asked", now, to=to.name)


# --- the visit --------------------------------------------------------------------------------------------------------


def propose_appointment(
    session: Session, ticket: Ticket, actor: Actor, start: datetime, end: datetime, now: datetime
) -> None:
    """预约: the worker offers a window; the resident may agree or name another."""
    _require_handler(session, ticket, actor, "in_progress", "rework", "assigned")
    if end <= now:
        raise BadInput(window=span(start, end, now))
    if ticket.status in ("assigned", "rework"):
        accept(session, ticket, actor, now)
    event = record(session, ticket, actor, "appointment_proposed", now, start=start.isoformat(), end=end.isoformat())
    _set_appointment(ticket, start, end)
    buttons = [(f"agree:{ticket.id}", say("button.agree_time")), (f"change:{ticket.id}", say("button.change_time"))]
    notify.tell_reporter(session, ticket, event, "push.appointment", now, buttons=buttons)
    if ticket.reporter:
        questions.ask(
            session, ticket.reporter, "appointment", now, ticket=ticket, start=start.isoformat(), end=end.isoformat()
        )


def _set_appointment(ticket: Ticket, start: datetime, end: datetime) -> None:
    ticket.appointment_start_at, ticket.appointment_end_at = start, end
    ticket.arrive_by = end
    ticket.arrive_step = 0
    if ticket.finish_by and ticket.finish_by < end and ticket.level not in ("U0", "U1"):
        ticket.finish_by = end + timedelta(hours=4)


def agree_appointment(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    require_reporter(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN or ticket.appointment_start_at is None:
        raise WrongStatus(status=ticket.status, action="agree")
    event = record(session, ticket, actor, "appointment_agreed", now)
    _tell_household(session, ticket, now)
    questions.withdraw(session, ticket, "appointment")
    notify.tell_reporter(session, ticket, event, "push.appointment_fixed", now)
    _tell_housemate(session, ticket, actor, event, "push.appointment_fixed", now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.appointment_agreed", now)


def change_appointment(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    start: datetime | None,
    end: datetime | None,
    label: str,
    now: datetime,
) -> None:
    """The resident wants another time: it is set, the worker is told first, the clock follows (domain.md §2.2, SC08 b)."""
    require_reporter(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="change")
    questions.withdraw(session, ticket, "appointment")
    old = notify.window_text(ticket, now)
    first = not ticket.appointment_start_at and not ticket.wanted_label
    if start and end:
        _set_appointment(ticket, start, end)
        ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = label, start, end
    else:
        ticket.wanted_label = label
    event = record(session, ticket, actor, "appointment_changed", now, note=label, old=old)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.time_changed_staff", now, old=old)
    key = "push.time_noted" if first else "push.time_changed" if ticket.handler else "push.time_changed_unowned"
    notify.tell_reporter(session, ticket, event, key, now)
    _tell_housemate(session, ticket, actor, event, key, now)
    if ticket.accepted_at:
        _tell_household(session, ticket, now)


def set_out(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """马上去: on the way; accepts first if that was still open."""
    if ticket.status in ("assigned", "rework"):
        accept(session, ticket, actor, now)
    _require_handler(session, ticket, actor, "in_progress")
    if ticket.on_the_way_at:
        return
    ticket.on_the_way_at = now
    event = record(session, ticket, actor, "on_the_way", now)
    notify.tell_reporter(session, ticket, event, "push.on_the_way", now)
    _tell_household(session, ticket, now)


def _tell_household(session: Session, ticket: Ticket, now: datetime) -> None:
    """Before a visit that somebody else asked for, the flat's own people hear of it; once for each flat (SC04)."""
    if ticket.public_area or not ticket.place_key or ticket.kind != "BX":
        return
    if ticket.reporter and lives_at(session, ticket.reporter, ticket.place_key):
        return
    for person in _people_at(session, ticket):
        text_ = say("push.household_notice", **notify.facts(ticket, now))
        notify.push(
            session, person, text_, key=f"t{ticket.id}:{ticket.place_key}:household:{person.id}", now=now, ticket=ticket
        )


def _people_at(session: Session, ticket: Ticket) -> list[Resident]:
    query = (
        select(Resident)
        .join(Residency, Residency.resident_id == Resident.id)
        .join(Household, Household.id == Residency.household_id)
        .where(Household.community_id == ticket.community_id, Household.key == ticket.place_key)
        .where(Residency.verified_at.is_not(None), Residency.ended_at.is_(None))
    )
    return list(session.scalars(query.order_by(Resident.id)))


def arrive(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """到场, stamped once; a later word of the same changes nothing."""
    if ticket.status in ("assigned", "rework"):
        accept(session, ticket, actor, now)
    _require_handler(session, ticket, actor, "in_progress")
    if ticket.arrived_at:
        return
    ticket.arrived_at = now
    event = record(session, ticket, actor, "arrived", now)
    notify.tell_reporter(session, ticket, event, "push.arrived", now)


def quote(session: Session, ticket: Ticket, actor: Actor, plan: str, amount_fen: int | None, now: datetime) -> None:
    """方案/收费: the plan and its price go to the resident, who must agree before the work (domain.md S24)."""
    _require_handler(session, ticket, actor, "in_progress")
    price = say("price.yuan", yuan=f"{amount_fen / 100:g}") if amount_fen is not None else say("price.none")
    ticket.detail = {**(ticket.detail or {}), "quote": {"plan": plan, "fen": amount_fen, "consent": None}}
    event = record(session, ticket, actor, "quote", now, note=plan, fen=amount_fen)
    buttons = [(f"consent:{ticket.id}:yes", say("button.consent")), (f"consent:{ticket.id}:no", say("button.refuse"))]
    notify.tell_reporter(session, ticket, event, "push.quote", now, plan=plan, price=price, buttons=buttons)
    if ticket.reporter:
        questions.ask(session, ticket.reporter, "consent", now, ticket=ticket)


def consent(session: Session, ticket: Ticket, actor: Actor, agreed: bool, note: str, now: datetime) -> None:
    """同意/不同意 to the last quote, kept with its time."""
    require_reporter(session, ticket, actor)
    last = (ticket.detail or {}).get("quote")
    if not last or ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="consent")
    ticket.detail = {**ticket.detail, "quote": {**last, "consent": agreed, "at": now.isoformat()}}
    questions.withdraw(session, ticket, "consent")
    event = record(session, ticket, actor, "consent", now, note=note, agreed=agreed)
    key = "push.consent_yes" if agreed else "push.consent_no"
    notify.tell_reporter(session, ticket, event, key, now)
    _tell_housemate(session, ticket, actor, event, key, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, f"{key}_staff", now)


def hold(
    session: Session, ticket: Ticket, actor: Actor, reason: str, wake_at: datetime, now: datetime, *, note: str = ""
) -> None:
    """挂起 with a reason from the list and a wake date; over 24 h the supervisor is asked to approve (domain.md §2.1)."""
    chosen = match_reason(reason, hold_reasons())
    if not chosen:
        raise ReasonNeeded(reasons=say("list.comma").join(hold_reasons()), name="")
    if wake_at <= now:
        raise BadInput(window=clock(wake_at, now))
    lifecycle.next_status(ticket.status, "hold", relations(session, ticket, actor))
    ticket.hold_reason, ticket.wake_at = chosen, wake_at
    event = move(session, ticket, actor, "hold", now, note=note or chosen, wake_at=wake_at.isoformat())
    wake = clock(wake_at, now)
    notify.tell_reporter(session, ticket, event, "push.hold", now, reason=chosen, wake=wake)
    times = sum(1 for one in _events(session, ticket, "hold"))
    key = "push.hold_approve" if wake_at - now > timedelta(hours=24) else "push.hold_again" if times > 1 else ""
    for leader in leaders(session, ticket.community_id, ticket.department) if key else ():
        notify.tell_staff(session, leader, ticket, event, key, now, reason=chosen, wake=wake, times=times)


def approve_hold(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """The supervisor agrees to a pause of more than 24 h."""
    if not relations(session, ticket, actor) & {lifecycle.SUPERVISOR}:
        raise NotAllowed(action="approve")
    if ticket.status != "on_hold":
        raise WrongStatus(status=ticket.status, action="approve")
    record(session, ticket, actor, "hold_approved", now)


def resume(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """The wait is over; the finish clock gets back the time it was paused."""
    event = move(session, ticket, actor, "resume", now)
    _end_pause(session, ticket, now)
    if ticket.handler and actor.staff is not ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.woken", now)
    notify.tell_reporter(session, ticket, event, "push.resumed", now)


def _end_pause(session: Session, ticket: Ticket, now: datetime) -> None:
    """Give the clocks back the time they stood still."""
    started = _last_event(session, ticket, "hold")
    if started is None or not ticket.hold_reason:
        return
    pause = now - started.at
    if ticket.finish_by:
        ticket.finish_by += pause
    if ticket.arrive_by and not ticket.arrived_at:
        ticket.arrive_by += pause
    if ticket.appointment_end_at and ticket.appointment_end_at <= now:
        ticket.appointment_start_at = ticket.appointment_end_at = None
    if ticket.wanted_end_at and ticket.wanted_end_at <= now:
        ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = "", None, None
    ticket.hold_reason, ticket.wake_at = "", None


def _last_event(session: Session, ticket: Ticket, action: str) -> TicketEvent | None:
    return next(iter(_events(session, ticket, action)), None)


def _events(session: Session, ticket: Ticket, *actions: str) -> list[TicketEvent]:
    """Lines of the timeline with these actions, newest first."""
    query = select(TicketEvent).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action.in_(actions))
    return list(session.scalars(query.order_by(TicketEvent.id.desc())))


def restarted_clocks(session: Session) -> dict[int, datetime]:
    """Open tickets whose limits run since later than intake: since the last change of class or the begin of this round."""
    query = (
        select(TicketEvent.ticket_id, func.max(TicketEvent.at))
        .join(Ticket, Ticket.id == TicketEvent.ticket_id)
        .where(Ticket.status.in_(lifecycle.OPEN), TicketEvent.action.in_(("level", "not_fixed", "reopen")))
        .group_by(TicketEvent.ticket_id)
    )
    return dict(session.execute(query).all())


def finish(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime, *, self_checked: bool) -> None:
    """完工: needs the worker's self-check (domain.md S30, S31); then the resident, or an inspector, is asked to accept."""
    if ticket.status in ("assigned", "rework"):
        _require_handler(session, ticket, actor, "assigned", "rework")
        accept(session, ticket, actor, now)
    lifecycle.next_status(ticket.status, "finish", relations(session, ticket, actor))
    last = (ticket.detail or {}).get("quote")
    # Only a resident in their own home can be asked to pay; nobody answers for a lamp in the hall.
    asked = ticket.reporter is not None and not ticket.public_area
    if asked and last and last.get("fen") and not last.get("consent"):
        raise WrongStatus(status="consent", action="finish")
    if not self_checked:
        raise SelfCheckNeeded(no=ticket.tail)
    ticket.arrived_at = ticket.arrived_at or now
    event = move(session, ticket, actor, "finish", now, note=note)
    ticket.finished_at = now
    _attach_recent(session, ticket, actor, now)
    ask_acceptance(session, ticket, event, note, now)


def accept_by_default(session: Session, ticket: Ticket, now: datetime) -> None:
    """默认验收: nobody answered in a day. Closed with that flag, still reopenable, and never counted as satisfied (fact 10)."""
    event = move(session, ticket, SYSTEM, "no_answer", now)
    move(session, ticket, SYSTEM, "close", now)
    ticket.default_accepted = True
    _end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    key = "push.closed_by_default" if ticket.kind == "BX" else "push.closed_by_default_matter"
    notify.tell_reporter(session, ticket, event, key, now)


def remind_draft(session: Session, draft: Draft, now: datetime) -> None:
    """One nudge for what is still missing before a worker can be sent."""
    chat = session.get_one(Conversation, draft.conversation_id)
    person = chat.identity.resident or chat.identity.staff
    missing = say("missing.place" if not draft.data.get("place_key") else "missing.symptom")
    text_ = say("push.draft_reminder", missing=missing)
    notify.push(session, person, text_, key=f"draft:{draft.id}:{now.isoformat()}", now=now, conversation_id=chat.id)


def _attach_recent(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """Pictures the worker sent while on this job belong to it."""
    chat = notify.conversation_of(session, _staff(actor))
    if chat is None or ticket.accepted_at is None:
        return
    query = select(Attachment).where(
        Attachment.conversation_id == chat.id,
        Attachment.ticket_id.is_(None),
        Attachment.created_at >= ticket.accepted_at,
    )
    for photo in session.scalars(query):
        photo.ticket_id, photo.purpose = ticket.id, "after"


def ask_acceptance(session: Session, ticket: Ticket, event: TicketEvent, note: str, now: datetime) -> None:
    """验收: the resident tries it out; a public area is accepted by a leader who did not do the job (domain.md S32, S37)."""
    photo = session.scalar(
        select(Attachment.key)
        .where(Attachment.ticket_id == ticket.id, Attachment.purpose == "after")
        .order_by(Attachment.id.desc())
    )
    result = say("finish.note", note=note) + "\n" if note else ""
    image = photo or ""
    if ticket.kind in ("TS", "ZX", "JY", "BY"):
        _ask_solved(session, ticket, event, note, now)
        return
    if ticket.public_area or ticket.reporter is None:
        notify.tell_reporter(session, ticket, event, "push.finished_public", now, result=result, image_key=image)
        buttons = [(f"confirm:{ticket.id}", say("button.pass")), (f"not_fixed:{ticket.id}", say("button.fail"))]
        for leader in leaders(session, ticket.community_id, ticket.department):
            if leader.id != ticket.handler_id:
                notify.tell_staff(
                    session, leader, ticket, event, "push.inspect", now, result=result, buttons=buttons, image_key=image
                )
        return
    buttons = [(f"confirm:{ticket.id}", say("button.fixed")), (f"not_fixed:{ticket.id}", say("button.not_fixed"))]
    notify.tell_reporter(
        session, ticket, event, "push.acceptance", now, result=result, buttons=buttons, image_key=image
    )
    questions.ask(session, ticket.reporter, "acceptance", now, ticket=ticket, remind_at=now + ACCEPTANCE_REMINDER)


def _ask_solved(session: Session, ticket: Ticket, event: TicketEvent, note: str, now: datetime) -> None:
    if ticket.reporter is None:
        return
    buttons = [(f"confirm:{ticket.id}", say("button.solved")), (f"not_fixed:{ticket.id}", say("button.unsolved"))]
    notify.tell_reporter(session, ticket, event, f"push.answer_{ticket.kind}", now, answer=note, buttons=buttons)
    questions.ask(session, ticket.reporter, "solved", now, ticket=ticket, remind_at=now + SOLVED_WAIT)


def _require_handler(session: Session, ticket: Ticket, actor: Actor, *statuses: str) -> None:
    if lifecycle.HANDLER not in relations(session, ticket, actor):
        raise _not_yours(ticket) if ticket.handler_id else NotAllowed(action="visit")
    if ticket.status not in statuses:
        raise WrongStatus(status=ticket.status, action="visit")


def require_reporter(session: Session, ticket: Ticket, actor: Actor) -> None:
    if lifecycle.REPORTER not in relations(session, ticket, actor):
        raise NotAllowed(action="resident")


# --- acceptance, rework, scores ---------------------------------------------------------------------------------------


def confirm(session: Session, ticket: Ticket, actor: Actor, now: datetime, *, remark: str = "") -> None:
    """验收通过: closed; the resident is asked for two scores, never pre-filled (domain.md S34)."""
    inspector = actor.staff is not None
    inspected = ticket.public_area or ticket.reporter is None
    if inspector is not inspected:
        raise NotAllowed(action="confirm")
    event = move(session, ticket, actor, "confirm", now, note=remark)
    ticket.confirmed_at = now
    ticket.remark = "\n".join(filter(None, (ticket.remark, remark)))
    _end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    if ticket.level in ("U0", "U1") and ticket.reporter and not ticket.public_area:
        ticket.callback_at = _next_morning(now)
    if ticket.kind == "BX" and not inspector and ticket.reporter:
        notify.tell_reporter(session, ticket, event, "push.thanks_score", now, buttons=score_buttons(ticket))
        questions.ask(session, ticket.reporter, "score", now, ticket=ticket)
    else:
        key = "push.closed_public" if inspector else f"push.closed_{ticket.kind}"
        notify.tell_reporter(session, ticket, event, key, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.accepted_by_resident", now, who=actor.name)


def score_buttons(ticket: Ticket) -> list[tuple[str, str]]:
    """Best and worst stand in plain order; nothing is marked beforehand."""
    return [(f"score:{ticket.id}:{n}", say("button.score", n=n)) for n in range(1, 6)]


def _next_morning(now: datetime) -> datetime:
    local = now.astimezone(LOCAL) + timedelta(days=1)
    return local.replace(hour=10, minute=0, second=0, microsecond=0)


def not_fixed(session: Session, ticket: Ticket, actor: Actor, left: str, now: datetime, *, half: bool = False) -> None:
    """没修好: same ticket, next round. Round 2 same worker and the supervisor knows; round 3 another worker (domain.md §7.2)."""
    event = move(session, ticket, actor, "not_fixed", now, note=left, half=half)
    questions.withdraw(session, ticket)
    _next_round(session, ticket, event, left, now)


def reopen(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """The same fault within seven days of closing: rework on the same number, never a new one."""
    if ticket.status == "closed" and ticket.closed_at and now - ticket.closed_at > REOPEN_DAYS and actor.resident:
        raise TooLate(no=ticket.tail)
    if ticket.handler_id is None:
        raise WrongStatus(status=ticket.status, action="reopen")
    event = move(session, ticket, actor, "reopen", now, note=reason)
    ticket.callback_at = None
    questions.withdraw(session, ticket)
    _next_round(session, ticket, event, reason, now)


def _next_round(session: Session, ticket: Ticket, event: TicketEvent, left: str, now: datetime) -> None:
    ticket.round += 1
    ticket.accepted_at = ticket.finished_at = ticket.arrived_at = ticket.on_the_way_at = ticket.confirmed_at = None
    ticket.appointment_start_at = ticket.appointment_end_at = None
    ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = "", None, None
    ticket.warned_step = ticket.arrive_step = ticket.accept_step = 0
    _end_assignments(session, ticket, "withdrawn", now)
    due = due_times(ticket.level, now)
    ticket.finish_by = due.finish_by
    ticket.arrive_by = min(filter(None, (due.arrive_by, now + timedelta(hours=24))))
    worker = _rework_handler(session, ticket, now)
    session.add(Assignment(ticket_id=ticket.id, staff=worker, state="offered", offered_at=now, why=["rework"]))
    ticket.handler = worker
    ticket.accept_by = min(due.accept_by, now + timedelta(hours=2))
    session.flush()
    notify.tell_reporter(session, ticket, event, "push.rework" if ticket.kind == "BX" else "push.reworked_matter", now)
    buttons = [(f"accept:{ticket.id}", say("button.accept"))]
    notify.tell_staff(session, worker, ticket, event, "push.rework_staff", now, left=left, buttons=buttons)
    told = leaders(session, ticket.community_id, ticket.department)
    if ticket.round >= 3:
        told = [*told, *managers(session, ticket.community_id)]
    for leader in told:
        if leader.id != worker.id:
            notify.tell_staff(session, leader, ticket, event, "push.rework_leader", now, left=left)


def _rework_handler(session: Session, ticket: Ticket, now: datetime) -> Staff:
    assert ticket.handler is not None
    if ticket.round < 3 or ticket.kind != "BX":
        return ticket.handler
    others = candidates(session, ticket, now, exclude=frozenset({ticket.handler.id}))
    return session.get_one(Staff, others[0][0].staff_id) if others else ticket.handler


def rate(
    session: Session, ticket: Ticket, actor: Actor, attitude: int, quality: int, remark: str, now: datetime
) -> None:
    """Two scores of 1–5 as given; a bad one (≤2) is a task for the supervisor (architecture.md §6)."""
    require_reporter(session, ticket, actor)
    if not (1 <= attitude <= 5 and 1 <= quality <= 5):
        raise BadInput(score=attitude)
    ticket.score_attitude, ticket.score_quality = attitude, quality
    ticket.remark = "\n".join(filter(None, (ticket.remark, remark)))
    event = record(session, ticket, actor, "score", now, note=remark, attitude=attitude, quality=quality)
    questions.withdraw(session, ticket, "score")
    poor = min(attitude, quality) <= 2
    notify.tell_reporter(session, ticket, event, "push.score_low" if poor else "push.score_thanks", now)
    if ticket.handler:
        notify.tell_staff(
            session,
            ticket.handler,
            ticket,
            event,
            "push.scored",
            now,
            attitude=attitude,
            quality=quality,
            remark=remark,
        )
    if poor:
        for leader in leaders(session, ticket.community_id, ticket.department):
            notify.tell_staff(
                session,
                leader,
                ticket,
                event,
                "push.scored_low",
                now,
                attitude=attitude,
                quality=quality,
                remark=remark,
            )


# --- the resident's other words ---------------------------------------------------------------------------------------


def urge(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """催单: counted, never a new ticket; the responsible hears of it, then the supervisor, then the manager (domain.md §7.4)."""
    require_reporter(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="urge")
    ticket.urge_count += 1
    event = record(session, ticket, actor, "urge", now, note=words, count=ticket.urge_count)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.urged", now, count=ticket.urge_count)
    overdue = (
        any(due and due < now for due in (ticket.accept_by, ticket.arrive_by, ticket.finish_by))
        and not ticket.arrived_at
    )
    told: list[Staff] = []
    if ticket.urge_count >= 2 or overdue or ticket.handler is None:
        told = leaders(session, ticket.community_id, ticket.department)
    if ticket.urge_count >= 3:
        told = [*told, *managers(session, ticket.community_id)]
    for leader in {one.id: one for one in told}.values():
        notify.tell_staff(session, leader, ticket, event, "push.urged_leader", now, count=ticket.urge_count)


def answer_urge_by(now: datetime) -> datetime:
    """When somebody who chased hears back: within ten minutes (domain.md §7.4)."""
    return now + timedelta(minutes=10)


def home_differs(session: Session, resident: Resident, place_key: str) -> bool:
    """Whether a place is not one of the resident's own homes."""
    return not lives_at(session, resident, place_key)


def cancel(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """取消: not a public area by its reporter, not after the worker arrived; an emergency only after a phone call (domain.md §7.4).

    The call is asked for here, and the resident told so, instead of raising: a refusal would be rolled back with its pushes.
    """
    lifecycle.next_status(ticket.status, "cancel", relations(session, ticket, actor))
    if actor.resident:
        if ticket.public_area:
            raise PublicArea(no=ticket.ticket_no)
        if ticket.arrived_at:
            raise TooLate(no=ticket.tail)
        if ticket.level in ("U0", "U1"):
            _ask_phone_check(session, ticket, actor, now)
            return
    worker = ticket.handler
    event = move(session, ticket, actor, "cancel", now, note=reason)
    _end_assignments(session, ticket, "withdrawn", now)
    questions.withdraw(session, ticket)
    if worker:
        notify.tell_staff(
            session, worker, ticket, event, "push.cancelled_staff", now, reason=reason or say("reason.none")
        )
    notify.tell_reporter(session, ticket, event, "push.cancelled", now)
    _tell_housemate(session, ticket, actor, event, "push.cancelled", now)


def _tell_housemate(
    session: Session, ticket: Ticket, actor: Actor, event: TicketEvent, key: str, now: datetime
) -> None:
    """Somebody of the same flat acted, not the reporter: they hear the same answer."""
    person = actor.resident
    if person is None or person.id == ticket.reporter_id:
        return
    text_ = say(key, **notify.facts(ticket, now))
    notify.push(session, person, text_, key=f"t{ticket.id}:e{event.id}:{key}:{actor.key}", now=now, ticket=ticket)


def _ask_phone_check(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    event = record(session, ticket, actor, "cancel_asked", now)
    for leader in [
        *leaders(session, ticket.community_id, ticket.department),
        *([ticket.handler] if ticket.handler else []),
    ]:
        notify.tell_staff(session, leader, ticket, event, "push.verify_by_phone", now)
    text_ = say("push.cancel_needs_call", no=ticket.ticket_no)
    key = f"t{ticket.id}:e{event.id}:push.cancel_needs_call:{actor.key}"
    notify.push(session, actor.resident, text_, key=key, now=now, ticket=ticket)


def correct(session: Session, ticket: Ticket, actor: Actor, now: datetime, **changes: Any) -> None:
    """更正 of place, phone or words: the latest wins, old → new is kept, the worker is told (domain.md §5.5).

    `changes` are Ticket columns among place_key, place_text, public_area, contact_phone, contact_name, symptom.
    """
    _require_reporter_or_leader(session, ticket, actor)
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


def _require_reporter_or_leader(session: Session, ticket: Ticket, actor: Actor) -> None:
    if not relations(session, ticket, actor) & {
        lifecycle.REPORTER,
        lifecycle.DESK,
        lifecycle.SUPERVISOR,
        lifecycle.SYSTEM,
    }:
        raise NotAllowed(action="correct")
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="correct")


def add_detail(
    session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime, *, flags: dict[str, bool] | None = None
) -> bool:
    """More facts about the fault; they may raise the class (never lower it). Returns whether the class was raised."""
    _require_reporter_or_leader(session, ticket, actor)
    before = (ticket.detail or {}).get("flags", {})
    known = {**before, **(flags or {})}
    ticket.detail = {**(ticket.detail or {}), "flags": known}
    event = record(session, ticket, actor, "comment", now, note=words, flags=flags or {})
    level = level_for(ticket.code, known, urgent_said=ticket.urgent_said) if ticket.kind == "BX" else ticket.level
    # Only a new fact raises it, so that a class lowered by a leader stays lowered until one is told.
    raised = level < ticket.level and known != before
    if raised:
        change_level(session, ticket, SYSTEM, level, words, now)
    elif ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.detail_staff", now, words=words)
    return raised


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
    _set_clocks(ticket, now)
    ticket.warned_step = ticket.accept_step = ticket.arrive_step = 0
    if ticket.accepted_at:
        ticket.accept_by = None
    event = record(session, ticket, actor, "level", now, note=reason, old=old, new=level)
    if level == "U0" != old:
        ticket.contact_at = now + EMERGENCY_CONTACT
        _alarm(session, ticket, event, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.level_staff", now, old=old)


def comment(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> TicketEvent:
    """A note in the timeline."""
    if not relations(session, ticket, actor):
        raise NotAllowed(action="comment")
    return record(session, ticket, actor, "comment", now, note=words)


def ask_help(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """帮手/加人: the supervisor is asked for a second pair of hands."""
    _require_handler(session, ticket, actor, "assigned", "in_progress", "rework")
    event = record(session, ticket, actor, "help_asked", now, note=words)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.help", now, words=words)


def resolve(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime) -> None:
    """A leader closes by hand with what was done (emergency over, false alarm, answered in person)."""
    if not note:
        raise ReasonNeeded(reasons=say("resolve.reason_example", tail=ticket.tail), name="")
    event = move(session, ticket, actor, "resolve", now, note=note)
    _end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    notify.tell_reporter(session, ticket, event, "push.resolved", now, note=note)
    _offer_parked_draft(session, ticket, event, now)


def _offer_parked_draft(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """What the resident was telling when the emergency broke in is offered again, not lost (SC06)."""
    if ticket.conversation_id is None or ticket.reporter is None:
        return
    draft = session.scalar(select(Draft).where(Draft.conversation_id == ticket.conversation_id, Draft.parked))
    if draft is None:
        return
    about = category(str(draft.data.get("code") or ("T99" if draft.kind == "TS" else "X00"))).name
    kind = say(f"kind.{draft.kind}")
    buttons = [
        ("say:" + say("button.still_yes"), say("button.still_yes")),
        ("say:" + say("button.still_no"), say("button.still_no")),
    ]
    notify.tell_reporter(
        session, ticket, event, "push.resume_draft", now, about=about, draft_kind=kind, buttons=buttons
    )
    questions.ask(session, ticket.reporter, "resume_draft", now, draft=draft.id)


def answer_matter(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """回复 ZX… / TS…: the colleague's answer is relayed and the resident asked whether that settles it (domain.md S52)."""
    staff = _staff(actor)
    if ticket.kind not in ("ZX", "TS", "JY", "BY"):
        raise WrongStatus(status=ticket.status, action="answer")
    if not words:
        raise BadInput(words="")
    if not relations(session, ticket, actor) & {lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR}:
        raise NotAllowed(action="answer")
    if ticket.status not in ("assigned", "in_progress", "rework"):
        raise WrongStatus(status=ticket.status, action="answer")
    _held_by(session, ticket, staff, now)
    if ticket.status in ("assigned", "rework"):
        move(session, ticket, actor, "accept", now)
        ticket.accepted_at, ticket.accept_by = now, None
    event = move(session, ticket, actor, "finish", now, note=words)
    ticket.finished_at = now
    _ask_solved(session, ticket, event, words, now)


def escalate(session: Session, ticket: Ticket, now: datetime, key: str, who: list[Staff], **more: object) -> None:
    """A clock ran out: one line in the timeline and one push to each of `who`."""
    event = record(session, ticket, SYSTEM, "escalate", now, note=key, told=[one.id for one in who])
    for staff in who:
        notify.tell_staff(session, staff, ticket, event, key, now, **more)


def open_question(session: Session, ticket: Ticket, kind: str) -> OpenQuestion | None:
    query = select(OpenQuestion).where(
        OpenQuestion.ticket_id == ticket.id, OpenQuestion.kind == kind, OpenQuestion.state == "open"
    )
    return session.scalars(query).first()

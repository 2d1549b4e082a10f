"""Making a ticket and starting its clocks; nothing else makes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from storage.models import Assignment, Conversation, Resident, Staff, Ticket, TicketEvent
from tickets import complaints, notify
from tickets.catalog import category
from tickets.people import SYSTEM, Actor, company, leaders, managers, on_shift
from tickets.sla import complaint_due, due_times, inquiry_promise, suggestion_due
from tickets.texts import LOCAL, say
from tickets.urgency import level_for
from tickets.verbs.dispatching import auto_dispatch, staff_extra
from tickets.verbs.grave import background, owe_call, tell_grave
from tickets.verbs.planning import survey_first
from tickets.verbs.steps import move, set_clocks

KINDS = ("BX", "TS", "ZX", "JY", "BY", "YH")
EMERGENCY_CONTACT = timedelta(minutes=3)


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


def drafted(kind: str, data: dict[str, Any], fault: dict[str, Any], *, several: bool) -> Report:
    """What a draft holds of one fault or complaint (actions/drafts.py); who told it and where is added by the caller."""
    label, start, end = data.get("wanted") or ["", None, None]
    return Report(
        kind=kind,
        code=fault["code"],
        symptom=fault["words"] if several else data.get("words") or fault["words"],
        source_key=None,
        place_key=fault.get("place_key", ""),
        place_text=fault.get("place_text") or "",
        public_area=bool(fault.get("public")),
        urgent_said=bool(fault.get("urgent")),
        flags=dict(data.get("flags", {})),
        wanted_label=label,
        wanted_start_at=datetime.fromisoformat(start) if start else None,
        wanted_end_at=datetime.fromisoformat(end) if end else None,
        contact_phone=data.get("phone", ""),
    )


def reporter_actor(report: Report) -> Actor:
    return Actor(resident=report.reporter, staff=None if report.reporter else report.reporter_staff)


def register(session: Session, community_id: int, report: Report, now: datetime) -> Ticket:
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
        department=_department(report, row.department),
        linked_id=report.linked.id if report.linked else None,
        wanted_label=report.wanted_label,
        wanted_start_at=report.wanted_start_at,
        wanted_end_at=report.wanted_end_at,
        created_at=now,
        handler=None,
        owner=None,
    )
    ticket.contact_at = notify.next_contact(ticket, now)
    if ticket.kind == "BX":
        # Also for what is merged at once and may become a job of its own again.
        ticket.owner = next(iter(leaders(session, community_id, ticket.department)), None)
    session.add(ticket)
    session.flush()
    return ticket


def _department(report: Report, usual: str) -> str:
    if report.kind != "TS":
        return usual
    return complaints.department_meant(report.code, report.symptom, report.accused, usual)


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


def start_repair(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    set_clocks(ticket, now)
    if ticket.level == "U0":
        ticket.contact_at = now + EMERGENCY_CONTACT
        alarm(session, ticket, event, now)
    if not survey_first(session, ticket, now):
        auto_dispatch(session, ticket, now)


def alarm(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """Life safety: guards, engineering, desk on duty and the manager learn of it at once (domain.md §3.4 c)."""
    for staff in alarm_list(session, ticket.community_id, ticket.code, now):
        notify.tell_staff(session, staff, ticket, event, "push.alarm", now, extra=staff_extra(ticket))


def alarm_list(session: Session, community_id: int, code: str, now: datetime) -> list[Staff]:
    """Whom a danger of this category is told at once: leaders, the desk, and guards, plumbers and electricians on duty. What is
    confidential (somebody wants to die, domain.md §3.4) only the manager, the desk and the department that looks after it."""
    row = category(code)
    everyone = session.scalars(select(Staff).where(Staff.community_id == community_id, Staff.active).order_by(Staff.id))
    if row.confidential:
        near = [one for one in everyone if one.role == "manager" or one.department in (row.department, "desk")]
        return [one for one in near if one.role != "worker" or on_shift(one, now)]
    return [
        one
        for one in everyone
        if one.role in ("supervisor", "manager", "desk")
        or (on_shift(one, now) and {"security", "plumber", "electrician"} & set(one.trades))
    ]


def start_desk_matter(session: Session, ticket: Ticket, event: TicketEvent, report: Report, now: datetime) -> None:
    """Complaints, questions, suggestions and praise go to a named colleague at once, never to the accused (domain.md §2.4)."""
    handler = _desk_handler(session, ticket, report.accused, now)
    _promise_answer(ticket, now)
    if handler is None:
        return
    ticket.owner = handler
    ticket.handler = handler
    move(session, ticket, SYSTEM, "assign", now, note=handler.name)
    session.add(
        Assignment(ticket_id=ticket.id, staff=handler, state="offered", offered_at=now, accept_by=ticket.accept_by)
    )
    if ticket.level == "C1":
        owe_call(session, ticket, now)
    more = background(session, ticket, handler, now)
    if not (ticket.detail or {}).get("right"):
        # Who decides about a right over data gets a card of its own (tickets/rights.py).
        buttons = _desk_buttons(ticket)
        notify.tell_staff(session, handler, ticket, event, f"push.desk_{ticket.kind}", now, buttons=buttons, more=more)
    _ask_department(session, ticket, event, now)
    if ticket.level == "C1":
        tell_grave(session, ticket, now)


def _ask_department(session: Session, ticket: Ticket, event: TicketEvent, now: datetime) -> None:
    """Whoever knows is asked beside the front desk, which stays responsible (domain.md S52)."""
    if asked := category(ticket.code).asks:
        for leader in leaders(session, ticket.community_id, asked):
            name = say(f"department.{asked}")
            notify.tell_staff(session, leader, ticket, event, "push.ask_department", now, department=name)


def _promise_answer(ticket: Ticket, now: datetime) -> None:
    """By when it is taken and answered."""
    if ticket.kind == "ZX":
        ticket.finish_by, ticket.accept_by = inquiry_promise(now, category(ticket.code).answer_days), None
        return
    due = due_times(ticket.level, now)
    ticket.accept_by = due.accept_by
    ticket.finish_by = suggestion_due(now) if ticket.kind == "JY" else complaint_due(ticket.level, now)


def _desk_buttons(ticket: Ticket) -> list[tuple[str, str]]:
    return [] if ticket.kind == "ZX" else [(f"accept:{ticket.id}", say("button.take"))]


def _desk_handler(session: Session, ticket: Ticket, accused: Staff | None, now: datetime) -> Staff | None:
    """Who has it first; whoever is complained about never, so that in the end it goes to those above."""
    community = ticket.community_id
    if (ticket.detail or {}).get("right") == "erase":
        pool = managers(session, community)
    elif ticket.kind in ("ZX", "JY", "BY") or ticket.department == "desk":
        query = (
            select(Staff).where(Staff.community_id == community, Staff.role == "desk", Staff.active).order_by(Staff.id)
        )
        desk = session.scalars(query).all()
        pool = [one for one in desk if on_shift(one, now)] or list(desk)
        if ticket.kind == "TS":
            pool = leaders(session, community, "desk") or pool
    elif ticket.department == "manager":
        pool = managers(session, community)
    else:
        pool = leaders(session, community, ticket.department)
    above = (*pool, *managers(session, community), *company(session, community), *leaders(session, community, "desk"))
    return next((one for one in above if accused is None or one.id != accused.id), None)

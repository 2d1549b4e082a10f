"""Rows of the database as the rows of tickets/kpi.py: which tickets belong to a period, and what their history says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from storage.models import (
    Conversation,
    Identity,
    InboxMessage,
    OutboxMessage,
    Rectification,
    Resident,
    Staff,
    Ticket,
    TicketEvent,
)
from storage.models import Talk as PersonTalk
from tickets import lifecycle
from tickets.kpi import Job, Matter, Ratio, Talk
from tickets.sla import due_times
from tickets.texts import LOCAL, say

SAME_FAULT_WITHIN = timedelta(days=30)
NOT_COUNTED = ("cancelled", "merged", "referred")
ENDINGS = ("resolve", "false_alarm")
# Hazards are found, not reported by residents: they are work too, but no repair figure counts them.
REPAIRS, HAZARDS, MATTERS = ("BX",), ("YH",), ("TS", "ZX", "JY", "BY")
# How many ids go into one query.
CHUNK = 500


@dataclass(frozen=True)
class Scope:
    """What one leader may count and read (domain.md §9.3): the whole community, a department, or a butler's area."""

    community_id: int
    department: str = ""
    areas: tuple[str, ...] = ()
    # Complaints about the reader do not exist for them.
    reader: int = 0

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [Ticket.community_id == self.community_id]
        if self.department:
            found.append(Ticket.department == self.department)
        if self.areas:
            # A public place of the area has its key behind "PUB:".
            inside = (Ticket.place_key.startswith(before + area) for area in self.areas for before in ("", "PUB:"))
            found.append(or_(*inside))
        if self.reader:
            accused = Ticket.detail["accused"].as_integer()
            found.append(or_(Ticket.kind != "TS", accused.is_(None), accused != self.reader))
        return found


def scope_of(staff: Staff) -> Scope:
    """A manager and the front desk's supervisor see the whole community, other supervisors their department, the desk its area."""
    if staff.role == "supervisor" and staff.department != "desk":
        return Scope(staff.community_id, department=staff.department, reader=staff.id)
    if staff.role == "desk":
        return Scope(staff.community_id, areas=tuple(staff.areas), reader=staff.id)
    return Scope(staff.community_id, reader=staff.id)


def done_between(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Finished in [start, end), or closed then without ever having been finished.

    Two conditions instead of one over `coalesce`, because each has its index.
    """
    never_finished = Ticket.finished_at.is_(None) & (Ticket.closed_at >= start) & (Ticket.closed_at < end)
    return (Ticket.finished_at >= start) & (Ticket.finished_at < end) | never_finished


# --- jobs -------------------------------------------------------------------------------------------------------------


def jobs_finished(session: Session, scope: Scope, start: datetime, end: datetime) -> list[Job]:
    """Repairs that count in [start, end): those whose accepted round was finished then (domain.md §6)."""
    query = select(Ticket).where(*scope.conditions(), Ticket.kind.in_(REPAIRS), done_between(start, end))
    return as_jobs(session, query)


def jobs_taken_in(session: Session, scope: Scope, start: datetime, end: datetime) -> list[Job]:
    """Repairs reported in [start, end), in whatever state they are now."""
    query = select(Ticket).where(
        *scope.conditions(), Ticket.kind.in_(REPAIRS), Ticket.created_at >= start, Ticket.created_at < end
    )
    return as_jobs(session, query)


def as_jobs(session: Session, query: Select[Ticket]) -> list[Job]:
    tickets = list(session.scalars(query.order_by(Ticket.id)))
    histories = _histories(session, [one.id for one in tickets])
    broken_again = _broken_again(session, tickets)
    return [job_of(one, histories.get(one.id, []), same_fault=one.id in broken_again) for one in tickets]


def _histories(session: Session, ids: Sequence[int]) -> dict[int, list[TicketEvent]]:
    found: dict[int, list[TicketEvent]] = {}
    for start in range(0, len(ids), CHUNK):
        query = select(TicketEvent).where(TicketEvent.ticket_id.in_(ids[start : start + CHUNK]))
        for event in session.scalars(query.order_by(TicketEvent.id)):
            found.setdefault(event.ticket_id, []).append(event)
    return found


def _broken_again(session: Session, tickets: Sequence[Ticket]) -> set[int]:
    """Tickets after whose finish the same fault was reported from the same place within 30 days."""
    done = [one for one in tickets if one.place_key and one.finished_at]
    if not done:
        return set()
    query = select(Ticket.place_key, Ticket.code, Ticket.created_at, Ticket.id).where(
        Ticket.community_id == done[0].community_id,
        Ticket.kind == "BX",
        Ticket.status.not_in(("cancelled", "merged")),
        Ticket.created_at > min(one.finished_at for one in done if one.finished_at),
        Ticket.created_at <= max(one.finished_at for one in done if one.finished_at) + SAME_FAULT_WITHIN,
    )
    later: dict[tuple[str, str], list[tuple[datetime, int]]] = {}
    for key, code, created, ticket_id in session.execute(query):
        later.setdefault((key, code), []).append((created, ticket_id))
    return {
        one.id
        for one in done
        for created, other in later.get((one.place_key, one.code), ())
        if other != one.id and one.finished_at and one.finished_at < created <= one.finished_at + SAME_FAULT_WITHIN
    }


def job_of(ticket: Ticket, history: Sequence[TicketEvent], *, same_fault: bool = False) -> Job:
    """A ticket and its history as one row of the figures."""
    quote = (ticket.detail or {}).get("quote") or {}
    return Job(
        no=ticket.ticket_no,
        level=ticket.level,
        code=ticket.code,
        created_at=ticket.created_at,
        place_key=ticket.place_key,
        public_area=ticket.public_area,
        excluded=is_excluded(ticket, history),
        worker=ticket.handler.name if ticket.handler else "",
        rounds=ticket.round,
        same_fault=same_fault,
        scores=tuple(score for score in (ticket.score_attitude, ticket.score_quality) if score is not None),
        urged=ticket.urge_count,
        handed_on=_count(history, "decline", "transfer_asked"),
        offers=max(1, _count(history, "assign", "reassign", "not_fixed", "transfer_asked")),
        escalated=_count(history, "escalate") > 1,
        paid=bool(quote.get("fen")),
        consented=bool(quote.get("consent")),
        **_times(ticket, history),
        **_acceptance(ticket, history),
    )


def _times(ticket: Ticket, history: Sequence[TicketEvent]) -> dict[str, Any]:
    """Acceptance and arrival as they first happened, the finish of the last round; each with the limit that applied."""
    accepted = _first(history, "accept", "grab", "take_over")
    arrived = _first(history, "arrived")
    due = due_times(ticket.level, _clock_began(ticket, history, accepted))
    paused = _paused(history)
    return {
        "accept_by": due.accept_by,
        "accepted_at": accepted,
        "arrive_by": _window_end(ticket, history, arrived) or due.arrive_by,
        "arrived_at": arrived,
        "needs_visit": arrived is not None,
        "due_at": ticket.finish_by - paused if ticket.finish_by else None,
        "paused": paused,
        "finished_at": ticket.finished_at or (ticket.closed_at if ticket.status == "closed" else None),
    }


def _first(history: Iterable[TicketEvent], *actions: str) -> datetime | None:
    return next((event.at for event in history if event.action in actions), None)


def _count(history: Iterable[TicketEvent], *actions: str) -> int:
    return sum(event.action in actions for event in history)


def _clock_began(ticket: Ticket, history: Iterable[TicketEvent], accepted: datetime | None) -> datetime:
    """Limits count from the report, or from the last change of class before somebody took it."""
    changes = [event.at for event in history if event.action == "level" and (accepted is None or event.at <= accepted)]
    return changes[-1] if changes else ticket.created_at


def _window_end(ticket: Ticket, history: Iterable[TicketEvent], arrived: datetime | None) -> datetime | None:
    """The end of the visit window that was agreed when the worker came; it replaces the limit (domain.md §2.2)."""
    if ticket.round == 1:
        wished = None if ticket.level in ("U0", "U1") else ticket.wanted_end_at
        return ticket.appointment_end_at or wished
    ends = [
        str(event.data["end"])
        for event in history
        if event.action in ("appointment_proposed", "appointment_changed")
        and (event.data or {}).get("end")
        and (arrived is None or event.at <= arrived)
    ]
    return datetime.fromisoformat(ends[-1]) if ends else None


def _paused(history: Iterable[TicketEvent]) -> timedelta:
    """Time on hold in the present round; an earlier round's clock is gone with it."""
    total, since = timedelta(), None
    for event in history:
        if event.to_status == "on_hold":
            since = event.at
        elif since is not None and event.from_status == "on_hold":
            total, since = total + (event.at - since), None
        if event.to_status == "rework":
            total, since = timedelta(), None
    return total


def _acceptance(ticket: Ticket, history: Sequence[TicketEvent]) -> dict[str, Any]:
    """Who accepted it, and whether the resident was heard afterwards. Only a resident at home can be called back about."""
    closed = ticket.status == "closed"
    how = ""
    if ticket.default_accepted and closed:
        how = "default"
    elif confirmed := next((event for event in reversed(history) if event.action == "confirm"), None):
        how = "resident" if confirmed.actor.startswith("resident:") else "inspector"
    finished = next((event.id for event in reversed(history) if event.action == "finish"), 0)
    heard = any(event.actor.startswith("resident:") and event.id > finished for event in history) if finished else False
    due = ticket.reporter_id is not None and not ticket.public_area and bool(finished) and closed
    return {
        "accepted_as": how,
        "callback_due": due,
        "answered": due and heard,
        "called_back": due and (heard or ticket.default_accepted),
    }


def is_excluded(ticket: Ticket, history: Iterable[TicketEvent]) -> bool:
    """Called off, merged, told to somebody else, a false alarm or a test: no figure counts it (domain.md §6)."""
    return ticket.status in NOT_COUNTED or any(_ended_as_alarm(event.action, event.note) for event in history)


def _ended_as_alarm(action: str, note: str) -> bool:
    return action in ENDINGS and any(word in note for word in say("not_counted").split())


def false_alarms(session: Session, ids: Sequence[int]) -> set[int]:
    """Those of these tickets that a leader ended as a false alarm or a test."""
    found: set[int] = set()
    for start in range(0, len(ids), CHUNK):
        query = select(TicketEvent.ticket_id, TicketEvent.action, TicketEvent.note).where(
            TicketEvent.ticket_id.in_(ids[start : start + CHUNK]), TicketEvent.action.in_(ENDINGS)
        )
        found |= {ticket_id for ticket_id, action, note in session.execute(query) if _ended_as_alarm(action, note)}
    return found


# --- complaints, questions, suggestions, praise -----------------------------------------------------------------------


def matters_of(session: Session, scope: Scope, start: datetime, end: datetime, now: datetime) -> list[Matter]:
    """Matters answered in [start, end), and those whose answer was due then and has not come by `now`."""
    past = min(end, now)
    answered = (Ticket.finished_at >= start) & (Ticket.finished_at < end)
    missed = Ticket.finished_at.is_(None) & (Ticket.finish_by >= start) & (Ticket.finish_by < past)
    ended = Ticket.finished_at.is_(None) & (Ticket.closed_at >= start) & (Ticket.closed_at < end)
    query = select(Ticket).where(*scope.conditions(), Ticket.kind.in_(MATTERS), answered | missed | ended)
    tickets = list(session.scalars(query.order_by(Ticket.id)))
    histories = _histories(session, [one.id for one in tickets])
    again = _complained_again(session, tickets)
    return [matter_of(one, histories.get(one.id, []), again=one.id in again) for one in tickets]


def matter_of(ticket: Ticket, history: Sequence[TicketEvent], *, again: bool = False) -> Matter:
    closed = ticket.status in lifecycle.FINAL
    detail = ticket.detail or {}
    return Matter(
        no=ticket.ticket_no,
        kind=ticket.kind,
        level=ticket.level,
        code=ticket.code,
        created_at=ticket.created_at,
        excluded=is_excluded(ticket, history),
        answer_by=ticket.finish_by if ticket.kind in ("TS", "ZX", "JY") else None,
        answered_at=ticket.finished_at or ticket.closed_at,
        settled=ticket.status == "closed",
        closed=closed,
        explained=bool(detail.get("cause") and detail.get("prevention")),
        again=again,
        rounds=ticket.round,
    )


def _complained_again(session: Session, tickets: Sequence[Ticket]) -> set[int]:
    """Complaints after whose end the same person complained of the same thing within 30 days."""
    ended = [one for one in tickets if one.kind == "TS" and one.closed_at and one.reporter_id]
    if not ended:
        return set()
    query = select(Ticket.reporter_id, Ticket.code, Ticket.created_at).where(
        Ticket.community_id == ended[0].community_id,
        Ticket.kind == "TS",
        Ticket.reporter_id.in_({one.reporter_id for one in ended}),
    )
    later: dict[tuple[int, str], list[datetime]] = {}
    for person, code, created in session.execute(query):
        later.setdefault((person or 0, code), []).append(created)
    return {
        one.id
        for one in ended
        for created in later.get((one.reporter_id or 0, one.code), ())
        if one.closed_at and one.closed_at < created <= one.closed_at + SAME_FAULT_WITHIN
    }


# --- conversations, contacts of our own accord, measures ----------------------------------------------------------------

# How long a message of a resident may be without an answer, a ticket or a person (domain.md §6.2).
SILENT_FOR = timedelta(hours=24)
# Of our own accord and about how people are, not about a job under way: calls after the work, notices to neighbours.
CARE = ("%:push.callback:%", "%:push.callback_emergency:%", "%:broadcast:%")


def talk_of(session: Session, scope: Scope, start: datetime, end: datetime, now: datetime) -> Talk:
    """The figures of [start, end) that no ticket holds. Conversations belong to no department, so only whoever leads the whole
    community has theirs."""
    rectified = _rectified(session, scope, start, min(end, now))
    if scope.department or scope.areas:
        return Talk(rectified=rectified)
    return Talk(
        _handed_over(session, scope, start, end),
        _unanswered(session, scope, start, min(end, now - SILENT_FOR)),
        _care_reached(session, scope, start, min(end, now)),
        rectified,
    )


def _heard(scope: Scope, start: datetime, end: datetime, *columns: Any) -> Select[Any]:
    """`columns` of the messages that residents of the community wrote in [start, end)."""
    return (
        select(*columns)
        .select_from(InboxMessage)
        .join(Conversation, Conversation.id == InboxMessage.conversation_id)
        .join(Identity, Identity.id == Conversation.identity_id)
        .join(Resident, Resident.id == Identity.resident_id)
        .where(
            Resident.community_id == scope.community_id,
            InboxMessage.received_at >= start,
            InboxMessage.received_at < end,
        )
    )


def _handed_over(session: Session, scope: Scope, start: datetime, end: datetime) -> Ratio:
    """Residents who wanted or got a person on a day ÷ residents who wrote on a day."""
    query = _heard(scope, start, end, Resident.id, InboxMessage.received_at)
    wrote = {(person, _day(at)) for person, at in session.execute(query)}
    asked = select(PersonTalk.resident_id, PersonTalk.asked_at).where(
        PersonTalk.community_id == scope.community_id, PersonTalk.asked_at >= start, PersonTalk.asked_at < end
    )
    handed = {(person, _day(at)) for person, at in session.execute(asked)}
    return Ratio(len(wrote & handed), len(wrote))


def _day(at: datetime) -> date:
    return at.astimezone(LOCAL).date()


def _unanswered(session: Session, scope: Scope, start: datetime, end: datetime) -> int:
    """Messages of residents that had no answer within a day, or have none yet."""
    query = _heard(scope, start, end, InboxMessage.received_at, InboxMessage.done_at)
    return sum(done is None or done - heard > SILENT_FOR for heard, done in session.execute(query))


def _care_reached(session: Session, scope: Scope, start: datetime, end: datetime) -> Ratio:
    """Contacts of our own accord that arrived ÷ those that were due."""
    query = (
        select(OutboxMessage.status)
        .join(Resident, Resident.id == OutboxMessage.resident_id)
        .where(Resident.community_id == scope.community_id, OutboxMessage.status != "withdrawn")
        .where(OutboxMessage.due_at >= start, OutboxMessage.due_at < end)
        .where(or_(*(OutboxMessage.dedupe_key.like(pattern) for pattern in CARE)))
    )
    found = list(session.scalars(query))
    return Ratio(found.count("sent"), len(found))


def _rectified(session: Session, scope: Scope, start: datetime, end: datetime) -> Ratio:
    """整改单 done by their date ÷ those that were due."""
    query = (
        select(Rectification.done_at, Rectification.due_at)
        .join(Staff, Staff.id == Rectification.owner_id)
        .where(Rectification.community_id == scope.community_id)
        .where(Rectification.due_at >= start, Rectification.due_at < end)
    )
    if scope.department:
        query = query.where(Staff.department == scope.department)
    due = list(session.execute(query))
    return Ratio(sum(done is not None and done <= by for done, by in due), len(due))

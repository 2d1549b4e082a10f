"""What leaders do beside the lifecycle: chase, explain, check again, have things put right. Each is a line of the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from nlu.slots import mask_phone
from storage.models import Assignment, OutboxMessage, Rectification, Resident, Staff, Ticket, TicketEvent
from tickets import lifecycle, notify, verbs
from tickets.errors import BadInput, NotAllowed, NotFound, WrongStatus
from tickets.people import Actor, homes_of, relations
from tickets.periods import midnight
from tickets.texts import LOCAL, clock, has_text, say

REMIND_AT = time(9, 0)
CHECKED_AGAIN = "spot_check"
STUCK = timedelta(minutes=10)


def _require_leader(session: Session, ticket: Ticket, actor: Actor) -> Staff:
    if actor.staff is None or not relations(session, ticket, actor) & {lifecycle.DESK, lifecycle.SUPERVISOR}:
        raise NotAllowed(action="lead")
    return actor.staff


def nudge(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> Staff:
    """催: the responsible colleague is asked by a leader how it stands; returns who was asked."""
    _require_leader(session, ticket, actor)
    if ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="nudge")
    asked = ticket.handler or ticket.owner
    if asked is None or (actor.staff and asked.id == actor.staff.id):
        raise BadInput(name="")
    event = verbs.record(session, ticket, actor, "nudge", now, note=asked.name)
    notify.tell_staff(session, asked, ticket, event, "push.nudged", now, by=actor.name)
    return asked


def why(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> str:
    """为什么派给他: each offer of the ticket with the reasons of the choice, and how it ended."""
    _require_leader(session, ticket, actor)
    query = select(Assignment).where(Assignment.ticket_id == ticket.id).order_by(Assignment.id)
    rows = [
        say(
            "lead.why_line",
            at=clock(one.offered_at, now),
            name=one.staff.name,
            why=say("list.comma").join(filter(None, map(_reason, one.why))) or say("lead.why_unknown"),
            state=say(f"lead.offer_{one.state}"),
            reason=say("lead.because", reason=one.reason) if one.reason else "",
        )
        for one in session.scalars(query)
    ]
    head = say("lead.why_head", **notify.facts(ticket, now))
    return "\n".join([head, *rows]) if rows else head + say("lead.why_nobody")


def _reason(word: str) -> str:
    """A reason of the choice in words: "load:2" is how many jobs the worker had."""
    name, _, value = str(word).partition(":")
    return say(f"why.{name}", n=value) if has_text(f"why.{name}") else ""


def check_again(session: Session, ticket: Ticket, actor: Actor, good: bool, words: str, now: datetime) -> None:
    """抽查: a leader looked at finished work again. Bad work is opened again, by the rules of reopening (domain.md §6.4)."""
    _require_leader(session, ticket, actor)
    if ticket.status != "closed":
        raise WrongStatus(status=ticket.status, action="check")
    verbs.record(session, ticket, actor, CHECKED_AGAIN, now, note=words, good=good)
    if not good:
        verbs.reopen(session, ticket, actor, words or say("lead.check_failed"), now)


def checked_again(session: Session, tickets: Sequence[Ticket]) -> set[int]:
    """Which of these a leader has looked at again."""
    ids = [one.id for one in tickets]
    query = select(TicketEvent.ticket_id).where(TicketEvent.ticket_id.in_(ids), TicketEvent.action == CHECKED_AGAIN)
    return set(session.scalars(query))


# --- who was not reached ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unreached:
    """A person whom messages of the last days did not reach."""

    name: str
    home: str
    phone: str
    count: int
    tails: tuple[str, ...]


def undelivered(session: Session, community_id: int, now: datetime) -> list[Unreached]:
    """Whom nothing reached in the last week: dead letters, and what could not go out for ten minutes. Newest first."""
    stuck = (
        (OutboxMessage.status == "pending") & (OutboxMessage.attempts > 0) & (OutboxMessage.created_at <= now - STUCK)
    )
    query = (
        select(OutboxMessage, Resident, Staff, Ticket.tail)
        .outerjoin(Resident, Resident.id == OutboxMessage.resident_id)
        .outerjoin(Staff, Staff.id == OutboxMessage.staff_id)
        .outerjoin(Ticket, Ticket.id == OutboxMessage.ticket_id)
        .where(or_(OutboxMessage.status == "dead", stuck), OutboxMessage.created_at >= now - timedelta(days=7))
        .where(func.coalesce(Resident.community_id, Staff.community_id) == community_id)
        .order_by(OutboxMessage.id.desc())
    )
    found: dict[str, tuple[Resident | Staff, list[str]]] = {}
    for row, resident, staff, tail in session.execute(query):
        key = f"resident:{row.resident_id}" if row.resident_id else f"staff:{row.staff_id}"
        found.setdefault(key, (resident or staff, []))[1].append(tail or "")
    return [_unreached(session, person, tails) for person, tails in found.values()]


def _unreached(session: Session, person: Resident | Staff, tails: list[str]) -> Unreached:
    resident = person if isinstance(person, Resident) else None
    homes = [one for one in homes_of(session, resident) if one.verified_at] if resident else []
    return Unreached(
        (resident.salutation if resident else "") or person.name or say("person.unnamed"),
        homes[0].household.display if homes else "",
        mask_phone(person.phone) if person.phone else say("phone.missing"),
        len(tails),
        tuple(dict.fromkeys(filter(None, tails)))[:4],
    )


# --- 整改 --------------------------------------------------------------------------------------------------------------


def rectify(
    session: Session,
    actor: Actor,
    owner: Staff,
    what: str,
    due: datetime,
    now: datetime,
    *,
    ticket: Ticket | None = None,
) -> Rectification:
    """整改单: a named colleague has to put something right by a date; they hear of it now, the day before, and daily once late."""
    leader = actor.staff
    if leader is None or leader.role not in ("supervisor", "manager"):
        raise NotAllowed(action="rectify")
    if owner.community_id != leader.community_id or due <= now or not what.strip():
        raise BadInput(what=what)
    # The day before at nine, or soon where that has passed.
    first = max(_at_nine(due - timedelta(days=1)), now + timedelta(hours=1))
    row = Rectification(community_id=leader.community_id, what=what.strip(), owner=owner, asked_by=leader)
    row.ticket_id = ticket.id if ticket else None
    row.created_at, row.due_at, row.remind_at = now, due, first
    session.add(row)
    session.flush()
    if ticket is not None:
        verbs.record(session, ticket, actor, "rectify", now, note=row.what, rectification=row.id)
    _tell(session, owner, row, "push.rectify", now)
    return row


def rectified(session: Session, actor: Actor, number: int, result: str, now: datetime) -> Rectification:
    """Done, said by its owner or by a leader; whoever asked for it hears how."""
    row = session.get(Rectification, number, with_for_update=True)
    staff = actor.staff
    if staff is None or row is None or row.community_id != staff.community_id:
        raise NotFound(no=number)
    if staff.id not in (row.owner_id, row.asked_by_id) and staff.role != "manager":
        raise NotAllowed(action="rectified")
    if row.done_at is not None:
        raise WrongStatus(status="done", action="rectified")
    row.done_at, row.result = now, result
    if row.asked_by_id != staff.id:
        _tell(session, row.asked_by, row, "push.rectified", now)
    return row


def open_rectifications(session: Session, staff: Staff) -> list[Rectification]:
    """Those of the community (a worker's: their own), the next due first."""
    query = select(Rectification).where(
        Rectification.community_id == staff.community_id, Rectification.done_at.is_(None)
    )
    if staff.role == "worker":
        query = query.where(Rectification.owner_id == staff.id)
    return list(session.scalars(query.order_by(Rectification.due_at, Rectification.id)))


def rectification_line(row: Rectification, now: datetime) -> str:
    late = say("lead.late") if row.due_at < now else ""
    return say(
        "lead.rectification", id=row.id, what=row.what, name=row.owner.name, due=clock(row.due_at, now), late=late
    )


def remind(session: Session, now: datetime) -> None:
    """The sweep of 整改单: the owner the day before and on every late day, whoever asked for it once it is late."""
    query = select(Rectification).where(Rectification.done_at.is_(None), Rectification.remind_at <= now)
    for row in session.scalars(query.with_for_update(of=Rectification)):
        late = row.due_at <= now
        _tell(session, row.owner, row, "push.rectify_late" if late else "push.rectify_soon", now)
        if late and row.asked_by_id != row.owner_id:
            _tell(session, row.asked_by, row, "push.rectify_late", now)
        row.remind_at = _at_nine(now + timedelta(days=1))


def _tell(session: Session, person: Staff, row: Rectification, key: str, now: datetime) -> None:
    text = say(key, id=row.id, what=row.what, due=clock(row.due_at, now), by=row.asked_by.name, name=row.owner.name,
               result=row.result)  # fmt: skip
    day = midnight(now).date().isoformat()
    notify.push(session, person, text, key=f"rectification:{row.id}:{key}:{day}:staff:{person.id}", now=now)


def _at_nine(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(LOCAL).date(), REMIND_AT, LOCAL)

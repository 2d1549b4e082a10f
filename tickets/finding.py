"""Which ticket people mean: by number, by tail, by being the only one it can be."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from storage.models import Assignment, CoHandler, Follower, Staff, Ticket
from tickets import lifecycle
from tickets.catalog import category
from tickets.errors import NotFound, NoTicket, WhichTicket
from tickets.notify import facts
from tickets.people import Actor, home_key, is_accused, may_see
from tickets.texts import say
from tickets.words import alike_among, named_among

CHOICES = 6
"""So many are offered where it is not clear which is meant."""


def by_number(session: Session, community_id: int, number: str, actor: Actor) -> Ticket:
    """The ticket of a full number or a four-digit tail (the newest with that tail). Raises NotFound, also for what is not theirs."""
    number = number.upper().replace(" ", "")
    query = select(Ticket).where(Ticket.community_id == community_id)
    if "-" in number:
        query = query.where(Ticket.ticket_no == number)
    else:
        digits = "".join(char for char in number if char.isdigit()).zfill(4)
        kind = number[:2] if number[:2].isalpha() else ""
        query = query.where(Ticket.tail == digits, *([Ticket.kind == kind] if kind else []))
    for ticket in session.scalars(query.order_by(Ticket.id.desc()).limit(20)):
        if may_see(session, ticket, actor) or _offered(session, ticket, actor):
            return ticket
    raise NotFound(no=number)


def _offered(session: Session, ticket: Ticket, actor: Actor) -> bool:
    """Whether this worker was ever sent this ticket, or may grab it (nobody has it)."""
    if actor.staff is None or actor.staff.community_id != ticket.community_id:
        return False
    if is_accused(ticket, actor.staff):
        # Not even that there is a complaint about them.
        return False
    grabbable = ticket.kind in ("BX", "YH") and ticket.status in ("new", "assigned", "rework", "in_progress")
    if grabbable and actor.staff.role == "worker":
        return True
    query = select(Assignment.id).where(Assignment.ticket_id == ticket.id, Assignment.staff_id == actor.staff.id)
    return session.scalar(query.limit(1)) is not None


def jobs_of(session: Session, staff: Staff, *statuses: str) -> list[Ticket]:
    """The worker's tickets in these statuses (default: everything open), most pressing first."""
    wanted = statuses or tuple(lifecycle.OPEN)
    query = select(Ticket).where(Ticket.handler_id == staff.id, Ticket.status.in_(wanted))
    return list(session.scalars(query.order_by(Ticket.level, Ticket.finish_by, Ticket.id)))


def nth_job(session: Session, staff: Staff, nth: int) -> Ticket:
    """「第二个」 of the list a worker was shown. Raises NotFound where it is shorter, and for leaders, who are shown many lists."""
    jobs = jobs_of(session, staff) if staff.role == "worker" else []
    if nth > len(jobs):
        raise NotFound(no=nth)
    return jobs[nth - 1]


def loads(session: Session, community_id: int) -> dict[int, int]:
    """How many jobs each colleague of a community has on hand; who has none is missing."""
    query = select(Ticket.handler_id, func.count()).where(
        Ticket.community_id == community_id, Ticket.status.in_(lifecycle.OWNED)
    )
    counted = session.execute(query.group_by(Ticket.handler_id))
    return {handler: jobs for handler, jobs in counted if handler is not None}


def open_complaints(session: Session, community_id: int) -> list[Ticket]:
    """Every complaint of a community that is not over."""
    query = select(Ticket).where(
        Ticket.community_id == community_id, Ticket.kind == "TS", Ticket.status.in_(lifecycle.OPEN)
    )
    return list(session.scalars(query.order_by(Ticket.id)))


def helped_by(session: Session, staff: Staff) -> list[Ticket]:
    """Open matters a colleague helps with (协办)."""
    query = select(Ticket).join(CoHandler, CoHandler.ticket_id == Ticket.id)
    query = query.where(CoHandler.staff_id == staff.id, Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.level, Ticket.id)))


def offers_to(session: Session, staff: Staff) -> list[Ticket]:
    """Tickets offered to this worker and not yet taken."""
    query = (
        select(Ticket)
        .join(Assignment, Assignment.ticket_id == Ticket.id)
        .where(Assignment.staff_id == staff.id, Assignment.state == "offered", Ticket.status.in_(lifecycle.OPEN))
        .order_by(Ticket.level, Ticket.id)
    )
    return list(session.scalars(query).unique())


def open_of(session: Session, actor: Actor, *, kinds: tuple[str, ...] = ()) -> list[Ticket]:
    """What this resident has reported (or for their flat) and is not over, newest first."""
    if actor.resident is None:
        return jobs_of(session, actor.staff) if actor.staff else []
    home = home_key(session, actor.resident)
    mine = [Ticket.reporter_id == actor.resident.id]
    if home:
        mine.append((Ticket.place_key == home) & Ticket.public_area.is_(False) & (Ticket.kind == "BX"))
    query = select(Ticket).where(
        Ticket.community_id == actor.resident.community_id, or_(*mine), Ticket.status.in_(lifecycle.OPEN)
    )
    if kinds:
        query = query.where(Ticket.kind.in_(kinds))
    return list(session.scalars(query.order_by(Ticket.id.desc())))


def reported_by(session: Session, staff: Staff) -> list[Ticket]:
    """What this colleague has reported on a round or for somebody and is not over, newest first."""
    query = select(Ticket).where(Ticket.reporter_staff_id == staff.id, Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.id.desc())))


def about(tickets: list[Ticket], text: str) -> list[Ticket]:
    """Those of `tickets` about a thing, or else in a place, that `text` names: 「灯那个不用修了」, 「客厅那个」."""
    named = [
        tickets[index] for index in named_among(text, [f"{category(one.code).name} {one.symptom}" for one in tickets])
    ]
    # Two of one category are told apart by their words only.
    closer = named_among(text, [one.symptom for one in named]) if len(named) > 1 else []
    return [named[index] for index in closer] or named


def spoken_of(tickets: list[Ticket], text: str) -> list[Ticket]:
    """Those of `tickets` in a room that a text names (「1502那个」), and of several there those it is `about`."""
    rooms = _ROOMS.findall(text)
    there = [one for one in tickets if any(room in one.place_key.split("/") for room in rooms)]
    return there if len(there) == 1 else about(there or tickets, text)


def names_room(text: str) -> bool:
    return _ROOMS.search(text) is not None


_ROOMS = re.compile(r"(?<!\d)\d{3,4}(?!\d)")


def named(tickets: list[Ticket], text: str) -> list[Ticket]:
    """Those a text is `about`, else those that share most words with it: 「烧烤店的继续」. For who speaks of what is open."""
    return about(tickets, text) or [tickets[index] for index in alike_among(text, [one.symptom for one in tickets])]


def followed(session: Session, actor: Actor) -> list[Ticket]:
    """What others reported first and this resident has as well, and is not over, newest first."""
    if actor.resident is None:
        return []
    query = select(Ticket).join(Follower, Follower.ticket_id == Ticket.id)
    query = query.where(Follower.resident_id == actor.resident.id, Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.id.desc())).unique())


def last_of(session: Session, actor: Actor, *, kinds: tuple[str, ...] = ()) -> Ticket | None:
    """The ticket (of these kinds) that this resident dealt with last, also a finished one."""
    if actor.resident is None:
        return None
    query = select(Ticket).where(Ticket.reporter_id == actor.resident.id).order_by(Ticket.id.desc())
    if kinds:
        query = query.where(Ticket.kind.in_(kinds))
    return session.scalars(query.limit(1)).first()


def cancelled_since(session: Session, actor: Actor, since: datetime) -> list[Ticket]:
    """The repairs and complaints that this resident took back after `since`, the last one first."""
    if actor.resident is None:
        return []
    query = select(Ticket).where(Ticket.reporter_id == actor.resident.id, Ticket.kind.in_(("BX", "TS")))
    query = query.where(Ticket.status == "cancelled", Ticket.closed_at > since)
    found = session.scalars(query.order_by(Ticket.closed_at.desc(), Ticket.id.desc()))
    # What was told again in so many words is not brought back twice.
    open_ones = {(one.code, one.symptom) for one in open_of(session, actor)}
    return [one for one in found if (one.code, one.symptom) not in open_ones]


def the_one(tickets: list[Ticket], now: datetime) -> Ticket:
    """The only ticket of a list. Raises NoTicket for none, WhichTicket (with the choices, also as buttons) for several."""
    if not tickets:
        raise NoTicket()
    if len(tickets) > 1:
        labels = ((f"say:{one.ticket_no}", say("reply.numbered", **facts(one, now))) for one in tickets[:CHOICES])
        raise WhichTicket(choices=choices(tickets, now), buttons=tuple(labels))
    return tickets[0]


def choices(tickets: list[Ticket], now: datetime) -> str:
    return "\n".join(say("staff.line", **facts(ticket, now)) for ticket in tickets[:CHOICES])

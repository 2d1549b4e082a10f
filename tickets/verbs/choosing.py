"""Who could do it, in which order, and why: the rows that the pure rules of tickets/dispatch.py look at."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from storage.models import Assignment, Community, Staff, Ticket
from tickets import dispatch, finding
from tickets.catalog import category, dispatch_rules
from tickets.people import next_duty, on_leave, on_shift

URGENT = ("U0", "U1")


def mode_of(session: Session, ticket: Ticket) -> str:
    """How this ticket finds its worker: auto, rotation, grab or by_hand (data/catalog/dispatch.yml, then the community's own)."""
    if ticket.level in URGENT:
        return dispatch.AUTO
    own = session.get_one(Community, ticket.community_id).settings.get("dispatch_modes") or {}
    return str(own.get(ticket.code) or dispatch_rules().mode_of(ticket.code))


def candidates(
    session: Session, ticket: Ticket, now: datetime, *, exclude: frozenset[int] = frozenset()
) -> list[tuple[dispatch.Candidate, list[str]]]:
    """Who could go, best first, with reasons."""
    need = need_of(session, ticket, exclude)
    return dispatch.rank(need, _staff_rows(session, ticket, now))


def passed_over(session: Session, ticket: Ticket, now: datetime, exclude: frozenset[int]) -> list[tuple[str, str]]:
    """Who has the trade and was not asked, and what stood against it."""
    return dispatch.passed_over(need_of(session, ticket, exclude), _staff_rows(session, ticket, now))


def need_of(session: Session, ticket: Ticket, exclude: frozenset[int]) -> dispatch.Need:
    trades = category(ticket.code).trades or ("desk",)
    rotation = mode_of(session, ticket) == dispatch.ROTATION
    return dispatch.Need(trades, ticket.place_key, ticket.level in URGENT, exclude, ticket.handler_id, rotation)


def _staff(session: Session, ticket: Ticket) -> list[Staff]:
    query = select(Staff).where(Staff.community_id == ticket.community_id, Staff.role.in_(("worker", "desk")))
    return list(session.scalars(query.where(Staff.active).order_by(Staff.id)))


def _staff_rows(session: Session, ticket: Ticket, now: datetime) -> list[dispatch.Candidate]:
    open_jobs = finding.loads(session, ticket.community_id)
    # Nobody is sent to an appointment that falls into his leave.
    expected = ticket.appointment_start_at or ticket.wanted_start_at or now
    last: dict[int, datetime] = {}
    if mode_of(session, ticket) == dispatch.ROTATION:
        last.update((staff_id, at) for staff_id, at in session.execute(_last_offers(ticket)))
    return [
        dispatch.Candidate(
            one.id,
            one.name,
            tuple(one.trades),
            tuple(one.licences),
            on_shift(one, now) and not on_leave(one, expected),
            tuple(one.areas),
            one.cap,
            open_jobs.get(one.id, 0),
            last.get(one.id),
        )
        for one in _staff(session, ticket)
    ]


def _last_offers(ticket: Ticket) -> Select[int, datetime]:
    """Colleague → when they were last offered a job; one look into the index for each."""
    newest = (
        select(func.max(Assignment.offered_at))
        .where(Assignment.staff_id == Staff.id)
        .correlate(Staff)
        .scalar_subquery()
    )
    return select(Staff.id, newest).where(Staff.community_id == ticket.community_id)


def earliest(session: Session, ticket: Ticket, now: datetime) -> datetime | None:
    """When somebody who could do it comes on duty next; None if they are all on duty (and full), or there is nobody."""
    needed = category(ticket.code).trades or ("desk",)
    fitting = [one for one in _staff(session, ticket) if dispatch.fits_trade(one.trades, one.licences, needed)]
    starts = [next_duty(one, now) for one in fitting if not on_shift(one, now)]
    return min(filter(None, starts), default=None)


def hands_full(session: Session, ticket: Ticket, staff: Staff) -> int | None:
    """How many jobs somebody has who can take no more, else None. An emergency fits into every hand."""
    if ticket.level in URGENT:
        return None
    query = select(func.count()).where(
        Ticket.handler_id == staff.id, Ticket.status.in_(("assigned", "in_progress", "rework"))
    )
    load = session.scalar(query) or 0
    return load if load >= staff.cap else None

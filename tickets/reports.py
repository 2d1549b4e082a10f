"""What leaders are told by the day, week and month (domain.md §6.4): one set of numbers for the text, the picture and the workbook."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from nlu.slots import mask_text
from storage.models import Community, Staff, Ticket, TicketEvent
from tickets import lifecycle
from tickets.catalog import category
from tickets.kpi import ENOUGH, Figures, HotSpot, Job, base, building_of, figures, hot_spots, most
from tickets.ledger import (
    HAZARDS,
    NOT_COUNTED,
    REPAIRS,
    SAME_FAULT_WITHIN,
    Scope,
    done_between,
    jobs_finished,
    jobs_taken_in,
    matters_of,
    talk_of,
)
from tickets.periods import Period, before, days_of, midnight
from tickets.places import register_of
from tickets.texts import LOCAL, say

RUNNING = ("new", "survey", "assigned", "in_progress", "rework")
WAITED_LONG = timedelta(hours=24)
QUOTE_CHARS = 40
SPOT_CHECK_SHARE = 0.1


@dataclass(frozen=True)
class Count:
    """A named number of the pictures and tables."""

    name: str
    value: int


@dataclass(frozen=True)
class Hand:
    """One worker's share of a period."""

    name: str
    finished: int
    open: int
    average: float | None


@dataclass(frozen=True)
class Report:
    """A week or month in numbers."""

    community_id: int
    title: str
    scope: str
    period: Period
    now: datetime
    taken_in: int
    finished: int
    still_open: int
    overdue: int
    figures: Figures
    last: Figures
    by_day: tuple[Count, ...]
    done_by_day: tuple[Count, ...]
    kinds: tuple[Count, ...]
    faults: tuple[Count, ...]
    buildings: tuple[Count, ...]
    complaints: tuple[Count, ...]
    hands: tuple[Hand, ...]
    hot_spots: tuple[HotSpot, ...]
    slowest: tuple[Count, ...]
    quotes: tuple[str, ...]


def build(session: Session, scope: Scope, span: Period, now: datetime) -> Report:
    """The report of a span as far as it has gone by `now`."""
    counted = [job for job in jobs_taken_in(session, scope, span.start, span.end) if not job.excluded]
    done = base(jobs_finished(session, scope, span.start, span.end))
    matters = matters_of(session, scope, span.start, span.end, now)
    answered = sum(one.answered_at is not None for one in matters if not one.excluded)
    new_matters = _matters_taken_in(session, scope, span)
    community = session.get_one(Community, scope.community_id)
    return Report(
        community_id=community.id,
        title=say("report.title", community=community.name, name=span.name),
        scope=scope_name(scope),
        period=span,
        now=now,
        taken_in=len(counted) + len(new_matters),
        finished=len(done) + answered + _hazards_done(session, scope, span),
        still_open=number(session, scope, Ticket.status.in_(lifecycle.OPEN)),
        overdue=number(session, scope, *overdue_conditions(now)),
        figures=figures(done, matters, talk_of(session, scope, span.start, span.end, now)),
        last=figures_of(session, scope, before(span), now),
        by_day=_by_day(span, [job.created_at for job in counted] + [one.created_at for one in new_matters]),
        done_by_day=_by_day(span, [job.finished_at for job in done if job.finished_at]),
        kinds=_kinds(counted, new_matters),
        hands=_hands(session, scope, done),
        hot_spots=tuple(hot_spots(_last_month(session, scope, span, now)))[:10],
        slowest=_slowest(done),
        quotes=_quotes(session, scope, span),
        **_most(session, scope, counted, new_matters),
    )


def _hazards_done(session: Session, scope: Scope, span: Period) -> int:
    done = done_between(span.start, span.end)
    return number(session, scope, Ticket.kind.in_(HAZARDS), Ticket.status.not_in(NOT_COUNTED), done)


def figures_of(session: Session, scope: Scope, span: Period, now: datetime) -> Figures:
    """The figures of a span, as every answer, picture and table shows them."""
    return figures(
        jobs_finished(session, scope, span.start, span.end),
        matters_of(session, scope, span.start, span.end, now),
        talk_of(session, scope, span.start, span.end, now),
    )


def _most(
    session: Session, scope: Scope, counted: Sequence[Job], matters: Sequence[Ticket]
) -> dict[str, tuple[Count, ...]]:
    buildings = most((building_of(job.place_key) for job in counted), limit=5)
    return {
        "faults": _named(most(job.code for job in counted)),
        "buildings": tuple(Count(building_name(session, scope.community_id, key), times) for key, times in buildings),
        "complaints": _named(most((one.code for one in matters if one.kind == "TS"), limit=6)),
    }


def scope_name(scope: Scope) -> str:
    if scope.department:
        return say(f"department.{scope.department}")
    return say("report.scope_area") if scope.areas else say("report.scope_all")


def number(session: Session, scope: Scope, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(Ticket).where(*scope.conditions(), *conditions)
    return session.scalar(query) or 0


def overdue_conditions(now: datetime) -> list[ColumnElement[bool]]:
    """Running, and past the limit of finishing, or of arriving with nobody there yet."""
    not_there = Ticket.arrived_at.is_(None) & (Ticket.arrive_by < now) & Ticket.kind.in_((*REPAIRS, *HAZARDS))
    return [Ticket.status.in_(RUNNING), or_(Ticket.finish_by < now, not_there)]


def due_within(span: timedelta, now: datetime) -> list[ColumnElement[bool]]:
    """Running, not overdue, and one of those limits comes within `span`."""
    arriving = Ticket.arrived_at.is_(None) & Ticket.arrive_by.between(now, now + span)
    arriving &= Ticket.kind.in_((*REPAIRS, *HAZARDS))
    running, late = overdue_conditions(now)
    return [running, ~func.coalesce(late, false()), or_(Ticket.finish_by.between(now, now + span), arriving)]


def _matters_taken_in(session: Session, scope: Scope, period: Period) -> list[Ticket]:
    query = select(Ticket).where(
        *scope.conditions(),
        Ticket.kind.not_in(REPAIRS),
        Ticket.status.not_in(NOT_COUNTED),
        Ticket.created_at >= period.start,
        Ticket.created_at < period.end,
    )
    return list(session.scalars(query.order_by(Ticket.id)))


def _by_day(period: Period, moments: Sequence[datetime]) -> tuple[Count, ...]:
    counted = Counter(moment.astimezone(LOCAL).date() for moment in moments)
    days = days_of(period)
    if period.unit == "year":
        return ()
    return tuple(Count(f"{day.month}-{day.day}", counted[day.date()]) for day in days)


def _kinds(jobs: Sequence[Job], matters: Sequence[Ticket]) -> tuple[Count, ...]:
    counted = Counter([job.no[:2] for job in jobs] + [one.kind for one in matters])
    return tuple(
        Count(say(f"kind.{kind}"), counted[kind]) for kind in ("BX", "TS", "ZX", "JY", "BY", "YH") if counted[kind]
    )


def _named(codes: Sequence[tuple[str, int]]) -> tuple[Count, ...]:
    return tuple(Count(category(code).name, times) for code, times in codes)


def building_name(session: Session, community_id: int, key: str) -> str:
    """How a building is called: 一期3栋."""
    phase, _, code = key.partition("/")
    found = register_of(session, community_id).building(phase, code)
    return found.name if found else code


def _hands(session: Session, scope: Scope, done: Sequence[Job]) -> tuple[Hand, ...]:
    """Who finished how many and has how many on hand. Scores of a person only from ten cases on (domain.md §6)."""
    open_now = dict(
        session.execute(
            select(Staff.name, func.count())
            .join(Ticket, Ticket.handler_id == Staff.id)
            .where(*scope.conditions(), Ticket.kind.in_((*REPAIRS, *HAZARDS)), Ticket.status.in_((*RUNNING, "on_hold")))
            .group_by(Staff.name)
        ).all()
    )
    finished = Counter(job.worker for job in done if job.worker)
    names = sorted({*finished, *open_now}, key=lambda name: (-finished[name], -open_now.get(name, 0), name))
    return tuple(Hand(name, finished[name], open_now.get(name, 0), _average(done, name)) for name in names)


def _average(done: Sequence[Job], name: str) -> float | None:
    own = [job for job in done if job.worker == name]
    rated = sum(bool(job.scores) for job in own)
    return figures(own).average if rated >= ENOUGH else None


def _last_month(session: Session, scope: Scope, period: Period, now: datetime) -> list[Job]:
    """Repairs of the 30 days up to the end of the period: what breaks again and again shows only over time."""
    end = min(period.end, now)
    return jobs_taken_in(session, scope, min(period.start, end - SAME_FAULT_WITHIN), end)


def _slowest(done: Sequence[Job]) -> tuple[Count, ...]:
    """Which step was late how often."""
    late = {
        "accept": sum(1 for job in done if job.accept_by and job.accepted_at and job.accepted_at > job.accept_by),
        "arrive": sum(1 for job in done if job.arrive_by and job.arrived_at and job.arrived_at > job.arrive_by),
        "finish": sum(
            1 for job in done if job.due_at and job.finished_at and job.finished_at - job.paused > job.due_at
        ),
    }
    return tuple(
        Count(say(f"report.step_{step}"), times) for step, times in sorted(late.items(), key=lambda item: -item[1])
    )


def _quotes(session: Session, scope: Scope, period: Period) -> tuple[str, ...]:
    """Words of praise and of complaint, without what tells who said them."""
    query = select(Ticket).where(
        *scope.conditions(),
        Ticket.kind.in_(("BY", "TS")),
        Ticket.status.not_in(("cancelled", "merged")),
        Ticket.created_at >= period.start,
        Ticket.created_at < period.end,
    )
    found = list(session.scalars(query.order_by(Ticket.id.desc()).limit(40)))
    chosen = [one for kind in ("BY", "TS") for one in [row for row in found if row.kind == kind][:2]]
    return tuple(
        say("report.quote", kind=say(f"kind.{one.kind}"), words=shortened(mask_text(one.symptom))) for one in chosen
    )


def shortened(words: str, limit: int = QUOTE_CHARS) -> str:
    words = " ".join(words.split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


# --- how things stand -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """One day so far: what came, what went, what waits. The lists are tickets, most pressing first."""

    scope: str
    day: Period
    now: datetime
    taken_in: dict[str, int]
    finished: dict[str, int]
    open: dict[str, int]
    open_levels: dict[str, int]
    overdue: tuple[Ticket, ...]
    on_hold: tuple[Ticket, ...]
    waiting_long: tuple[Ticket, ...]
    promises: tuple[Ticket, ...]
    callbacks: int
    emergencies: tuple[Ticket, ...]


def standing(session: Session, scope: Scope, day: Period, now: datetime) -> Standing:
    """The hand-over between shifts (domain.md §6.4 日报)."""
    in_day = (Ticket.created_at >= day.start) & (Ticket.created_at < day.end)
    counted = Ticket.status.not_in(NOT_COUNTED)
    tonight = midnight(now) + timedelta(days=1)
    return Standing(
        scope=scope_name(scope),
        day=day,
        now=now,
        taken_in=_counts(session, scope, Ticket.kind, in_day, counted),
        finished=_counts(session, scope, Ticket.kind, done_between(day.start, day.end), counted),
        open=_counts(session, scope, Ticket.kind, Ticket.status.in_(lifecycle.OPEN)),
        open_levels=_counts(session, scope, Ticket.level, Ticket.status.in_(lifecycle.OPEN)),
        overdue=_tickets(session, scope, *overdue_conditions(now)),
        on_hold=_tickets(session, scope, Ticket.status == "on_hold"),
        waiting_long=_tickets(session, scope, Ticket.status == "done", Ticket.finished_at < now - WAITED_LONG),
        promises=_tickets(
            session, scope, Ticket.kind.in_(("ZX", "TS", "JY")), Ticket.status.in_(RUNNING), Ticket.finish_by < tonight
        ),
        callbacks=number(session, scope, Ticket.callback_at < tonight),
        emergencies=_tickets(
            session, scope, Ticket.level.in_(("U0", "U1", "C1")), Ticket.created_at >= now - timedelta(hours=24)
        ),
    )


def _counts(
    session: Session, scope: Scope, by: InstrumentedAttribute[str], *conditions: ColumnElement[bool]
) -> dict[str, int]:
    query = select(by, func.count()).where(*scope.conditions(), *conditions).group_by(by)
    return dict(session.execute(query).all())


def _tickets(session: Session, scope: Scope, *conditions: ColumnElement[bool]) -> tuple[Ticket, ...]:
    query = select(Ticket).where(*scope.conditions(), *conditions)
    return tuple(session.scalars(query.order_by(Ticket.level, Ticket.finish_by, Ticket.id)))


def late_reason(session: Session, ticket: Ticket) -> str:
    """Why a ticket is late, as far as its history says: nobody has it, nobody took it, nobody came, or a worker's last word."""
    if ticket.handler_id is None:
        return say("report.late_nobody")
    if ticket.accepted_at is None:
        return say("report.late_unaccepted")
    query = select(TicketEvent.note).where(
        TicketEvent.ticket_id == ticket.id,
        TicketEvent.action.in_(("comment", "help_asked", "hold", "quote", "not_fixed")),
        TicketEvent.actor != "system",
    )
    note = session.scalar(query.order_by(TicketEvent.id.desc()).limit(1))
    if note:
        return shortened(mask_text(note), 20)
    return say("report.late_working") if ticket.arrived_at else say("report.late_not_there")


# --- what to mend for good --------------------------------------------------------------------------------------------


def preventive(session: Session, scope: Scope, now: datetime, days: int = 90) -> list[HotSpot]:
    """Same place, same fault, two and more times in a quarter: work for preventive maintenance."""
    return hot_spots(jobs_taken_in(session, scope, now - timedelta(days=days), now))


def spot_check(session: Session, scope: Scope, period: Period) -> list[Ticket]:
    """A tenth of what was finished in a period, at least one, for a leader to look at again (domain.md §6.4).

    Chosen by the ticket's number, so that the list of a period is the same whoever asks and cannot be drawn until it suits.
    """
    query = select(Ticket).where(
        *scope.conditions(),
        Ticket.kind == "BX",
        Ticket.status == "closed",
        Ticket.closed_at >= period.start,
        Ticket.closed_at < period.end,
    )
    closed = list(session.scalars(query.order_by(Ticket.id)))
    wanted = max(1, round(len(closed) * SPOT_CHECK_SHARE)) if closed else 0
    return sorted(sorted(closed, key=lambda one: _draw(one.ticket_no))[:wanted], key=lambda one: one.id)


def tickets_of(session: Session, scope: Scope, span: Period) -> list[Ticket]:
    """What was reported or finished in a span: the rows of its workbook."""
    reported = (Ticket.created_at >= span.start) & (Ticket.created_at < span.end)
    query = select(Ticket).where(*scope.conditions(), reported | done_between(span.start, span.end))
    return list(session.scalars(query.order_by(Ticket.id)))


def _draw(number_: str) -> str:
    return hashlib.sha256(number_.encode()).hexdigest()

"""Due times of a ticket (domain.md §2.2). Pure: the moment is an argument, numbers come from data/catalog/sla.yml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from tickets.catalog import SlaClass, sla_classes
from tickets.texts import LOCAL
from tickets.workdays import next_working_day

DESK_OPENS, DESK_CLOSES = time(8, 30), time(18, 0)


@dataclass(frozen=True)
class Due:
    accept_by: datetime
    arrive_by: datetime | None
    finish_by: datetime


def sla_class(level: str, at: datetime) -> SlaClass:
    """The limits of a class that count for what begins at this moment."""
    return sla_classes(at.astimezone(LOCAL).date())[level]


def due_times(level: str, start: datetime) -> Due:
    """Limits of class `level` counted from `start`."""
    limits = sla_class(level, start)
    arrive = start + limits.arrive if limits.arrive else None
    return Due(after(level, start, limits.accept), arrive, start + limits.finish)


def after(level: str, start: datetime, span: timedelta) -> datetime:
    """`start` plus a limit or an alarm's step of this class: in working hours only, where the class says so."""
    return add_desk_time(start, span) if sla_class(level, start).in_desk_hours else start + span


def add_desk_time(start: datetime, span: timedelta) -> datetime:
    """The moment when the front desk has been open for `span` since `start`."""
    opens = start if in_desk_hours(start) else next_desk_opening(start)
    closes = datetime.combine(opens.astimezone(LOCAL).date(), DESK_CLOSES, LOCAL)
    while opens + span > closes:
        span -= closes - opens
        opens = next_desk_opening(closes)
        closes = datetime.combine(opens.date(), DESK_CLOSES, LOCAL)
    return opens + span


def progress_due(level: str, status: str, now: datetime) -> datetime:
    """When the resident hears of a running matter again at the latest (domain.md §7.4)."""
    limits = sla_class(level, now)
    every = dict(limits.held if status == "on_hold" else limits.progress)
    day = now.astimezone(LOCAL)
    for _ in range(every.pop("working_days", 0)):
        day = datetime.combine(next_working_day(day.date()), day.timetz())
    return day + timedelta(**every)


def raise_level(level: str, steps: int = 1) -> str:
    """One class more urgent per step. Modifiers never reach U0: that needs a hazard, not a hurry (domain.md §3.5)."""
    ladder = ["U1", "U2", "U3", "U4"]
    if level not in ladder:
        return level
    return ladder[max(0, ladder.index(level) - steps)]


def more_urgent(a: str, b: str) -> str:
    classes = sla_classes()
    return a if classes[a].rank <= classes[b].rank else b


def in_desk_hours(now: datetime) -> bool:
    return DESK_OPENS <= now.astimezone(LOCAL).time() < DESK_CLOSES


def next_desk_opening(now: datetime) -> datetime:
    """The next moment the front desk opens (daily)."""
    local = now.astimezone(LOCAL)
    day = local.date() if local.time() < DESK_OPENS else local.date() + timedelta(days=1)
    return datetime.combine(day, DESK_OPENS, LOCAL)


def inquiry_promise(now: datetime, days: int = 1) -> datetime:
    """When an unknown question is answered at the latest: 12:00 of the next working day, or of a later one (domain.md §2.2)."""
    return datetime.combine(next_working_day(now.astimezone(LOCAL).date(), days), time(12, 0), LOCAL)


def suggestion_due(now: datetime) -> datetime:
    """When a suggestion is answered at the latest: by the end of the third working day (domain.md §2.2)."""
    return datetime.combine(next_working_day(now.astimezone(LOCAL).date(), 3), DESK_CLOSES, LOCAL)


def complaint_due(level: str, now: datetime) -> datetime:
    """When a complaint gets its first answer: C1 and C2 within 24 h, C3 by the end of the next working day."""
    if level != "C3":
        return now + timedelta(hours=24)
    return datetime.combine(next_working_day(now.astimezone(LOCAL).date()), DESK_CLOSES, LOCAL)

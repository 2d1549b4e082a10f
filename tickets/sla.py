"""Due times of a ticket (domain.md §2.2). Pure: the moment is an argument, numbers come from data/catalog/sla.yml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from tickets.catalog import sla_classes
from tickets.texts import LOCAL
from tickets.workdays import next_working_day

DESK_OPENS, DESK_CLOSES = time(8, 30), time(18, 0)


@dataclass(frozen=True)
class Due:
    accept_by: datetime
    arrive_by: datetime | None
    finish_by: datetime


def due_times(level: str, start: datetime) -> Due:
    """Limits of class `level` counted from `start`."""
    limits = sla_classes()[level]
    arrive = start + limits.arrive if limits.arrive else None
    return Due(start + limits.accept, arrive, start + limits.finish)


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


def inquiry_promise(now: datetime) -> datetime:
    """When an unknown question is answered at the latest: 12:00 of the next working day (domain.md §2.2)."""
    return datetime.combine(next_working_day(now.astimezone(LOCAL).date()), time(12, 0), LOCAL)


def complaint_due(level: str, now: datetime) -> datetime:
    """When a complaint gets its first answer: C1 and C2 within 24 h, C3 by the end of the next working day."""
    if level != "C3":
        return now + timedelta(hours=24)
    return datetime.combine(next_working_day(now.astimezone(LOCAL).date()), DESK_CLOSES, LOCAL)

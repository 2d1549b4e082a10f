"""Spans of the calendar that figures are about: 今天, 上周, 6月 (domain.md §6: the day is Shanghai's). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import yaml

from nlu.expected_time import parse_period
from tickets.texts import DATA, LOCAL, say

NAMED = ("today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_year")


@dataclass(frozen=True)
class Period:
    """[start, end) and how people call it."""

    start: datetime
    end: datetime
    name: str
    unit: str

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def label(self) -> str:
        """上周（6月2日–6月8日）"""
        first, last = self.start.astimezone(LOCAL), (self.end - timedelta(days=1)).astimezone(LOCAL)
        day = say("report.day", month=first.month, day=first.day)
        if first.date() == last.date():
            return say("report.period_day", name=self.name, day=day)
        return say("report.period", name=self.name, first=day, last=say("report.day", month=last.month, day=last.day))


@cache
def words() -> dict[str, Any]:
    """How leaders ask (data/catalog/questions.yml)."""
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "questions.yml").read_text("utf-8"))
    return data


def midnight(now: datetime) -> datetime:
    return now.astimezone(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)


def _month(day: datetime) -> tuple[datetime, datetime]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _named(key: str, now: datetime) -> tuple[datetime, datetime, str]:
    today = midnight(now)
    monday = today - timedelta(days=today.weekday())
    if key in ("this_month", "last_month"):
        start, end = _month(today)
        return (start, end, "month") if key == "this_month" else (*_month(start - timedelta(days=1)), "month")
    if key in ("this_week", "last_week"):
        start = monday if key == "this_week" else monday - timedelta(days=7)
        return start, start + timedelta(days=7), "week"
    if key == "this_year":
        start = today.replace(month=1, day=1)
        return start, start.replace(year=start.year + 1), "year"
    start = today if key == "today" else today - timedelta(days=1)
    return start, start + timedelta(days=1), "day"


def period(key: str, now: datetime) -> Period:
    """One of `NAMED`."""
    start, end, unit = _named(key, now)
    return Period(start, end, say(f"period.{key}"), unit)


def read_period(text: str, now: datetime) -> Period | None:
    """The span a question names, else None."""
    found = parse_period(text, now.astimezone(LOCAL))
    if found is None:
        return None
    said = Period(found.start, found.end, found.label, _unit(found.start, found.end))
    if any(char.isdigit() for char in found.label):
        return said
    # 上个月 is called 上月 everywhere in chat and reports.
    named = (period(key, now) for key in NAMED)
    return next((one for one in named if (one.start, one.end) == (said.start, said.end)), said)


def _unit(start: datetime, end: datetime) -> str:
    if (start, end) == _month(start):
        return "month"
    if (start.month, start.day, end) == (1, 1, start.replace(year=start.year + 1)):
        return "year"
    return "week" if start.weekday() == 0 and end - start == timedelta(days=7) else "day"


def before(of: Period) -> Period:
    """The span just before, of the same kind: the month before a month."""
    if of.unit == "month":
        start, end = _month(of.start - timedelta(days=1))
    elif of.unit == "year":
        start, end = of.start.replace(year=of.start.year - 1), of.start
    else:
        start, end = of.start - (of.end - of.start), of.start
    return Period(start, end, say(f"period.before_{of.unit}"), of.unit)


def days_of(of: Period) -> list[datetime]:
    """The midnights inside a span."""
    return [of.start + timedelta(days=number) for number in range(of.days)]

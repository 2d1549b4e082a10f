"""Working days in China, with 调休: the yearly table of the State Council comes from the `chinesecalendar` package, and
data/catalog/calendar.yml overrides it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import chinese_calendar
import yaml

from tickets.texts import DATA

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overrides:
    """data/catalog/calendar.yml: days that are off, days that are worked, years that are complete."""

    off: frozenset[date]
    working: frozenset[date]
    years: frozenset[int]


def read_overrides(file: Path) -> Overrides:
    data = yaml.safe_load(file.read_text("utf-8"))
    complete = frozenset(year for year, how in data["years"].items() if how == "complete")
    return Overrides(frozenset(data["holidays"]), frozenset(data["workdays"]), complete)


@cache
def overrides() -> Overrides:
    return read_overrides(DATA / "catalog" / "calendar.yml")


def is_working_day(day: date) -> bool:
    """Whether offices work on `day`. A year no table knows falls back to Monday–Friday, with one warning."""
    known = overrides()
    if day in known.off or day in known.working:
        return day in known.working
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        _warn(day.year)
        return day.weekday() < 5


def is_known_year(year: int) -> bool:
    """Whether the holidays of `year` are in a table, so that promises in it count the right days."""
    if year in overrides().years:
        return True
    try:
        chinese_calendar.is_workday(date(year, 1, 1))
    except NotImplementedError:
        return False
    return True


@cache
def _warn(year: int) -> None:
    if not is_known_year(year):
        log.warning("workdays.unknown_year year=%s: Monday to Friday are counted; fill data/catalog/calendar.yml", year)


def next_working_day(day: date, count: int = 1) -> date:
    """The first working day after `day`, or the `count`-th."""
    for _ in range(count):
        day += timedelta(days=1)
        while not is_working_day(day):
            day += timedelta(days=1)
    return day

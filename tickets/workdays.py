"""Working days in China, with 调休 (the yearly table of the State Council comes from the `chinesecalendar` package)."""

from __future__ import annotations

import logging
from datetime import date, timedelta

import chinese_calendar

log = logging.getLogger(__name__)


def is_working_day(day: date) -> bool:
    """Whether offices work on `day`. A year the table does not know yet falls back to Monday–Friday, with a warning."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        log.warning("workdays.unknown_year year=%s", day.year)
        return day.weekday() < 5


def next_working_day(day: date) -> date:
    """The first working day after `day`."""
    day += timedelta(days=1)
    while not is_working_day(day):
        day += timedelta(days=1)
    return day

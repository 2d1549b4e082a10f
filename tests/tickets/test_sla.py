"""Limits with versions, working hours and working days: pure, the moment is an argument (domain.md §2.2)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from deskhelp import at

from tickets import catalog, workdays
from tickets.sla import add_desk_time, due_times, progress_due
from tickets.texts import LOCAL


@pytest.mark.parametrize(
    ("level", "start", "accept", "arrive", "finish"),
    [
        ("U0", at("23:00"), at("23:03"), at("23:15"), at("01:00", 13)),
        ("U1", at("23:00"), at("23:10"), at("23:30"), at("23:00", 13)),
        ("U2", at("10:00"), at("10:15"), at("14:00"), at("10:00", 13)),
        # Outside the desk's hours somebody takes it by 08:45.
        ("U2", at("19:00"), at("08:45", 13), at("23:00"), at("19:00", 13)),
        ("U2", at("06:00"), at("08:45"), at("10:00"), at("06:00", 13)),
        ("U3", at("17:50"), at("08:50", 13), at("17:50", 13), at("17:50", 15)),
        ("C2", at("17:00"), at("09:30", 13), None, at("17:00", 13)),
    ],
)
def test_limits(level: str, start: datetime, accept: datetime, arrive: datetime | None, finish: datetime) -> None:
    due = due_times(level, start)
    assert (due.accept_by, due.arrive_by, due.finish_by) == (accept, arrive, finish)


def test_a_long_wait_runs_over_several_days_of_the_desk() -> None:
    assert add_desk_time(at("17:00"), timedelta(hours=11)) == at("09:00", 14)
    assert add_desk_time(at("03:00"), timedelta(0)) == at("08:30")


def test_a_change_of_limits_counts_from_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    data = yaml.safe_load((catalog.DATA / "catalog" / "sla.yml").read_text("utf-8"))
    data["later"] = [{"version": 2, "effective": date(2025, 7, 1), "classes": {"U3": {"accept": 20}}}]
    monkeypatch.setattr(catalog, "_load", lambda _name: data)
    catalog.sla_versions.cache_clear()
    try:
        before = datetime(2025, 6, 30, 9, 0, tzinfo=LOCAL)
        after = datetime(2025, 7, 1, 9, 0, tzinfo=LOCAL)
        assert due_times("U3", before).accept_by == before + timedelta(minutes=30)
        assert due_times("U3", after).accept_by == after + timedelta(minutes=20)
        assert due_times("U3", after).finish_by == after + timedelta(days=3)
    finally:
        catalog.sla_versions.cache_clear()


def test_before_the_first_version_the_first_counts() -> None:
    assert catalog.sla_classes(date(1999, 1, 1)) == catalog.sla_classes()


def test_progress_counts_working_days_for_complaints() -> None:
    friday = at("10:00", 13)
    assert progress_due("C2", "in_progress", friday) == at("10:00", 17)
    assert progress_due("U3", "on_hold", friday) == at("10:00", 20)


# --- the calendar


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2025, 10, 1), False),
        (date(2025, 10, 11), True),  # a Saturday exchanged for a holiday
        (date(2025, 9, 28), True),  # so is this Sunday
        (date(2025, 6, 13), True),
        (date(2025, 6, 14), False),
    ],
)
def test_holidays_and_exchanged_days(day: date, works: bool) -> None:
    assert workdays.is_working_day(day) is works


def test_the_file_overrides_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "calendar.yml"
    file.write_text("years: {2090: complete}\nholidays: [2025-06-13, 2090-05-01]\nworkdays: [2025-06-14]\n", "utf-8")
    known = workdays.read_overrides(file)
    monkeypatch.setattr(workdays, "overrides", lambda: known)
    assert not workdays.is_working_day(date(2025, 6, 13))
    assert workdays.is_working_day(date(2025, 6, 14))
    assert workdays.is_known_year(2090)
    assert not workdays.is_working_day(date(2090, 5, 1))


def test_an_unknown_year_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    workdays._warn.cache_clear()
    assert [workdays.is_working_day(date(2091, 1, day)) for day in (5, 6, 7)] == [True, False, False]
    assert [record.getMessage() for record in caplog.records if "unknown_year year=2091" in record.getMessage()] != []
    assert len(caplog.records) == 1
    assert not workdays.is_known_year(2091)

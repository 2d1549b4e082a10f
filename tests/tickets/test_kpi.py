"""The worked example of domain.md §6.3, to the digit; and what the rules beside it say."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import at

from tickets.kpi import Figures, Job, Matter, Ratio, base, building_of, figures, hot_spots, most


def on(day: int, clock: str) -> datetime:
    return at(clock, day)


def job(no: str, level: str, created: datetime, **more: object) -> Job:
    """A row of the example: seven of them were called back about."""
    fields: dict[str, object] = {"callback_due": True, "called_back": True, "answered": True, "accepted_as": "resident"}
    return Job(no, level, "W02", created, **{**fields, **more})  # type: ignore[arg-type]


EXAMPLE = [
    job("01", "U1", on(2, "09:00"), accepted_at=on(2, "09:04"), accept_by=on(2, "09:10"),
        arrived_at=on(2, "09:25"), arrive_by=on(2, "09:30"), finished_at=on(2, "10:40"), due_at=on(3, "09:00"), scores=(5,)),
    job("02", "U3", on(2, "10:00"), accepted_at=on(2, "10:20"), accept_by=on(2, "10:30"),
        arrived_at=on(2, "15:10"), arrive_by=on(2, "15:30"), finished_at=on(2, "15:50"), due_at=on(5, "10:00"), scores=(4,)),
    job("03", "U3", on(3, "08:40"), accepted_at=on(3, "09:30"), accept_by=on(3, "09:10"), rounds=2,
        arrived_at=on(3, "16:20"), arrive_by=on(3, "16:00"), finished_at=on(3, "17:00"), due_at=on(6, "08:40"), scores=(3,)),
    job("04", "U2", on(3, "19:00"), accepted_at=on(3, "19:10"), accept_by=on(3, "19:15"),
        arrived_at=on(3, "20:00"), arrive_by=on(3, "23:00"), finished_at=on(3, "20:30"), due_at=on(4, "19:00"),
        accepted_as="default", answered=False),
    job("05", "U3", on(4, "11:00"), accepted_at=on(4, "11:15"), accept_by=on(4, "11:30"),
        arrived_at=on(5, "10:00"), arrive_by=on(5, "10:30"), finished_at=on(8, "15:00"), due_at=on(7, "11:00"),
        paused=timedelta(hours=48), scores=(5,)),
    job("06", "U3", on(5, "14:00"), accepted_at=on(5, "14:10"), accept_by=on(5, "14:30"),
        arrived_at=on(6, "09:00"), arrive_by=on(6, "09:30"), finished_at=on(9, "09:00"), due_at=on(8, "14:00"), scores=(2,)),
    job("07", "U1", on(6, "22:10"), accepted_at=on(6, "22:30"), accept_by=on(6, "22:20"),
        arrived_at=on(6, "22:55"), arrive_by=on(6, "22:40"), finished_at=on(7, "01:00"), due_at=on(7, "22:10"),
        same_fault=True, scores=(4,)),
    job("08", "U3", on(9, "09:00"), accepted_at=on(9, "09:20"), accept_by=on(9, "09:30"), public_area=True,
        arrived_at=on(9, "14:00"), arrive_by=on(9, "14:30"), finished_at=on(9, "14:40"), due_at=on(12, "09:00"),
        accepted_as="inspector", callback_due=False, called_back=False, answered=False),
    job("09", "U3", on(10, "09:00"), excluded=True),
    job("10", "U1", on(10, "10:00"), excluded=True),
]  # fmt: skip

EXPECTED = {
    "accept_in_time": "75.0% (6/8)",
    "arrive_in_time": "75.0% (6/8)",
    "finish_in_time": "87.5% (7/8)",
    "first_time_right": "75.0% (6/8)",
    "reworked": "25.0% (2/8)",
    "called_back": "100.0% (7/7)",
    "reached": "85.7% (6/7)",
    "satisfied": "66.7% (4/6)",
    "rated": "85.7% (6/7)",
    "not_dissatisfied": "83.3% (5/6)",
}


def shown(found: Figures) -> dict[str, str]:
    return {name: str(getattr(found, name)) for name in EXPECTED}


def test_the_worked_example_to_the_digit() -> None:
    found = figures(EXAMPLE)
    assert found.jobs == len(base(EXAMPLE)) == 8
    assert shown(found) == EXPECTED
    assert found.average == 3.83
    assert found.inspected == Ratio(1, 1)


def test_without_the_pause_the_fifth_would_be_late() -> None:
    rows = [row if row.no != "05" else Job(**{**vars(row), "paused": timedelta()}) for row in EXAMPLE]
    assert figures(rows).finish_in_time == Ratio(6, 8)


def test_silence_is_never_satisfaction() -> None:
    silent = [row for row in EXAMPLE if row.no == "04"]
    found = figures(silent)
    assert found.satisfied == Ratio(0, 0)
    assert str(found.satisfied) == "–"
    assert found.average is None
    assert found.rated == Ratio(0, 1)


def test_one_bad_score_of_two_is_no_satisfaction() -> None:
    found = figures([job("1", "U3", on(2, "09:00"), finished_at=on(2, "10:00"), scores=(5, 3))])
    assert found.satisfied == Ratio(0, 1)
    assert found.not_dissatisfied == Ratio(1, 1)
    assert found.average == 4.0


def test_nothing_to_count_is_no_hundred_percent() -> None:
    found = figures([])
    assert {str(value) for _, value in found.items() if isinstance(value, Ratio)} == {"–"}
    assert found.hours_to_finish is None


@pytest.mark.parametrize(
    ("answered", "kept"), [(on(3, "11:59"), Ratio(1, 1)), (on(3, "12:01"), Ratio(0, 1)), (None, Ratio(0, 1))]
)
def test_a_promise_is_kept_by_the_clock(answered: datetime | None, kept: Ratio) -> None:
    question = Matter("ZX1", "ZX", "C3", "Q01", on(2, "09:00"), answer_by=on(3, "12:00"), answered_at=answered)
    assert figures([], [question]).promises_kept == kept


def test_complaints_are_explained_only_with_cause_and_prevention() -> None:
    rows = [
        Matter("TS1", "TS", "C2", "T01", on(2, "09:00"), closed=True, settled=True, explained=True),
        Matter("TS2", "TS", "C2", "T01", on(2, "09:00"), closed=True, settled=True),
        Matter("TS3", "TS", "C2", "T01", on(2, "09:00"), excluded=True),
    ]
    found = figures([], rows)
    assert found.complaints == 2
    assert found.complaints_explained == Ratio(1, 2)
    assert found.complaints_settled == Ratio(2, 2)


def test_what_occurs_most() -> None:
    assert most(["b", "a", "b", "", "c", "c"], limit=2) == [("b", 2), ("c", 2)]


def test_hot_spots_are_the_same_fault_at_the_same_place() -> None:
    rows = [
        Job("1", "U3", "L02", on(2, "09:00"), place_key="PUB:P1/3/2/-/电梯"),
        Job("2", "U3", "L02", on(5, "09:00"), place_key="PUB:P1/3/2/-/电梯"),
        Job("3", "U3", "L04", on(5, "09:00"), place_key="PUB:P1/3/2/-/电梯"),
        Job("4", "U3", "L02", on(5, "09:00"), place_key="PUB:P1/3/1/-/电梯"),
        Job("5", "U3", "L02", on(6, "09:00"), place_key="PUB:P1/3/1/-/电梯", excluded=True),
    ]
    assert [(spot.place_key, spot.code, spot.numbers) for spot in hot_spots(rows)] == [
        ("PUB:P1/3/2/-/电梯", "L02", ("1", "2"))
    ]


@pytest.mark.parametrize(
    ("key", "building"),
    [("P1/3/2/1502", "P1/3"), ("PUB:P1/3/2/-/电梯", "P1/3"), ("PUB:-/-/-/-/北门", ""), ("G/B1/A/001", "G/B1"), ("", ""),
     ("?/3", "?/3"), ("PUB:G/-/-/-/地库", ""), ("P1/?/?/1501", "")],
)  # fmt: skip
def test_the_building_of_a_place(key: str, building: str) -> None:
    assert building_of(key) == building

"""All clocks together, on both databases: sweeping twice changes nothing, and nobody is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk, at, key_of

from storage.models import Draft
from tickets import clocks, lifecycle, questions, verbs


def busy_desk(desk: Desk) -> None:
    """Something in every state that some clock looks at."""
    desk.worker("钱师傅", ["plumber"])
    desk.report("E01")
    desk.report("L01", public_area=True)
    desk.report("W01")
    desk.report("W02")
    desk.report("T02", kind="TS", level="C1")
    desk.report("Q22", kind="ZX")
    desk.accepted("W04")
    desk.done("W02")
    desk.closed("W01")
    held = desk.accepted("W02")
    verbs.hold(desk.session, held, desk.handler(held), "待配件", at("15:00"), at("09:01"))
    redone = desk.done("W03")
    verbs.not_fixed(desk.session, redone, desk.actor("王芳"), "还在滴", at("09:02"))
    answered = desk.report("Q01", kind="ZX")
    verbs.answer_matter(desk.session, answered, desk.actor("客服小周"), "可以", at("09:03"))
    questions.ask(
        desk.session, desk.resident("李强"), "safety", NOW, remind_at=at("09:02"), text="煤气味", danger="GAS"
    )
    desk.session.add(
        Draft(conversation_id=desk.chat("王芳").id, kind="BX", data={"faults": [{"code": "W02"}]}, updated_at=NOW)
    )


@pytest.mark.parametrize(
    "steps",
    [
        [timedelta(minutes=minutes) for minutes in range(1, 20)],
        [timedelta(minutes=17 * n) for n in range(2, 20)],
        [timedelta(hours=n) for n in range(1, 100, 7)],
        # A desk that was down for days.
        [timedelta(days=2), timedelta(days=4), timedelta(days=9)],
    ],
    ids=["every minute", "every 17 minutes", "every 7 hours", "after outages"],
)
def test_a_sweep_run_twice_changes_nothing_the_second_time(desk: Desk, steps: list[timedelta]) -> None:
    busy_desk(desk)
    for step in steps:
        desk.sweep(NOW + step)
        before = desk.snapshot()
        desk.sweep(NOW + step)
        assert desk.snapshot() == before, step


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_day_with_idle_staff_ends_with_everything_escalated_and_nobody_forgotten(desk: Desk) -> None:
    codes = ["W01", "W02", "W04", "E01", "E04", "E07", "D03", "A02", "C01", "L01", "F05", "X00", "S05", "G01", "P02"]
    kinds = [("BX", code) for code in codes] + [
        ("TS", "T02"),
        ("TS", "T14"),
        ("ZX", "Q22"),
        ("JY", "J01"),
        ("TS", "T09"),
    ]
    tickets = []
    for number in range(60):
        kind, code = kinds[number % len(kinds)]
        public = code in ("E07", "L01", "C01", "F05")
        tickets.append(desk.report(code, kind=kind, public_area=public, now=NOW + timedelta(minutes=number)))
    desk.sweep_through(NOW + timedelta(hours=1), NOW + timedelta(hours=2), timedelta(minutes=20))
    desk.sweep_through(NOW + timedelta(hours=3), NOW + timedelta(hours=34), timedelta(hours=3))
    end = NOW + timedelta(hours=33)
    assert {ticket.status for ticket in tickets} <= {"new", "assigned"}
    assert clocks.open_promises(desk.session, desk.community.id) == []
    leaders = {one.id for one in map(desk.staff, ("李工", "刘队", "何姐", "周主管", "马经理"))}
    for ticket in tickets:
        told = {row.staff_id for row in desk.pushes(ticket=ticket)}
        # A suggestion has three working days.
        assert told & leaders or ticket.kind == "JY", ticket.ticket_no
        if ticket.finish_by and ticket.finish_by <= end and ticket.kind in ("BX", "ZX", "TS"):
            assert any("late" in key_of(row) for row in desk.pushes("王芳", ticket=ticket)), ticket.ticket_no
        if ticket.arrive_by and ticket.arrive_by <= end:
            keys = [key_of(row) for row in desk.pushes("王芳", ticket=ticket)]
            assert any(key.startswith("late_arrival") for key in keys), ticket.ticket_no
    keys = [row.dedupe_key for row in desk.pushes()]
    assert len(keys) == len(set(keys))
    assert all(ticket.status in lifecycle.OPEN for ticket in tickets)

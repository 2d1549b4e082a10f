"""Every promise has a clock that watches it (architecture.md §2.6, domain.md §7); a sweep run twice has no second effect."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import NOW, Desk, at, key_of
from sqlalchemy import select

from storage.models import Draft, Leave, Staff, Ticket
from tickets import questions, verbs
from tickets.clocks import look_at_tickets
from tickets.people import on_shift

# The clocks are the same statements on both databases; only the tests that touch every one of them run on both.
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
MINUTE, FIVE, QUARTER = timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15)


def told_at(desk: Desk, start: datetime, end: datetime, step: timedelta = MINUTE) -> list[tuple[str, str, str]]:
    """(clock, who, which text) of everything the sweeps push between two moments."""
    found = []
    while start <= end:
        desk.seen()
        desk.sweep(start)
        found += [(f"{start:%H:%M}", name, key) for name, keys in desk.told().items() for key in keys]
        start += step
    return found


def only(rows: list[tuple[str, str, str]], *keys: str) -> list[tuple[str, str, str]]:
    return [row for row in rows if row[2] in keys]


# --- not accepted -----------------------------------------------------------------------------------------------------


def test_life_safety_unaccepted_second_person_supervisor_manager(desk: Desk) -> None:
    desk.worker("周电工", ["electrician"], licences=["electrician"])
    desk.report("E01")
    rows = told_at(desk, NOW, at("09:09"))
    ladder = only(rows, "accept_reminder", "card", "timed_out", "unaccepted_leader")
    assert ladder == [
        ("09:01", "赵师傅", "accept_reminder"),
        ("09:03", "赵师傅", "timed_out"),
        ("09:03", "周电工", "card"),
        ("09:05", "李工", "unaccepted_leader"),
        ("09:06", "周电工", "timed_out"),
        ("09:08", "李工", "unaccepted_leader"),
        ("09:08", "马经理", "unaccepted_leader"),
    ]


def test_urgent_unaccepted_climbs_at_5_10_15_30(desk: Desk) -> None:
    for name in ("钱师傅", "吴师傅", "郑师傅"):
        desk.worker(name, ["plumber"])
    ticket = desk.report("W01")
    rows = only(told_at(desk, NOW, at("09:40"), FIVE), "accept_reminder", "unaccepted_leader")
    assert rows == [
        ("09:05", "王师傅", "accept_reminder"),
        ("09:15", "李工", "unaccepted_leader"),
        ("09:30", "李工", "unaccepted_leader"),
        ("09:30", "马经理", "unaccepted_leader"),
    ]
    assert [name for name, state in desk.assignments(ticket) if state == "timed_out"] == [
        "王师傅",
        "钱师傅",
        "吴师傅",
        "郑师傅",
    ]


def test_an_accepted_one_is_left_alone(desk: Desk) -> None:
    desk.accepted("W01")
    assert only(told_at(desk, NOW, at("09:19"), FIVE), "accept_reminder", "unaccepted_leader", "timed_out") == []


def test_an_ordinary_offer_runs_out_and_nobody_left_is_the_supervisors_matter(desk: Desk) -> None:
    ticket = desk.report("W02")
    assert told_at(desk, NOW, at("09:29"), timedelta(minutes=29)) == []
    assert told_at(desk, at("09:30"), at("09:31")) == [
        ("09:30", "王师傅", "timed_out"),
        ("09:30", "李工", "nobody"),
        ("09:30", "王芳", "nobody_yet"),
    ]
    assert (ticket.status, ticket.handler) == ("new", None)
    rows = told_at(desk, at("09:45"), at("13:30"), QUARTER)
    assert only(rows, "unaccepted_leader") == [
        ("11:00", "李工", "unaccepted_leader"),
        ("13:00", "李工", "unaccepted_leader"),
        ("13:00", "马经理", "unaccepted_leader"),
    ]


def test_the_second_offer_to_run_out_tells_the_supervisor(desk: Desk) -> None:
    desk.worker("钱师傅", ["plumber"])
    desk.report("W02")
    rows = told_at(desk, NOW, at("10:00"), QUARTER)
    assert only(rows, "refused_twice") == [("10:00", "李工", "refused_twice")]


def test_whom_a_leader_named_late_has_his_own_time_to_accept(desk: Desk) -> None:
    ticket = desk.report("W02")
    desk.sweep_through(NOW, at("11:30"), QUARTER)
    verbs.assign(desk.session, ticket, desk.staff("王师傅"), desk.actor("李工"), at("11:31"))
    rows = told_at(desk, at("11:31"), at("12:00"), FIVE)
    assert rows == []
    assert (ticket.status, ticket.accept_by) == ("assigned", at("12:01"))
    assert ("12:01", "王师傅", "timed_out") in told_at(desk, at("12:01"), at("12:01"))


def test_a_rework_nobody_takes_up_climbs_the_same_ladder(desk: Desk) -> None:
    ticket = desk.done("W02")
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("15:00"))
    rows = told_at(desk, at("15:00"), at("17:00"), QUARTER)
    assert ("15:30", "王师傅", "timed_out") in rows
    assert ("17:00", "李工", "unaccepted_leader") in rows
    assert not any(row for row in rows if row[0] < "15:30")


def test_after_a_change_of_class_the_ladder_starts_again(desk: Desk) -> None:
    ticket = desk.report("W04", now=at("09:00"))
    verbs.change_level(desk.session, ticket, desk.actor("李工"), "U1", "漫出来了", at("09:14"))
    assert told_at(desk, at("09:14"), at("09:18")) == []
    assert told_at(desk, at("09:19"), at("09:19")) == [("09:19", "王师傅", "accept_reminder")]


def test_a_grave_complaint_nobody_takes_up_reaches_the_manager_in_20_minutes(desk: Desk) -> None:
    desk.report("T02", kind="TS", level="C1")
    rows = only(told_at(desk, NOW, at("09:31"), FIVE), "accept_reminder", "unaccepted_leader")
    assert rows == [
        ("09:10", "李工", "accept_reminder"),
        ("09:20", "李工", "unaccepted_leader"),
        ("09:30", "李工", "unaccepted_leader"),
        ("09:30", "马经理", "unaccepted_leader"),
    ]


# --- not there --------------------------------------------------------------------------------------------------------


def test_late_for_the_window_the_resident_hears_it_unasked(desk: Desk) -> None:
    ticket = desk.accepted("W04")
    verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("15:00"), at("16:00"), at("09:10"))
    rows = told_at(desk, at("09:15"), at("16:35"), FIVE)
    assert rows == [
        ("15:30", "王师傅", "arrive_warning"),
        ("16:00", "王师傅", "arrive_warning"),
        ("16:00", "王芳", "late_arrival"),
        ("16:15", "李工", "arrive_late_leader"),
        ("16:30", "马经理", "arrive_late_leader"),
    ]
    late = next(row for row in desk.pushes("王芳") if key_of(row) == "late_arrival")
    assert "今天16:30" in late.text
    assert "王师傅" in late.text


def test_whoever_is_there_in_time_hears_nothing(desk: Desk) -> None:
    ticket = desk.accepted("W01")
    verbs.arrive(desk.session, ticket, desk.handler(ticket), at("09:15"))
    assert told_at(desk, at("09:16"), at("10:30"), FIVE) == []


def test_urgent_arrivals_are_watched_more_closely(desk: Desk) -> None:
    desk.accepted("W01")
    assert told_at(desk, NOW, at("09:50"), FIVE) == [
        ("09:20", "王师傅", "arrive_warning"),
        ("09:30", "王师傅", "arrive_warning"),
        ("09:30", "王芳", "late_arrival"),
        ("09:45", "李工", "arrive_late_leader"),
    ]


def test_a_promise_is_apologised_for_even_if_nobody_ever_took_the_job(desk: Desk) -> None:
    desk.staff("王师傅").active = False
    desk.report("W04")
    rows = only(told_at(desk, NOW, at("13:00"), QUARTER), "late_arrival", "late_arrival_nobody")
    assert rows == [("13:00", "王芳", "late_arrival_nobody")]


def test_a_new_appointment_is_watched_like_the_first(desk: Desk) -> None:
    ticket = desk.accepted("W04")
    desk.sweep_through(NOW, at("13:20"), QUARTER)
    verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("15:00"), at("16:00"), at("13:21"))
    rows = told_at(desk, at("13:30"), at("16:00"), QUARTER)
    assert ("15:30", "王师傅", "arrive_warning") in rows
    assert ("16:00", "王芳", "late_arrival") in rows


def test_a_public_area_has_a_text_of_its_own(desk: Desk) -> None:
    desk.accepted("S06", public_area=True)
    assert ("09:30", "王芳", "late_arrival_public") in told_at(desk, at("09:20"), at("09:30"))


# --- not finished -----------------------------------------------------------------------------------------------------


def arrived(desk: Desk, code: str, *, now: datetime = NOW) -> Ticket:
    ticket = desk.accepted(code, now=now)
    verbs.arrive(desk.session, ticket, desk.handler(ticket), now)
    return ticket


def test_the_time_limit_is_watched_at_50_80_100_and_150_percent(desk: Desk) -> None:
    arrived(desk, "W04")  # 24 h
    rows = told_at(desk, NOW, at("21:00", 13), timedelta(minutes=24))
    assert [row for row in rows if row[2] != "still_late_leader"] == [
        ("21:00", "王师傅", "finish_warning"),
        ("04:12", "王师傅", "finish_warning"),
        ("04:12", "李工", "finish_warning"),
        ("09:00", "王师傅", "finish_late_leader"),
        ("09:00", "李工", "finish_late_leader"),
        ("09:00", "王芳", "late_finish"),
        ("21:00", "王师傅", "finish_late_leader"),
        ("21:00", "李工", "finish_late_leader"),
        ("21:00", "马经理", "finish_late_leader"),
    ]


def test_an_overdue_emergency_goes_to_the_manager_at_100_percent(desk: Desk) -> None:
    arrived(desk, "W01")
    assert ("09:00", "马经理", "finish_late_leader") in told_at(desk, at("09:00", 13), at("09:00", 13))


def test_after_an_outage_of_the_desk_the_resident_still_hears_of_the_delay(desk: Desk) -> None:
    arrived(desk, "W04")
    rows = told_at(desk, at("22:00", 13), at("22:00", 13))
    assert only(rows, "late_finish") == [("22:00", "王芳", "late_finish")]


def test_a_pause_counts_for_nothing(desk: Desk) -> None:
    ticket = arrived(desk, "W04")
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("10:00", 14), at("10:00"))
    verbs.approve_hold(desk.session, ticket, desk.actor("李工"), at("10:00"))
    rows = told_at(desk, at("10:00"), at("20:30", 14), timedelta(minutes=30))
    assert only(rows, "finish_warning", "finish_late_leader", "late_finish") == []
    rows = told_at(desk, at("21:00", 14), at("21:00", 14))
    assert rows == [("21:00", "王师傅", "finish_warning")]


def test_a_later_appointment_takes_the_warnings_back(desk: Desk) -> None:
    ticket = desk.accepted("W04")
    desk.sweep_through(NOW, at("10:00", 13), timedelta(hours=5))
    verbs.change_appointment(
        desk.session, ticket, desk.actor("王芳"), at("09:00", 16), at("10:00", 16), "周一上午", at("10:05", 13)
    )
    soon = told_at(desk, at("10:30", 13), at("22:30", 15), timedelta(hours=12))
    rows = told_at(desk, at("01:30", 16), at("14:00", 16), timedelta(minutes=30))
    assert only(soon + rows, "finish_warning", "late_finish") == [
        ("02:00", "王师傅", "finish_warning"),
        ("09:30", "王师傅", "finish_warning"),
        ("09:30", "李工", "finish_warning"),
        ("14:00", "王芳", "late_finish"),
    ]


def test_a_new_round_has_a_clock_of_its_own(desk: Desk) -> None:
    ticket = desk.closed("W04")
    verbs.reopen(desk.session, ticket, desk.actor("王芳"), "又堵了", at("09:00", 17))
    verbs.arrive(desk.session, ticket, desk.handler(ticket), at("09:10", 17))
    rows = told_at(desk, at("09:15", 17), at("21:00", 17), timedelta(minutes=15))
    assert rows == [("21:00", "王师傅", "finish_warning")]


def test_a_promised_answer_that_will_be_late_is_owned_up_to_before_the_time_passes(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX", now=at("15:00"))
    desk.sweep(at("15:00"))
    # Only the desk's own hours count: three on Thursday and three and a half on Friday morning.
    assert told_at(desk, at("08:40", 13), at("08:45", 13), FIVE) == [("08:45", "客服小周", "finish_warning")]
    rows = told_at(desk, at("10:40", 13), at("12:00", 13), FIVE)
    assert rows == [
        ("10:45", "客服小周", "finish_warning"),
        ("10:45", "周主管", "finish_warning"),
        ("11:50", "王芳", "late_promise"),
        ("12:00", "客服小周", "finish_late_leader"),
        ("12:00", "周主管", "finish_late_leader"),
    ]
    assert "今天14:00" in desk.pushes("王芳")[-1].text
    # The new time is watched like the first one, and the second miss is the manager's matter.
    rows = told_at(desk, at("13:45", 13), at("13:55", 13), FIVE)
    assert rows == [("13:50", "王芳", "late_promise"), ("13:50", "马经理", "finish_late_leader")]
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "可以", at("14:05", 13))
    assert told_at(desk, at("14:10", 13), at("12:00", 14), timedelta(hours=2)) == []


# --- pausing, reminders, callbacks ------------------------------------------------------------------------------------


def test_a_paused_ticket_wakes_by_itself(desk: Desk) -> None:
    ticket = arrived(desk, "W02")
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("10:00", 13), at("10:00"))
    desk.sweep(at("09:59", 13))
    assert ticket.status == "on_hold"
    assert told_at(desk, at("10:00", 13), at("10:00", 13)) == [
        ("10:00", "王师傅", "woken"),
        ("10:00", "王芳", "resumed"),
    ]
    assert (ticket.status, ticket.wake_at) == ("in_progress", None)


def test_acceptance_is_reminded_twice_and_then_assumed_but_never_scored(desk: Desk) -> None:
    ticket = desk.done("W02", now=at("15:00"))
    rows = told_at(desk, at("15:00"), at("15:30", 13), timedelta(minutes=30))
    assert rows == [
        ("19:00", "王芳", "acceptance_reminder"),
        ("10:00", "王芳", "acceptance_reminder"),
        ("15:00", "王芳", "closed_by_default"),
    ]
    assert (ticket.status, ticket.default_accepted, ticket.closed_at) == ("closed", True, at("15:00", 13))
    assert (ticket.score_attitude, ticket.score_quality, ticket.confirmed_at) == (None, None, None)
    verbs.reopen(desk.session, ticket, desk.actor("王芳"), "其实还在漏", at("09:00", 18))
    assert (ticket.status, ticket.round) == ("rework", 2)


@pytest.mark.parametrize(
    ("finished", "reminded"),
    [
        (at("08:40"), at("14:00")),  # 12:40 is noon rest
        (at("18:00"), at("08:30", 13)),  # 22:00 is night
        (at("02:00"), at("14:00")),  # asked at 08:30, when people are up
        (at("10:30"), at("14:30")),
    ],
)
def test_reminders_keep_the_quiet_hours(desk: Desk, finished: datetime, reminded: datetime) -> None:
    desk.done("W02", now=finished)
    desk.seen()
    for early in (finished + timedelta(hours=4) - MINUTE, reminded - MINUTE):
        desk.sweep(early)
        assert desk.fresh() == []
    desk.sweep(reminded)
    assert desk.told() == {"王芳": ["acceptance_reminder"]}


def test_nothing_is_assumed_at_night(desk: Desk) -> None:
    ticket = desk.done("W02", now=at("21:00"))
    desk.sweep_through(at("21:00"), at("10:00", 15), timedelta(hours=1))
    closing = next(row for row in desk.pushes("王芳") if key_of(row) == "closed_by_default")
    assert 8 <= closing.created_at.astimezone(NOW.tzinfo).hour < 21
    assert ticket.status == "closed"


def test_an_answer_stops_the_reminders(desk: Desk) -> None:
    ticket = desk.done("W02", now=at("10:00"))
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), at("10:30"))
    rows = told_at(desk, at("10:31"), at("11:00", 14), timedelta(minutes=30))
    assert only(rows, "acceptance_reminder", "closed_by_default") == []


def test_an_urgent_repair_is_called_back_next_morning(desk: Desk) -> None:
    ticket = desk.closed("W01", now=at("14:00"))
    assert ticket.callback_at == at("10:00", 13)
    assert told_at(desk, at("14:00"), at("09:59", 13), timedelta(minutes=30)) == []
    assert told_at(desk, at("10:00", 13), at("12:00", 13), QUARTER) == [("10:00", "王芳", "callback")]
    question = desk.question(ticket, "callback")
    assert question is not None


def test_an_ordinary_one_a_day_later_and_a_public_one_not_at_all(desk: Desk) -> None:
    assert desk.closed("W02", now=at("15:00")).callback_at == at("16:00", 13)
    public = desk.done("S06", public_area=True)
    verbs.confirm(desk.session, public, desk.actor("李工"), at("10:00"))
    assert public.callback_at is None


def test_an_answered_question_nobody_comments_on_is_closed_a_day_later(desk: Desk) -> None:
    ticket = desk.report("Q22", kind="ZX")
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "可以", at("10:00"))
    rows = told_at(desk, at("10:00"), at("10:30", 13), timedelta(minutes=30))
    assert rows == [("10:00", "王芳", "closed_by_default_matter")]
    assert (ticket.status, ticket.default_accepted) == ("closed", True)


def test_an_answered_complaint_is_called_back_three_times_and_then_by_a_person_never_closed(desk: Desk) -> None:
    ticket = desk.report("T02", kind="TS")
    verbs.answer_matter(desk.session, ticket, desk.actor("李工"), "已换人", at("10:00"))
    rows = told_at(desk, at("10:00"), at("20:00", 17), timedelta(minutes=30))
    resident = [row for row in rows if row[1] == "王芳"]
    assert resident == [
        ("10:00", "王芳", "callback_TS"),
        ("16:00", "王芳", "callback_TS"),
        ("19:30", "王芳", "callback_TS"),
    ]
    assert {row for row in rows if row[1] != "王芳"} == {("19:30", "周主管", "answer_unconfirmed")}
    assert ticket.status == "done"


# --- emergencies ------------------------------------------------------------------------------------------------------


def test_while_an_emergency_runs_the_resident_hears_something_every_few_minutes(desk: Desk) -> None:
    ticket = desk.report("G01")
    rows = only(told_at(desk, NOW, at("09:07")), "emergency_trying", "emergency_contact")
    assert rows == [("09:03", "王芳", "emergency_trying"), ("09:06", "王芳", "emergency_trying")]
    assert desk.community.settings["duty_phone"] in desk.pushes("王芳")[-1].text
    verbs.accept(desk.session, ticket, desk.actor("小刘"), at("09:08"))
    rows = only(told_at(desk, at("09:09"), at("09:51"), timedelta(minutes=3)), "emergency_trying", "emergency_contact")
    assert rows == [("09:09", "王芳", "emergency_contact"), ("09:39", "王芳", "emergency_contact")]


@pytest.mark.parametrize("accepted", [False, True])
def test_a_lift_entrapment_alarms_at_15_30_and_60_minutes(desk: Desk, accepted: bool) -> None:
    ticket = desk.report("L01", public_area=True)
    if accepted:
        verbs.accept(desk.session, ticket, desk.handler(ticket), at("09:02"))
    rows = only(told_at(desk, NOW, at("10:30"), timedelta(minutes=3)), "lift_alarm")
    assert rows == [(clock, name, "lift_alarm") for clock in ("09:15", "09:30", "10:00") for name in ("李工", "马经理")]


def test_an_unanswered_safety_question_is_a_suspicion_for_the_duty_people(desk: Desk) -> None:
    questions.ask(
        desk.session, desk.resident("王芳"), "safety", NOW, remind_at=at("09:02"), text="好像有股煤气味", danger="GAS"
    )
    desk.seen()
    desk.sweep(at("09:01"))
    assert desk.fresh() == []
    desk.sweep(at("09:02"))
    told = {row.staff_id for row in desk.fresh()}
    assert {desk.staff(name).id for name in ("马经理", "李工", "刘队", "客服小周", "小刘")} <= told
    assert all("好像有股煤气味" in row.text and row.priority == 0 for row in desk.fresh())
    desk.seen()
    desk.sweep_through(at("09:03"), at("09:30"), FIVE)
    assert desk.fresh() == []


def test_an_answered_safety_question_is_none(desk: Desk) -> None:
    question = questions.ask(
        desk.session, desk.resident("王芳"), "safety", NOW, remind_at=at("09:02"), text="好像有股煤气味"
    )
    questions.answered(question, "没有", at("09:01"))
    desk.seen()
    desk.sweep(at("09:02"))
    assert desk.fresh() == []


# --- drafts -----------------------------------------------------------------------------------------------------------


def draft(desk: Desk, **more: object) -> Draft:
    fields: dict[str, object] = {"kind": "BX", "data": {"faults": [{"code": "W02"}]}, "updated_at": NOW, **more}
    found = Draft(conversation_id=desk.chat("王芳").id, **fields)
    desk.session.add(found)
    desk.session.flush()
    return found


def test_a_half_told_fault_is_asked_about_once_and_dropped_after_a_day(desk: Desk) -> None:
    draft(desk)
    desk.sweep(at("09:09"))
    assert desk.pushes() == []
    desk.sweep_through(at("09:10"), at("12:00"), FIVE)
    (row,) = desk.pushes("王芳")
    assert "几栋几单元几室" in row.text
    desk.sweep(at("09:01", 13))
    assert desk.session.scalar(select(Draft)) is None


def test_a_parked_one_waits_for_the_emergency_to_end(desk: Desk) -> None:
    kept = draft(desk, parked=True)
    desk.sweep_through(at("09:10"), at("12:00", 14), timedelta(hours=3))
    assert desk.session.scalar(select(Draft)) == kept
    assert desk.pushes() == []


# --- again, until somebody acts ---------------------------------------------------------------------------------------


def test_an_alarm_rings_again_one_rung_higher_until_somebody_acts(desk: Desk) -> None:
    desk.staff("王师傅").active = False
    desk.worker("区域品质", [], role="manager", department="company")
    ticket = desk.report("W01", kind="YH", level="U1")
    rows = only(told_at(desk, NOW, at("10:20"), FIVE), "unaccepted_leader", "still_late_leader")
    assert rows == [
        ("09:05", "李工", "unaccepted_leader"),
        ("09:10", "李工", "unaccepted_leader"),
        ("09:15", "李工", "unaccepted_leader"),
        ("09:30", "李工", "unaccepted_leader"),
        ("09:30", "马经理", "unaccepted_leader"),
        ("09:45", "李工", "still_late_leader"),
        ("09:45", "马经理", "still_late_leader"),
        ("10:00", "李工", "still_late_leader"),
        ("10:00", "马经理", "still_late_leader"),
        ("10:00", "区域品质", "still_late_leader"),
        ("10:15", "李工", "still_late_leader"),
        ("10:15", "马经理", "still_late_leader"),
        ("10:15", "区域品质", "still_late_leader"),
    ]
    verbs.assign(desk.session, ticket, desk.worker("钱师傅", ["plumber"]), desk.actor("李工"), at("10:21"))
    verbs.accept(desk.session, ticket, desk.actor("钱师傅"), at("10:22"))
    verbs.arrive(desk.session, ticket, desk.actor("钱师傅"), at("10:30"))
    assert only(told_at(desk, at("10:31"), at("12:30"), FIVE), "still_late_leader", "unaccepted_leader") == []


def test_an_acknowledgement_keeps_it_quiet_for_a_while_but_not_for_good(desk: Desk) -> None:
    desk.staff("王师傅").active = False
    ticket = desk.report("W01", kind="YH", level="U1")
    desk.sweep_through(NOW, at("09:45"), FIVE)
    verbs.record(desk.session, ticket, desk.actor("马经理"), "ack", at("09:46"))
    rows = only(told_at(desk, at("09:50"), at("10:30"), FIVE), "still_late_leader")
    assert {row[0] for row in rows} == {"10:20"}


def test_what_was_late_before_a_pause_is_rung_for_again_after_it(desk: Desk) -> None:
    ticket = arrived(desk, "W04")
    desk.sweep(at("10:00", 13))
    verbs.hold(desk.session, ticket, desk.actor("李工"), "待配件", at("10:00", 15), at("10:10", 13))
    assert only(told_at(desk, at("10:15", 13), at("09:15", 15), timedelta(hours=1)), "still_late_leader") == []
    rows = only(told_at(desk, at("10:00", 15), at("11:30", 15), timedelta(minutes=15)), "still_late_leader")
    assert {row[0] for row in rows} == {"11:00"}


def test_ordinary_alarms_wait_for_the_desk_to_open(desk: Desk) -> None:
    ticket = desk.report("W02", now=at("17:50"))
    assert ticket.accept_by == at("08:50", 13)
    rows = told_at(desk, at("17:50"), at("12:30", 13), timedelta(minutes=10))
    assert [row for row in rows if row[2] in ("timed_out", "nobody", "unaccepted_leader")] == [
        ("08:50", "王师傅", "timed_out"),
        ("08:50", "李工", "nobody"),
        ("10:20", "李工", "unaccepted_leader"),
        ("12:20", "李工", "unaccepted_leader"),
        ("12:20", "马经理", "unaccepted_leader"),
    ]


# --- the resident hears something even if nothing has changed ---------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "level", "due"),
    [
        ("W01", "BX", "U1", at("11:00")),
        ("W04", "BX", "U2", at("09:00", 13)),
        ("W02", "BX", "U3", at("09:00", 15)),
        ("T02", "TS", "C1", at("09:00", 13)),
        # Two working days after a Thursday.
        ("T09", "TS", "C3", at("09:00", 16)),
    ],
)
def test_somebody_who_waits_hears_something_at_the_interval_of_the_class(
    desk: Desk, code: str, kind: str, level: str, due: datetime
) -> None:
    ticket = desk.report(code, kind=kind, level=level)
    assert ticket.contact_at == due
    verbs.accept(desk.session, ticket, desk.handler(ticket), NOW)
    if kind == "BX":
        verbs.arrive(desk.session, ticket, desk.handler(ticket), NOW)
    else:
        ticket.finish_by = at("12:00", 25)
        if level == "C1":
            verbs.called(desk.session, ticket, desk.actor("马经理"), "", NOW)
    desk.sweep(due - MINUTE)
    desk.seen()
    desk.sweep(due)
    heard = [key for key in desk.told().get("王芳", []) if key.startswith(("progress", "late"))]
    assert heard, due
    assert ticket.contact_at is not None
    assert ticket.contact_at > due


def test_every_other_word_puts_it_off(desk: Desk) -> None:
    ticket = desk.accepted("W01")
    verbs.arrive(desk.session, ticket, desk.handler(ticket), at("09:20"))
    assert only(told_at(desk, at("09:25"), at("11:15"), FIVE), "progress_running") == []
    assert only(told_at(desk, at("11:20"), at("11:20")), "progress_running") == [("11:20", "王芳", "progress_running")]


def test_a_paused_one_is_spoken_of_weekly_with_its_reason_and_date(desk: Desk) -> None:
    ticket = arrived(desk, "W02")
    verbs.hold(desk.session, ticket, desk.actor("李工"), "待配件", at("09:00", 26), at("10:00"))
    rows = only(told_at(desk, at("11:00"), at("11:00", 19), timedelta(hours=1)), "progress_held", "progress_running")
    assert rows == [("10:00", "王芳", "progress_held")]
    text = desk.pushes("王芳")[-1].text
    assert "待配件" in text
    assert "6月26日" in text


def test_nothing_more_is_told_once_it_is_done(desk: Desk) -> None:
    ticket = desk.done("W01")
    assert ticket.contact_at is None
    assert desk.closed("W01").contact_at is None


# --- shifts -----------------------------------------------------------------------------------------------------------


def day_worker(desk: Desk, name: str, start: int, end: int) -> Staff:
    worker = desk.worker(name, ["plumber"])
    for shift in worker.shifts:
        shift.start_minute, shift.end_minute = 60 * start, 60 * end
    desk.session.flush()
    return worker


def test_what_was_not_taken_by_the_end_of_the_shift_goes_to_somebody_on_duty(desk: Desk) -> None:
    desk.staff("王师傅").active = False
    day_worker(desk, "白班", 8, 17)
    day_worker(desk, "夜班", 17, 32)
    ticket = desk.report("W02", now=at("16:45"))
    rows = only(told_at(desk, at("16:50"), at("17:00"), FIVE), "handed_over", "card", "timed_out")
    assert rows == [("17:00", "白班", "handed_over"), ("17:00", "夜班", "card")]
    assert desk.assignments(ticket) == [("白班", "withdrawn"), ("夜班", "offered")]
    assert only(told_at(desk, at("17:05"), at("17:25"), FIVE), "refused_twice", "nobody") == []


def test_what_cannot_wait_for_his_next_shift_is_the_supervisors_to_see_to(desk: Desk) -> None:
    desk.staff("王师傅").active = False
    day_worker(desk, "白班", 8, 17)
    urgent, later = desk.report("W04", now=at("16:00")), desk.report("W02", now=at("16:00"))
    for ticket in (urgent, later):
        verbs.accept(desk.session, ticket, desk.handler(ticket), at("16:10"))
    rows = only(told_at(desk, at("16:15"), at("18:00"), FIVE), "shift_over")
    assert rows == [("17:00", "李工", "shift_over")]
    assert desk.history(urgent, "shift_over")
    assert not desk.history(later, "shift_over")


def test_on_leave_nobody_is_on_duty(desk: Desk) -> None:
    plumber = desk.staff("王师傅")
    plumber.leaves = [Leave(start_at=at("08:00"), end_at=at("18:00", 13), reason="病假")]
    desk.session.flush()
    assert not on_shift(plumber, at("09:00"))
    assert on_shift(plumber, at("18:00", 13))
    ticket = desk.report("W02")
    assert ticket.handler != plumber


# --- one bad ticket stops no other ------------------------------------------------------------------------------------


def test_a_ticket_whose_clocks_fail_is_put_aside_for_a_minute(desk: Desk) -> None:
    broken, sound = desk.report("W01"), desk.report("W01")
    broken.level = "U9"
    desk.session.flush()
    desk.seen()
    desk.sweep(at("09:05"))
    assert {row.ticket_id for row in desk.fresh()} == {sound.id}
    assert broken.look_at == at("09:06")


def test_many_at_once_are_looked_at_in_turns(desk: Desk) -> None:
    for code in ("W02", "W04", "E04", "D03", "A02"):
        desk.report(code)
    assert look_at_tickets(desk.session, at("09:00"), most=3)
    assert not look_at_tickets(desk.session, at("09:00"), most=3)
    assert not look_at_tickets(desk.session, at("09:00"), most=3)


def test_in_december_the_managers_hear_once_that_next_years_holidays_are_missing(desk: Desk) -> None:
    december = datetime(2090, 12, 1, 9, 0, tzinfo=NOW.tzinfo)
    desk.sweep(december - timedelta(days=1))
    assert desk.pushes() == []
    desk.sweep(december)
    desk.sweep(december + timedelta(days=1))
    (row,) = desk.pushes("马经理")
    assert "2091年" in row.text

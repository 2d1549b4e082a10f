"""A repair from the first word to the scores, and every way it can be given back, handed on or paused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk, at

from tickets import verbs
from tickets.errors import (
    AlreadyTaken,
    BadInput,
    NotAllowed,
    ReasonNeeded,
    SelfCheckNeeded,
    TooLate,
    WrongStatus,
    WrongTrade,
)

# --- opening ----------------------------------------------------------------------------------------------------------


def test_numbers_go_up_through_all_kinds_and_start_again_next_day(desk: Desk) -> None:
    tickets = [
        desk.report(),
        desk.report("T02", kind="TS"),
        desk.report("Q01", kind="ZX"),
        desk.report(now=at("00:30", 13)),
        # Still the 13th in Shanghai although the 12th in UTC.
    ]
    assert [ticket.ticket_no for ticket in tickets] == [
        "BX20250612-0001",
        "TS20250612-0002",
        "ZX20250612-0003",
        "BX20250613-0001",
    ]
    assert [ticket.tail for ticket in tickets] == ["0001", "0002", "0003", "0001"]


def test_two_communities_never_share_a_number(desk: Desk) -> None:
    from storage.models import Community

    other = Community(code="other", name="别处", register_spec={})
    desk.session.add(other)
    desk.session.flush()
    here = desk.report()
    there, _ = verbs.open_ticket(desk.session, other.id, verbs.Report("BX", "W02", "滴水", None), NOW)
    assert here.ticket_no != there.ticket_no


def test_the_same_source_opens_once(desk: Desk) -> None:
    report = verbs.Report("BX", "W02", "滴水", "web:7:0", reporter=desk.resident("王芳"))
    first, fresh = verbs.open_ticket(desk.session, desk.community.id, report, NOW)
    before = desk.snapshot()
    again, known = verbs.open_ticket(desk.session, desk.community.id, report, at("09:05"))
    assert (first, fresh, known) == (again, True, False)
    assert desk.snapshot() == before


@pytest.mark.parametrize(
    ("code", "level", "arrive", "finish"),
    [
        ("E01", "U0", timedelta(minutes=15), timedelta(hours=2)),
        ("W01", "U1", timedelta(minutes=30), timedelta(hours=24)),
        ("W03", "U2", timedelta(hours=4), timedelta(hours=24)),
        ("W02", "U3", timedelta(hours=24), timedelta(hours=72)),
        ("S05", "U4", None, timedelta(days=7)),
    ],
)
def test_the_clocks_of_each_class(
    desk: Desk, code: str, level: str, arrive: timedelta | None, finish: timedelta
) -> None:
    ticket = desk.report(code)
    assert ticket.level == level
    assert ticket.arrive_by == (NOW + arrive if arrive else None)
    assert ticket.finish_by == NOW + finish


def test_a_wished_time_replaces_the_limits_but_not_of_an_emergency(desk: Desk) -> None:
    wish = {"wanted_label": "周一上午", "wanted_start_at": at("09:00", 16), "wanted_end_at": at("12:00", 16)}
    calm, urgent = desk.report("W02", **wish), desk.report("W01", **wish)
    assert (calm.arrive_by, calm.finish_by) == (at("12:00", 16), at("16:00", 16))
    assert urgent.arrive_by == at("09:30")


def test_hurry_alone_raises_to_the_same_day_and_no_further(desk: Desk) -> None:
    assert desk.report("W02", urgent_said=True).level == "U2"
    assert desk.report("W04", urgent_said=True).level == "U2"


def test_facts_raise_one_class_and_a_hazard_to_life_safety(desk: Desk) -> None:
    assert desk.report("W04", flags={"only_toilet": True, "overflowing": True}).level == "U1"
    assert desk.report("W02", flags={"near_socket": True}).level == "U0"
    assert desk.report("W04", flags={"only_toilet": False}).level == "U2"


def test_life_safety_alarms_guards_engineering_desk_and_manager_at_once(desk: Desk) -> None:
    ticket = desk.report("G01", symptom="厨房有煤气味")
    told = {name for name, keys in desk.told().items() if "alarm" in keys}
    assert {"马经理", "李工", "刘队", "客服小周", "小刘", "王师傅", "赵师傅"} <= told
    assert not {"李明", "孙师傅", "王芳"} & told
    assert all("厨房有煤气味" in row.text for row in desk.fresh("马经理"))
    assert ticket.contact_at == at("09:03")


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_from_report_to_scores(desk: Desk) -> None:
    session, resident = desk.session, desk.actor("王芳")
    ticket = desk.report()
    worker = desk.handler(ticket)
    assert (ticket.status, worker.name) == ("assigned", "王师傅")

    desk.seen()
    verbs.accept(session, ticket, worker, at("09:10"))
    assert (ticket.status, ticket.accepted_at, ticket.accept_by) == ("in_progress", at("09:10"), None)
    assert desk.told() == {"王师傅": ["accepted_staff"], "王芳": ["accepted"]}
    assert "王师傅（工号E023）" in desk.fresh("王芳")[0].text

    desk.seen()
    verbs.propose_appointment(session, ticket, worker, at("15:00"), at("16:00"), at("09:12"))
    assert ticket.arrive_by == at("16:00")
    assert "今天15:00–16:00" in desk.fresh("王芳")[0].text
    assert desk.question(ticket, "appointment") is not None
    verbs.agree_appointment(session, ticket, resident, at("09:15"))
    assert desk.question(ticket, "appointment") is None
    assert desk.told() == {"王芳": ["appointment", "appointment_fixed"], "王师傅": ["appointment_agreed"]}

    desk.seen()
    verbs.set_out(session, ticket, worker, at("14:40"))
    verbs.arrive(session, ticket, worker, at("14:55"))
    assert (ticket.on_the_way_at, ticket.arrived_at) == (at("14:40"), at("14:55"))
    assert desk.told() == {"王芳": ["on_the_way", "arrived"]}

    desk.seen()
    verbs.quote(session, ticket, worker, "换角阀", 3500, at("15:00"))
    assert "35元" in desk.fresh("王芳")[0].text
    with pytest.raises(WrongStatus):
        verbs.finish(session, ticket, worker, "换了角阀", at("15:05"), self_checked=True)
    verbs.consent(session, ticket, resident, True, "同意", at("15:06"))
    quoted = {"plan": "换角阀", "fen": 3500, "needs": ["paid", "parts"], "consent": True, "at": at("15:06").isoformat()}
    assert ticket.detail["quote"] == quoted
    assert desk.told() == {"王芳": ["quote", "consent_yes"], "王师傅": ["consent_yes_staff"]}

    desk.seen()
    with pytest.raises(SelfCheckNeeded):
        verbs.finish(session, ticket, worker, "换了角阀", at("15:30"), self_checked=False)
    assert ticket.status == "in_progress"
    verbs.finish(session, ticket, worker, "换了角阀", at("15:31"), self_checked=True)
    assert (ticket.status, ticket.finished_at) == ("done", at("15:31"))
    assert desk.told() == {"王芳": ["acceptance"]}
    assert "换了角阀" in desk.fresh("王芳")[0].text

    desk.seen()
    verbs.confirm(session, ticket, resident, at("15:40"))
    assert (ticket.status, ticket.closed_at, ticket.confirmed_at) == ("closed", at("15:40"), at("15:40"))
    assert (ticket.score_attitude, ticket.score_quality, ticket.default_accepted) == (None, None, False)
    assert desk.question(ticket, "acceptance") is None
    assert desk.question(ticket, "score") is not None
    assert desk.told() == {"王芳": ["thanks_score"], "王师傅": ["accepted_by_resident"]}

    desk.seen()
    verbs.rate(session, ticket, resident, 5, 4, "谢谢师傅", at("15:41"))
    assert (ticket.score_attitude, ticket.score_quality, ticket.remark) == (5, 4, "谢谢师傅")
    assert desk.told() == {"王芳": ["score_thanks"], "王师傅": ["scored"]}
    assert desk.assignments(ticket) == [("王师傅", "done")]
    assert [event.action for event in desk.history(ticket)] == [
        "open",
        "assign",
        "accept",
        "appointment_proposed",
        "appointment_agreed",
        "on_the_way",
        "arrived",
        "quote",
        "consent",
        "finish",
        "confirm",
        "score",
    ]


def test_words_out_of_order_do_what_they_imply_and_nothing_twice(desk: Desk) -> None:
    ticket = desk.report()
    worker = desk.handler(ticket)
    verbs.arrive(desk.session, ticket, worker, at("09:20"))
    assert (ticket.status, ticket.accepted_at, ticket.arrived_at) == ("in_progress", at("09:20"), at("09:20"))
    before = desk.snapshot()
    verbs.arrive(desk.session, ticket, worker, at("09:25"))
    verbs.accept(desk.session, ticket, worker, at("09:25"))
    assert desk.snapshot() == before


def test_a_finish_without_arrival_stamps_it(desk: Desk) -> None:
    ticket = desk.report()
    verbs.finish(desk.session, ticket, desk.handler(ticket), "", at("10:00"), self_checked=True)
    assert (ticket.status, ticket.arrived_at) == ("done", at("10:00"))


def test_a_window_that_is_over_is_no_appointment(desk: Desk) -> None:
    ticket = desk.accepted()
    with pytest.raises(BadInput):
        verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("08:00"), at("09:00"), at("09:30"))


def test_the_resident_names_another_time_and_the_clock_follows(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.change_appointment(
        desk.session, ticket, desk.actor("王芳"), at("14:00", 13), at("16:00", 13), "明天14:00–16:00", at("09:30")
    )
    assert ticket.arrive_by == at("16:00", 13)
    assert desk.told() == {"王师傅": ["time_changed_staff"], "王芳": ["time_noted"]}

    desk.seen()
    verbs.change_appointment(
        desk.session, ticket, desk.actor("王芳"), at("09:00", 14), at("11:00", 14), "6月14日上午", at("09:40")
    )
    assert ticket.arrive_by == at("11:00", 14)
    assert desk.told() == {"王师傅": ["time_changed_staff"], "王芳": ["time_changed"]}


def test_agreeing_to_what_nobody_proposed_or_what_is_over_is_refused(desk: Desk) -> None:
    ticket = desk.accepted()
    with pytest.raises(WrongStatus):
        verbs.agree_appointment(desk.session, ticket, desk.actor("王芳"), at("09:30"))
    verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("15:00"), at("16:00"), at("09:30"))
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "", at("09:31"))
    desk.seen()
    with pytest.raises(WrongStatus):
        verbs.agree_appointment(desk.session, ticket, desk.actor("王芳"), at("09:32"))
    assert desk.told() == {}


def test_work_may_go_on_without_the_paid_part_only_after_a_new_quote(desk: Desk) -> None:
    ticket = desk.accepted()
    worker = desk.handler(ticket)
    verbs.quote(desk.session, ticket, worker, "换龙头", 8000, at("10:00"))
    verbs.consent(desk.session, ticket, desk.actor("王芳"), False, "太贵", at("10:05"))
    with pytest.raises(WrongStatus):
        verbs.finish(desk.session, ticket, worker, "", at("10:10"), self_checked=True)
    verbs.quote(desk.session, ticket, worker, "只紧一紧", 0, at("10:12"))
    verbs.finish(desk.session, ticket, worker, "换了垫圈", at("10:20"), self_checked=True)
    assert ticket.status == "done"


def test_consent_without_a_quote_is_refused(desk: Desk) -> None:
    with pytest.raises(WrongStatus):
        verbs.consent(desk.session, desk.accepted(), desk.actor("王芳"), True, "", at("10:00"))


def test_nobody_is_asked_to_pay_for_a_public_area(desk: Desk) -> None:
    ticket = desk.accepted("E07", public_area=True, by="小刘")
    verbs.quote(desk.session, ticket, desk.handler(ticket), "换灯管", 1500, at("10:00"))
    desk.photo(ticket, at("10:20"))
    verbs.finish(desk.session, ticket, desk.handler(ticket), "换了灯管", at("10:20"), self_checked=True)
    assert ticket.status == "done"


# --- acceptance -------------------------------------------------------------------------------------------------------


def test_a_public_area_is_accepted_by_a_leader_who_did_not_do_it(desk: Desk) -> None:
    ticket = desk.done("E07", public_area=True, place_text="3栋2单元楼道")
    assert {"李工"} == {name for name, keys in desk.told().items() if "inspect" in keys}
    assert desk.question(ticket, "acceptance") is None
    for name in ("王芳", "赵师傅", "小刘"):
        with pytest.raises(NotAllowed):
            verbs.confirm(desk.session, ticket, desk.actor(name), at("10:00"))
    desk.seen()
    verbs.confirm(desk.session, ticket, desk.actor("林管家"), at("10:00"))
    assert ticket.status == "closed"
    assert desk.told() == {"王芳": ["closed_public"], "赵师傅": ["accepted_by_resident"]}


def test_a_leader_does_not_accept_his_own_work(desk: Desk) -> None:
    ticket = desk.report("F05", public_area=True)
    verbs.assign(desk.session, ticket, desk.staff("刘队"), desk.actor("马经理"), NOW, reason="亲自去")
    desk.photo(ticket, at("09:30"))
    verbs.finish(desk.session, ticket, desk.actor("刘队"), "已清", at("09:30"), self_checked=True)
    with pytest.raises(NotAllowed):
        verbs.confirm(desk.session, ticket, desk.actor("刘队"), at("09:40"))
    verbs.confirm(desk.session, ticket, desk.actor("马经理"), at("09:40"))
    assert ticket.status == "closed"


def test_nobody_accepts_in_the_residents_place(desk: Desk) -> None:
    ticket = desk.done()
    for name in ("李工", "马经理", "客服小周", "王师傅", "李强"):
        with pytest.raises(NotAllowed):
            verbs.confirm(desk.session, ticket, desk.actor(name), at("10:00"))
    assert ticket.status == "done"


def test_a_low_score_is_a_task_for_the_supervisor(desk: Desk) -> None:
    ticket = desk.closed()
    desk.seen()
    verbs.rate(desk.session, ticket, desk.actor("王芳"), 4, 2, "地上没擦", at("10:00"))
    assert desk.told() == {"王芳": ["score_low"], "王师傅": ["scored"], "李工": ["scored_low"]}
    assert "地上没擦" in desk.fresh("李工")[0].text


@pytest.mark.parametrize(("attitude", "quality"), [(0, 5), (5, 6), (-1, 3)])
def test_scores_are_one_to_five(desk: Desk, attitude: int, quality: int) -> None:
    ticket = desk.closed()
    with pytest.raises(BadInput):
        verbs.rate(desk.session, ticket, desk.actor("王芳"), attitude, quality, "", at("10:00"))
    assert ticket.score_attitude is None


# --- rework -----------------------------------------------------------------------------------------------------------


def finish_again(desk: Desk, ticket: object, now: object) -> None:
    desk.photo(ticket, now, count=2)  # type: ignore[arg-type]
    verbs.finish(desk.session, ticket, desk.handler(ticket), "重做", now, self_checked=True)  # type: ignore[arg-type]


def test_three_rounds_on_the_same_number(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    ticket, resident = desk.done(), desk.actor("王芳")
    number = ticket.ticket_no

    desk.seen()
    verbs.not_fixed(desk.session, ticket, resident, "还在滴", at("17:00"), half=True)
    assert (ticket.status, ticket.round, ticket.handler) == ("rework", 2, desk.staff("王师傅"))
    assert (ticket.accept_by, ticket.arrive_by) == (at("17:30"), at("17:00", 13))
    assert (ticket.arrived_at, ticket.finished_at, ticket.accepted_at) == (None, None, None)
    assert desk.told() == {"王芳": ["rework"], "王师傅": ["rework_staff"], "李工": ["rework_leader"]}
    assert desk.question(ticket, "acceptance") is None

    finish_again(desk, ticket, at("09:30", 13))
    desk.seen()
    verbs.not_fixed(desk.session, ticket, resident, "又滴了", at("10:10", 13))
    assert (ticket.round, ticket.handler, ticket.ticket_no) == (3, helper, number)
    assert desk.told() == {
        "王芳": ["rework"],
        "钱师傅": ["rework_staff"],
        "李工": ["rework_on_site"],
        "马经理": ["rework_leader"],
    }
    finish_again(desk, ticket, at("15:00", 13))
    verbs.confirm(desk.session, ticket, resident, at("16:00", 13))
    assert ticket.status == "closed"
    assert desk.assignments(ticket) == [("王师傅", "withdrawn"), ("王师傅", "withdrawn"), ("钱师傅", "done")]


def test_round_three_rather_waits_for_the_plumber_of_the_night_than_for_the_same_hand(desk: Desk) -> None:
    ticket = desk.done()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("10:00"))
    finish_again(desk, ticket, at("11:00"))
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("12:00"))
    assert (ticket.round, ticket.handler) == (3, desk.staff("孙师傅"))
    # Nobody takes a job before their duty begins.
    assert ticket.accept_by is not None and ticket.accept_by > at("20:00")
    desk.sweep_through(at("12:00"), at("19:59"), timedelta(minutes=20))
    assert ticket.handler == desk.staff("孙师傅")


def test_round_three_stays_with_the_only_plumber_there_is(desk: Desk) -> None:
    desk.staff("孙师傅").active = False
    ticket = desk.done()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("10:00"))
    finish_again(desk, ticket, at("11:00"))
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("12:00"))
    assert (ticket.round, ticket.handler) == (3, desk.staff("王师傅"))


def test_an_urgent_fault_has_the_urgent_clock_again(desk: Desk) -> None:
    ticket = desk.done("W01")
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "又爆了", at("14:00"))
    assert (ticket.accept_by, ticket.arrive_by, ticket.finish_by) == (at("14:10"), at("14:30"), at("14:00", 13))


def test_within_seven_days_the_same_number_is_reopened(desk: Desk) -> None:
    ticket = desk.closed()
    verbs.reopen(desk.session, ticket, desk.actor("王芳"), "其实还在漏", at("08:59", 19))
    assert (ticket.status, ticket.round, ticket.closed_at) == ("rework", 2, None)
    assert desk.question(ticket, "score") is None


def test_after_seven_days_only_a_supervisor_reopens(desk: Desk) -> None:
    ticket = desk.closed()
    with pytest.raises(TooLate):
        verbs.reopen(desk.session, ticket, desk.actor("王芳"), "又漏了", at("09:01", 19))
    assert ticket.status == "closed"
    verbs.reopen(desk.session, ticket, desk.actor("李工"), "质保返修", at("09:01", 19))
    assert ticket.status == "rework"


def test_a_cancelled_ticket_is_not_reopened(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "", at("09:30"))
    with pytest.raises(WrongStatus):
        verbs.reopen(desk.session, ticket, desk.actor("王芳"), "又漏了", at("09:40"))


# --- giving it back ---------------------------------------------------------------------------------------------------


def test_a_refusal_goes_to_the_next_and_the_second_to_the_supervisor(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    ticket = desk.report()
    desk.seen()
    verbs.decline(desk.session, ticket, desk.actor("王师傅"), "手上有急单", at("09:05"))
    assert (ticket.status, ticket.handler) == ("assigned", helper)
    # No name had been given to the resident yet, so nothing is said.
    assert desk.told() == {"钱师傅": ["card"]}
    assert desk.history(ticket, "decline")[0].note == "手上有急单"

    desk.seen()
    verbs.decline(desk.session, ticket, desk.actor("钱师傅"), "不会", at("09:10"))
    assert (ticket.status, ticket.handler) == ("new", None)
    assert desk.assignments(ticket) == [("王师傅", "declined"), ("钱师傅", "declined")]
    assert set(desk.told()) == {"李工"}
    assert "refused_twice" in desk.told()["李工"]


@pytest.mark.parametrize("reason", ["", "我不想去", "嗯"])
def test_a_refusal_needs_a_reason_from_the_list(desk: Desk, reason: str) -> None:
    ticket = desk.report()
    with pytest.raises(ReasonNeeded):
        verbs.decline(desk.session, ticket, desk.actor("王师傅"), reason, at("09:05"))
    assert desk.assignments(ticket) == [("王师傅", "offered")]


def test_only_the_worker_who_was_asked_can_refuse(desk: Desk) -> None:
    ticket = desk.report()
    for name in ("赵师傅", "李工", "王芳"):
        with pytest.raises(NotAllowed):
            verbs.decline(desk.session, ticket, desk.actor(name), "不会", at("09:05"))


def test_what_was_accepted_cannot_be_refused(desk: Desk) -> None:
    with pytest.raises(WrongStatus):
        verbs.decline(desk.session, desk.accepted(), desk.actor("王师傅"), "不会", at("09:05"))


def test_an_ownerless_ticket_is_grabbed_by_the_first_fitting_worker(desk: Desk) -> None:
    ticket = desk.report()
    verbs.decline(desk.session, ticket, desk.actor("王师傅"), "不会", at("09:05"))
    assert ticket.status == "new"
    with pytest.raises(WrongTrade):
        verbs.accept(desk.session, ticket, desk.actor("李明"), at("09:08"))
    helper = desk.worker("钱师傅", ["plumber"])
    verbs.accept(desk.session, ticket, desk.actor("钱师傅"), at("09:09"))
    assert (ticket.status, ticket.handler) == ("in_progress", helper)
    with pytest.raises(AlreadyTaken) as refused:
        verbs.accept(desk.session, ticket, desk.actor("王师傅"), at("09:10"))
    assert refused.value.facts["name"] == "钱师傅"


def test_accepting_what_is_offered_to_someone_else_is_refused(desk: Desk) -> None:
    ticket = desk.report()
    desk.worker("钱师傅", ["plumber"])
    with pytest.raises(AlreadyTaken):
        verbs.accept(desk.session, ticket, desk.actor("钱师傅"), at("09:05"))


def test_a_refused_accept_changes_nothing(desk: Desk) -> None:
    ticket = desk.accepted()
    helper = desk.worker("钱师傅", ["plumber"])
    verbs.transfer(desk.session, ticket, helper, desk.actor("王师傅"), at("10:00"))
    verbs.hold(desk.session, ticket, desk.actor("王师傅"), "待配件", at("18:00"), at("10:05"))
    before = desk.snapshot()
    for name in ("王师傅", "钱师傅"):
        with pytest.raises(WrongStatus):
            verbs.accept(desk.session, ticket, desk.actor(name), at("10:10"))
    assert desk.snapshot() == before


# --- handing it on ----------------------------------------------------------------------------------------------------


def test_the_first_worker_stays_responsible_until_the_other_accepts(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    ticket = desk.accepted()
    desk.seen()
    verbs.transfer(desk.session, ticket, helper, desk.actor("王师傅"), at("10:10"))
    assert (ticket.status, ticket.handler) == ("in_progress", desk.staff("王师傅"))
    assert desk.assignments(ticket) == [("王师傅", "accepted"), ("钱师傅", "offered")]
    assert desk.told() == {"钱师傅": ["card"], "李工": ["transfer_asked"]}

    desk.seen()
    verbs.accept(desk.session, ticket, desk.actor("钱师傅"), at("10:20"))
    assert (ticket.status, ticket.handler, ticket.accepted_at) == ("in_progress", helper, at("10:20"))
    assert desk.assignments(ticket) == [("王师傅", "withdrawn"), ("钱师傅", "accepted")]
    assert desk.told() == {"钱师傅": ["accepted_staff"], "王芳": ["accepted"], "王师傅": ["withdrawn"]}


def test_the_one_who_was_asked_may_finish_it_after_all(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.transfer(desk.session, ticket, desk.worker("钱师傅", ["plumber"]), desk.actor("王师傅"), at("10:10"))
    verbs.finish(desk.session, ticket, desk.actor("王师傅"), "", at("10:30"), self_checked=True)
    with pytest.raises(WrongStatus):
        verbs.accept(desk.session, ticket, desk.actor("钱师傅"), at("10:40"))
    assert ticket.handler == desk.staff("王师傅")


def test_a_transfer_keeps_to_the_trade_and_to_the_handler(desk: Desk) -> None:
    ticket = desk.accepted()
    with pytest.raises(WrongTrade):
        verbs.transfer(desk.session, ticket, desk.staff("赵师傅"), desk.actor("王师傅"), at("10:10"))
    with pytest.raises(BadInput):
        verbs.transfer(desk.session, ticket, desk.staff("王师傅"), desk.actor("王师傅"), at("10:10"))
    with pytest.raises(NotAllowed):
        verbs.transfer(desk.session, ticket, desk.staff("王师傅"), desk.actor("赵师傅"), at("10:10"))


def test_a_complaint_can_be_handed_to_another_leader(desk: Desk) -> None:
    ticket = desk.report("T02", kind="TS")
    verbs.transfer(desk.session, ticket, desk.staff("周主管"), desk.actor("李工"), at("10:00"))
    assert ticket.handler == desk.staff("李工")
    verbs.accept(desk.session, ticket, desk.actor("周主管"), at("10:10"))
    assert (ticket.status, ticket.handler) == ("in_progress", desk.staff("周主管"))


# --- pausing ----------------------------------------------------------------------------------------------------------


def test_a_pause_stops_the_clock_and_tells_why_and_until_when(desk: Desk) -> None:
    ticket = desk.accepted()
    arrive, finish = ticket.arrive_by, ticket.finish_by
    assert arrive is not None
    assert finish is not None
    desk.seen()
    verbs.hold(desk.session, ticket, desk.handler(ticket), "等待配件，待配件", at("10:00", 13), at("11:00"))
    assert (ticket.status, ticket.hold_reason, ticket.wake_at) == ("on_hold", "待配件", at("10:00", 13))
    assert desk.told() == {"王芳": ["hold"]}
    text = desk.fresh("王芳")[0].text
    assert "待配件" in text
    assert "10:00" in text

    desk.seen()
    verbs.resume(desk.session, ticket, desk.handler(ticket), at("09:00", 13))
    pause = at("09:00", 13) - at("11:00")
    assert (ticket.status, ticket.hold_reason, ticket.wake_at) == ("in_progress", "", None)
    assert (ticket.arrive_by, ticket.finish_by) == (arrive + pause, finish + pause)
    assert desk.told() == {"王芳": ["resumed"]}


def test_a_visit_that_fell_into_the_pause_is_no_longer_agreed(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.propose_appointment(desk.session, ticket, desk.handler(ticket), at("15:00"), at("16:00"), at("09:30"))
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待业主", at("10:00", 13), at("15:10"))
    verbs.resume(desk.session, ticket, desk.handler(ticket), at("10:00", 13))
    assert ticket.appointment_start_at is None


def test_more_than_a_day_and_the_second_pause_go_to_the_supervisor(desk: Desk) -> None:
    ticket = desk.accepted()
    worker = desk.handler(ticket)
    desk.seen()
    verbs.hold(desk.session, ticket, worker, "待配件", at("12:00"), at("10:00"))
    verbs.resume(desk.session, ticket, worker, at("11:00"))
    assert "李工" not in desk.told()
    verbs.hold(desk.session, ticket, worker, "待配件", at("14:00"), at("12:00"))
    assert desk.told()["李工"] == ["hold_again"]
    verbs.resume(desk.session, ticket, worker, at("13:00"))
    desk.seen()
    verbs.hold(desk.session, ticket, worker, "待资金", at("12:00", 16), at("14:00"))
    assert desk.told()["李工"] == ["hold_approve"]
    verbs.approve_hold(desk.session, ticket, desk.actor("李工"), at("14:10"))
    with pytest.raises(NotAllowed):
        verbs.approve_hold(desk.session, ticket, worker, at("14:10"))


def test_a_pause_needs_a_listed_reason_and_a_date_to_come(desk: Desk) -> None:
    ticket = desk.accepted()
    with pytest.raises(ReasonNeeded):
        verbs.hold(desk.session, ticket, desk.handler(ticket), "改天再说", at("18:00"), at("10:00"))
    with pytest.raises(BadInput):
        verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("10:00"), at("10:00"))
    assert (ticket.status, ticket.hold_reason) == ("in_progress", "")


# --- calling it off ---------------------------------------------------------------------------------------------------


def test_before_the_worker_is_there_the_resident_may_cancel(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "我自己换好了", at("09:30"))
    assert (ticket.status, ticket.closed_at) == ("cancelled", at("09:30"))
    assert desk.told() == {"王师傅": ["cancelled_staff"], "王芳": ["cancelled"]}
    assert "我自己换好了" in desk.fresh("王师傅")[0].text
    assert desk.assignments(ticket) == [("王师傅", "withdrawn")]


@pytest.mark.parametrize("code", ["W01", "E01"])
def test_an_emergency_is_not_called_off_by_chat_alone(desk: Desk, code: str) -> None:
    ticket = desk.report(code)
    desk.seen()
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "不用来了", at("09:02"))
    assert ticket.status == "assigned"
    assert desk.told()["王芳"] == ["cancel_needs_call"]
    assert desk.told()["李工"] == ["verify_by_phone"]
    assert desk.told()[ticket.handler.name if ticket.handler else ""] == ["verify_by_phone"]
    verbs.resolve(desk.session, ticket, desk.actor("李工"), "电话核实，已自行关阀", at("09:06"))
    assert ticket.status == "closed"


def test_a_public_area_stays_open(desk: Desk) -> None:
    from tickets.errors import PublicArea

    ticket = desk.report("E07", public_area=True)
    with pytest.raises(PublicArea):
        verbs.cancel(desk.session, ticket, desk.actor("王芳"), "不用修了", at("09:30"))
    assert ticket.status == "assigned"


def test_once_the_worker_is_there_it_is_too_late(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.arrive(desk.session, ticket, desk.handler(ticket), at("09:20"))
    with pytest.raises(TooLate):
        verbs.cancel(desk.session, ticket, desk.actor("王芳"), "", at("09:30"))


def test_a_neighbour_cannot_cancel_and_learns_nothing(desk: Desk) -> None:
    ticket = desk.report("W01")
    before = desk.snapshot()
    with pytest.raises(NotAllowed) as refused:
        verbs.cancel(desk.session, ticket, desk.actor("李强"), "", at("09:30"))
    assert "1502" not in str(refused.value.facts)
    assert desk.snapshot() == before


def test_what_is_finished_cannot_be_cancelled(desk: Desk) -> None:
    for ticket in (desk.done("W01"), desk.closed()):
        before = desk.snapshot()
        with pytest.raises(WrongStatus):
            verbs.cancel(desk.session, ticket, desk.actor("王芳"), "", at("09:30"))
        assert desk.snapshot() == before


@pytest.mark.parametrize("name", ["客服小周", "李工"])
def test_the_desk_and_leaders_may_cancel(desk: Desk, name: str) -> None:
    ticket = desk.report("W01")
    verbs.cancel(desk.session, ticket, desk.actor(name), "重复登记", at("09:05"))
    assert ticket.status == "cancelled"


def test_a_leader_closes_by_hand_only_with_what_was_done(desk: Desk) -> None:
    ticket = desk.report("E01")
    with pytest.raises(ReasonNeeded):
        verbs.resolve(desk.session, ticket, desk.actor("李工"), "", at("09:30"))
    with pytest.raises(NotAllowed):
        verbs.resolve(desk.session, ticket, desk.actor("赵师傅"), "好了", at("09:30"))
    desk.seen()
    verbs.resolve(desk.session, ticket, desk.actor("李工"), "已断电更换", at("09:30"))
    assert ticket.status == "closed"
    assert "已断电更换" in desk.fresh("王芳")[0].text


# --- changes on the way -----------------------------------------------------------------------------------------------


def test_a_corrected_place_is_logged_and_pushed(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    new = {"place_key": "P1/3/2/1503", "place_text": "一期3栋2单元1503室"}
    verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:15"), **new)
    (event,) = desk.history(ticket, "correct")
    assert event.data == {"old": {"place_key": "P1/3/2/1502", "place_text": "一期3栋2单元1502室"}, "new": new}
    assert event.note == "一期3栋2单元1502室 → 一期3栋2单元1503室"
    assert desk.told() == {"王师傅": ["corrected_place"]}
    assert "一期3栋2单元1502室 → 一期3栋2单元1503室" in desk.fresh("王师傅")[0].text


def test_corrections_keep_every_value_in_order(desk: Desk) -> None:
    ticket = desk.report()
    for room in ("1503", "1504", "1505"):
        verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:15"), place_text=room)
    assert [event.data["old"]["place_text"] for event in desk.history(ticket, "correct")] == [
        "一期3栋2单元1502室",
        "1503",
        "1504",
    ]
    assert ticket.place_text == "1505"


def test_only_named_fields_can_be_corrected_and_only_while_open(desk: Desk) -> None:
    ticket = desk.closed()
    with pytest.raises(WrongStatus):
        verbs.correct(desk.session, ticket, desk.actor("王芳"), at("09:15"), place_text="别处")
    with pytest.raises(BadInput):
        verbs.correct(desk.session, desk.report(), desk.actor("王芳"), at("09:15"), status="closed")


def test_new_facts_raise_the_class_with_new_clocks(desk: Desk) -> None:
    ticket = desk.accepted("W04")
    desk.seen()
    raised = verbs.add_detail(
        desk.session, ticket, desk.actor("王芳"), "就一个卫生间", at("09:01"), flags={"only_toilet": True}
    )
    assert raised
    assert (ticket.level, ticket.arrive_by) == ("U1", at("09:31"))
    assert desk.told() == {"王师傅": ["level_staff"]}


def test_more_words_alone_never_change_the_class(desk: Desk) -> None:
    ticket = desk.accepted("W04", flags={"only_toilet": True})
    verbs.change_level(desk.session, ticket, desk.actor("李工"), "U3", "已疏通一半", at("09:10"))
    assert not verbs.add_detail(desk.session, ticket, desk.actor("王芳"), "谢谢", at("09:20"))
    assert ticket.level == "U3"


def test_raised_to_life_safety_it_alarms_like_one(desk: Desk) -> None:
    ticket = desk.accepted("W02")
    desk.seen()
    verbs.add_detail(desk.session, ticket, desk.actor("王芳"), "滴到插座上", at("09:10"), flags={"near_socket": True})
    assert (ticket.level, ticket.contact_at) == ("U0", at("09:13"))
    assert {"马经理", "刘队", "小刘"} <= {name for name, keys in desk.told().items() if "alarm" in keys}


def test_the_class_is_lowered_only_by_a_leader_with_a_reason(desk: Desk) -> None:
    ticket = desk.report("W01")
    for name in ("王芳", "王师傅", "客服小周"):
        with pytest.raises(NotAllowed):
            verbs.change_level(desk.session, ticket, desk.actor(name), "U3", "不急", at("09:10"))
    with pytest.raises(ReasonNeeded):
        verbs.change_level(desk.session, ticket, desk.actor("李工"), "U3", "", at("09:10"))
    verbs.change_level(desk.session, ticket, desk.actor("李工"), "U3", "已关阀", at("09:10"))
    assert (ticket.level, ticket.finish_by) == ("U3", at("09:10", 15))
    assert desk.history(ticket, "level")[0].data == {"old": "U1", "new": "U3"}


def test_the_class_is_raised_by_desk_or_leader_never_by_residents_or_workers(desk: Desk) -> None:
    ticket = desk.report("W02")
    for name in ("王芳", "李强", "赵师傅"):
        with pytest.raises(NotAllowed):
            verbs.change_level(desk.session, ticket, desk.actor(name), "U1", "急", at("09:10"))
    verbs.change_level(desk.session, ticket, desk.actor("客服小周"), "U1", "漏大了", at("09:10"))
    assert (ticket.level, ticket.arrive_by) == ("U1", at("09:40"))


@pytest.mark.parametrize("level", ["U9", "C0", "C1", "", "X"])
def test_there_are_no_other_classes(desk: Desk, level: str) -> None:
    ticket = desk.report("W02")
    with pytest.raises((BadInput, NotAllowed)):
        verbs.change_level(desk.session, ticket, desk.actor("李工"), level, "急", at("09:10"))
    assert ticket.level == "U3"


def test_a_second_pair_of_hands_is_asked_of_the_supervisor(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.ask_help(desk.session, ticket, desk.handler(ticket), "一个人搞不定", at("10:00"))
    assert desk.told() == {"李工": ["help"]}


# --- chasing ----------------------------------------------------------------------------------------------------------


def test_the_first_chase_goes_to_the_worker_then_up_the_ladder(desk: Desk) -> None:
    ticket, resident = desk.accepted(), desk.actor("王芳")
    ladder = []
    for minute in ("09:30", "09:40", "09:50"):
        desk.seen()
        verbs.urge(desk.session, ticket, resident, "怎么还没来", at(minute))
        ladder.append(desk.told())
    assert ladder == [
        {"王师傅": ["urged"]},
        {"王师傅": ["urged"], "李工": ["urged_leader"]},
        {"王师傅": ["urged"], "李工": ["urged_leader"], "马经理": ["urged_leader"]},
    ]
    assert ticket.urge_count == 3
    assert [event.data["count"] for event in desk.history(ticket, "urge")] == [1, 2, 3]


def test_an_overdue_or_ownerless_ticket_goes_up_at_the_first_chase(desk: Desk) -> None:
    late, nobodys = desk.accepted("W04"), desk.report("W02")
    verbs.decline(desk.session, nobodys, desk.actor("王师傅"), "不会", at("09:05"))
    for ticket in (late, nobodys):
        desk.seen()
        verbs.urge(desk.session, ticket, desk.actor("王芳"), "人呢", at("13:30"))
        assert desk.told()["李工"] == ["urged_leader"]


def test_what_is_over_cannot_be_chased(desk: Desk) -> None:
    ticket = desk.closed()
    with pytest.raises(WrongStatus):
        verbs.urge(desk.session, ticket, desk.actor("王芳"), "人呢", at("10:00"))
    assert ticket.urge_count == 0

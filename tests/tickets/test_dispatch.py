"""Whom a repair goes to: trade, licence, shift, area, cap, load (domain.md S18)."""

from __future__ import annotations

import pytest
from deskhelp import Desk, at

from tickets import verbs
from tickets.dispatch import Candidate, Need, fits_trade, rank
from tickets.errors import BadInput, NotAllowed, ReasonNeeded, WrongTrade


def worker(staff_id: int, *trades: str, **more: object) -> Candidate:
    fields: dict[str, object] = {"licences": (), "on_shift": True, "areas": (), "cap": 6, "load": 0, **more}
    return Candidate(staff_id, f"W{staff_id}", trades, **fields)  # type: ignore[arg-type]


def best(need: Need, *staff: Candidate) -> list[int]:
    return [one.staff_id for one, _ in rank(need, staff)]


PLUMBING = Need(("plumber",), "P1/3/2/1502")


def test_only_the_right_trade() -> None:
    assert best(PLUMBING, worker(1, "cleaner"), worker(2, "plumber")) == [2]


def test_the_next_trade_is_tried_only_when_nobody_of_the_first_is_free() -> None:
    need = Need(("lift", "general"), "P1/3/2/1502")
    assert best(need, worker(1, "general"), worker(2, "lift")) == [2]
    assert best(need, worker(1, "general"), worker(2, "lift", on_shift=False)) == [1]


def test_electric_work_needs_a_licence() -> None:
    need = Need(("electrician",), "P1/3/2/1502")
    assert best(need, worker(1, "electrician"), worker(2, "electrician", licences=("electrician",))) == [2]
    assert not fits_trade(["electrician"], [], ["electrician"])
    assert fits_trade(["electrician"], ["electrician"], ["electrician"])
    assert fits_trade(["general"], [], ["electrician", "general"])


def test_nobody_off_duty() -> None:
    assert best(PLUMBING, worker(1, "plumber", on_shift=False)) == []


def test_own_area_first_other_areas_never() -> None:
    staff = [worker(1, "plumber"), worker(2, "plumber", areas=("P1",), load=3), worker(3, "plumber", areas=("P2",))]
    assert best(PLUMBING, *staff) == [2, 1]
    assert best(Need(("plumber",), "PUB:P2/3/-/F1/楼道"), *staff) == [3, 1]


def test_an_unclear_place_keeps_nobody_out() -> None:
    staff = [worker(1, "plumber", areas=("P2",))]
    assert best(Need(("plumber",), ""), *staff) == [1]
    assert best(Need(("plumber",), "P1/3/1/302 or P1/3/2/302"), *staff) == [1]


def test_a_full_worker_is_left_alone_except_in_an_emergency() -> None:
    full = worker(1, "plumber", cap=2, load=2)
    assert best(PLUMBING, full) == []
    assert best(Need(("plumber",), "P1/3/2/1502", urgent=True), full) == [1]


def test_the_least_loaded_goes_and_ties_are_settled_by_number() -> None:
    assert best(PLUMBING, worker(3, "plumber", load=2), worker(2, "plumber"), worker(1, "plumber")) == [1, 2, 3]


def test_excluded_and_preferred() -> None:
    staff = [worker(1, "plumber"), worker(2, "plumber", load=5)]
    assert best(Need(("plumber",), "", exclude=frozenset({1})), *staff) == [2]
    assert best(Need(("plumber",), "", prefer=2), *staff) == [2, 1]


def test_the_reasons_say_why() -> None:
    (_, why), *_ = rank(PLUMBING, [worker(1, "plumber", areas=("P1",), load=2)])
    assert why == ["trade.plumber", "shift", "area", "load:2"]


# --- with the demo community


@pytest.mark.parametrize(
    ("code", "clock", "who"),
    [
        ("W02", "09:00", "王师傅"),
        ("E04", "09:00", "赵师傅"),
        ("D03", "09:00", "陈师傅"),
        ("A02", "09:00", "陈师傅"),
        ("C01", "09:00", "李明"),
        ("L03", "09:00", "迅安维保"),
        ("X00", "09:00", "客服小周"),
        # At night the man on duty is there too; the day worker still has the area and comes first.
        ("W02", "23:00", "王师傅"),
    ],
)
def test_a_repair_goes_to_the_right_worker_at_once(desk: Desk, code: str, clock: str, who: str) -> None:
    ticket = desk.report(code, now=at(clock))
    assert ticket.status == "assigned"
    assert ticket.handler is not None
    assert ticket.handler.name == who
    assert desk.assignments(ticket) == [(who, "offered")]


def test_a_worker_with_all_hands_full_is_passed_over(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    desk.staff("王师傅").cap = 1
    first, second = desk.report(), desk.report()
    assert (first.handler, second.handler) == (desk.staff("王师傅"), helper)


def test_finished_work_is_no_load(desk: Desk) -> None:
    desk.worker("钱师傅", ["plumber"])
    desk.staff("王师傅").cap = 1
    desk.done()
    assert desk.report().handler == desk.staff("王师傅")


def test_an_emergency_goes_even_to_a_full_worker(desk: Desk) -> None:
    desk.staff("王师傅").cap = 0
    ordinary = desk.report("W02")
    urgent = desk.report("W01")
    assert (ordinary.status, ordinary.handler) == ("new", None)
    assert urgent.handler == desk.staff("王师傅")


def test_someone_who_left_gets_nothing(desk: Desk) -> None:
    desk.staff("王师傅").active = False
    desk.seen()
    ticket = desk.report()
    assert ticket.status == "new"
    assert desk.told() == {"李工": ["nobody"]}
    assert [event.action for event in desk.history(ticket)] == ["open", "no_candidate"]


def test_the_card_has_place_fault_time_and_cautions(desk: Desk) -> None:
    desk.closed("W02")
    desk.seen()
    ticket = desk.report("W02", symptom="厨房水管又滴水了", wanted_label="明天下午", wanted_end_at=at("17:00", 13))
    (card,) = desk.fresh("王师傅")
    for part in (ticket.ticket_no, "一期3栋2单元1502室", "厨房水管又滴水了", "王女士", "明天下午", "先关阀", "同类1次"):
        assert part in card.text
    assert [button[0] for button in card.buttons] == [f"accept:{ticket.id}", f"decline:{ticket.id}"]


# --- by hand


def test_a_supervisor_names_the_worker(desk: Desk) -> None:
    helper = desk.worker("钱师傅", ["plumber"])
    ticket = desk.report()
    desk.seen()
    verbs.assign(desk.session, ticket, helper, desk.actor("李工"), at("09:05"))
    assert (ticket.status, ticket.handler) == ("assigned", helper)
    assert desk.assignments(ticket) == [("王师傅", "withdrawn"), ("钱师傅", "offered")]
    assert desk.told() == {"钱师傅": ["card"], "王师傅": ["withdrawn"]}
    assert ticket.accept_by == at("09:35")


def test_another_trade_needs_a_reason_which_is_kept(desk: Desk) -> None:
    ticket = desk.report("D03")
    with pytest.raises(ReasonNeeded):
        verbs.assign(desk.session, ticket, desk.staff("王师傅"), desk.actor("李工"), at("09:05"))
    assert desk.assignments(ticket) == [("陈师傅", "offered")]
    verbs.assign(desk.session, ticket, desk.staff("王师傅"), desk.actor("李工"), at("09:05"), reason="人手不够")
    assert desk.history(ticket, "reassign")[0].note == "人手不够"


def test_someone_off_duty_needs_a_reason(desk: Desk) -> None:
    ticket = desk.report("W02")
    with pytest.raises(ReasonNeeded):
        verbs.assign(desk.session, ticket, desk.staff("孙师傅"), desk.actor("李工"), at("09:05"))
    verbs.assign(desk.session, ticket, desk.staff("孙师傅"), desk.actor("李工"), at("20:05"))
    assert ticket.handler == desk.staff("孙师傅")


def test_no_reason_makes_up_for_a_missing_licence(desk: Desk) -> None:
    ticket = desk.report("E04")
    with pytest.raises(WrongTrade):
        verbs.assign(desk.session, ticket, desk.staff("王师傅"), desk.actor("李工"), at("09:05"), reason="急")


@pytest.mark.parametrize("name", ["王芳", "赵师傅", "李强"])
def test_nobody_else_may_assign(desk: Desk, name: str) -> None:
    ticket = desk.report()
    with pytest.raises(NotAllowed):
        verbs.assign(desk.session, ticket, desk.worker("钱师傅", ["plumber"]), desk.actor(name), at("09:05"))
    assert desk.assignments(ticket) == [("王师傅", "offered")]


def test_the_manager_is_no_worker(desk: Desk) -> None:
    with pytest.raises(BadInput):
        verbs.assign(desk.session, desk.report(), desk.staff("马经理"), desk.actor("李工"), at("09:05"))


def test_taking_it_from_someone_who_paused_it_gives_the_time_back(desk: Desk) -> None:
    ticket = desk.accepted()
    due = ticket.finish_by
    assert due is not None
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("18:00"), at("10:00"))
    verbs.assign(desk.session, ticket, desk.worker("钱师傅", ["plumber"]), desk.actor("李工"), at("12:00"))
    assert ticket.finish_by == due + (at("12:00") - at("10:00"))
    assert (ticket.hold_reason, ticket.wake_at) == ("", None)

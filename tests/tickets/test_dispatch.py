"""Whom a repair goes to: trade, licence, shift, area, cap, load (domain.md S18)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk, at, key_of
from sqlalchemy import select

from storage.models import Assignment, Staff, Ticket
from tickets import verbs
from tickets.dispatch import Candidate, Need, fits_trade, rank
from tickets.errors import AlreadyTaken, BadInput, HandsFull, MustTake, NotAllowed, ReasonNeeded, WrongTrade


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
    for name in ("王师傅", "孙师傅"):
        desk.staff(name).active = False
    desk.seen()
    ticket = desk.report()
    assert ticket.status == "new"
    assert desk.told() == {"李工": ["nobody"], "王芳": ["nobody_free"]}
    assert [event.action for event in desk.history(ticket)] == ["open", "no_candidate", "nobody_told"]


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


# --- nobody free ------------------------------------------------------------------------------------------------------


def day_worker(desk: Desk, name: str, start: int, end: int, trade: str = "plumber") -> Staff:
    worker = desk.worker(name, [trade])
    for shift in worker.shifts:
        shift.start_minute, shift.end_minute = 60 * start, 60 * end
    desk.session.flush()
    return worker


def test_word_is_promised_no_later_than_the_visit(desk: Desk) -> None:
    for name in ("王师傅", "孙师傅"):
        desk.staff(name).active = False
    ticket = desk.report("W04", now=at("18:00"))
    (told,) = [row for row in desk.pushes("王芳") if key_of(row) == "nobody_free"]
    assert ticket.arrive_by == at("22:00") and "22:00前给您准信" in told.text


def test_nobody_on_duty_the_resident_hears_the_true_time_and_it_is_kept(desk: Desk) -> None:
    for name in ("王师傅", "孙师傅"):
        desk.staff(name).active = False
    day_worker(desk, "白班", 8, 17)
    ticket = desk.report("W02", now=at("18:00"))
    assert ticket.handler is None
    (told,) = [row for row in desk.pushes("王芳") if key_of(row) == "nobody_yet"]
    assert "明天" in told.text
    assert "08:00" in told.text
    desk.sweep_through(at("18:00"), at("07:50", 13), timedelta(minutes=10))
    assert ticket.handler is None
    desk.sweep(at("08:00", 13))
    assert ticket.handler == desk.staff("白班")
    assert len([row for row in desk.pushes("王芳") if key_of(row).startswith("nobody")]) == 1


def test_a_free_hand_gets_what_nobody_could_take(desk: Desk) -> None:
    desk.staff("孙师傅").active = False
    desk.staff("王师傅").cap = 1
    first = desk.accepted("W02")
    second = desk.report("W02", by="李强", place_key="P1/3/2/1402")
    assert second.handler is None
    verbs.finish(desk.session, first, desk.handler(first), "换了", at("09:20"), self_checked=True)
    desk.sweep_through(at("09:20"), at("09:25"), timedelta(minutes=5))
    assert second.handler == desk.staff("王师傅")


# --- modes ------------------------------------------------------------------------------------------------------------


def mode(desk: Desk, code: str, name: str) -> None:
    desk.community.settings = {**desk.community.settings, "dispatch_modes": {code: name}}
    desk.session.flush()


def test_in_rotation_whoever_waits_longest_is_next(desk: Desk) -> None:
    for name in ("保洁甲", "保洁乙"):
        desk.worker(name, ["cleaner"])
    who = []
    for minute in range(6):
        ticket = desk.report(
            "C03", public_area=True, place_key=f"PUB:P1/{minute + 1}/-/F1/楼道", now=at(f"09:0{minute}")
        )
        assert ticket.handler is not None
        who.append(ticket.handler.name)
    assert who == ["李明", "保洁甲", "保洁乙"] * 2
    (held,) = desk.session.scalars(select(Assignment).where(Assignment.ticket_id == ticket.id))
    assert "turn" in held.why


def test_up_for_grabs_everybody_fitting_is_asked_and_the_first_has_it(desk: Desk) -> None:
    desk.worker("钱师傅", ["plumber"])
    mode(desk, "W02", "grab")
    desk.seen()
    ticket = desk.report("W02")
    assert (ticket.status, ticket.handler) == ("new", None)
    told = desk.told()
    assert {name for name, keys in told.items() if "grab_card" in keys} >= {"王师傅", "钱师傅"}
    assert not any("nobody" in keys for keys in told.values())
    desk.seen()
    verbs.accept(desk.session, ticket, desk.actor("钱师傅"), at("09:03"))
    assert (ticket.status, ticket.handler) == ("in_progress", desk.staff("钱师傅"))
    assert "grabbed" in desk.told()["王师傅"]
    with pytest.raises(AlreadyTaken):
        verbs.accept(desk.session, ticket, desk.actor("王师傅"), at("09:04"))
    assert {state for _, state in desk.assignments(ticket)} == {"accepted", "withdrawn"}


def test_what_nobody_grabs_in_time_is_offered_to_the_best(desk: Desk) -> None:
    mode(desk, "W02", "grab")
    ticket = desk.report("W02")
    desk.sweep(at("09:29"))
    assert ticket.handler is None
    desk.sweep(at("09:30"))
    assert (ticket.status, ticket.handler) == ("assigned", desk.staff("王师傅"))
    desk.sweep_through(at("09:31"), at("09:59"), timedelta(minutes=7))
    assert ticket.handler == desk.staff("王师傅")


def test_a_full_worker_cannot_grab_more(desk: Desk) -> None:
    mode(desk, "W02", "grab")
    ticket = desk.report("W02")
    desk.staff("王师傅").cap = 0
    with pytest.raises(HandsFull):
        verbs.accept(desk.session, ticket, desk.actor("王师傅"), at("09:01"))


def test_by_hand_only_the_leader_is_asked(desk: Desk) -> None:
    mode(desk, "W02", "by_hand")
    desk.seen()
    ticket = desk.report("W02")
    assert (ticket.status, ticket.handler) == ("new", None)
    assert desk.told() == {"李工": ["by_hand"]}
    desk.sweep_through(NOW, at("09:30"), timedelta(minutes=5))
    assert ticket.handler is None


def test_an_emergency_is_offered_at_once_whatever_the_mode(desk: Desk) -> None:
    mode(desk, "W01", "by_hand")
    assert desk.report("W01").handler == desk.staff("王师傅")


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused_twice(desk: Desk) -> Ticket:
    for name in ("钱师傅", "吴师傅"):
        desk.worker(name, ["plumber"])
    ticket = desk.report("W02")
    for minute in (1, 2):
        verbs.decline(desk.session, ticket, desk.handler(ticket), "手上有急单", at(f"09:0{minute}"))
    return ticket


def test_after_two_refusals_the_supervisor_names_somebody_within_ten_minutes(desk: Desk) -> None:
    ticket = refused_twice(desk)
    assert (ticket.status, ticket.handler) == ("new", None)
    desk.seen()
    desk.sweep_through(at("09:02"), at("09:11"), timedelta(minutes=1))
    assert "still_late_leader" not in desk.told().get("李工", [])
    desk.sweep(at("09:12"))
    assert "still_late_leader" in desk.told()["李工"]
    assert ticket.handler is None


def test_an_order_can_only_be_given_back_for_safety(desk: Desk) -> None:
    ticket = refused_twice(desk)
    verbs.assign(desk.session, ticket, desk.staff("吴师傅"), desk.actor("李工"), at("09:05"))
    with pytest.raises(MustTake):
        verbs.decline(desk.session, ticket, desk.actor("吴师傅"), "手上有急单", at("09:06"))
    assert ticket.handler == desk.staff("吴师傅")
    verbs.decline(desk.session, ticket, desk.actor("吴师傅"), "危险", at("09:07"))
    assert ticket.status == "new"


def test_an_emergency_goes_on_asking_while_the_supervisor_looks(desk: Desk) -> None:
    for name in ("钱师傅", "吴师傅"):
        desk.worker(name, ["plumber"])
    ticket = desk.report("W01")
    for minute in (1, 2):
        verbs.decline(desk.session, ticket, desk.handler(ticket), "手上有急单", at(f"09:0{minute}"))
    assert ticket.status == "assigned"
    assert desk.history(ticket, "assign")[-1].note not in ("王师傅",)


def test_who_was_passed_over_and_why_is_kept(desk: Desk) -> None:
    day_worker(desk, "夜班", 18, 32)
    desk.staff("王师傅").cap = 0
    desk.worker("钱师傅", ["plumber"])
    ticket = desk.report("W02")
    (held,) = desk.session.scalars(select(Assignment).where(Assignment.ticket_id == ticket.id))
    kept = [reason for reason in held.why if reason.startswith("passed:")]
    assert "passed:王师傅（手上已满）" in kept
    assert "passed:夜班（不在班）" in kept

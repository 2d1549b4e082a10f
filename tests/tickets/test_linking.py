"""Several reports, one matter: joining, merging, incidents of a building, the same fault again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import NOW, Desk, at
from sqlalchemy import select

from storage.models import Follower, Ticket
from tickets import finding, verbs
from tickets.answering import Turn, try_answer
from tickets.errors import NotAllowed, ReasonNeeded, WrongStatus
from tickets.people import Actor

UNIT = "P1/3/2"


def dark(desk: Desk, room: str, by: str | Actor, now: datetime, code: str = "E02") -> Ticket:
    return desk.report(
        code, by=by, now=now, symptom="停电了", place_key=f"{UNIT}/{room}", place_text=f"一期3栋2单元{room}室"
    )


def incident(desk: Desk) -> Ticket:
    return desk.session.scalars(select(Ticket).where(Ticket.source == "incident")).one()


def cut(desk: Desk) -> Ticket:
    """A power cut two homes have reported."""
    dark(desk, "1502", "王芳", at("19:02"))
    dark(desk, "1402", "李强", at("19:03"))
    return incident(desk)


# --- incidents --------------------------------------------------------------------------------------------------------


def test_two_homes_of_one_unit_are_one_incident(desk: Desk) -> None:
    first = dark(desk, "1502", "王芳", at("19:02"))
    assert first.status == "assigned"
    desk.seen()
    second = dark(desk, "1402", "李强", at("19:03"))
    whole = incident(desk)
    assert (first.status, second.status) == ("merged", "merged")
    assert {first.parent_id, second.parent_id} == {whole.id}
    assert (whole.code, whole.level, whole.place_text, whole.created_at) == ("E05", "U1", "一期3栋2单元", at("19:02"))
    assert whole.handler == desk.staff("赵师傅")
    told = desk.told()
    assert told["王芳"] == ["merged_into"] and told["李强"] == ["merged_into"]
    assert "incident" in told["李工"]
    assert not any("1402" in row.text or "李" in row.text for row in desk.fresh("王芳")), "nobody learns who else"


@pytest.mark.parametrize(
    ("room", "by", "now", "code"),
    [
        ("1502", "王芳", "19:03", "E02"),  # the same home again
        ("1402", "李强", "19:40", "E02"),  # half an hour later
        ("1402", "李强", "19:03", "E04"),  # another fault
    ],
)
def test_what_is_no_incident(desk: Desk, room: str, by: str, now: str, code: str) -> None:
    dark(desk, "1502", "王芳", at("19:02"))
    dark(desk, room, by, at(now), code)
    assert not desk.session.scalars(select(Ticket).where(Ticket.source == "incident")).all()


def test_another_unit_is_another_matter(desk: Desk) -> None:
    cut(desk)
    other = desk.report("E02", by=desk.stranger(), now=at("19:04"), place_key="P1/3/1/101")
    assert other.status == "assigned"


def test_what_was_merged_at_once_has_somebody_responsible_when_it_goes_on_alone(desk: Desk) -> None:
    cut(desk)
    child = desk.session.scalars(select(Ticket).where(Ticket.status == "merged").order_by(Ticket.id.desc())).first()
    assert child is not None
    assert child.owner == desk.staff("李工")


def test_the_third_home_makes_a_suggestion_and_nothing_goes_out_unasked(desk: Desk) -> None:
    whole = cut(desk)
    desk.seen()
    third = dark(desk, "801", "陈静", at("19:04"))
    assert third.status == "merged"
    assert "incident_notice" in desk.told()["李工"] and "incident_notice" in desk.told()["马经理"]
    assert not desk.fresh("赵敏"), "who has not reported is not told before somebody allows it"
    with pytest.raises(NotAllowed):
        verbs.broadcast(desk.session, whole, desk.actor("赵师傅"), at("19:05"))
    count = verbs.broadcast(desk.session, whole, desk.actor("李工"), at("19:05"))
    assert [row.text for row in desk.fresh("赵敏")] and count == len({"赵敏", "周涛", "孙丽"})
    before = len(desk.pushes())
    verbs.broadcast(desk.session, whole, desk.actor("李工"), at("19:06"))
    assert len(desk.pushes()) == before, "once"


def test_a_lift_that_stands_in_a_power_cut_belongs_to_it(desk: Desk) -> None:
    cut(desk)
    lift = desk.report("L03", by="陈静", now=at("19:04"), place_key=f"PUB:{UNIT}/-/电梯", public_area=True)
    assert lift.status == "merged"


def test_somebody_stuck_in_the_lift_does_not(desk: Desk) -> None:
    cut(desk)
    stuck = desk.report("L01", by="赵敏", now=at("19:08"), place_key=f"PUB:{UNIT}/-/电梯", public_area=True)
    assert (stuck.status, stuck.level, stuck.parent_id) == ("assigned", "U0", None)


def test_later_reporters_are_counted_without_a_ticket_of_their_own(desk: Desk) -> None:
    whole = cut(desk)
    chen = desk.actor("陈静")
    assert chen.resident is not None
    found = verbs.running_like(desk.session, desk.community.id, "E02", f"{UNIT}/801", chen.resident)
    assert found == whole
    place = (f"{UNIT}/801", "一期3栋2单元801室")
    assert verbs.join(desk.session, whole, chen, "没电", at("19:15"), place=place)
    assert not verbs.join(desk.session, whole, chen, "还没电", at("19:16"), place=place), "once"
    assert verbs.count_of(desk.session, whole) == 3
    assert len(desk.history(whole, "join")) == 3
    assert finding.followed(desk.session, chen) == [whole]


def mended(desk: Desk) -> Ticket:
    whole = cut(desk)
    place = (f"{UNIT}/801", "一期3栋2单元801室")
    verbs.join(desk.session, whole, desk.actor("陈静"), "没电", at("19:15"), place=place)
    verbs.accept(desk.session, whole, desk.handler(whole), at("19:20"))
    desk.photo(whole, at("20:14"))
    desk.seen()
    verbs.finish(desk.session, whole, desk.handler(whole), "合闸恢复", at("20:15"), self_checked=True)
    return whole


def say(desk: Desk, name: str, text: str, now: datetime) -> object:
    return try_answer(Turn(desk.session, desk.chat(name), desk.actor(name), text, now, f"test:{name}:{text}"))


def test_everybody_is_asked_for_their_own_home(desk: Desk) -> None:
    whole = mended(desk)
    told = desk.told()
    assert [told[name] for name in ("王芳", "李强", "陈静")] == [["restored"]] * 3
    assert say(desk, "王芳", "有了", at("20:16")) is not None
    assert [event.actor_name for event in desk.history(whole, "restored")] == ["王女士"]
    assert whole.status == "done"


def test_one_home_that_still_has_it_goes_on_alone(desk: Desk) -> None:
    whole = mended(desk)
    say(desk, "李强", "没有", at("20:16"))
    alone = finding.open_of(desk.session, desk.actor("李强"))
    assert [(one.code, one.status, one.round, one.linked_id) for one in alone] == [("E02", "rework", 2, whole.id)]
    assert alone[0].handler == desk.staff("赵师傅")
    say(desk, "陈静", "还没电", at("20:17"))
    fresh = finding.open_of(desk.session, desk.actor("陈静"))
    assert [(one.code, one.place_key, one.linked_id) for one in fresh] == [("E02", f"{UNIT}/801", whole.id)]
    assert whole.status == "done", "the common one is not reopened"


def test_who_only_got_the_notice_hears_that_it_is_over(desk: Desk) -> None:
    whole = cut(desk)
    verbs.broadcast(desk.session, whole, desk.actor("李工"), at("19:05"))
    verbs.accept(desk.session, whole, desk.handler(whole), at("19:20"))
    desk.photo(whole, at("20:14"))
    desk.seen()
    verbs.finish(desk.session, whole, desk.handler(whole), "合闸", at("20:15"), self_checked=True)
    assert len(desk.fresh("赵敏")) == 1
    assert [row.buttons for row in desk.fresh("赵敏")] == [[]]


# --- the same public place --------------------------------------------------------------------------------------------

LAMP = {"place_key": f"PUB:{UNIT}/F15/楼道", "place_text": "一期3栋2单元15层楼道", "public_area": True}


def test_a_neighbours_report_is_found_and_joined(desk: Desk) -> None:
    lamp = desk.report("E07", **LAMP)
    neighbour = desk.actor("孙丽")
    assert neighbour.resident is not None
    assert verbs.running_like(desk.session, desk.community.id, "E07", LAMP["place_key"], neighbour.resident) == lamp
    mine = desk.resident("王芳")
    assert verbs.running_like(desk.session, desk.community.id, "E07", LAMP["place_key"], mine) is None
    verbs.join(desk.session, lamp, neighbour, "灯不亮", at("09:30"))
    desk.seen()
    verbs.accept(desk.session, lamp, desk.handler(lamp), at("09:40"))
    assert desk.told()["孙丽"] == ["accepted_public"] == desk.told()["王芳"]
    desk.photo(lamp, at("10:00"))
    verbs.finish(desk.session, lamp, desk.handler(lamp), "换灯", at("10:00"), self_checked=True)
    verbs.confirm(desk.session, lamp, desk.actor("李工"), at("10:30"))
    assert desk.told()["孙丽"] == ["accepted_public", "finished_public", "closed_public"]


def test_who_joined_may_chase_and_decides_nothing(desk: Desk) -> None:
    lamp = desk.report("E07", **LAMP)
    neighbour = desk.actor("孙丽")
    verbs.join(desk.session, lamp, neighbour, "灯不亮", at("09:30"))
    verbs.urge(desk.session, lamp, neighbour, "怎么还没来", at("10:00"))
    verbs.add_detail(desk.session, lamp, neighbour, "整层都不亮", at("10:01"))
    for verb in (
        lambda: verbs.cancel(desk.session, lamp, neighbour, "不用了", at("10:02")),
        lambda: verbs.correct(desk.session, lamp, neighbour, at("10:02"), place_text="别处"),
        lambda: verbs.change_appointment(desk.session, lamp, neighbour, None, None, "明天", at("10:02")),
    ):
        with pytest.raises(NotAllowed):
            verb()


def test_a_finished_one_takes_nobody_in(desk: Desk) -> None:
    lamp = desk.done("E07", **LAMP)
    with pytest.raises(WrongStatus):
        verbs.join(desk.session, lamp, desk.actor("孙丽"), "灯不亮", at("09:30"))


# --- merging by hand --------------------------------------------------------------------------------------------------


def test_a_leader_merges_two_reports_of_one_thing(desk: Desk) -> None:
    first, second = (
        desk.report("W03", place_key=f"{UNIT}/1502"),
        desk.report("W04", place_key=f"{UNIT}/1402", by="李强"),
    )
    desk.seen()
    verbs.merge(desk.session, second, first, desk.actor("李工"), at("09:10"))
    assert (second.status, second.parent_id) == ("merged", first.id)
    assert desk.told() == {"李强": ["merged_into"]}
    verbs.accept(desk.session, first, desk.handler(first), at("09:20"))
    assert "accepted" in desk.told()["李强"], "hears of it from now on"
    assert not any("王" in row.text.replace("王师傅", "") for row in desk.fresh("李强"))


def test_merging_keeps_the_higher_class(desk: Desk) -> None:
    calm, urgent = desk.report("W02"), desk.report("W01")
    verbs.merge(desk.session, urgent, calm, desk.actor("李工"), at("09:10"))
    assert (calm.level, calm.arrive_by) == ("U1", at("09:40"))


def test_what_cannot_be_merged(desk: Desk) -> None:
    here, far = desk.report(), desk.report(by=None, place_key="P2/1/-/101")
    leader = desk.actor("李工")
    with pytest.raises(WrongStatus):
        verbs.merge(desk.session, here, here, leader, at("09:10"))
    with pytest.raises(ReasonNeeded):
        verbs.merge(desk.session, far, here, leader, at("09:10"))
    with pytest.raises(NotAllowed):
        verbs.merge(desk.session, here, far, desk.actor("王师傅"), at("09:10"), reason="一样")
    verbs.merge(desk.session, far, here, leader, at("09:10"), reason="同一根总管")
    with pytest.raises(WrongStatus):
        verbs.merge(desk.session, here, far, leader, at("09:11"), reason="反过来")


def test_followers_move_on_with_their_ticket(desk: Desk) -> None:
    lamp, hall = (
        desk.report("E07", **LAMP),
        desk.report("E07", by="李强", **{**LAMP, "place_key": f"PUB:{UNIT}/F14/楼道"}),
    )
    verbs.join(desk.session, lamp, desk.actor("孙丽"), "灯不亮", at("09:30"))
    verbs.merge(desk.session, lamp, hall, desk.actor("李工"), at("09:40"))
    rows = desk.session.scalars(select(Follower)).all()
    assert {(one.ticket_id, one.resident.name if one.resident else "") for one in rows} == {
        (hall.id, "王芳"),
        (hall.id, "孙丽"),
    }


# --- the same fault again ---------------------------------------------------------------------------------------------


def test_the_second_time_is_marked_and_the_third_is_a_hidden_danger(desk: Desk) -> None:
    days = [NOW, NOW + timedelta(days=8), NOW + timedelta(days=20)]
    first = desk.report("F06", by="小刘", place_key="PUB:P1/5/-/RF/楼顶", public_area=True, now=days[0])
    second = desk.report("F06", by="小刘", place_key="PUB:P1/5/-/F3/楼道", public_area=True, now=days[1])
    assert "repeat" not in first.detail and second.detail["repeat"] == 2
    desk.seen()
    third = desk.report("F06", by="小刘", place_key="PUB:P1/5/-/F1/楼道", public_area=True, now=days[2])
    assert third.detail["repeat"] == 3
    hazard = desk.session.scalars(select(Ticket).where(Ticket.kind == "YH")).one()
    assert (hazard.code, hazard.status, hazard.handler) == ("F06", "assigned", desk.staff("李工"))
    assert hazard.finish_by == days[2] + timedelta(days=7)
    assert all(one.ticket_no in hazard.symptom for one in (first, second, third))
    assert "card" in desk.told()["李工"]
    fourth = desk.report("F06", by="小刘", place_key="PUB:P1/5/-/F2/楼道", public_area=True, now=days[2])
    assert fourth.detail["repeat"] == 4
    assert len(desk.session.scalars(select(Ticket).where(Ticket.kind == "YH")).all()) == 1
    assert [event.note for event in desk.history(hazard, "join")] == [fourth.ticket_no]


@pytest.mark.parametrize("gap", [31, 40])
def test_after_a_month_it_is_a_new_fault(desk: Desk, gap: int) -> None:
    desk.report("W04")
    assert "repeat" not in desk.report("W04", now=NOW + timedelta(days=gap)).detail


def test_another_flat_is_no_repeat(desk: Desk) -> None:
    desk.report("W04")
    assert "repeat" not in desk.report("W04", by="李强", place_key=f"{UNIT}/1402").detail


def test_what_was_called_off_is_no_repeat(desk: Desk) -> None:
    ticket = desk.report("W04")
    verbs.cancel(desk.session, ticket, desk.actor("王芳"), "好了", at("09:05"))
    assert "repeat" not in desk.report("W04").detail


def test_a_hidden_danger_of_the_supervisor_is_accepted_by_the_manager(desk: Desk) -> None:
    for room in ("101", "102", "103"):
        desk.report("F06", by="小刘", place_key=f"PUB:P1/5/-/F{room}/楼道", public_area=True)
    hazard = desk.session.scalars(select(Ticket).where(Ticket.kind == "YH")).one()
    verbs.accept(desk.session, hazard, desk.actor("李工"), at("10:00"))
    desk.seen()
    verbs.finish(desk.session, hazard, desk.actor("李工"), "全部更换", at("15:00"), self_checked=True)
    assert desk.told() == {"马经理": ["inspect"]}
    verbs.confirm(desk.session, hazard, desk.actor("马经理"), at("16:00"))
    assert hazard.status == "closed"

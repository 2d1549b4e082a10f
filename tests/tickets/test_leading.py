"""What leaders do in chat beside the lifecycle: chase, explain, change a class, check again, have things put right, invite."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import Desk, at
from sqlalchemy import select
from staffhelp import ask

from bot import logins
from storage.models import AccessLog, Identity, Rectification
from tickets import leading, verbs
from tickets.errors import BadInput, NotAllowed, NotFound, WrongStatus

MORNING = at("09:30")


def test_a_chase_reaches_whoever_is_responsible_and_is_a_line_of_the_history(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    reply = ask(desk, f"催 {ticket.tail}", "李工", MORNING)
    assert "王师傅" in reply.text
    assert next(row.text for row in desk.fresh("王师傅")).startswith("李工在催")
    assert [event.actor_name for event in desk.history(ticket, "nudge")] == ["李工"]


def test_a_finished_ticket_is_not_chased(desk: Desk) -> None:
    ticket = desk.closed()
    with pytest.raises(WrongStatus):
        ask(desk, f"催 {ticket.tail}", "李工", MORNING)


def test_up_by_one_step_and_down_only_with_a_reason(desk: Desk) -> None:
    ticket = desk.report()
    assert ticket.level == "U3"
    assert "U2" in ask(desk, f"升级 {ticket.tail} 漏到楼下", "李工", MORNING).text
    assert ticket.level == "U2"
    assert "说明原因" in ask(desk, f"降级 {ticket.tail}", "李工", MORNING).text
    assert ticket.level == "U2"
    ask(desk, f"降级 {ticket.tail} 已关阀", "李工", MORNING)
    assert ticket.level == "U3"
    assert [event.note for event in desk.history(ticket, "level")] == ["漏到楼下", "已关阀"]


def test_no_class_beyond_the_last(desk: Desk) -> None:
    ticket = desk.report(level="U0", code="L01")
    with pytest.raises(BadInput):
        ask(desk, f"升级 {ticket.tail}", "李工", MORNING)


def test_the_status_offers_what_may_be_done_next(desk: Desk) -> None:
    ticket = desk.accepted()
    reply = ask(desk, f"{ticket.tail}到哪了", "李工", MORNING)
    assert {code.split(":")[0] for code, _ in reply.buttons} == {"nudge", "why"}
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("12:00", 20), MORNING)
    reply = ask(desk, f"status:{ticket.id}", "李工", MORNING)
    approve = next((code for code, _ in reply.buttons if code.startswith("approve_hold")), "")
    if approve:
        ask(desk, approve, "李工", MORNING)
        assert [event.actor_name for event in desk.history(ticket, "hold_approved")] == ["李工"]


def test_a_worker_is_offered_nothing_of_the_leaders(desk: Desk) -> None:
    ticket = desk.accepted()
    assert ask(desk, f"状态 {ticket.tail}", "王师傅", MORNING).buttons == ()


def test_public_work_is_inspected_from_the_status(desk: Desk) -> None:
    ticket = desk.done("E07", public_area=True, place_key="PUB:P1/3/2/-/楼道", by=None)
    reply = ask(desk, f"{ticket.tail}到哪了", "李工", MORNING)
    code = next(code for code, label in reply.buttons if label == "验收通过")
    ask(desk, code, "李工", MORNING)
    assert ticket.status == "closed"


def test_the_words_of_a_complaint_are_not_for_another_department(desk: Desk) -> None:
    ticket = desk.report("T09", kind="TS", symptom="楼上天天吵")
    with pytest.raises(NotAllowed):
        ask(desk, f"{ticket.tail}到哪了", "何姐", MORNING)
    assert ticket.ticket_no in ask(desk, f"{ticket.tail}到哪了", "周主管", MORNING).text
    assert ticket.ticket_no in ask(desk, f"{ticket.tail}到哪了", "马经理", MORNING).text


# --- 抽查 --------------------------------------------------------------------------------------------------------------


def test_a_tenth_is_drawn_the_same_for_everybody_and_the_result_is_kept(desk: Desk) -> None:
    tickets = [desk.closed(now=at("09:00", 3)) for _ in range(14)]
    monday = at("09:00", 9)
    first, again = (ask(desk, "抽查", by, monday) for by in ("李工", "马经理"))
    assert [code for code, _ in first.buttons] == [code for code, _ in again.buttons]
    assert len(first.buttons) == 1
    drawn = int(first.buttons[0][0].split(":")[1])
    ticket = next(one for one in tickets if one.id == drawn)
    ask(desk, f"抽查 {ticket.ticket_no} 合格", "李工", monday)
    assert [event.data["good"] for event in desk.history(ticket, "spot_check")] == [True]
    assert "已抽查" in ask(desk, "抽查", "李工", monday).text
    assert ticket.status == "closed"


def test_bad_work_found_by_a_check_is_opened_again(desk: Desk) -> None:
    ticket = desk.closed()
    ask(desk, f"抽查 {ticket.tail} 不合格 还在滴水", "李工", at("15:00"))
    assert (ticket.status, ticket.round) == ("rework", 2)


def test_only_closed_work_is_checked_and_only_by_leaders(desk: Desk) -> None:
    with pytest.raises(WrongStatus):
        leading.check_again(desk.session, desk.accepted(), desk.actor("李工"), True, "", MORNING)
    with pytest.raises(NotAllowed):
        leading.check_again(desk.session, desk.closed(), desk.actor("赵师傅"), True, "", MORNING)


# --- 整改 --------------------------------------------------------------------------------------------------------------


def reminders(desk: Desk, now: datetime) -> dict[str, int]:
    desk.seen()
    leading.remind(desk.session, now)
    leading.remind(desk.session, now)
    names = ("王师傅", "李工")
    return {name: len(desk.fresh(name)) for name in names}


def test_something_to_put_right_has_an_owner_a_date_and_reminders(desk: Desk) -> None:
    ticket = desk.closed()
    desk.seen()
    reply = ask(desk, f"整改 {ticket.tail} @王师傅 6月20日前更换立管", "李工", MORNING)
    assert "王师傅" in reply.text
    assert "6月20日" in reply.text
    assert len(desk.fresh("王师傅")) == 1
    row = desk.session.scalars(select(Rectification)).one()
    assert row.ticket_id == ticket.id
    assert [event.action for event in desk.history(ticket)][-1] == "rectify"
    due = row.due_at
    assert reminders(desk, at("09:00", 18)) == {"王师傅": 0, "李工": 0}
    assert reminders(desk, due - timedelta(hours=12)) == {"王师傅": 1, "李工": 0}
    assert reminders(desk, due + timedelta(hours=4)) == {"王师傅": 1, "李工": 1}
    assert reminders(desk, due + timedelta(hours=28)) == {"王师傅": 1, "李工": 1}
    assert "已过期" in ask(desk, "整改单", "李工", due + timedelta(days=2)).text
    ask(desk, f"整改完成 {row.id} 已更换", "王师傅", due + timedelta(days=2))
    assert reminders(desk, due + timedelta(days=4)) == {"王师傅": 0, "李工": 0}
    assert "没有" in ask(desk, "整改单", "李工", due + timedelta(days=2)).text


def test_a_rectification_needs_a_time(desk: Desk) -> None:
    assert "时间" in ask(desk, "整改 王师傅 更换立管", "李工", MORNING).text
    assert list(desk.session.scalars(select(Rectification))) == []


def test_others_do_not_end_what_is_not_theirs(desk: Desk) -> None:
    row = leading.rectify(desk.session, desk.actor("李工"), desk.staff("王师傅"), "换立管", at("09:00", 20), MORNING)
    with pytest.raises(NotAllowed):
        ask(desk, f"整改完成 {row.id}", "赵师傅", MORNING)
    with pytest.raises(NotFound):
        ask(desk, "整改完成 4711", "王师傅", MORNING)
    with pytest.raises(NotAllowed):
        leading.rectify(desk.session, desk.actor("客服小周"), desk.staff("王师傅"), "x", at("09:00", 20), MORNING)
    assert "换立管" not in ask(desk, "整改单", "赵师傅", MORNING).text


# --- joining ----------------------------------------------------------------------------------------------------------


def test_a_colleague_joins_by_a_code_that_works_once(desk: Desk) -> None:
    text = ask(desk, "邀请 孙师傅", "李工", MORNING).text
    code = next(
        word for word in text.replace("，", " ").replace("：", " ").split() if word.isdigit() and len(word) == 6
    )
    stranger = Identity(channel="telegram", external_id="77", resident=desk.stranger().resident)
    desk.session.add(stranger)
    desk.session.flush()
    assert logins.bind(desk.session, stranger, code, MORNING)
    assert stranger.staff_id == desk.staff("孙师傅").id
    assert not logins.bind(desk.session, stranger, code, MORNING)
    noted = desk.session.scalars(select(AccessLog)).all()
    assert [(row.actor, row.action, row.allowed) for row in noted] == [
        (f"staff:{desk.staff('李工').id}", "invite", True)
    ]


@pytest.mark.parametrize(("by", "whom"), [("客服小周", "王师傅"), ("李工", "马经理")])
def test_nobody_invites_above_themselves_and_the_desk_invites_nobody(desk: Desk, by: str, whom: str) -> None:
    with pytest.raises(NotAllowed):
        ask(desk, f"邀请 {whom}", by, MORNING)


def test_what_breaks_again_and_again_is_listed(desk: Desk) -> None:
    for day in (2, 4, 8):
        desk.report("L02", now=at("09:00", day), public_area=True, place_key="PUB:P1/3/2/-/电梯")
    desk.report("W02", now=at("09:00", 8))
    text = ask(desk, "反复坏的有哪些", "李工", MORNING).text
    assert "一期3栋电梯 电梯运行异常3次" in text
    assert "漏水" not in text

"""Nobody was at home: the resident's word that somebody is lets the work go on, or gives it a time."""

from __future__ import annotations

from datetime import datetime

import pytest
from deskhelp import Desk, at

from storage.models import Ticket
from tickets import roster, verbs
from tickets.answering import Outcome, Turn, try_answer
from tickets.catalog import hold_reasons

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

TWO = at("14:00")


def hear(desk: Desk, text: str, now: datetime = TWO) -> Outcome | None:
    return try_answer(Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, now, f"web:{text}:{now}"))


def nobody_home(desk: Desk) -> Ticket:
    """The worker was there at eleven and found the door shut."""
    ticket, eleven = desk.accepted(), at("11:00")
    worker = desk.handler(ticket)
    verbs.arrive(desk.session, ticket, worker, at("10:50"))
    wake = eleven + verbs.NOT_HOME_WAIT
    verbs.hold(desk.session, ticket, worker, hold_reasons()[1], wake, eleven, nobody_home=True)
    desk.seen()
    return ticket


@pytest.mark.parametrize(
    "words",
    [
        "我到家了",
        "我在家了 来吧",
        "现在有人了",
        "已经回来了师傅可以过来",
        "我在家呀 门铃坏了你敲门",
        "刚在洗澡没听见敲门 我在家的",
        "家里有人了 可以来修了",
        "刚到家",
        "到家了，师傅几点来",
        "我回来了",
        "我妈在家，你们过来吧",
        "十分钟到家",
        "我一直在家啊 根本没人敲门",
        "师傅现在可以来了",
        "我喺屋企喇",
    ],
)
def test_somebody_at_home_lets_the_work_go_on(desk: Desk, words: str) -> None:
    ticket = nobody_home(desk)
    outcome = hear(desk, words)
    assert outcome == Outcome()
    assert (ticket.status, ticket.hold_reason, ticket.wake_at, ticket.arrived_at) == ("in_progress", "", None, None)
    assert ticket.arrive_by is not None and ticket.arrive_by > TWO
    assert desk.told() == {"王师傅": ["home_again_staff"], "王芳": ["home_again"]}
    assert words in desk.fresh("王师傅")[0].text


@pytest.mark.parametrize(
    "words",
    [
        "我不在家",
        "还没到家",
        "家里没人 别来了",
        "等我回来再说",
        "到家了吗",
        "需要我在家吗",
        "我到家前别来",
        "什么时候家里要有人",
        "师傅回来了吗",
        "今天不在家",
        "如果我在家就给你们开门",
        "厨房灯也不亮",
        "我回家再跟你们约",
    ],
)
def test_nothing_goes_on_while_nobody_says_so(desk: Desk, words: str) -> None:
    ticket = nobody_home(desk)
    hear(desk, words)
    assert ticket.status == "on_hold"


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("晚上七点在家", at("19:00")),
        ("我七点到家", at("19:00")),
        ("明天上午家里有人", at("08:30", 13)),
        ("周六我在家 来吧", at("08:30", 14)),
        ("下班后在家", at("18:30")),
    ],
)
def test_a_time_becomes_the_appointment(desk: Desk, words: str, start: datetime) -> None:
    ticket = nobody_home(desk)
    assert hear(desk, words) == Outcome()
    assert (ticket.status, ticket.appointment_start_at, ticket.wake_at) == ("in_progress", start, None)
    assert desk.told() == {"王师傅": ["time_changed_staff"], "王芳": ["time_noted"]}


def test_the_second_visit_is_told_anew(desk: Desk) -> None:
    ticket = nobody_home(desk)
    hear(desk, "我到家了")
    desk.seen()
    verbs.set_out(desk.session, ticket, desk.handler(ticket), TWO)
    verbs.arrive(desk.session, ticket, desk.handler(ticket), at("14:20"))
    assert desk.told() == {"王芳": ["on_the_way", "arrived"]}
    assert ticket.arrived_at == at("14:20")


def test_with_the_worker_off_duty_the_leaders_send_somebody(desk: Desk) -> None:
    ticket = nobody_home(desk)
    roster.grant_leave(
        desk.session, desk.staff("王师傅"), at("12:00"), at("00:00", 13), "", desk.actor("李工"), at("12:00")
    )
    desk.seen()
    hear(desk, "我到家了")
    told = desk.told()
    assert told["王芳"] == ["home_again_off"]
    assert told["李工"] == ["home_again_leader"]
    assert ticket.status == "in_progress"


def test_what_else_is_told_is_read_on(desk: Desk) -> None:
    ticket = nobody_home(desk)
    outcome = hear(desk, "我到家了 马桶也堵了")
    assert outcome is not None and outcome.resume
    assert ticket.status == "in_progress"


def test_a_job_that_waits_for_a_part_goes_on_waiting(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.hold(desk.session, ticket, desk.handler(ticket), hold_reasons()[0], at("11:00", 13), at("11:00"))
    hear(desk, "我到家了")
    assert ticket.status == "on_hold"

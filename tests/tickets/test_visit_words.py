"""What residents say beside a visit: whom to ring, a number noted wrong, a job that shall not be done, what stands in the ticket."""

from __future__ import annotations

import pytest
from actionhelp import hear
from deskhelp import NOW, Desk, at

from actions.changes import Reschedule, correct_latest
from actions.repair import OpenRepair, ValidateRepairForm
from bot import commands
from storage.models import Ticket
from tickets import questions, verbs
from tickets.answering import Outcome, Turn, try_answer
from tickets.catalog import hold_reasons
from tickets.places import is_landmark, read_place
from tickets.texts import say
from tickets.words import (
    asks_what_is_noted,
    instead_of,
    person_named,
    puts_tail_right,
    same_door,
    wants_it_after_all,
    without_asides,
    without_number_tails,
)

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
WINDOW = {"symptom": "卧室窗户关不严"}


def answer(desk: Desk, text: str, now: object = NOW) -> Outcome | None:
    return try_answer(Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, NOW, f"web:{text}"))


# --- whom to ring -----------------------------------------------------------------------------------------------------


def test_who_opens_the_door_is_noted_with_the_time(desk: Desk) -> None:
    ticket = desk.accepted()
    words = "明天上午十点 我姐叫刘梅 打她电话13928870000"
    hear(desk, words, "reschedule", Reschedule())
    assert (ticket.contact_name, ticket.contact_phone) == ("刘梅", "13928870000")
    assert ticket.appointment_start_at == at("10:00", 13)
    assert [event.note for event in desk.history(ticket, "comment")] == [words]


def test_a_time_alone_leaves_the_contact(desk: Desk) -> None:
    ticket = desk.accepted()
    before = (ticket.contact_name, ticket.contact_phone)
    hear(desk, "明天上午十点来", "reschedule", Reschedule())
    assert (ticket.contact_name, ticket.contact_phone) == before
    assert not desk.history(ticket, "comment")


def test_how_to_knock_is_written_down(desk: Desk) -> None:
    ticket = desk.accepted()
    words = "不接生人电话的 师傅到了得使劲敲门"
    assert answer(desk, words) == Outcome(say("reply.detail_thanks"))
    assert [event.note for event in desk.history(ticket, "comment")] == [words]


def test_who_is_surely_at_home_is_gone_to_again(desk: Desk) -> None:
    ticket, words = desk.accepted(), "他们肯定在 听不见 使劲敲 再等五分钟"
    worker = desk.handler(ticket)
    verbs.arrive(desk.session, ticket, worker, at("08:30"))
    wake = NOW + verbs.NOT_HOME_WAIT
    verbs.hold(desk.session, ticket, worker, hold_reasons()[1], wake, at("08:40"), nobody_home=True)
    desk.seen()
    assert answer(desk, words) == Outcome()
    assert ticket.status == "in_progress" and not ticket.appointment_start_at
    assert words in desk.fresh("王师傅")[0].text


def test_a_phone_and_a_time_in_one_line_are_both_taken(desk: Desk) -> None:
    ticket = desk.report()
    resident = desk.resident("王芳")
    questions.ask(desk.session, resident, "phone", NOW, ticket=ticket)
    answer(desk, "不不 还是明天晚上吧 13757190321")
    assert (ticket.contact_phone, ticket.wanted_start_at) == ("13757190321", at("18:30", 13))


# --- a number noted wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["尾号不对 是7756", "手机号最后四个数是7756", "后四位写错了 应该是7756"])
def test_four_digits_are_no_room(desk: Desk, words: str) -> None:
    ticket = desk.report()
    ticket.contact_phone = "13900007765"
    assert answer(desk, words) == Outcome(say("reply.phone_whole"))
    assert desk.question(ticket, "phone") is not None
    assert read_place(desk.session, desk.community.id, words, draft=ticket.place_key).action == "none"


def test_the_tail_that_is_known_is_right(desk: Desk) -> None:
    ticket = desk.report()
    ticket.contact_phone = "13900007756"
    assert answer(desk, "尾号是7756") == Outcome(say("reply.phone_noted", tail="7756"))


def test_other_numbers_are_no_tail(engine: object) -> None:
    for words in ("尾号0089的快递到了", "3栋2单元1502", "尾号7756是谁"):
        assert puts_tail_right(words) == ""
    assert "1502" in without_number_tails("我住3栋2单元1502 电话尾号7756")


# --- a job that shall not be done -------------------------------------------------------------------------------------


def test_one_of_two_is_withdrawn_and_the_other_gets_the_time(desk: Desk) -> None:
    tap, window = desk.report(), desk.report("D04", **WINDOW)
    outcome = answer(desk, "白天没人 周六来 窗户那个不急 先撤了吧")
    assert outcome is not None and window.ticket_no in outcome.reply and len(outcome.buttons) == 2
    assert tap.wanted_start_at == at("08:30", 14)
    assert window.wanted_start_at is None and window.status != "cancelled"
    answer(desk, say("reply.cancel_that", no=window.ticket_no))
    assert window.status == "cancelled" and tap.status != "cancelled"


def test_a_number_says_which_is_withdrawn(desk: Desk) -> None:
    ticket = desk.report()
    outcome = answer(desk, f"{ticket.tail}那张撤了 那是你们弄错的")
    assert outcome == Outcome(
        say("reply.cancel_sure", no=ticket.ticket_no, what=category_name(ticket)), outcome.buttons if outcome else ()
    )
    assert ticket.status != "cancelled"


def category_name(ticket: Ticket) -> str:
    from tickets.catalog import category

    return category(ticket.code).name


@pytest.mark.parametrize("words", ["周六来 窗户那个别取消", "窗户那个周六来", "白天没人 周六来"])
def test_nothing_is_withdrawn_unsaid(desk: Desk, words: str) -> None:
    desk.report()
    desk.report("D04", **WINDOW)
    outcome = answer(desk, words)
    assert outcome is None or not outcome.buttons


def test_it_is_registered_after_all(engine: object) -> None:
    assert wants_it_after_all("等等 又没了 还是给我报上吧") is not None
    assert wants_it_after_all("还是报警吧") is None


# --- what stands in the ticket ----------------------------------------------------------------------------------------


def test_what_is_noted_is_told(desk: Desk) -> None:
    ticket = desk.accepted()
    answer(desk, "不接生人电话的 师傅到了得使劲敲门")
    for words in ("那你现在记的是几栋几单元", "敲门那个你记上没"):
        outcome = answer(desk, words)
        assert outcome is not None
        assert ticket.place_text in outcome.reply and "使劲敲门" in outcome.reply
    assert len(desk.history(ticket, "comment")) == 1


def test_other_questions_are_not_about_what_is_noted(engine: object) -> None:
    for words in ("我记得是几栋", "上次登记的什么时候修", "你记一下 明天来", "记得几点来吗"):
        assert not asks_what_is_noted(words)


# --- where and what it is ---------------------------------------------------------------------------------------------


def test_a_question_by_the_way_is_not_where_it_is(desk: Desk) -> None:
    words = "厨房下水道堵了 顺便问下楼下快递柜几点关"
    assert without_asides(words).strip() == "厨房下水道堵了"
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), category="W05")
    made = desk.session.query(Ticket).one()
    assert made.place_key == "P1/3/2/1502" and not made.public_area
    assert without_asides("快递柜打不开 有问题") == "快递柜打不开 有问题"


def test_a_building_near_a_parking_space_is_not_where_it_is(desk: Desk) -> None:
    def near(text: str, known: str) -> bool:
        return is_landmark(
            desk.session, desk.community.id, known, read_place(desk.session, desk.community.id, text, draft=known)
        )

    assert near("不知道ABCD 就在5栋电梯出来左手边", "G/B1/?/032")
    assert not near("A区", "G/B1/?/032")
    assert not near("3栋2单元1502", "G/B1/?/032")
    assert not near("5栋", "P1/3/2/1502")


def test_the_lock_of_the_door_all_go_through_is_no_homes(engine: object) -> None:
    assert same_door("单元门关不上", "电子锁也不灵 5栋")
    assert not same_door("单元门关不上", "我家门锁也坏了")
    assert not same_door("单元门关不上", "马桶堵了")


def test_what_it_is_instead(engine: object) -> None:
    assert instead_of("不是电梯进水 是车位顶上管子滴水") == "电梯进水"
    for words in ("不是说今天来吗", "马桶堵了 不是我家", "不是电梯进水", "是不是电梯坏了 是几楼"):
        assert instead_of(words) == ""


def test_put_right_behind_a_report_is_no_other_fault(desk: Desk) -> None:
    ticket = desk.report("W02", symptom="水龙头滴水")
    told = hear(desk, "不是水龙头滴水 是角阀滴水", "report_repair", ValidateRepairForm(), OpenRepair(), category="W02")
    assert told == [say("reply.detail_thanks")]
    assert desk.session.query(Ticket).count() == 1
    assert [event.note for event in desk.history(ticket, "comment")] == ["不是水龙头滴水 是角阀滴水"]


def test_names(engine: object) -> None:
    assert person_named("我姐叫刘梅 打她电话") == "刘梅"
    assert person_named("我叫了师傅") == ""


def test_staff_ask_what_a_job_is(engine: object) -> None:
    for words, role in (("0020 给我看看", "worker"), ("0086 什么事", "supervisor"), ("0019是啥情况", "worker")):
        command = commands.parse(words, role)
        assert command is not None and (command.name, command.values["no"]) == ("status", words[:4]), words


def test_a_phone_in_a_correction_keeps_its_time(desk: Desk) -> None:
    from actions.context import Desk as Heard

    ticket = desk.report()
    message = {"intent": {"name": "correct", "confidence": 0.9}, "faults": [], "entities": []}
    text = "不对 明天晚上来 13757190321"
    heard = Heard(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:c", text, message)
    assert correct_latest(heard)
    assert (ticket.contact_phone, ticket.wanted_start_at) == ("13757190321", at("18:30", 13))


def test_a_reproach_about_the_time_leaves_it_as_it_was(desk: Desk) -> None:
    ticket = desk.accepted()
    hear(desk, "下周二上午来", "reschedule", Reschedule())
    before, words = ticket.appointment_start_at, "我约的周二 你今天四点半来干嘛 大半夜的"
    told = hear(desk, words, "reschedule", Reschedule())
    assert len(told) == 1 and "没有变" in told[0]
    assert ticket.appointment_start_at == before == at("08:30", 17)
    assert [event.note for event in desk.history(ticket, "comment")] == [words]

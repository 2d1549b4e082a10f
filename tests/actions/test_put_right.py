"""What is put right, taken back or only added to: the answer says which, and nothing is done that was not said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from actionhelp import hear
from deskhelp import NOW, SHANGHAI, at
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.changes import Correct, Deny, Inform, Reschedule
from actions.repair import AskLocation, OpenRepair, ValidateRepairForm
from storage.models import Draft, Ticket
from tickets import questions, verbs
from tickets.answering import Outcome, Turn, try_answer
from tickets.errors import NoTicket
from tickets.texts import say
from tickets.words import hours_told

POOL = {"place_key": "PUB:-/-/-/-/泳池", "place_text": "泳池", "public_area": True, "symptom": "灯不亮"}


def tickets(desk: Community) -> list[Ticket]:
    return list(desk.session.scalars(select(Ticket).order_by(Ticket.id)))


def answer(desk: Community, text: str, *, by: str = "王芳") -> Outcome | None:
    return try_answer(Turn(desk.session, desk.chat(by), desk.actor(by), text, NOW, f"web:{text}"))


# --- a place put right ------------------------------------------------------------------------------------------------


def test_a_place_the_register_does_not_know_is_added_and_asked_for(desk: Community) -> None:
    ticket = desk.accepted("E08", **POOL)
    assert hear(desk, "是露台 不是泳池！！", "correct", Correct()) == [
        say("reply.detail_thanks"),
        say("reply.place_again"),
    ]
    assert ticket.place_text == "泳池"


def test_nothing_but_another_thing_is_added_and_no_place_asked(desk: Community) -> None:
    desk.accepted()
    assert hear(desk, "不是马桶 是地漏", "correct", Correct()) == [say("reply.detail_thanks")]


def test_what_stands_behind_the_mistake_counts(desk: Community) -> None:
    ticket = desk.accepted("E07", place_key="PUB:P1/5/-/-/楼道", place_text="一期5栋·楼道", public_area=True)
    (said,) = hear(desk, "5栋哪有楼道啊 我说错了 是4栋", "correct", Correct())
    assert "4栋" in ticket.place_text and ticket.place_text in said


@pytest.mark.parametrize("words", ["秋千照片我发你", "秋千的图片发了", "秋千？我又没说在秋千"])
def test_a_place_only_spoken_of_moves_nothing(desk: Community, words: str) -> None:
    ticket = desk.accepted("E08", **POOL)
    hear(desk, words, "inform", Inform())
    assert ticket.place_text == "泳池"


def test_a_place_told_still_moves_it(desk: Community) -> None:
    ticket = desk.accepted("E08", **POOL)
    assert hear(desk, "不是泳池 在秋千那边", "correct", Correct()) == [say("reply.place_corrected", place="秋千")]
    assert ticket.place_text == "秋千"


@pytest.mark.parametrize(
    "words",
    ["不对不对 1003，1003！电话尾号也是0089", "打错了 1003 手机后四位0089", "打错了 1003", "房号1003 手机最后四位0089"],
)
def test_the_last_figures_of_a_telephone_are_no_room(desk: Community, words: str) -> None:
    ticket = desk.report(place_key="P1/3/2/1703", place_text="一期3栋2单元1703室")
    questions.ask(desk.session, desk.resident("王芳"), "detail", NOW, ticket=ticket)
    intent, action = ("inform", Inform()) if words.startswith("房号") else ("correct", Correct())
    (said,) = hear(desk, words, intent, action)
    assert ticket.place_key == "P1/3/2/1003" and ticket.place_text in said


def test_a_place_told_twice_is_confirmed(desk: Community) -> None:
    desk.report()
    (said,) = hear(desk, "不是说过了吗3-2-1502", "deny", Deny())
    assert said == say("reply.place_noted", place="一期3栋2单元1502室")


def test_a_place_told_before_its_fault_is_kept(desk: Community) -> None:
    hear(desk, "不是说过了吗7-1-902", "deny", Deny())
    draft = desk.session.scalars(select(Draft)).one()
    assert draft.data["place"]["place_key"] == "P1/7/1/902"


# --- a no that is none ------------------------------------------------------------------------------------------------


def test_a_finger_on_a_picture_is_no_refusal(desk: Community) -> None:
    verbs.begin_with_photo(desk.session, desk.chat("王芳"), NOW)
    assert hear(desk, "这个", "deny", Deny()) == [say("reply.photo_only")]


def test_a_question_behind_a_no_is_answered(desk: Community) -> None:
    said = hear(desk, "都不是，我问你多少钱一个", "deny", Deny())
    assert say("reply.denied") not in said and said


@pytest.mark.parametrize("words", ["不用了", "这个不要", "不用来我家了", "不行吗", "没有", "不是吧？"])
def test_a_plain_no_stays_one(desk: Community, words: str) -> None:
    assert hear(desk, words, "deny", Deny()) == [say("reply.denied")]


# --- a note taken for a fault, and what was never told ----------------------------------------------------------------


def test_what_names_nothing_belongs_to_the_open_report(desk: Community) -> None:
    ticket = desk.report()
    words = "她说今天就在家 明天要去医院拿药 你看着办"
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), category="M03", faults={words: "M03"})
    assert tickets(desk) == [ticket]
    assert [one.note for one in desk.history(ticket, "comment")] == [words]


@pytest.mark.parametrize("words", ["楼道灯不亮", "漏水了", "还有一个事 太暗了", "3栋2单元 太暗了"])
def test_what_names_a_thing_a_trouble_or_a_place_is_a_fault(desk: Community, words: str) -> None:
    desk.report("D01", symptom="门锁打不开")
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), category="E07", faults={words: "E07"})
    assert len(tickets(desk)) == 2 or desk.session.scalar(select(Draft)) is not None


def test_what_names_nothing_without_anything_open_is_a_fault(desk: Community) -> None:
    words = "太暗了"
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), category="E04", faults={words: "E04"})
    assert len(tickets(desk)) == 1


def test_what_the_words_never_named_is_taken_back(desk: Community) -> None:
    ticket = desk.report("L03", symptom="她说今天就在家", place_key="", place_text="待补")
    assert answer(desk, "什么电梯？我没说电梯") == Outcome()
    assert ticket.status == "cancelled"


@pytest.mark.parametrize("words", ["我没报过电梯啊", "我没报过这个", "屋顶漏水？我又不是顶楼…这条删了", "我没登记过"])
def test_what_the_words_did_name_is_asked_about(desk: Community, words: str) -> None:
    ticket = desk.report("L03", symptom="电梯不动")
    found = answer(desk, words)
    assert found is not None and ticket.ticket_no in found.reply and ticket.status != "cancelled"
    answer(desk, say("reply.cancel_that", no=ticket.ticket_no))
    assert ticket.status == "cancelled"


@pytest.mark.parametrize(
    "words",
    [
        "我没说清楚 是电梯",
        "我没说取消啊",
        "我没说几点来",
        "我没说完",
        "他没说电梯几点修",
        "我没说要换电梯",
        "我没说电梯 我说的是门禁",
    ],
)
def test_what_else_was_not_said_takes_nothing_back(desk: Community, words: str) -> None:
    ticket = desk.report("L03", symptom="电梯不动")
    found = answer(desk, words)
    assert ticket.status != "cancelled" and (found is None or ticket.ticket_no not in found.reply)


def test_what_was_registered_yesterday_is_not_meant(desk: Community) -> None:
    desk.report("L03", symptom="她说今天就在家", now=NOW - timedelta(days=1))
    assert answer(desk, "我没说电梯") is None


# --- a fault in words of another kind ---------------------------------------------------------------------------------


def test_a_fault_taken_for_another_time_is_registered(desk: Community) -> None:
    words = "我门铃不响了，7-1-902，明早八点半前来得及吗，来不及就后天晚上"
    hear(desk, words, "reschedule", Reschedule(), ValidateRepairForm(), OpenRepair())
    (ticket,) = tickets(desk)
    assert (ticket.code, ticket.place_key) == ("A02", "P1/7/1/902")
    assert ticket.wanted_end_at is not None and ticket.symptom.startswith("我门铃不响了")


@pytest.mark.parametrize("words", ["改到明天上午", "修门铃的改明天来", "明天一天都在"])
def test_a_time_alone_registers_nothing(desk: Community, words: str) -> None:
    with pytest.raises(NoTicket):
        hear(desk, words, "reschedule", Reschedule())
    assert tickets(desk) == [] and desk.session.scalar(select(Draft)) is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("约了孙师傅通下水道，他说两点到现在都没到，3-1-1602", "我要报修，通下水道 3-1-1602"),
        ("就卫生间排风扇啊 说下午来 鬼影子都没一个", "我要报修，卫生间排风扇"),
    ],
)
def test_who_waits_for_what_nobody_registered_is_registered(desk: Community, words: str, told: str) -> None:
    found = answer(desk, words)
    assert found == Outcome(say("reply.not_registered_yet"), resume=told)


@pytest.mark.parametrize("words", ["昨天报的那个 到底来不来", "马桶堵了 下午来得及吗", "你们到底来不来人"])
def test_who_names_no_fault_or_does_not_wait_is_not(desk: Community, words: str) -> None:
    assert answer(desk, words) is None


def test_who_waits_for_what_is_registered_chases(desk: Community) -> None:
    desk.report("X00", symptom="排风扇不转")
    assert answer(desk, "就卫生间排风扇啊 说下午来 鬼影子都没一个") is None


@pytest.mark.parametrize("clock", ["7:00", "12:30", "20:15"])
def test_the_hour_of_the_evening_is_one_both_times(desk: Community, clock: str) -> None:
    ticket, now = desk.report(), at(clock)
    questions.ask(desk.session, desk.resident("王芳"), "appointment", now, ticket=ticket)
    words = "早上出门上班了到晚上八点才到家，八点后能来就来"
    try_answer(Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), words, now, "web:late"))
    assert ticket.wanted_start_at is not None and ticket.wanted_start_at.astimezone(SHANGHAI).hour == 20


def test_other_hours_stay_as_they_are() -> None:
    assert hours_told("晚上八点到家 九点后来") == "晚上八点到家 九点后来"
    assert hours_told("早上八点来 晚上八点也行") == "早上八点来 晚上八点也行"
    assert hours_told("晚上八点到家，早上八点出门") == "晚上八点到家，早上八点出门"


# --- a telephone ------------------------------------------------------------------------------------------------------


def _asked_for_phone(desk: Community) -> Ticket:
    resident = desk.resident("王芳")
    resident.phone = ""
    ticket = desk.report(contact_phone="")
    questions.ask(desk.session, resident, "phone", NOW, ticket=ticket)
    return ticket


def test_half_a_number_is_asked_for_once(desk: Community) -> None:
    ticket = _asked_for_phone(desk)
    assert answer(desk, "幺三九 五七幺 二三四 八八 哎我记不全") == Outcome(say("reply.phone_whole"))
    again = answer(desk, "幺三九 五七幺 二三四")
    assert (again is None or again.reply != say("reply.phone_whole")) and ticket.contact_phone == ""


@pytest.mark.parametrize(
    ("words", "number"),
    [("八六五二二三三一", "86522331"), ("幺三九 五七幺二 三四八八", "13957123488"), ("86522331", "86522331")],
)
def test_a_number_spoken_in_figures_is_taken(desk: Community, words: str, number: str) -> None:
    ticket = _asked_for_phone(desk)
    assert answer(desk, words) == Outcome(say("reply.phone_noted", tail=number[-4:]))
    assert ticket.contact_phone == number


@pytest.mark.parametrize("words", ["3栋2单元1502", "3-2-1502", "下午三点", "0012"])
def test_other_figures_are_no_number(desk: Community, words: str) -> None:
    ticket = _asked_for_phone(desk)
    found = answer(desk, words)
    assert (found is None or found.reply != say("reply.phone_whole")) and ticket.contact_phone == ""


# --- a question that is answered already ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "asked"),
    [
        ("次卧插座没电 别的都好的", "E03", False),
        ("次卧插座没电", "E03", True),
        ("3栋2单元电梯坏了 没人 我下来了", "L03", False),
        ("3栋2单元电梯坏了", "L03", True),
    ],
)
def test_what_the_words_answer_is_not_asked(desk: Community, words: str, code: str, asked: bool) -> None:
    told = hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), faults={words.split()[0]: code})
    assert any(say("ask.power") in one or say("ask.lift") in one for one in told) is asked


def test_nor_does_it_ride_with_the_question_where_it_is(desk: Community) -> None:
    words = "次卧插座没电 别的都好的"
    desk.session.add(Draft(conversation_id=desk.chat("王芳").id, kind="BX", updated_at=NOW, data={}))
    draft = desk.session.scalars(select(Draft)).one()
    draft.data = {"faults": [{"code": "E03", "words": "次卧插座没电"}], "words": words}
    (said,) = hear(desk, words, "report_repair", AskLocation())
    assert say("ask.power") not in said

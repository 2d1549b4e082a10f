"""Words that a stranger's ear takes for something else: a wish for secrecy, praise, what is named when it is taken back, a question in
place of the offered ones (domain.md §5.5, §9.3)."""

from __future__ import annotations

import pytest
from actionhelp import hear
from deskhelp import NOW, Desk, at
from sqlalchemy import select

from actions.changes import Cancel, Deny, Inform
from actions.complaint import OpenComplaint, ValidateComplaintForm
from actions.inquiry import AnswerQuestion
from nlu.knowledge import KnowledgeBase
from storage.models import Draft, Ticket
from tickets import complaints, desk_lists, hearing, inquiries, notify, questions
from tickets.answering import Outcome, Turn, try_answer
from tickets.texts import say
from tickets.words import (
    asks_own_tickets,
    declines_phone,
    hides_name,
    may_name,
    neighbour_room,
    no_complaint,
    none_but,
    nothing_wrong,
    plainly_praises,
    sent_in_error,
    signs_praise,
    went_away,
)


def complain(desk: Desk, words: str, code: str = "T09", by: str = "王芳") -> Ticket:
    return hearing.hear(desk.session, desk.actor(by), desk.chat(by), words, code, f"said:{words}", NOW)


def said(desk: Desk, words: str, by: str = "王芳") -> Outcome | None:
    return try_answer(Turn(desk.session, desk.chat(by), desk.actor(by), words, NOW, f"turn:{words}"))


def reply(desk: Desk, words: str) -> str:
    outcome = said(desk, words)
    return outcome.reply if outcome else ""


def draft(desk: Desk, kind: str, **data: object) -> Draft:
    row = Draft(conversation_id=desk.chat("王芳").id, kind=kind, data=data, updated_at=NOW)
    desk.session.add(row)
    desk.session.flush()
    return row


def inquiry(desk: Desk, words: str) -> Ticket:
    return inquiries.record(desk.session, desk.chat("王芳"), desk.actor("王芳"), words, "Q99", f"q:{words}", NOW)


# --- not to be named --------------------------------------------------------------------------------------------------

WISHES = [
    "不要跟她本人讲是谁说的",
    "别写我",
    "真别告诉他啊 抬头不见低头见的",
    "不取消啊 我是说保密",
    "帮我保密",
    "别把我写进去",
    "别告诉邻居",
]
NO_WISHES = [
    "别写错了",
    "别提了",
    "别写我家里没人",
    "别告诉我没人管",
    "你们没给我保密",
    "不要管是谁说的",
    "保安说别告诉经理",
    "不用保密",
    "你别跟我说是谁说的",
    "别带狗来",
]


@pytest.mark.parametrize("words", WISHES)
def test_a_wish_for_secrecy_is_kept_and_said(desk: Desk, words: str) -> None:
    ticket = complain(desk, "楼上天天半夜拖椅子")
    assert reply(desk, words) == say("reply.name_hidden")
    assert ticket.detail["hidden"] and ticket.status != "cancelled"


@pytest.mark.parametrize("words", NO_WISHES)
def test_other_words_are_no_such_wish(words: str) -> None:
    assert not hides_name(words)


def test_a_wish_for_secrecy_answers_no_question_whether_to_cancel(desk: Desk) -> None:
    ticket = complain(desk, "楼上天天半夜拖椅子")
    resident = desk.resident("王芳")
    questions.ask(desk.session, resident, "cancel_which", NOW, tickets=[ticket.id], text="别告诉他", cancel=True)
    assert reply(desk, "不取消啊 我是说保密") == say("reply.name_hidden")
    assert [one.kind for one in questions.waiting(desk.session, resident, NOW)] != ["cancel_which"]


def test_a_wish_read_as_taking_back_keeps_the_report(desk: Desk) -> None:
    pile = desk.report("F05", symptom="鞋柜堵走廊", place_key="PUB:P1/3/2/F15/走廊", public_area=True)
    assert hear(desk, "真别告诉他啊", "cancel", Cancel()) == [say("reply.name_hidden")]
    assert pile.status != "cancelled" and pile.detail["hidden"]
    assert hear(desk, "别写我", "deny", Deny()) == [say("reply.name_hidden")]


def test_the_wish_goes_with_a_complaint_that_is_still_told(desk: Desk) -> None:
    row = draft(desk, "TS", words="楼上拖椅子", code="T09", seen=[])
    assert reply(desk, "真别告诉他啊") == say("reply.name_hidden")
    assert complaints.read(str(row.data["words"]), "T09").hidden


def test_no_supervisor_reads_name_or_flat(desk: Desk) -> None:
    ticket = complain(desk, "匿名，4栋1单元902 就对门901 天天堆鞋柜", "T12")
    assert ticket.place_key == "P1/4/1/901", "the flat complained of, and not that of who tells it"
    for name in ("周主管", "刘队"):
        seen = desk_lists.timeline(desk.session, ticket, at("09:30"), desk.staff(name))
        assert say("person.hidden") in seen and "902" not in seen and "王" not in seen, name
    for name in ("客服小周", "马经理"):
        assert "王女士" in desk_lists.timeline(desk.session, ticket, at("09:30"), desk.staff(name))


def test_no_card_of_a_supervisor_names_who_complained(desk: Desk) -> None:
    ticket = complain(desk, "匿名，我4栋1单元902王女士 楼上1002天天拖椅子", "T09")
    assert ticket.handler == desk.staff("周主管")
    cards = " ".join(row.text for row in desk.pushes("周主管"))
    assert "拖椅子" in cards and "902" not in cards and "王女士" not in cards


def test_the_desk_does_not_read_who_complained_of_the_desk(desk: Desk) -> None:
    ticket = complain(desk, "前台那个小姑娘态度太差", "T01")
    assert reply(desk, "别写我") == say("reply.name_hidden_desk")
    for name in ("客服小周", "林管家", "周主管"):
        assert say("person.hidden") in desk_lists.timeline(desk.session, ticket, at("09:30"), desk.staff(name)), name
    assert "王女士" in desk_lists.timeline(desk.session, ticket, at("09:30"), desk.staff("马经理"))


@pytest.mark.parametrize(
    ("words", "room"),
    [
        ("4栋1单元902 就对门901", "901"),
        ("5栋803楼上903", "903"),
        ("楼上2点还在吵", ""),
        ("隔壁300块", ""),
        ("5栋803", ""),
    ],
)
def test_the_flat_beside_ones_own(words: str, room: str) -> None:
    assert neighbour_room(words) == room


def test_a_place_told_later_is_the_neighbours(desk: Desk) -> None:
    told = complain(desk, "5栋803楼上903 天天跳绳")
    assert told.place_key == "P1/5/-/903"


# --- praise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["你们绿化搞得倒是挺好的", "绿化是夸你们呢 听不出来啊", "师傅修得很好", "保洁打扫得真干净"]
)
def test_plain_praise(words: str) -> None:
    assert plainly_praises(words)


@pytest.mark.parametrize(
    "words",
    [
        "绿化搞得不好",
        "绿化搞得挺好的 就是保洁不行",
        "绿化怎么搞得好",
        "能不能把绿化搞好",
        "垃圾没扫干净",
        "把楼道打扫干净",
        "没修好",
        "修得好慢",
        "服务态度很不好",
        "我不是夸你们",
        "想表扬一下保安 但是保洁太差",
        "这也是表扬他？",
        "我本来想夸你们 可是电梯又坏了",
    ],
)
def test_what_is_no_plain_praise(words: str) -> None:
    assert not plainly_praises(words)


def test_praise_taken_for_a_complaint_is_passed_on_as_praise(desk: Desk) -> None:
    words = "你们绿化搞得倒是挺好的"
    [told] = hear(desk, words, "file_complaint", ValidateComplaintForm(), OpenComplaint())
    assert "谢谢您的肯定" in told
    assert [one.kind for one in desk.session.scalars(select(Ticket))] == ["BY"]


def test_who_says_that_it_was_praise_has_complained_of_nothing(desk: Desk) -> None:
    draft(desk, "TS", words="你们绿化搞得倒是挺好的", code="T07", seen=["x"])
    words = "绿化是夸你们呢 听不出来啊"
    [told] = hear(desk, words, "file_complaint", ValidateComplaintForm(), OpenComplaint())
    assert "谢谢您的肯定" in told
    [ticket] = desk.session.scalars(select(Ticket))
    assert (ticket.kind, ticket.symptom) == ("BY", "你们绿化搞得倒是挺好的")


def test_praise_beside_a_complaint_drops_nothing(desk: Desk) -> None:
    row = draft(desk, "TS", words="保安在东门骂人", code="T01", seen=["x"])
    hear(desk, "绿化搞得倒是挺好的", "file_complaint", ValidateComplaintForm())
    assert str(row.data["words"]).startswith("保安在东门骂人")


def test_how_the_praised_hear_who_it_was(desk: Desk) -> None:
    assert may_name(say("button.name_me")) and may_name("写上吧") and may_name("不写") is False
    assert signs_praise("就写6栋老李") == "6栋老李"
    assert signs_praise("写上王女士") == "王女士"
    assert not signs_praise("写得太慢") and not signs_praise("写什么") and not signs_praise("可以写上")
    hearing.praise(desk.session, desk.actor("王芳"), desk.chat("王芳"), "李明扫得干净", "p:1", NOW)
    desk.seen()
    assert reply(desk, "就写6栋老李") == say("reply.praise_named")
    assert any("6栋老李" in row.text for row in desk.fresh("李明"))


# --- what is taken back -----------------------------------------------------------------------------------------------


def test_the_registered_one_is_asked_about_while_another_is_half_told(desk: Desk) -> None:
    box = desk.report("W02", symptom="快递柜满了")
    draft(desk, "BX", words="我要报修什么", faults=[{"code": "X00", "words": "我要报修什么"}])
    dropped, sure = hear(desk, "那个单子取消", "cancel", Cancel())
    assert dropped == say("reply.draft_dropped") and box.ticket_no in sure
    assert box.status != "cancelled"
    said(desk, say("reply.cancel_that", no=box.ticket_no))
    assert box.status == "cancelled"


def test_a_draft_alone_is_dropped_without_a_word_about_others(desk: Desk) -> None:
    desk.report("A07", symptom="快递柜满了", place_key="PUB:P1/3", public_area=True)
    draft(desk, "BX", words="灯不亮", faults=[{"code": "E04", "words": "灯不亮"}])
    assert hear(desk, "算了不报了", "cancel", Cancel()) == [say("reply.draft_dropped")]


def test_the_thing_named_goes_and_not_the_newest(desk: Desk) -> None:
    box = desk.report("W02", symptom="快递柜满了 快递员把我东西扔哪了")
    asked = inquiry(desk, "业委会几时开会")
    hear(desk, "快递柜那个单子取消掉", "cancel", Cancel())
    assert (box.status, asked.status != "cancelled") == ("cancelled", True)


def test_a_question_behind_what_is_taken_back_is_answered(desk: Desk) -> None:
    asked = inquiry(desk, "你们前台几个人")
    told = hear(desk, "算了 水费电费燃气费在哪里交", "cancel", Cancel())
    assert asked.status == "cancelled" and any("来源：" in one for one in told)
    asked = inquiry(desk, "你们前台几个人啊")
    assert say("reply.which_question") in hear(desk, f"算了 {UNSURE}", "cancel", Cancel())
    assert asked.status == "cancelled"


def test_nothing_is_told_behind_a_plain_cancellation(desk: Desk) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮")
    assert hear(desk, "算了 客厅灯我自己换好了", "cancel", Cancel()) == []
    assert lamp.status == "cancelled"


def test_what_is_told_behind_a_question_is_read_by_who_answers_it(desk: Desk) -> None:
    asked = inquiry(desk, "我家猫丢了 有没有人看到")
    told = hear(desk, "7栋楼下 昨晚八点多", "inform", Inform())
    assert told == [say("reply.question_told_more", **notify.facts(asked, NOW))]
    assert [event.note for event in desk.history(asked, "comment")] == ["7栋楼下 昨晚八点多"]
    hear(desk, "猫找到了！", "cancel", Cancel())
    assert asked.status == "cancelled"


def test_a_bare_place_behind_an_answer_promises_nothing(desk: Desk) -> None:
    resident = desk.resident("王芳")
    inquiries.note_told(desk.session, resident, "物业费怎么交", "fee_pay", "Q01", NOW)
    assert hear(desk, "3栋1单元204", "inform", Inform()) == [say("reply.place_kept")]
    assert "还没有登记" in say("reply.place_kept")


# --- asides -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["我还有单子吗", "我有几个单子", "现在还有没处理完的单子吗", "查一下我有哪些报修单"])
def test_what_is_open_is_asked_and_registered_by_nobody(desk: Desk, words: str) -> None:
    desk.report()
    assert said(desk, words) == Outcome(resume=say("reading.ask_progress"))


@pytest.mark.parametrize("words", ["我有单子要取消", "电梯有单子贴着", "有人登记吗", "投诉有没有用"])
def test_other_words_ask_for_no_list(words: str) -> None:
    assert not asks_own_tickets(words)


@pytest.mark.parametrize("words", ["哦不好意思发错了", "发错群了", "没事没事 不是投诉"])
def test_what_was_not_meant_for_us_is_let_be(desk: Desk, words: str) -> None:
    assert reply(desk, words) == say("reply.nothing_meant")


def test_what_has_just_been_registered_is_asked_about_first(desk: Desk) -> None:
    ticket = desk.report("W02")
    assert ticket.ticket_no in reply(desk, "哦不好意思发错了") and ticket.status != "cancelled"


def test_a_slip_of_the_pen_drops_no_report(desk: Desk) -> None:
    row = draft(desk, "BX", words="灯不亮", faults=[{"code": "E04", "words": "灯不亮"}])
    assert said(desk, "哦发错了") is None
    assert row in desk.session


@pytest.mark.parametrize(
    "words",
    ["发错货了", "快递发错了地址", "我不是投诉保安 是投诉保洁", "费用单发错了", "不投诉了", "不报修了", "我不想投诉了"],
)
def test_other_mistakes_are_matters(words: str) -> None:
    assert not (sent_in_error(words) or no_complaint(words))


def test_who_has_nothing_to_complain_of_is_asked_no_more(desk: Desk) -> None:
    draft(desk, "TS", words="你们电话打了八遍没人接", code="T27", seen=["x"])
    words = "没啥事 就想问下今天停不停水"
    assert said(desk, words) == Outcome(say("reply.draft_dropped"), resume=words, restart_dialogue=True)
    assert desk.session.scalar(select(Draft)) is None


@pytest.mark.parametrize("words", ["没什么事 就是破了点皮", "没啥事做", "没事"])
def test_how_somebody_hurt_is_drops_nothing(words: str) -> None:
    assert not nothing_wrong(words)


def test_a_car_that_has_gone_is_asked_about(desk: Desk) -> None:
    ticket = desk.report("P01", symptom="我家车位被占了")
    assert ticket.ticket_no in reply(desk, "诶他走了") and ticket.status != "cancelled"
    said(desk, "是的")
    assert ticket.status == "cancelled"
    shared = desk.report("P02", symptom="有车挡住门了", place_key="PUB:P1/3", public_area=True)
    assert reply(desk, "车走了") == say("reply.gone_noted", no=shared.ticket_no)
    assert [event.note for event in desk.history(shared, "comment")] == ["车走了"]


def test_a_worker_who_has_gone_ends_nothing(desk: Desk) -> None:
    desk.report("W02")
    assert "取消" not in reply(desk, "他走了")
    for words in ("车走了又来一辆", "他还没走", "师傅走了水还在漏", "车还没开走"):
        assert not went_away(words), words


def test_without_a_number_it_goes_on(desk: Desk) -> None:
    ticket = desk.report("C02", symptom="垃圾桶满了", place_key="PUB:P1/3", public_area=True)
    questions.ask(desk.session, desk.resident("王芳"), "phone", NOW, ticket=ticket)
    said_back = reply(desk, "不想留电话 你们去倒就行了")
    assert said_back == say("reply.no_phone_needed", no=ticket.ticket_no)
    assert not declines_phone("不用了") and not declines_phone("不用打电话直接来")


def test_who_has_a_complaint_is_told_to_who_doubts_them(desk: Desk) -> None:
    ticket = complain(desk, "保洁阿姨态度差", "T01")
    assert ticket.handler == desk.staff("何姐")
    assert ticket.ticket_no in reply(desk, "你那个何姐不会就是她领导吧")
    assert "机器人" not in reply(desk, "何姐是不是她领导啊")


# --- questions --------------------------------------------------------------------------------------------------------


UNSURE = "租户也行"


def offered(desk: Desk) -> list[str]:
    hear(desk, UNSURE, "ask_question", AnswerQuestion())
    [question] = [
        one for one in questions.waiting(desk.session, desk.resident("王芳"), NOW) if one.kind == "which_question"
    ]
    return list(question.data["offered"])


def test_who_means_all_of_the_offered_is_answered_all(desk: Desk) -> None:
    choices = offered(desk)
    outcome = said(desk, "两个都想问 还有没有 多少钱")
    assert outcome is not None and all(one in outcome.resume for one in choices)
    told = hear(desk, outcome.resume, "ask_question", AnswerQuestion())
    assert len(told) == len(choices) and all("来源：" in one for one in told)


def test_what_is_asked_instead_is_read_on(desk: Desk) -> None:
    offered(desk)
    outcome = said(desk, "都不是 我问电梯几点检修")
    assert outcome is not None and outcome.resume == "我问电梯几点检修"


def test_a_word_instead_is_read_with_the_question_and_never_the_same_list(desk: Desk) -> None:
    offered(desk)
    outcome = said(desk, "都不是 租户")
    assert outcome is not None and outcome.resume == f"{UNSURE}，租户"
    told = hear(desk, outcome.resume, "ask_question", AnswerQuestion())
    assert say("reply.which_question") not in told
    assert none_but("都不是") == "" and none_but("这些都不对劲") is None


def test_scolding_asks_for_no_price(desk: Desk) -> None:
    words = "你们是不是只会收钱啊"
    assert hear(desk, words, "ask_question", AnswerQuestion()) == []
    ticket = desk.report()
    told = hear(desk, words, "ask_question", AnswerQuestion())
    assert told[0] == say("reply.sorry_scolded") and ticket.ticket_no in told[1]


def test_a_word_right_behind_an_answer_is_about_that(desk: Desk) -> None:
    resident = desk.resident("王芳")
    inquiries.note_told(desk.session, resident, "可以养大型犬吗", "dog_big", "Q14", NOW)
    assert hear(desk, "两只", "inform", Inform()) == [say("reply.not_written")]
    told = reply(desk, "帮我问")
    [ticket] = desk.session.scalars(select(Ticket))
    assert "两只" in ticket.symptom and ticket.ticket_no in told


def test_without_an_answer_before_it_is_asked_what_is_meant(desk: Desk) -> None:
    assert hear(desk, "两只", "inform", Inform()) == [say("reply.say_more")]


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        ("我要退租了 押金找谁退", "rent_deposit"),
        ("装修押金什么时候退", "reno_deposit_back"),
        ("一楼院子能种菜不", "policy_garden"),
        ("有人占绿地种菜怎么办", "policy_illegal_build"),
        ("我就是想去交个水费", "utility_pay"),
    ],
)
def test_the_written_answer_that_is_meant(words: str, entry: str) -> None:
    hit = KnowledgeBase.load().find(words, "", {"desk_phone": "0571"})
    assert hit is not None and hit.entry.id == entry

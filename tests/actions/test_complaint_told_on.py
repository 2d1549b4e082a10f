"""What is said behind a complaint, of work that is disputed, or of something nobody has registered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.complaint import AskDetail, OpenComplaint, ValidateComplaintForm
from actions.context import Desk
from actions.inquiry import AnswerQuestion
from actions.progress import Progress, Urge
from actions.rating import NotFixed, Rate
from actions.service import Unsure
from storage.models import Draft, Ticket
from tickets import notify, verbs
from tickets.catalog import hold_reasons
from tickets.people import Actor
from tickets.texts import say

NOISE = "楼上天天半夜拖椅子"
KNOCK = "你们现在就上去敲门行不行 这会儿还在拖"
PHONE = "24小时值班电话"


def unsure(desk: Community, text: str, *ranking: str) -> str:
    """What is said to words that were not understood; `ranking`: the likeliest readings."""
    read = {"intent_ranking": [{"name": name, "confidence": 0.4} for name in ranking]}
    heard = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, f"web:{text}", text, read)
    Unsure().act(heard, None)  # type: ignore[arg-type]
    return "\n".join(words for words, *_ in heard.answers)


def told_by(desk: Community, actor: Actor, text: str, code: str) -> list[str]:
    """What the complaint form says to somebody who tells this."""
    message: dict[str, Any] = {
        "intent": {"name": "file_complaint", "confidence": 0.9},
        "entities": [{"entity": "category", "value": code}],
    }
    tracker: Any = SimpleNamespace(get_slot=lambda _name: None, active_loop=None)
    heard = Desk(desk.session, desk.chat("王芳"), actor, NOW, f"web:{text}", text, message)
    events = ValidateComplaintForm().act(heard, tracker)
    asked = any(one.get("name") == "requested_slot" and one.get("value") for one in events)
    (AskDetail() if asked else OpenComplaint()).act(heard, tracker)
    return [words for words, *_ in heard.answers]


def complaints_of(desk: Community) -> list[Ticket]:
    return list(desk.session.scalars(select(Ticket).where(Ticket.kind == "TS").order_by(Ticket.id)))


def read(desk: Community, name: str) -> str:
    return "\n".join(row.text for row in desk.fresh(name))


# --- somebody is to go now --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "intent", "action"),
    [
        (KNOCK, "ask_question", AnswerQuestion()),
        ("所以现在有没有人上去？", "ask_progress", Progress()),
        (KNOCK, "urge", Urge()),
        (KNOCK, "file_complaint", ValidateComplaintForm()),
    ],
)
def test_who_has_the_complaint_hears_at_once_and_the_duty_phone_is_told(
    desk: Community, text: str, intent: str, action: Any
) -> None:
    ticket = desk.report("T09", kind="TS", symptom=NOISE)
    desk.seen()
    said = "\n".join(hear(desk, text, intent, action))
    assert PHONE in said and ticket.ticket_no in said
    assert ticket.handler is not None and text in read(desk, ticket.handler.name)
    assert complaints_of(desk) == [ticket], "no second complaint"


def test_with_a_repair_told_last_it_is_about_that(desk: Community) -> None:
    desk.report("T09", kind="TS", symptom=NOISE)
    desk.report("W02")
    assert PHONE not in "\n".join(hear(desk, "赶紧派人过来", "urge", Urge()))


# --- added to it, asked of it -----------------------------------------------------------------------------------------


def test_what_shall_go_into_the_complaint_goes_there(desk: Community) -> None:
    ticket = desk.report("T22", kind="TS", symptom="电梯三天两头坏")
    added = "今天还把我妈关里面十分钟，后来自己开了，加到投诉里"
    # The end of the form, which runs in the same turn, has nothing to add.
    assert hear(desk, added, "file_complaint", ValidateComplaintForm(), OpenComplaint()) == [
        say("reply.complaint_added", **notify.facts(ticket, NOW))
    ]
    said = hear(desk, "里面写我妈被关十分钟了没", "ask_question", AnswerQuestion())
    assert "关里面十分钟" in said[0] and "三天两头坏" in said[0]
    assert [one.note for one in desk.history(ticket, "comment")] == [added]


def test_without_a_complaint_there_is_nothing_to_add_to(desk: Community) -> None:
    desk.report("W02")
    assert say("reply.unsure") in unsure(desk, "加到投诉里", "file_complaint")


# --- money, and who pays ----------------------------------------------------------------------------------------------


def test_money_asked_back_behind_a_fault_is_a_complaint_of_its_own(desk: Community) -> None:
    desk.report("C02", symptom="装修垃圾收了600还堆在楼下", place_key="PUB:P1/8/1/F1/楼下", public_area=True)
    said = unsure(desk, "我要退600块 你登记了没", "out_of_scope")
    (ticket,) = complaints_of(desk)
    assert ticket.code == "T03" and ticket.ticket_no in said
    assert "装修垃圾" in ticket.symptom and say("reply.out_of_scope") not in said


def test_with_nothing_told_before_it_is_none_of_ours(desk: Community) -> None:
    assert say("reply.out_of_scope") in unsure(desk, "网店要退600块", "out_of_scope")
    assert complaints_of(desk) == []


def test_who_pays_behind_a_complaint_goes_to_who_has_it(desk: Community) -> None:
    ticket = desk.report("T13", kind="TS", symptom="大金毛扑我奶奶")
    said = hear(desk, "这算谁的", "ask_question", AnswerQuestion())
    assert said == [say("reply.matter_asked", **notify.facts(ticket, NOW))]


# --- what is asked first ----------------------------------------------------------------------------------------------


def test_who_was_hurt_comes_before_what_is_wished(desk: Community) -> None:
    (said,) = told_by(desk, desk.actor("王芳"), "大金毛扑我奶奶，胳膊蹭破皮了", "T13")
    assert say("ask.hurt") in said


def test_a_place_that_is_missing_is_asked_once(desk: Community) -> None:
    stranger = desk.stranger()
    (said,) = told_by(desk, stranger, "我们15楼有户人家养的狗从早到晚叫个不停，大人小孩都没法睡", "T13")
    assert say("ask.complaint_place") in said
    answers = told_by(desk, stranger, "不方便说", "T13")
    assert say("ask.complaint_place") not in "\n".join(answers)
    assert say("reply.complaint_place") not in answers
    assert len(complaints_of(desk)) == 1


def test_a_place_told_in_answer_is_that_of_the_complaint(desk: Community) -> None:
    stranger = desk.stranger()
    told_by(desk, stranger, "我们15楼有户人家养的狗从早到晚叫个不停，大人小孩都没法睡", "T13")
    told_by(desk, stranger, "3栋2单元的", "T13")
    (ticket,) = complaints_of(desk)
    assert "3栋2单元" in ticket.place_text


def test_the_name_of_no_matter_is_not_read_aloud(desk: Community) -> None:
    (said,) = told_by(desk, desk.actor("王芳"), "你们门口太乱", "T99")
    assert "其他投诉" not in said and said.startswith("您说的这件事记下了")


def test_who_hides_their_name_is_asked_for_no_phone(desk: Community) -> None:
    stranger = desk.stranger()
    said = told_by(desk, stranger, "5栋1503半夜装修敲到一点多，匿名，千万别让对方知道是我说的", "T10")
    assert say("reply.name_hidden") in said and say("reply.phone_wanted_call") not in said


def test_who_is_promised_a_word_of_the_manager_is_asked_for_a_phone_once(desk: Community) -> None:
    stranger = desk.stranger()
    said = "\n".join(told_by(desk, stranger, "3栋2单元楼下的快递柜旁边，保洁把我的包裹当垃圾扔了，里头是药", "T25"))
    (ticket,) = complaints_of(desk)
    assert ticket.level == "C1" and said.count("电话") == 1


# --- disputed work ----------------------------------------------------------------------------------------------------


def test_what_leaders_are_said_to_see_they_see(desk: Community) -> None:
    ticket = desk.accepted()
    verbs.arrive(desk.session, ticket, desk.handler(ticket), NOW)
    desk.seen()
    words = "哪里弄好了 他就拧了两下 我刚摸还是潮的"
    assert hear(desk, words, "not_fixed", NotFixed()) == [say("reply.noted_open", no=ticket.ticket_no)]
    assert words in read(desk, "李工") and words in read(desk, "王师傅")


def test_before_any_visit_what_is_promised_holds_too(desk: Community) -> None:
    ticket = desk.accepted()
    desk.seen()
    hear(desk, "还在滴 越来越大", "not_fixed", NotFixed())
    assert ticket.status == "in_progress" and "越来越大" in read(desk, "李工")


@pytest.mark.parametrize(("intent", "action"), [("not_fixed", NotFixed()), ("urge", Urge())])
def test_who_was_at_home_all_day_does_not_wait_on(desk: Community, intent: str, action: Any) -> None:
    ticket = desk.accepted()
    worker = desk.handler(ticket)
    verbs.arrive(desk.session, ticket, worker, NOW)
    verbs.hold(desk.session, ticket, worker, hold_reasons()[1], NOW + verbs.NOT_HOME_WAIT, NOW, nobody_home=True)
    assert ticket.status == "on_hold"
    desk.seen()
    words = "谁说没人 我一天都在家 门铃响都没响过"
    hear(desk, words, intent, action)
    assert ticket.status != "on_hold"
    assert words in read(desk, "李工") and words in read(desk, "王师傅")


def test_work_not_tried_out_yet_stays_open(desk: Community) -> None:
    ticket = desk.done()
    said = hear(desk, "差是不差啦 就是没试水 他走得急 我也不会看", "rate", Rate())
    assert said == [say("reply.acceptance_try", no=ticket.ticket_no)] and ticket.status == "done"


# --- nothing registered -----------------------------------------------------------------------------------------------


def test_a_lamp_that_nobody_registered_is_asked_for(desk: Community) -> None:
    said = hear(desk, "上礼拜报的楼道灯到底啥时候修", "ask_progress", Progress())
    assert said == [say("reply.no_ticket_of_thing")]
    draft = desk.session.scalars(select(Draft).where(Draft.kind == "BX")).one()
    assert draft.data["unsure"] == "上礼拜报的楼道灯到底啥时候修"


def test_without_a_thing_there_is_nothing_to_ask_for(desk: Community) -> None:
    assert hear(desk, "我那个到底怎么样了", "ask_progress", Progress()) == [say("reply.no_ticket")]

"""After an alarm: another danger than the ticket beside it, another place, over in everyday words, other matters, facts that come late."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import select

from nlu.answers import read_answer
from nlu.emergency import Emergency, detect
from storage.models import Draft, Ticket
from tickets import emergencies, inquiries
from tickets.answering import Outcome, Turn, try_answer
from tickets.texts import say
from tickets.words import (
    asks_of_help,
    asks_of_told,
    has_called_help,
    is_over,
    says_none,
    somebody_inside,
    stops_help,
    wants_fence,
)

WHO = "王芳"
FIRE, GAS, MED = "我家着火了 3栋2单元1502", "厨房有股煤气味 3栋2单元1502", "有人晕倒了 3栋2单元1502"
SEC, SHED = "哎楼上有人喊救命！", "车棚冒烟了"


def hear(desk: Desk, text: str, minute: int = 1) -> Outcome | None:
    """As the gateway takes it: a danger first, else an answer; what was pushed to her is the reply then."""
    before, now, key = len(desk.pushes(WHO)), NOW + timedelta(minutes=minute), f"web:{text}:{minute}"
    found, actor = detect(text), desk.actor(WHO)
    if found is not None and emergencies.screen(desk.session, desk.chat(WHO), actor, found, text, key, now):
        return Outcome("\n".join(one.text for one in desk.pushes(WHO)[before:]))
    return try_answer(Turn(desk.session, desk.chat(WHO), actor, text, now, key))


def reply(desk: Desk, text: str, minute: int = 1) -> str:
    outcome = hear(desk, text, minute)
    assert outcome is not None
    return outcome.reply


def dangers(desk: Desk) -> list[Ticket]:
    return [one for one in desk.session.scalars(select(Ticket).order_by(Ticket.id)) if emergencies.danger(one)]


def to_staff(desk: Desk) -> str:
    return "\n".join(one.text for one in desk.fresh() if one.staff_id)


# --- the alarm beside an open ticket


def asked_of(desk: Desk, code: str) -> None:
    """She has just been asked whether something is coming down, where a crack is registered."""
    found = Emergency("FALL", "check", code, "U0", "", question="FALL.default")
    emergencies.screen(desk.session, desk.chat(WHO), desk.actor(WHO), found, "我怕楼塌啊", "web:asked", NOW)


def test_a_yes_raises_the_alarm_beside_an_open_ticket_of_the_same_thing(desk: Desk) -> None:
    waiting = desk.report("S04", symptom="墙角裂了条缝")
    asked_of(desk, "S04")
    desk.seen()
    hear(desk, "是")
    assert [one.level for one in dangers(desk)] == ["U0"] and dangers(desk)[0].id != waiting.id
    assert "【危急】" in to_staff(desk)


def test_a_second_word_about_a_known_danger_is_no_second_alarm(desk: Desk) -> None:
    hear(desk, FIRE, 0)
    hear(desk, "我家火越来越大了", 1)
    assert len(dangers(desk)) == 1


# --- another place


@pytest.mark.parametrize(
    ("first", "text", "key"),
    [
        ("家里水管爆了 5栋502", "6栋的 刚打错了 6栋1单元502", "P1/6/1/502"),
        (FIRE, "打错了 不是3栋 是2栋1单元1203", "P1/2/1/1203"),
        ("有烟", "大门右边", "PUB:-/-/-/-/大门口"),
    ],
)
def test_a_place_put_right_sends_the_crew_there(desk: Desk, first: str, text: str, key: str) -> None:
    hear(desk, first, 0)
    desk.seen()
    hear(desk, text, 1)
    assert dangers(desk)[0].place_key == key
    assert text in to_staff(desk)


def test_where_somebody_was_seen_is_not_where_they_live(desk: Desk) -> None:
    hear(desk, "我爸走丢了 我家1栋1单元802", 0)
    desk.seen()
    hear(desk, "在1栋垃圾房那边看到过", 1)
    assert dangers(desk)[0].place_key == "P1/1/1/802" and "垃圾房" in to_staff(desk)


# --- there never was a danger


NONE = [
    (SEC, "是电视 不好意思 是在放电视剧"),
    (SHED, "不是烟 是旁边蒸包子的热气 看花眼了"),
    (SHED, "不是你们小区 是我单位楼下的"),
    (SHED, "取消吧 打错地方了 我人在城西"),
    (FIRE, "我是说网断了 没着火"),
    ("有人撬我家门 3栋2单元1502", "? 我说的是刷漆的味道 不是有坏人"),
    ("插座进水了 3栋2单元1502 水管在喷水", "想多了吧 插座没电的 我就想找人修龙头"),
]


@pytest.mark.parametrize(("first", "text"), NONE)
def test_a_mistake_is_checked_by_telephone_and_ends_nothing_by_itself(desk: Desk, first: str, text: str) -> None:
    hear(desk, first, 0)
    desk.seen()
    answer = reply(desk, text, 1)
    assert answer in (say("reply.emergency_ended"), say("reply.emergency_not_here"))
    told, ticket = to_staff(desk), dangers(desk)[0]
    assert "请打电话核实" in told and text in told
    assert emergencies.is_told_over(ticket) and ticket.status != "cancelled"


@pytest.mark.parametrize(
    "text",
    [
        "是不是看错了",
        "应该是看花眼了吧",
        "好像是做饭的油烟",
        "不是烟 是火",
        "不是油烟 是着火",
        "不是做饭的烟",
        "没看错 真着火了",
        "没着火但是冒烟了",
        "不是你们小区的人 在我们楼道",
        "我人不在小区 家里没人",
        "打错地方了 是6栋2单元802",
        "不是煤气味 是烧焦的味",
        "我不是说没着火吗",
        "是电视着火了",
        "没有人受伤",
    ],
)
def test_what_leaves_a_doubt_calms_nobody(text: str) -> None:
    assert not says_none(text)


@pytest.mark.parametrize("text", ["不是做饭 就是着火了", "是我家电视冒烟了"])
def test_a_danger_told_again_stays_one(desk: Desk, text: str) -> None:
    hear(desk, FIRE, 0)
    hear(desk, text, 1)
    assert not emergencies.is_told_over(dangers(desk)[0])


def test_who_thinks_it_settled_can_say_when_to_come(desk: Desk) -> None:
    hear(desk, "插座进水了 3栋2单元1502 水管在喷水", 0)
    hear(desk, "想多了吧 插座没电的 我就想找人修水管", 1)
    desk.seen()
    answer = reply(desk, "不急 明天下午来 13800002585", 2)
    assert say("reply.emergency_time") in answer and "2585" in answer
    assert "明天下午" in to_staff(desk) and dangers(desk)[0].wanted_start_at is None


# --- it is over


@pytest.mark.parametrize(
    "text",
    ["低血糖 吃了块糖好了", "救护车走了 拉到市一医院了 谢谢小伙子帮忙抬", "就破点皮 120不用了", "歇了一会儿缓过来了"],
)
def test_who_is_well_again_or_in_hospital_is_over(text: str) -> None:
    assert is_over(text, "MED")


@pytest.mark.parametrize(
    "text",
    [
        "120不用叫吗",
        "吃了药好了一点",
        "吃了糖没好",
        "还没缓过来",
        "救护车走了吗",
        "送到哪个医院",
        "120不用了吗",
        "吃了点东西又吐了",
    ],
)
def test_who_may_still_be_ill_is_not(text: str) -> None:
    assert not is_over(text, "MED")


def test_what_is_broken_beside_somebody_hurt_is_still_registered(desk: Desk) -> None:
    hear(desk, "快递柜掉下来砸到人了 流血 3栋楼下", 0)
    outcome = hear(desk, "就破点皮 120不用了 柜子你们修修吧", 1)
    assert outcome is not None and outcome.resume == "柜子你们修修吧"


def test_what_was_over_when_it_was_told_is_not_registered(desk: Desk) -> None:
    found = Emergency("TRAPPED", "check", "D02", "U0", "", question="TRAPPED.default")
    text = "我儿子头卡栏杆里了哈哈 刚自己拔出来了"
    emergencies.screen(desk.session, desk.chat(WHO), desk.actor(WHO), found, text, "web:asked", NOW)
    assert hear(desk, "没有") == Outcome(say("reply.safety_clear"))


@pytest.mark.parametrize(
    ("text", "verdict"), [("没进 就一小滩 像车上滴的空调水", "no"), ("没进电梯 但一直在漫", "yes")]
)
def test_the_word_of_the_question_denied_is_a_no(text: str, verdict: str) -> None:
    answer = read_answer("safety", text, NOW)
    assert answer is not None and (answer.verdict == "no") == (verdict == "no")


# --- other matters while it lasts


@pytest.mark.parametrize(
    "text", ["那个投诉呢 你记了没", "我报的都有哪些 到哪步了", "所以楼道到底谁来拖", "我明天想借个轮椅 你们有吗"]
)
def test_a_question_about_something_else_is_no_fact_of_the_danger(desk: Desk, text: str) -> None:
    desk.report("C01", symptom="楼道脏没人拖")
    hear(desk, SEC, 0)
    desk.seen()
    assert hear(desk, text) is None
    assert to_staff(desk) == ""


@pytest.mark.parametrize(
    "text", ["楼道有烟吗 谁来看看", "楼道能走吗", "师傅到哪了", "楼道里有人晕倒了 谁来管", "人呢 怎么还不来"]
)
def test_a_question_about_the_danger_stays_with_it(desk: Desk, text: str) -> None:
    desk.report("C01", symptom="楼道脏没人拖")
    hear(desk, FIRE, 0)
    assert reply(desk, text)


def lamp_half_told(desk: Desk) -> None:
    data = {"words": "客厅灯不亮", "faults": [{"code": "E04", "words": "客厅灯不亮"}]}
    desk.session.add(Draft(conversation_id=desk.chat(WHO).id, kind="BX", data=data, updated_at=NOW))
    desk.session.flush()


def test_a_lamp_half_told_before_smoke_is_taken_up_again(desk: Desk) -> None:
    lamp_half_told(desk)
    hear(desk, SHED, 0)
    outcome = hear(desk, "灯还修不修啊", 3)
    assert outcome is not None and outcome.resume == "客厅灯不亮" and outcome.restart_dialogue


def test_what_became_the_danger_is_not_offered_again(desk: Desk) -> None:
    data = {"words": "插座不通电", "faults": [{"code": "E04", "words": "插座不通电"}]}
    desk.session.add(Draft(conversation_id=desk.chat(WHO).id, kind="BX", data=data, updated_at=NOW))
    desk.session.flush()
    hear(desk, "插座着火了 3栋2单元1502", 0)
    assert desk.session.scalar(select(Draft)) is None


@pytest.mark.parametrize("text", ["我的电梯卡在5楼了", "那个人投诉我", "今天有人闹事", "明天来吗"])
def test_no_question_about_a_ticket(text: str) -> None:
    assert not asks_of_told(text)


# --- what comes late, and belongs to the danger


def test_who_asks_to_go_back_after_it_is_answered_at_once(desk: Desk) -> None:
    hear(desk, GAS, 0)
    hear(desk, "消防来了 说没事", 1)
    assert reply(desk, "那我能上楼了不", 2).startswith("消防、燃气公司或现场的人当面说可以了")
    assert reply(desk, "110还用打吗", 3) == say("reply.emergency_help_still")


def test_a_place_told_after_it_belongs_to_the_danger_and_to_no_inquiry(desk: Desk) -> None:
    hear(desk, "孩子反锁在屋里了 8-1-502", 0)
    hear(desk, "出来了 没事了", 1)
    chat, actor = desk.chat(WHO), desk.actor(WHO)
    asked = inquiries.record(desk.session, chat, actor, "门岗几点换班", "Q99", "web:q", NOW + timedelta(minutes=2))
    hear(desk, "是8栋1单元5楼", 3)
    assert dangers(desk)[0].place_key.startswith("P1/8/1") and asked.place_key == ""


@pytest.mark.parametrize("danger", [GAS, FIRE])
def test_who_is_still_inside_is_told_to_119_and_to_the_crew(desk: Desk, danger: str) -> None:
    hear(desk, danger, 0)
    desk.seen()
    answer = reply(desk, "我老公还在上面睡觉 打他电话不接")
    assert "119" in answer and "进" in answer
    assert "里面可能还有人" in to_staff(desk)


@pytest.mark.parametrize("text", ["没人在里面了", "都出来了", "人都下来了", "还有人在里面吗", "里面没有其他人"])
def test_nobody_is_inside(text: str) -> None:
    assert not somebody_inside(text)


def test_who_has_come_out_is_not_asked_whether_they_have(desk: Desk) -> None:
    hear(desk, GAS, 0)
    answer = reply(desk, "我抱孙子出来了")
    assert answer.startswith(say("reply.emergency_came_out")) and "都出来了吗" not in answer


def test_a_fence_is_asked_of_the_crew(desk: Desk) -> None:
    hear(desk, "井盖没了 3栋门口", 0)
    desk.seen()
    assert reply(desk, "旁边老有小孩玩 你们先拿东西围一下") == say("reply.emergency_fence")
    assert "请去围挡" in to_staff(desk)


def test_an_ambulance_called_is_acknowledged(desk: Desk) -> None:
    hear(desk, MED, 0)
    assert reply(desk, "120打了") == say("reply.emergency_help_called")


@pytest.mark.parametrize("text", ["120打了吗", "120打了没人接", "没打120", "120打不通", "110打了好几次都没人来"])
def test_no_ambulance_called(text: str) -> None:
    assert not has_called_help(text)


def test_short_words_about_help() -> None:
    assert asks_of_help("110还用打吗") and asks_of_help("还要报警吗") and not asks_of_help("110来了")
    assert stops_help("那你们别打119啊") and not stops_help("打119了")
    assert wants_fence("先拉个警戒线") and not wants_fence("门口围了好多人") and not wants_fence("保安拦着不让进")

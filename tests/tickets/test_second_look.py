"""The trained model's fear behind the trigger words: one question when it doubts, the alarm when it is sure, never twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import select

from nlu.address import NONE
from nlu.emergency import detect, of_category, playbook
from storage.models import Draft, OutboxMessage, Ticket
from tickets import emergencies, questions
from tickets.answering import Outcome, Turn, try_answer
from tickets.lifecycle import OPEN
from tickets.places import read_place
from tickets.texts import say
from tickets.words import asks_if_safe_again, gets_worse, is_over

WORDS = "她歪在沙发上嘴是斜的"


def look(
    desk: Desk,
    dangers: dict[str, float],
    now: datetime = NOW,
    *,
    by: str = "王芳",
    code: str = "W04",
    reports: bool = True,
) -> bool:
    message = (dangers, WORDS, code, f"web:{now.isoformat()}", now)
    return emergencies.second_look(desk.session, desk.chat(by), desk.actor(by), *message, reports=reports)


def hear(desk: Desk, text: str, now: datetime = NOW) -> Outcome | None:
    """What 王芳 says next, taken as the answer to what was asked."""
    return try_answer(Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, now, f"web:{text}:{now}"))


def reply_to(desk: Desk, text: str, now: datetime = NOW) -> str:
    outcome = hear(desk, text, now)
    assert outcome is not None
    return outcome.reply


def emergency(desk: Desk) -> Ticket | None:
    return desk.session.scalar(select(Ticket).where(Ticket.level == "U0"))


def test_a_sure_model_raises_the_alarm(desk: Desk) -> None:
    assert look(desk, {"MED": 0.9})
    ticket = emergency(desk)
    assert ticket is not None
    assert (ticket.code, ticket.place_key, ticket.symptom) == ("M01", "P1/3/2/1502", WORDS)
    assert "alarm" in desk.told()["马经理"]
    assert emergencies.taken_up(desk.session, desk.actor("王芳"), NOW)


def test_a_doubting_model_asks_once_and_a_no_lets_the_words_go_on(desk: Desk) -> None:
    assert look(desk, {"MED": 0.2})
    assert emergency(desk) is None
    outcome = hear(desk, "没有")
    assert outcome is not None
    assert outcome.resume == WORDS
    assert not look(desk, {"MED": 0.2}, NOW + timedelta(minutes=1))


def test_who_has_gone_on_to_other_matters_confirms_a_danger_by_a_clear_word_only(desk: Desk) -> None:
    def left_of(text: str) -> str | None:
        outcome = hear(desk, text)
        return outcome.resume if outcome else None

    assert look(desk, {"MED": 0.2})
    assert left_of("晾衣杆摇不下来了") == f"{WORDS}。晾衣杆摇不下来了"
    assert left_of("卫生间门从里面反锁了，里头没人，是猫扒拉的，在里面骂我") is None
    assert emergency(desk) is None
    left_of("是的 快来")
    assert emergency(desk) is not None


def test_a_danger_that_its_reporter_calls_over_is_checked(desk: Desk) -> None:
    over = "人醒了 没事了"
    look(desk, {"MED": 0.9})
    assert reply_to(desk, over) == say("reply.emergency_over")
    ticket = emergency(desk)
    assert ticket is not None and ticket.status in OPEN
    assert any("没事了" in text for text in desk.session.scalars(select(OutboxMessage.text)))


@pytest.mark.parametrize(
    ("danger", "words", "over"),
    [
        ("LIFT", "出来了出来了，谢谢", True),
        ("LIFT", "怎么还不放出来", False),
        ("LIFT", "人出来了没", False),
        ("TRAPPED", "妈妈回来了 门开啦", True),
        ("TRAPPED", "开了 他自己拧开的", True),
        ("TRAPPED", "门开了一条缝，人出不来", False),
        ("PIT", "人拉上来了", True),
        ("FIRE", "保安已经扑灭了", True),
        ("FIRE", "灯都灭了", False),
        ("GAS", "门开了", False),
    ],
)
def test_what_ends_a_danger_of_its_kind(danger: str, words: str, over: bool) -> None:
    assert is_over(words, danger) is over


@pytest.mark.parametrize("words", ["我能推闸了吗", "那我能回去了吗", "我能开灶做饭吗", "要不要把总闸推上去试试"])
def test_what_was_forbidden_is_allowed_by_those_who_looked(desk: Desk, words: str) -> None:
    assert look(desk, {"GAS": 0.9})
    assert reply_to(desk, words).startswith(say("reply.emergency_not_yet", duty_line="")[:12])
    assert not asks_if_safe_again("能不能快点")


def test_who_said_that_it_is_over_speaks_of_other_things(desk: Desk) -> None:
    assert look(desk, {"LIFT": 0.9})
    reply_to(desk, "人出来了 没事了")
    assert hear(desk, "马桶水箱一直响", NOW + timedelta(minutes=1)) is None
    assert hear(desk, "催催", NOW + timedelta(minutes=2)) is None
    assert hear(desk, "她头晕站不起来", NOW + timedelta(minutes=3)) is not None


def test_a_doubt_while_the_alarm_runs_goes_to_the_crew(desk: Desk) -> None:
    assert look(desk, {"GAS": 0.9})
    found = detect("我老婆有点头晕")
    assert found is not None and found.verdict != "alarm"
    chat, actor = desk.chat("王芳"), desk.actor("王芳")
    assert not emergencies.screen(desk.session, chat, actor, found, "我老婆有点头晕", "web:1", NOW)
    assert reply_to(desk, "我老婆有点头晕", NOW + timedelta(minutes=1)) == say("reply.emergency_medical")
    assert "火花" in reply_to(desk, "要不要关总闸", NOW + timedelta(minutes=2))
    assert "①" in reply_to(desk, "我该怎么办", NOW + timedelta(minutes=3))


def screened(desk: Desk, text: str, now: datetime) -> None:
    """A message of 王芳 in which words tell of a danger."""
    found = detect(text)
    assert found is not None
    emergencies.screen(desk.session, desk.chat("王芳"), desk.actor("王芳"), found, text, f"web:{text}:{now}", now)


def test_words_that_settle_a_doubt_join_what_was_asked_about(desk: Desk) -> None:
    asked = "客厅吊顶在滴水 越滴越快 3栋2单元1402"
    assert emergencies.screen(
        desk.session,
        desk.chat("王芳"),
        desk.actor("王芳"),
        replace(of_category("E09", asked), kind="WATER_ELEC"),
        asked,
        "web:asked",
        NOW,
    )
    screened(desk, "水从灯里流下来了", NOW + timedelta(minutes=1))
    ticket = desk.session.scalars(select(Ticket).order_by(Ticket.id.desc())).first()
    assert ticket is not None and ticket.place_key == "P1/3/2/1402"
    assert ticket.symptom == f"{asked} 水从灯里流下来了"
    screened(desk, "配电箱冒火花了", NOW + timedelta(minutes=2))
    assert len(desk.session.scalars(select(Ticket).where(Ticket.id >= ticket.id)).all()) == 1, "the same crew has it"


def test_a_worse_danger_is_in_the_building_of_the_one_that_runs(desk: Desk) -> None:
    screened(desk, "8栋楼顶水箱爆了 水往下冲", NOW)
    screened(desk, "流到电表箱那儿冒火花了", NOW + timedelta(minutes=1))
    keys = list(desk.session.scalars(select(Ticket.place_key).order_by(Ticket.id)))
    assert keys == ["PUB:P1/8/1/RF/楼顶", "PUB:P1/8/1/-/电表箱"]


def test_who_answers_a_doubt_with_another_place_tells_of_something_else(desk: Desk) -> None:
    assert look(desk, {"MED": 0.2})
    screened(desk, "1栋2单元电梯里关了个人", NOW + timedelta(minutes=1))
    ticket = emergency(desk)
    assert ticket is not None and WORDS not in ticket.symptom


@pytest.mark.parametrize(
    "text", ["走到门口了", "火大了", "叫不醒了", "烟越来越浓", "又有人晕倒了", "水流到卧室了", "嘴唇发紫了"]
)
def test_a_danger_grows(text: str) -> None:
    assert gets_worse(text)


@pytest.mark.parametrize(
    "text",
    ["没有人受伤", "没有人困在里面", "没爆炸", "没流到插座", "电闸已经关了", "味道越来越淡了", "我在门口等你们", "保安到门口了",
     "师傅敲门了", "没有人晕倒", "火越来越小了"],
)  # fmt: skip
def test_a_danger_does_not_grow(text: str) -> None:
    assert not gets_worse(text)


def test_a_doubt_about_another_danger_stays_open_beside_an_alarm(desk: Desk) -> None:
    assert look(desk, {"GAS": 0.2}, code="G01")
    screened(desk, "老人昏倒了", NOW + timedelta(minutes=1))
    assert emergency(desk) is not None
    waiting = questions.waiting(desk.session, desk.resident("王芳"), NOW + timedelta(minutes=1))
    assert "safety" in [one.kind for one in waiting]


def test_a_burst_elsewhere_is_another_event(desk: Desk) -> None:
    screened(desk, "3栋2单元1402 水从灯里流下来了", NOW)
    screened(desk, "1栋1单元101水管爆了 水喷出来", NOW + timedelta(minutes=1))
    keys = [one.place_key for one in desk.session.scalars(select(Ticket).order_by(Ticket.id))]
    assert keys[-2:] == ["P1/3/2/1402", "P1/1/1/101"]


def test_a_danger_that_grows_is_answered_by_what_to_do_now(desk: Desk) -> None:
    assert look(desk, {"MED": 0.9})
    worse = playbook("MED").worse
    assert worse and reply_to(desk, "嘴唇都发紫了").startswith(worse)
    assert worse not in reply_to(desk, "我是她邻居", NOW + timedelta(minutes=1))


def test_questions_in_a_danger_are_answered(desk: Desk) -> None:
    assert look(desk, {"MED": 0.9})
    ticket = emergency(desk)
    assert ticket is not None
    duty = desk.community.settings["duty_phone"]
    assert reply_to(desk, "我该怎么办") == playbook("MED").advice(duty_phone=duty)
    assert "到" in reply_to(desk, "师傅到哪了") and duty in reply_to(desk, "来了没有")
    assert reply_to(desk, "谁负责门岗的") == say(
        "reply.emergency_noted", duty_line=say("reply.duty_line", duty_phone=duty)
    )
    assert ticket.place_key == "P1/3/2/1502"
    ticket.place_key = ticket.place_text = ""
    assert playbook("MED").ask in reply_to(desk, "快点啊")
    reply_to(desk, "师傅来了 现在没事了")
    assert ticket.status in OPEN


def test_in_what_is_surely_no_report_a_danger_is_asked_about(desk: Desk) -> None:
    assert look(desk, {"MED": 0.9}, reports=False)
    assert emergency(desk) is None


def test_a_fault_that_is_itself_a_danger_is_asked_about_with_very_little_fear(desk: Desk) -> None:
    assert not look(desk, {"MED": 0.009}, code="M01")
    assert look(desk, {"MED": 0.01}, code="M01")
    assert emergency(desk) is None
    assert not emergencies.is_feared(desk.session, desk.actor("王芳"), {}, WORDS, NOW)
    assert emergencies.is_feared(desk.session, desk.actor("王芳"), {"MED": 0.2}, WORDS, NOW)
    hear(desk, "没有")
    assert not emergencies.is_feared(desk.session, desk.actor("王芳"), {"MED": 0.2}, WORDS, NOW)


def test_a_danger_without_a_place_is_where_something_was_just_reported(desk: Desk) -> None:
    """A daughter who reported for her mother's flat; the lobby's lamp, and what was told yesterday, say nothing."""
    desk.report("W04", place_key="P1/3/1/301", place_text="3栋1单元301", contact_phone="13900001234")
    assert look(desk, {"MED": 0.9})
    ticket = emergency(desk)
    assert ticket is not None
    assert (ticket.place_key, ticket.contact_phone) == ("P1/3/1/301", "13900001234")
    assert ticket.detail["place_assumed"]


def test_a_lamp_in_the_lobby_tells_no_place_of_a_danger(desk: Desk) -> None:
    desk.report("E07", place_key="PUB:P1/3/2/-/LOBBY", public_area=True)
    assert look(desk, {"MED": 0.9})
    ticket = emergency(desk)
    assert ticket is not None and ticket.place_key == "P1/3/2/1502"


def test_a_question_just_asked_holds_back_no_sure_alarm(desk: Desk) -> None:
    assert look(desk, {"MED": 0.2})
    assert look(desk, {"MED": 0.9}, NOW + timedelta(minutes=1))
    assert emergency(desk) is not None


def test_an_unanswered_doubt_reaches_the_duty_people(desk: Desk) -> None:
    look(desk, {"MED": 0.2})
    desk.seen()
    desk.sweep(NOW + timedelta(minutes=3))
    [told] = desk.fresh("马经理")
    assert WORDS in told.text


def test_ordinary_faults_and_colleagues_are_left_alone(desk: Desk) -> None:
    assert not look(desk, {"MED": 0.01})
    assert not look(desk, {"MED": 0.9}, by="王师傅")
    assert not emergencies.taken_up(desk.session, desk.actor("王芳"), NOW)


def test_pieces_of_a_place_told_during_an_emergency_are_put_together(desk: Desk) -> None:
    """「8栋」「12A」."""
    assert look(desk, {"MED": 0.9}, by="王芳")
    ticket = emergency(desk)
    assert ticket is not None
    ticket.place_key, ticket.place_text = "", ""
    actor, community = desk.actor("王芳"), desk.community.id
    for text in ("8栋", "12A"):
        place = read_place(desk.session, community, text, draft=ticket.place_key or None)
        clearer = emergencies.add_words(desk.session, ticket, actor, place, text, NOW)
        if not clearer:
            assert "几室" in emergencies.noted_text(desk.session, actor, ticket, place)
    assert ticket.place_key == "P1/8/1/12A"
    assert "补充" in emergencies.noted_text(desk.session, actor, ticket, NONE)


def test_a_place_that_was_told_is_left_only_when_it_is_corrected(desk: Desk) -> None:
    """Other words with a place in them must not send the crew away; where only the home was known they tell the place."""

    def said(text: str, minute: int) -> str:
        assert hear(desk, text, NOW + timedelta(minutes=minute)) is not None
        return ticket.place_text

    assert look(desk, {"MED": 0.9})
    ticket = emergency(desk)
    assert ticket is not None
    assert said("就在中心花园水池边上", 1) == "中心花园"
    desk.seen()
    leak = "地库B2那块顶上一直滴水 旁边那个灯还一闪一闪的"
    assert said(leak, 2) == "中心花园"
    assert leak in " ".join(row.text for row in desk.fresh("马经理"))
    assert said("人抬到北门门口了", 3) == "中心花园"
    assert said("不对，在地库B2，灯旁边", 4) == "地下B2层·地库"


def test_who_tells_of_a_stuck_lift_gives_a_flat_for_what_is_broken_there(desk: Desk) -> None:
    """「空调不制冷」 while the alarm lasts is a report of its own, and the flat is for that; the crew stays at the lift."""
    assert look(desk, {"LIFT": 0.9})
    ticket = emergency(desk)
    assert ticket is not None
    reply_to(desk, "4栋1单元的电梯")
    lift = ticket.place_key
    assert lift.startswith("PUB:P1/4/1")
    reply_to(desk, "我住602")
    assert ticket.place_key == lift
    later = NOW + timedelta(minutes=3)
    assert hear(desk, "空调不制冷", later) is None
    desk.session.add(Draft(conversation_id=desk.chat("王芳").id, kind="BX", data={"faults": []}, updated_at=later))
    assert hear(desk, "4栋1单元602", later + timedelta(minutes=1)) is None
    assert hear(desk, "里面的人说闷", later + timedelta(minutes=2)) is not None


def test_a_danger_is_where_the_half_told_fault_is(desk: Desk) -> None:
    """「我是3栋1单元301 水管…」, then 「爆了」."""
    fault = {"code": "W04", "words": "水管", "place_key": "P1/3/1/301", "place_text": "一期3栋1单元301室"}
    desk.session.add(Draft(conversation_id=desk.chat("王芳").id, kind="BX", data={"faults": [fault]}, updated_at=NOW))
    assert look(desk, {"BURST": 0.9})
    ticket = desk.session.scalar(select(Ticket))
    assert ticket is not None
    assert (ticket.place_key, ticket.place_text) == ("P1/3/1/301", "一期3栋1单元301室")


def test_a_place_that_does_not_exist_is_asked_again_and_kept(desk: Desk) -> None:
    assert look(desk, {"MED": 0.9})
    ticket = emergency(desk)
    assert ticket is not None
    assert "99栋" in reply_to(desk, "在99栋1单元")
    assert (ticket.place_key, ticket.place_text) == ("", say("place.unchecked", typed="99栋1单元"))
    reply_to(desk, "说错了 3栋1单元301")
    assert ticket.place_key == "P1/3/1/301"
    reply_to(desk, "99栋", NOW + timedelta(minutes=1))
    assert ticket.place_key == "P1/3/1/301"


def test_nobody_hurt_is_not_somebody_hurt(desk: Desk) -> None:
    assert look(desk, {"ELEC": 0.9})
    ticket = desk.session.scalar(select(Ticket))
    assert ticket is not None
    for calm in ("没有人不舒服", "没流血", "没人晕"):
        reply_to(desk, calm)
    assert "medical" not in ticket.detail
    assert reply_to(desk, "他头晕 没流血") == say("reply.emergency_medical")


def test_who_was_lost_is_found_and_who_saw_wrong_says_so(desk: Desk) -> None:
    assert look(desk, {"LOST": 0.9})
    ticket = desk.session.scalar(select(Ticket))
    assert ticket is not None
    over = say("reply.emergency_over")
    assert reply_to(desk, "还没找到") != over
    assert reply_to(desk, "孩子在楼下找到了") == over
    ticket.detail = {**ticket.detail, "danger": "MED"}
    assert reply_to(desk, "不好意思 是我看错了", NOW + timedelta(minutes=1)) == over


@pytest.mark.parametrize(
    ("danger", "text", "over"),
    [
        ("LOST", "联系上了 在同学家", True),
        ("LOST", "还没联系上", False),
        ("LOST", "她妈妈来了", True),
        ("FIRE", "看错了 是人家在炒辣椒", True),
        ("FIRE", "不是着火 是有人抽烟", True),
        ("SEC", "是我老公喝多了 没事没事", True),
        ("MED", "醒了", True),
        ("MED", "醒了但是说不出话", False),
        ("GAS", "不是煤气 是厕所地漏", True),
        ("GAS", "找到漏的地方了", False),
        ("CARE", "开门了 她在睡觉 没听见", True),
        ("CARE", "电话通了 买菜去了", True),
        ("CARE", "还是没开门", False),
        ("TRAPPED", "开门了", False),
    ],
)
def test_a_danger_that_is_over_or_never_was(danger: str, text: str, over: bool) -> None:
    assert is_over(text, danger) is over


def test_a_lift_nobody_knows_where_is_another_event(desk: Desk) -> None:
    """Two people in two lifts: neither joins the other's, nor moves its crew."""
    assert look(desk, {"LIFT": 0.9})
    first = emergency(desk)
    assert first is not None
    first.place_key, first.place_text = "PUB:P1/3/?/-/电梯", "一期3栋·电梯"
    other = desk.stranger()
    found = of_category("L01", "奶奶被关在电梯里了")
    assert found is not None
    message = (found, "奶奶被关在电梯里了", "web:2", NOW)
    emergencies.screen(desk.session, desk.chat("李强"), other, replace(found, verdict="alarm"), *message[1:])
    tickets = list(desk.session.scalars(select(Ticket).where(Ticket.code == "L01")))
    assert len(tickets) == 2
    elsewhere = read_place(desk.session, desk.community.id, "一期1栋2单元")
    emergencies.add_words(desk.session, first, other, elsewhere, "一期1栋2单元", NOW)
    assert first.place_key == "PUB:P1/3/?/-/电梯"
    here = read_place(desk.session, desk.community.id, "一期3栋2单元电梯")
    assert emergencies.add_words(desk.session, first, other, here, "一期3栋2单元电梯", NOW)

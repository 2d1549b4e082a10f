"""What colleagues say about tickets that exist: a word about that ticket, and no new report or alarm."""

from __future__ import annotations

import pytest
from deskhelp import Desk, at
from doorhelp import Door
from sqlalchemy import func, select
from staffhelp import TEN, kitchen, listening, told

from bot import commands
from storage.models import Ticket
from tickets import questions, verbs
from tickets.catalog import hold_reason
from tickets.errors import NotAllowed
from tickets.texts import say


def danger(desk: Desk, code: str, words: str, **more: object) -> Ticket:
    return desk.report(code, symptom=words, level="U0", **more)


# --- no new alarm -------------------------------------------------------------------------------------------------------


def count(door: Door) -> int:
    with door.sessions() as session:
        return session.scalar(select(func.count()).select_from(Ticket)) or 0


def opened(door: Door, code: str, words: str, place_key: str, to: str = "") -> str:
    with door.sessions.begin() as session:
        desk = door.desk(session)
        ticket = desk.report(code, symptom=words, place_key=place_key, source_key=f"test:{words}:{place_key}")
        if to and (ticket.handler is None or ticket.handler.name != to):
            verbs.assign(session, ticket, desk.staff(to), desk.actor("马经理"), at("09:01"), reason="顺路")
        return ticket.ticket_no


def status_of(door: Door, number: str) -> str:
    with door.sessions() as session:
        return session.scalars(select(Ticket.status).where(Ticket.ticket_no == number)).one()


def test_a_leader_sends_somebody_to_a_numbered_danger(door: Door) -> None:
    number = opened(door, "E01", "插座冒火花", "P1/3/2/1502")
    door.say("李工", f"{number[-4:]}插座冒火的 赵师傅去")
    assert count(door) == 1 and door.left is None
    with door.sessions() as session:
        handler = session.scalars(select(Ticket)).one().handler
        assert handler is not None and handler.name == "赵师傅"


@pytest.mark.parametrize(
    ("code", "words", "typed"),
    [
        ("W01", "水管爆裂", "水管爆裂那个1502的 我不在小区 去不了 叫王师傅去吧"),
        ("W01", "水管爆裂", "{tail}拒了 人在外头"),
    ],
)
def test_a_worker_refuses_the_job_he_names(door: Door, code: str, words: str, typed: str) -> None:
    number = opened(door, code, words, "P1/3/2/1502", to="王师傅")
    told_him = door.say("王师傅", typed.format(tail=number[-4:]))
    assert count(door) == 1 and door.left is None
    assert any(number in one for one in told_him), told_him
    with door.sessions() as session:
        ticket = session.scalars(select(Ticket)).one()
        assert ticket.handler is None or ticket.handler.name != "王师傅"


def test_the_number_in_the_middle_is_the_job(desk: Desk) -> None:
    first, second = kitchen(desk), desk.report("W01", symptom="水管爆裂", place_key="P1/3/2/801", by="陈静")
    for one in (first, second):
        verbs.assign(desk.session, one, desk.staff("王师傅"), desk.actor("马经理"), TEN, reason="顺路")
    told(desk, "王师傅", f"水管爆裂{second.tail}接不了 换个人")
    assert desk.question(second, "decline_reason") and not desk.question(first, "decline_reason")


def test_a_worker_on_the_way_to_a_known_leak(door: Door) -> None:
    number = opened(door, "W01", "水管爆裂漏水", "P1/3/2/1502", to="王师傅")
    door.say("王师傅", f"接单 {number}")
    door.say("王师傅", "漏水3栋1502那个我现在上楼")
    assert count(door) == 1 and door.left is None
    with door.sessions() as session:
        assert session.scalars(select(Ticket)).one().on_the_way_at is not None


def test_a_question_about_this_job_is_no_alarm(door: Door) -> None:
    opened(door, "W01", "水管爆裂漏水", "P1/3/2/1502", to="王师傅")
    said = door.say("王师傅", "电梯困人人家都自己出来了 这单还要我去么")
    assert count(door) == 1 and said and door.left is None


@pytest.mark.parametrize(
    "typed",
    [
        "3栋2单元着火了 快来人",
        "5栋1002水管爆了",
        "那个单元门那边着火了",
        "3栋1502又爆管了 那个水喷出来了",
        "0999插座冒火花了",
    ],
)
def test_a_new_danger_of_a_colleague_is_one(door: Door, typed: str) -> None:
    opened(door, "W02", "水槽滴水", "P1/3/2/1502", to="王师傅")
    door.say("王师傅", typed)
    with door.sessions() as session:
        known = session.scalars(select(Ticket)).all()
        asked = questions.waiting(session, door.desk(session).staff("王师傅"), door.now)
        assert len(known) > 1 or any(one.kind == "safety" for one in asked), typed


@pytest.mark.parametrize(
    ("who", "typed"),
    [
        ("王师傅", "现在5栋着火了 我过不去"),
        ("李工", "告诉他们快跑 5栋着火了"),
        ("李工", "通知一下5栋的住户 着火了快跑"),
    ],
)
def test_a_danger_in_the_form_of_a_command_is_one(door: Door, who: str, typed: str) -> None:
    door.say(who, typed)
    assert count(door) == 1, typed


def test_the_desk_asks_why_a_job_became_a_danger(door: Door) -> None:
    number = opened(door, "S03", "外墙脱落", "P1/3/2/1502")
    said = door.say("李工", f"1502那家柜门的单怎么成外墙脱落了 {number[-4:]}改一下")
    assert count(door) == 1 and door.left is None
    assert say("staff.recode_how", no=number[-4:]) in said[-1]


def test_whose_job_it_is_when_another_could_take_it_along(desk: Desk) -> None:
    ticket = desk.accepted("W04", symptom="马桶堵了")
    other = next(name for name in ("赵师傅", "陈师傅") if ticket.handler and name != ticket.handler.name)
    reply = commands.misunderstood(listening(desk, other), "3栋2单元1502马桶要不要我帮王师傅带掉 顺路")
    assert reply is not None and ticket.ticket_no in reply.text and "王师傅" in reply.text


# --- taking back --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    ["{no}是我说的不去 不是报修 撤掉", "{no}不是火警 撤了", "{no}是我重复了 不要这张", "{no}那张是我打错的 关掉"],
)
def test_who_told_it_by_mistake_takes_it_back(desk: Desk, typed: str) -> None:
    ticket = desk.report("F01", by=desk.actor("王师傅"), symptom="着火的那个我不去", level="U0")
    told(desk, "王师傅", typed.format(no=ticket.tail))
    assert ticket.status == "cancelled"
    assert any(ticket.ticket_no in row.text and "取消" in row.text for row in desk.pushes("马经理"))


def test_nobody_takes_back_what_another_told(desk: Desk) -> None:
    ticket = desk.report()
    reply = told(desk, "王师傅", f"{ticket.tail}是我说的不去 不是报修 撤掉")
    assert ticket.status != "cancelled" and ticket.tail in reply.text
    reached = desk.accepted(by=desk.actor("赵师傅"), place_key="P1/3/2/801", symptom="水管漏水")
    verbs.arrive(desk.session, reached, desk.handler(reached), TEN)
    with pytest.raises(NotAllowed):
        told(desk, "赵师傅", f"{reached.tail}是我说的不去 不是报修 撤掉")


# --- a number wins --------------------------------------------------------------------------------------------------------


def test_a_number_wins_over_an_older_question(door: Door) -> None:
    first = opened(door, "W02", "水槽滴水", "P1/3/2/1502", to="王师傅")
    second = opened(door, "W02", "合页松了漏水", "P1/3/2/1402", to="王师傅")
    for number in (first, second):
        door.say("王师傅", f"接单 {number}")
        door.say("王师傅", f"{number[-4:]}到了")
    door.say("王师傅", f"完工 {first[-4:]} 换了垫圈")
    said = door.say("王师傅", f"{second[-4:]}去过了 就是合页 装好了没收钱")
    assert status_of(door, first) == "in_progress"
    assert any(second in one for one in said)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("{no}去过了 就是合页 装好了没收钱", "finish"),
        ("{no}去过了 还没弄 明天装好了再说", "about_number"),
        ("{no}业主说又漏了 上次装好了", "about_number"),
        ("{no}推拉门这个我接了哈", "accept"),
        ("叫孙师傅去{no}", "transfer"),
        ("把王师傅那个马桶{no}给孙师傅 他顺路", "transfer"),
        ("{no}业主让我去", "about_number"),
        ("除了{no} 都转给孙师傅", "about_number"),
    ],
)
def test_words_around_a_number(desk: Desk, words: str, name: str) -> None:
    ticket = kitchen(desk)
    command = commands.understood(listening(desk, "王师傅"), words.format(no=ticket.tail))
    assert command is not None and (command.name, command.values["no"]) == (name, ticket.tail)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("叫孙师傅去{no}", "assign"),
        ("把王师傅那个马桶{no}给孙师傅 他顺路", "assign"),
        ("{no}给孙师傅做 跟王师傅说一声", "assign"),
        ("{no}孙师傅去了没", "about_number"),
        ("{no}孙师傅去了", "about_number"),
        ("{no}马桶堵的派没派人", "about_number"),
        ("{no} 今天必须弄好 弄好跟我说", "nudge"),
        ("{no} 今天必须弄好吗", "about_number"),
        ("{no}撤销危急 就修个柜门", "calm"),
        ("{no}不是外墙 是家里橱柜门 普通维修", "calm"),
        ("{no}改成橱柜", "recode"),
        ("{no}改成明天下午", ""),
        ("{no}撤销吧", "cancel"),
    ],
)
def test_words_of_a_leader_around_a_number(desk: Desk, words: str, name: str) -> None:
    ticket = kitchen(desk)
    command = commands.understood(listening(desk, "李工"), words.format(no=ticket.tail))
    assert command is not None and command.values["no"] == ticket.tail
    assert not name or command.name == name


def test_a_question_about_a_number_is_told_how_it_stands(desk: Desk) -> None:
    ticket = kitchen(desk)
    for words in ("马桶堵的派没派人", "半夜敲墙的 刘队去了没"):
        reply = told(desk, "李工", f"{ticket.tail}{words}")
        assert ticket.ticket_no in reply.text and "没看懂" not in reply.text


def test_the_end_of_a_number_in_front_of_a_command(desk: Desk) -> None:
    ticket = kitchen(desk)
    short, context = ticket.tail[-2:], listening(desk, "王师傅")
    for words, name in ((f"{short} 门锁我接", "accept"), (f"{short}也是我的 下午3点去", "accept")):
        command = commands.understood(context, words)
        assert command is not None and (command.name, command.values["no"]) == (name, ticket.ticket_no)
    for words in ("99 门锁我接", f"{short}栋漏水", f"{short}楼灯不亮了"):
        command = commands.understood(context, words)
        assert command is None or command.values.get("no") != ticket.ticket_no


# --- level, money, pauses -------------------------------------------------------------------------------------------------


def test_a_danger_that_is_none_stays_a_job(desk: Desk) -> None:
    ticket = danger(desk, "S03", "外墙脱落")
    reply = told(desk, "李工", f"{ticket.tail}撤销危急 就修个柜门")
    assert ticket.status != "cancelled" and ticket.level == "U3"
    assert reply.text == say("staff.calmed", no=ticket.ticket_no, tail=ticket.tail, level_code="U3")
    assert desk.history(ticket, "level")[-1].note == "撤销危急 就修个柜门"
    told(desk, "李工", f"{ticket.tail}改成橱柜")
    assert desk.history(ticket, "comment")[-1].note == "改成橱柜"


def test_several_prices_are_one_sum(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.arrive(desk.session, ticket, desk.handler(ticket), TEN)
    told(desk, "王师傅", f"{ticket.tail[-2:]}那个 锁芯280 手工50 跟业主说一下")
    assert ticket.detail["quote"]["fen"] == 33000 and "锁芯280" in ticket.detail["quote"]["plan"]
    for words in ("0021 房号302 客厅", "0021 钥匙50把 门卡20张", "0021 客厅302"):
        command = commands.parse(words, "worker")
        assert command is None or command.name != "quote"


def test_a_price_for_a_job_that_waits_says_how_to_go_on(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("18:00"), TEN)
    assert told(desk, "王师傅", f"收费 {ticket.tail} 锁芯280").text == say(
        "staff.quote_on_hold", no=ticket.ticket_no, tail=ticket.tail
    )


def test_the_one_pause_that_was_asked_for_is_agreed_to(desk: Desk) -> None:
    ticket = desk.accepted()
    assert commands.understood(listening(desk, "李工"), "同意") is None
    verbs.hold(desk.session, ticket, desk.handler(ticket), "待配件", at("18:00", 15), TEN)
    told(desk, "李工", "同意")
    assert ticket.wake_at == at("18:00", 15)
    assert commands.understood(listening(desk, "李工"), "同意") is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("到他家了 锁芯坏了 没货 得去买个新的 明天来换", "待配件"),
        ("业主自己买龙头 明天到货", "待业主"),
        ("到他家了 雨太大", "待天气"),
        ("等厂家来 没有配件", "待第三方"),
        ("他家没人", "待业主"),
    ],
)
def test_why_a_job_waits(words: str, reason: str) -> None:
    assert hold_reason(words) == reason


def test_what_is_missing_at_the_door(desk: Desk) -> None:
    ticket = desk.accepted()
    told(desk, "王师傅", "到他家了 锁芯坏了 没货 得去买个新的 明天来换")
    assert (ticket.status, ticket.hold_reason) == ("on_hold", "待配件") and ticket.arrived_at == TEN


def test_nobody_opened_after_a_long_ring(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    told(desk, "王师傅", "没人啊 按半天门铃 电话也不接")
    assert ticket.hold_reason == "待业主" and "家里没人" in desk.fresh("王芳")[0].text


# --- leaders without a number ---------------------------------------------------------------------------------------------


def test_two_tickets_of_one_matter_become_one(desk: Desk) -> None:
    fields = {"place_key": "PUB:P1/7/1/-/楼道", "public_area": True, "symptom": "楼道垃圾没人收"}
    first, second = desk.report("G01", **fields), desk.report("G01", by="李强", **fields)
    if second.status != "merged":
        told(desk, "马经理", "7栋1单元垃圾的那两张一回事 并一起")
    assert second.status == "merged" and second.parent_id == first.id


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("通知一下7栋2单元 明天9点到11点停水洗水箱", "notice_how"),
        ("今天谁接单最慢", "not_counted"),
        ("水暖这块今天几单", "not_counted"),
        ("ZX开头的还有几个没回", "not_counted"),
        ("昨天今天投诉最多的是啥", "not_counted"),
        ("这个月投诉最多的是啥", "top"),
        ("刚才那个问物业费的 回他一声微信明天恢复", "tell_whom"),
        ("跟业主说一下明天来", "tell_whom"),
    ],
)
def test_what_is_not_done_by_such_words_is_said(words: str, name: str) -> None:
    command = commands.parse(words, "manager")
    assert command is not None and command.name == name
    assert name == "top" or commands.parse(words, "worker") is None

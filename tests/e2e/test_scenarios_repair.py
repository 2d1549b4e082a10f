"""Residents report, change their minds, correct, chase, complain and ask: whole conversations against real processes.

The numbered scenarios keep their clock times. Facts are asserted, not wordings; what must not be said is asserted as well.
"""

from __future__ import annotations

from datetime import datetime

import pytest
from e2e.harness import LOCAL, Person, Stack
from sqlalchemy import select

from storage.models import Draft, InboxMessage, OutboxMessage, Ticket

pytestmark = pytest.mark.e2e

# Never in a message to a resident: internal words, hollow promises, blame.
BANNED = ("工单", "派工", "闭环", "请冷静", "耐心等待", "不知道", "不归我", "没办法", "免费", "亲，", "不满意")
HOME = "一期3栋2单元1502室"


def clock(moment: datetime | None) -> str:
    return f"{moment.astimezone(LOCAL):%m-%d %H:%M}" if moment else ""


def said_to(person: Person) -> str:
    """Everything this person was told so far."""
    page = person.http.get("/api/messages", params={"after": 0}).json()
    return "\n".join(message["text"] for message in page["messages"] if message["from"] == "desk")


def polite(*people: Person) -> None:
    for person in people:
        told = said_to(person)
        assert not [word for word in BANNED if word in told], told


def every_message_is_done(stack: Stack) -> None:
    with stack.session() as session:
        assert not session.scalars(select(InboxMessage.text).where(InboxMessage.done_at.is_(None))).all()
        assert not session.scalars(select(OutboxMessage.text).where(OutboxMessage.error == "no_chat")).all()


def steps(stack: Stack, ticket: Ticket) -> list[str]:
    return [event.action for event in stack.history(ticket)]


def no_draft(stack: Stack) -> bool:
    with stack.session() as session:
        return session.scalars(select(Draft)).first() is None


# --- SC01 ---------------------------------------------------------------------------------------------------------------


def test_sc01_leak_in_pieces_by_a_stranger_becomes_urgent(stack: Stack) -> None:
    stranger, plumber = stack.person("stranger:1"), stack.person("王师傅")
    stack.at("14:00:00")
    hello = stranger.say("在吗", "您好，在的，请说")
    assert "\n" not in hello
    assert stack.tickets() == []
    stack.at("14:00:05")
    for piece in ("我家漏水了", "3栋", "1502"):
        stranger.send(piece)
    asked = stranger.hear("一期3栋1单元1502室", "一期3栋2单元1502室", "二期3栋1502室", "还在往外流吗", "水阀关得上吗")
    assert "---" not in asked, "one reply for one burst"
    assert "几栋" not in asked
    assert "称呼" not in asked and "姓名" not in asked
    with stack.session() as session:
        fault = session.scalars(select(Draft)).one().data["faults"][0]
    assert fault["code"] in ("W01", "W02")
    assert fault["place_key"] == "P1/3/?/1502 or P2/3/-/1502"
    stack.at("14:00:40")
    told = stranger.say("哗哗的关不上 二单元", "先关家里总水阀", "BX20250612-0001", HOME, "14:30", "电话")
    assert told.index("先关家里总水阀") < told.index("BX20250612-0001") < told.rindex("电话")
    assert "在路上" not in told
    ticket = stack.ticket()
    assert (ticket.code, ticket.level, ticket.status) == ("W01", "U1", "assigned")
    assert (ticket.place_key, clock(ticket.arrive_by)) == ("P1/3/2/1502", "06-12 14:30")
    assert no_draft(stack)
    card = plumber.hear("U1", HOME, "哗哗的关不上", "14:30前", "立管", "30天内同类0次", "接单 0001")
    assert "1390" not in card
    _sc01_visit(stack, stranger, plumber)


def _sc01_visit(stack: Stack, stranger: Person, plumber: Person) -> None:
    stack.at("14:03:00")
    plumber.say("接了", "待补")
    stranger.hear("王师傅（工号E023）已接单", "14:30前")
    stack.at("14:04:00")
    echoed = stranger.say("13900001111", "尾号1111")
    assert "13900001111" not in echoed
    plumber.hear("更正", "13900001111")
    assert stack.ticket().contact_phone == "13900001111"
    assert not [event for event in stack.history(stack.ticket()) if "13900001111" in event.note]
    stack.at("14:22:00")
    plumber.say("到了", "14:22")
    stack.at("14:25:00")
    plumber.say("关了立管 要换角阀 35块", "等回复")
    quoted = stranger.hear("已到现场", "换角阀", "35元", "同意")
    assert "免费" not in quoted
    stack.at("14:26:00")
    stranger.say("同意", "可以施工")
    plumber.hear("可以施工")
    ticket = stack.ticket()
    assert ticket.arrived_at is not None and ticket.arrive_by is not None and ticket.arrived_at <= ticket.arrive_by
    assert ticket.detail["quote"]["consent"] is True
    stack.at("14:50:00")
    plumber.say("完工", "都做好了吗")
    assert stack.ticket().status == "in_progress"
    plumber.say("都做好了", "等验收")
    stranger.hear("没问题回复1")
    assert stack.ticket().status == "done"
    stack.at("14:55:00")
    stranger.say("1", "打个分", "服务态度", "维修质量")
    assert (stack.ticket().score_attitude, stack.ticket().score_quality) == (None, None)
    stack.at("14:56:00")
    stranger.say("5 5 谢谢师傅", "评价已记下")
    stranger.silent()
    ticket = stack.ticket()
    assert (ticket.status, ticket.score_attitude, ticket.score_quality) == ("closed", 5, 5)
    assert "06-13 10:00" <= clock(ticket.callback_at) <= "06-13 11:30"
    every_message_is_done(stack)


# --- SC02 ---------------------------------------------------------------------------------------------------------------


def test_sc02_two_faults_and_an_old_grievance(stack: Stack) -> None:
    resident, plumber, electrician = stack.person("王女士"), stack.person("王师傅"), stack.person("赵师傅")
    stack.at("09:00:00")
    told = resident.say("楼道灯坏了好几天了 还有我家马桶堵了 急", "脏水有没有溢出来", "只有这一个卫生间")
    assert "---" not in told
    assert "几栋" not in told
    lamp, toilet = stack.tickets()
    assert lamp.ticket_no in told and toilet.ticket_no in told
    assert (lamp.code, lamp.place_key, lamp.level, lamp.public_area) == ("E07", "PUB:P1/3/2/F15/楼道", "U3", True)
    assert (toilet.code, toilet.place_key, toilet.level, toilet.public_area) == ("W04", "P1/3/2/1502", "U2", False)
    assert "马桶" not in lamp.symptom and "灯" not in toilet.symptom
    electrician.hear("楼道灯不亮")
    plumber.hear("马桶")
    stack.at("09:01:00")
    resident.say("没溢 就一个卫生间", "09:31前")
    plumber.hear("U2 → U1", "09:31前")
    same, toilet = stack.tickets(kind="BX")
    assert (toilet.level, clock(toilet.arrive_by)) == ("U1", "06-12 09:31")
    assert (same.level, same.arrive_by, same.finish_by) == (lamp.level, lamp.arrive_by, lamp.finish_by)
    stack.at("09:02:00")
    sorry = resident.say("那个灯我上周就说过没人理", "TS20250612-0003", "没做到位", "明天（6月13日）09:02前")
    assert "没有您的记录" not in sorry and "吗" not in sorry and "？" not in sorry
    complaint = stack.ticket(kind="TS")
    assert (complaint.code, complaint.level, complaint.linked_id) == ("T02", "C2", lamp.id)
    _sc02_lamp_is_inspected(stack, resident, electrician)


def _sc02_lamp_is_inspected(stack: Stack, resident: Person, electrician: Person) -> None:
    inspector = stack.person("李工")
    stack.at("10:25:00")
    electrician.say("接单 0001", "已接单")
    resident.hear("赵师傅")
    stack.at("10:30:00")
    electrician.say("完工 0001 换了灯管 自检过 现场清理好了", "照片")
    electrician.photo("照片已存入 BX20250612-0001")
    electrician.say("完工 0001 换了灯管 自检过 现场清理好了", "等验收")
    told = resident.hear("已处理完")
    assert "元" not in told.replace("单元", "") and "费" not in told and "回复1" not in told
    inspector.hear("请验收 BX20250612-0001")
    inspector.say("验收 0001 通过")
    resident.hear("通过验收")
    lamp = stack.tickets()[0]
    assert (lamp.status, lamp.score_attitude) == ("closed", None)
    polite(resident)


# --- SC03 ---------------------------------------------------------------------------------------------------------------


def test_sc03_change_of_mind_while_reporting(stack: Stack) -> None:
    resident, electrician = stack.person("王女士"), stack.person("赵师傅")
    stack.at("10:00:00")
    asked = resident.say("我想报修", "哪里坏了")
    assert "\n" not in asked
    stack.at("10:01:00")
    resident.send("算了不报了 我想问下物业费怎么交")
    told = resident.hear("不登记了", "缴费")
    assert "元" not in told.replace("单元", ""), "no amounts were asked for"
    assert no_draft(stack)
    stack.at("10:03:00")
    asked = resident.say("还是报一下吧 厨房灯不亮", "一盏", HOME)
    assert "物业费" not in asked
    lamp = stack.ticket(kind="BX")
    assert (lamp.code, lamp.place_key) == ("E04", "P1/3/2/1502")
    assert "物业费" not in lamp.symptom
    stack.at("10:04:00")
    resident.say("一盏 明天下午来", "明天（6月13日）14:00–17:00")
    lamp = stack.ticket(kind="BX")
    assert (clock(lamp.wanted_start_at), clock(lamp.wanted_end_at)) == ("06-13 14:00", "06-13 17:00")
    stack.at("10:20:00")
    dropped = resident.say("不用了我自己换", "已取消")
    assert "？" not in dropped and "费" not in dropped
    electrician.hear("已取消", "自己换", "不用去了")
    assert stack.ticket(kind="BX").status == "cancelled"
    polite(resident)


# --- SC04 ---------------------------------------------------------------------------------------------------------------


def test_sc04_the_latest_correction_wins(stack: Stack) -> None:
    resident, worker, neighbour = stack.person("王女士"), stack.person("陈师傅"), stack.person("孙女士")
    stack.at("09:10:00")
    resident.say("3栋2单元1502可视对讲坏了", "BX20250612-0001", HOME)
    ticket = stack.ticket()
    assert (ticket.code, ticket.level, ticket.place_key) == ("A02", "U3", "P1/3/2/1502")
    stack.at("09:12:00")
    worker.say("接单")
    resident.hear("陈师傅", "已接单")
    stack.at("09:15:00")
    told = resident.say("不是1502是1503 帮邻居报的", "一期3栋2单元1503室", "联系哪一位")
    assert "孙" not in told and "1503" in told and "13300001503" not in told
    worker.hear("⚠更正", "1502室 → 一期3栋2单元1503室")
    stack.at("09:16:00")
    told = resident.say("打错了 是1单元", "一期3栋1单元1503室")
    assert "联系哪一位" not in told, "asked once"
    worker.hear("⚠更正", "一期3栋1单元1503室")
    stack.at("09:17:00")
    resident.say("不对 4栋", "一期4栋1单元1503室", "对吗")
    worker.hear("一期4栋1单元1503室")
    stack.at("09:18:00")
    resident.say("对", "确认")
    assert stack.ticket().place_key == "P1/4/1/1503"
    keys = [event.data["old"]["place_key"] for event in stack.history(stack.ticket()) if event.action == "correct"]
    assert [*keys, stack.ticket().place_key] == ["P1/3/2/1502", "P1/3/2/1503", "P1/3/1/1503", "P1/4/1/1503"]
    assert said_to(neighbour) == "", "no visit to her any more"


def test_a_flat_somebody_else_reported_for_hears_of_the_visit_first(stack: Stack) -> None:
    resident, worker, neighbour = stack.person("王女士"), stack.person("陈师傅"), stack.person("孙女士")
    resident.say("3栋2单元1503可视对讲坏了，我帮邻居报的", "BX20250612-0001", "一期3栋2单元1503室")
    worker.say("接单")
    worker.say("马上去")
    notice = neighbour.hear("可视对讲", "陈师傅")
    assert "王" not in notice and "1502" not in notice
    neighbour.say("不用来了", "取消BX20250612-0001")
    assert "已取消" in neighbour.press("取消BX20250612-0001")
    resident.hear("已取消")
    worker.hear("不用去了")
    assert stack.ticket().status == "cancelled"


# --- in pieces, with a correction ------------------------------------------------------------------------------------------


def test_a_repair_told_word_by_word_with_a_correction(stack: Stack) -> None:
    stranger = stack.person("stranger:2")
    stranger.say("你好", "请说")
    stranger.say("我家漏水了", "几栋")
    stranger.say("3栋", "一期3栋2单元", "二期3栋")
    stranger.say("1502", "一期3栋1单元1502室", "一期3栋2单元1502室", "二期3栋1502室")
    stranger.press("一期3栋2单元1502室")
    ticket = stack.ticket()
    assert (ticket.place_key, ticket.kind, ticket.code[0]) == ("P1/3/2/1502", "BX", "W")
    stranger.say("不对 是1503", "一期3栋2单元1503室")
    stranger.say("13900002222 明天上午来", "尾号2222", "08:30–12:00")
    ticket = stack.ticket()
    assert (ticket.place_key, ticket.contact_phone) == ("P1/3/2/1503", "13900002222")
    assert clock(ticket.wanted_start_at) == "06-13 08:30"
    stranger.say("谢谢", "不客气")
    assert len(stack.tickets()) == 1
    polite(stranger)


# --- complaint -----------------------------------------------------------------------------------------------------------


def test_a_complaint_reaches_a_leader_who_is_not_the_accused(stack: Stack) -> None:
    resident, leader, accused = stack.person("王女士"), stack.person("马经理"), stack.person("刘队")
    asked = resident.say("保安刘队态度差，还骂人", "什么时间", "怎么处理")
    assert "---" not in asked
    resident.say("昨天晚上八点东门，要他道歉", "TS20250612-0001", "6月13日")
    ticket = stack.ticket()
    assert (ticket.kind, ticket.code) == ("TS", "T01")
    assert "骂人" in ticket.symptom and "道歉" in ticket.symptom
    with stack.session() as session:
        told = session.scalars(select(OutboxMessage).where(OutboxMessage.ticket_id == ticket.id)).all()
        handler = session.get_one(Ticket, ticket.id).handler
        assert handler is not None and handler.name != "刘队"
        assert any(one.staff_id for one in told)
    leader.hear("投诉", "骂人")
    accused.silent()
    accused.say("状态 0001", "没有查到")
    polite(resident)


# --- questions -----------------------------------------------------------------------------------------------------------


def test_questions_known_and_unknown(stack: Stack) -> None:
    resident, desk = stack.person("王女士"), stack.person("客服小周")
    resident.say("装修几点能开工", "8:00")
    assert stack.tickets() == []
    close = resident.say("物业有没有小区刚建成时候的老照片")
    promised = close if "ZX20250612-0001" in close else resident.press("都不是")
    assert "6月13日）12:00前" in promised and "---" not in promised
    desk.hear("ZX20250612-0001", "老照片")
    desk.say("回复 ZX0001 有一本相册在前台，上班时间可以来看", "已回复")
    resident.hear("相册在前台", "解决您的问题了吗")
    resident.say("解决了", "有问题随时问我")
    assert stack.ticket().status == "closed"


# --- progress, chasing, cancelling -------------------------------------------------------------------------------------------


def test_progress_chasing_and_cancelling(stack: Stack) -> None:
    resident, plumber, leader, other = (stack.person(name) for name in ("王女士", "王师傅", "李工", "李先生"))
    stack.at("10:00")
    resident.say("我的报修怎么样了", "没有查到")
    resident.say("卫生间水龙头关不紧 一直滴水", "BX20250612-0001")
    resident.say("我的报修怎么样了", "BX20250612-0001", "王师傅", "等接单")
    stack.at("10:10")
    resident.say("怎么还没来", "王师傅", "10:20前")
    plumber.hear("第1次催", "家里漏水滴水")
    resident.say("催一下", "主管")
    leader.hear("第2次催")
    assert (len(stack.tickets()), stack.ticket().urge_count) == (1, 2)
    for words in ("把1502的报修取消", "取消0001", "王女士家的不用修了"):
        refused = other.say(words)
        assert "已取消" not in refused and "龙头" not in refused and "王师傅" not in refused
    assert stack.ticket().status == "assigned"
    resident.say("算了", "要取消BX20250612-0001")
    assert stack.ticket().status == "assigned"
    resident.press("不取消")
    assert stack.ticket().status == "assigned"
    resident.say("不用来了，已经好了", "已取消")
    plumber.hear("不用去了")
    assert stack.ticket().status == "cancelled"
    assert steps(stack, stack.ticket()).count("urge") == 2
    polite(resident, other)


def test_which_of_two_is_meant(stack: Stack) -> None:
    resident = stack.person("王女士")
    resident.say("厨房水龙头滴水 还有卧室灯不亮", "0001", "0002")
    resident.say("没有插座，关得上。明天下午来吧", "漏水", "灯", "明天（6月13日）14:00–17:00")
    assert [clock(one.wanted_start_at) for one in stack.tickets()] == ["06-13 14:00", "06-13 14:00"]
    resident.say("改后天上午", "0001", "0002")
    resident.say("灯", "6月14日")
    tap, lamp = stack.tickets()
    assert (clock(tap.wanted_start_at), clock(lamp.wanted_start_at)) == ("06-13 14:00", "06-14 08:30")
    resident.say("水龙头那个不用修了", f"{tap.ticket_no} 已取消")
    assert [one.status for one in stack.tickets()] == ["cancelled", "assigned"]


# --- other business while a form is open -------------------------------------------------------------------------------------


def test_other_business_while_a_form_is_open_loses_nothing(stack: Stack) -> None:
    stranger = stack.person("stranger:3")
    stranger.say("我家马桶堵了", "几栋")
    both = stranger.say("装修几点能开工", "8:00", "几栋")
    assert "马桶" not in both
    stranger.say("保安态度差 昨天还骂我", "TS20250612-0001", "几栋")
    stranger.say("3栋2单元1502", "BX20250612-0002", HOME)
    complaint, repair = stack.tickets()
    assert (complaint.kind, repair.kind, repair.code) == ("TS", "BX", "W04")
    assert "保安" not in repair.symptom and "装修" not in repair.symptom and "马桶" not in complaint.symptom


def test_a_fault_told_while_complaining_gets_its_own_ticket(stack: Stack) -> None:
    resident = stack.person("王女士")
    resident.say("楼上总拖椅子", "现在还在响吗")
    resident.say("对了我家厨房灯也不亮了", "TS20250612-0001", "BX20250612-0002")
    complaint, repair = stack.tickets()
    assert (complaint.code, repair.code, repair.place_key) == ("T09", "E04", "P1/3/2/1502")
    assert "灯" not in complaint.symptom and "椅子" not in repair.symptom


def test_a_question_beside_a_fault_and_a_fault_beside_a_question(stack: Stack) -> None:
    resident, other = stack.person("王女士"), stack.person("李先生")
    both = resident.say("我家厨房灯不亮了，顺便问一下装修几点能开工", "8:00", "BX20250612-0001")
    assert "ZX" not in both
    other.say("厨房水龙头滴水，对了问下装修几点能开工", "8:00", "BX20250612-0002")
    assert [one.code[0] for one in stack.tickets()] == ["E", "W"]


def test_praise_while_the_place_is_asked_and_a_fault_beside_other_wishes(stack: Stack) -> None:
    other = stack.person("stranger:640")
    other.say("楼道灯不亮", "几栋")
    other.say("昨天那个保安小伙子帮我把轮椅抬上楼，真得谢谢他", "谢谢您的肯定", "几栋")
    other.say("3栋2单元", "已登记")
    assert {one.kind for one in stack.tickets()} == {"BX", "BY"}
    resident = stack.person("王女士")
    resident.say("厨房水龙头滴水", "已登记")
    resident.say("改到后天下午吧，还有阳台灯也不亮了", "6月14日 14:00", "灯")
    assert [one.code for one in stack.tickets()][-2:] == ["W02", "E04"]


# --- small talk and people ---------------------------------------------------------------------------------------------------


def test_small_talk_and_a_person(stack: Stack) -> None:
    resident, desk = stack.person("王女士"), stack.person("客服小周")
    stack.at("10:00")
    resident.say("在吗", "请说")
    resident.say("谢谢", "不客气")
    resident.say("你是真人吗", "智能助手", "转人工")
    resident.say("我想报修", "哪里坏了")
    resident.say("转人工", "客服小周", "10:10前")
    told = desk.hear("居民要求人工", "138****5678")
    assert "13800005678" not in told
    assert no_draft(stack)
    stack.at("22:00")
    resident.say("转人工", "下班", "明天（6月13日）08:30")
    assert stack.tickets() == []
    polite(resident)

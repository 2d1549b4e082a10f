"""The closed loop after the report: changing, chasing, neighbours, rework, refusals, silence, public areas, people who need help.

One product for all of them: each scene has its own people and its own days, later than those before. Facts are asserted, not
wordings; what must not be said is asserted as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from e2e.harness import LOCAL, PATIENCE, THURSDAY, Person, Stack
from sqlalchemy import select

from storage.models import Draft, OutboxMessage, Resident, Staff, Ticket

pytestmark = pytest.mark.e2e

BANNED = ("工单", "派工", "闭环", "请冷静", "耐心等待", "不知道", "不归我", "没办法", "免费", "亲，", "赔")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("loop"), models).start()
    yield running
    running.stop()


def day(number: int) -> datetime:
    """Thursday is day 0."""
    return THURSDAY + timedelta(days=number)


def clock(moment: datetime | None) -> str:
    return f"{moment.astimezone(LOCAL):%m-%d %H:%M}" if moment else ""


def newest(desk: Stack, **equal: object) -> Ticket:
    found = desk.tickets(**equal)
    assert found, equal
    return found[-1]


def again(desk: Stack, ticket: Ticket) -> Ticket:
    return desk.ticket(id=ticket.id)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a sweep to have done its work."""
    patience = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.2)


def polite(*people: Person) -> None:
    for person in people:
        told = "\n".join(message["text"] for message in person.heard)
        assert not [word for word in BANNED if word in told], told


def told(desk: Stack, ticket: Ticket, key: str) -> list[str]:
    """Names of the people who were sent the text `key` about a ticket."""
    with desk.session() as session:
        rows = session.scalars(select(OutboxMessage).where(OutboxMessage.ticket_id == ticket.id)).all()
        return [
            session.get_one(Staff, row.staff_id).name
            if row.staff_id
            else session.get_one(Resident, row.resident_id or 0).name
            for row in rows
            if f":{key}:" in row.dedupe_key
        ]


# --- SC07 -------------------------------------------------------------------------------------------------------------


def test_sc07_picture_first_then_a_voice_full_of_typos(desk: Stack) -> None:
    stranger = desk.person("stranger:7")
    desk.at("15:00")
    asked = stranger.photo("收到照片", "哪里")
    assert "漏" not in asked, "the fault is not guessed"
    desk.at("15:10")
    stranger.hear("还差")
    desk.at("15:11")
    stranger.silent(1.5)
    desk.at("15:12")
    stranger.say("嗯那个就是三洞二但愿幺五零二水管有点滴不大", "一期3栋2单元1502室", "对吗")
    ticket = desk.ticket(code="W02")
    assert (ticket.level, ticket.place_key) == ("U3", "P1/3/2/1502")
    desk.at("15:13")
    stranger.say("对", "位置确认", "电话", "什么时间")
    desk.at("15:14")
    last = stranger.say("你们看着办", "打电话")
    assert "几栋" not in last and "？" not in last
    with desk.session() as session:
        assert session.scalars(select(Draft)).first() is None
        pictures = session.connection().exec_driver_sql("select purpose from attachments where ticket_id is not null")
        assert [row[0] for row in pictures] == ["before"]
    assert len(desk.tickets()) == 1
    polite(stranger)


# --- SC08 -------------------------------------------------------------------------------------------------------------


def test_sc08_cancel_and_reschedule(desk: Stack) -> None:
    tenant, plumber, electrician = desk.person("周先生"), desk.person("王师傅"), desk.person("赵师傅")
    desk.at("09:00", day=day(1))
    tenant.say("卧室灯不亮了", "一盏")
    tenant.say("不用来了 好了", "已取消")
    assert newest(desk, code="E04").status == "cancelled"
    electrician.hear("不用去了")

    tenant.say("厨房水龙头一直滴水", "插座")
    drip = newest(desk, code="W02")
    plumber.say(f"接单 {drip.tail}", "已接单")
    plumber.say(f"马上去 {drip.tail}")
    desk.at("09:30", day=day(1))
    tenant.say("临时有事今天不在家 改明天上午", "明天")
    plumber.hear("改时间", "明天")
    drip = again(desk, drip)
    assert (drip.status, clock(drip.arrive_by)) == ("in_progress", "06-14 12:00")

    other = desk.person("李先生")
    refused = other.say(f"把702的报修取消 {drip.tail}")
    assert "已取消" not in refused and "水龙头" not in refused and "王师傅" not in refused
    assert again(desk, drip).status == "in_progress"
    _sc08_dangers_and_halls(desk, other)
    polite(tenant, other)


def _sc08_dangers_and_halls(desk: Stack, resident: Person) -> None:
    desk.at("09:40", day=day(1))
    resident.say("家里水管爆了", "BX")
    burst = newest(desk, code="W01")
    assert burst.level == "U1"
    resident.say(f"不用来了 {burst.tail}", "打电话")
    assert again(desk, burst).status != "cancelled"
    leader = desk.person("李工")
    leader.say(f"关闭 {burst.tail} 电话核实，阀门已关，无人受伤", "已关闭")
    desk.at("10:00", day=day(1))
    resident.hear("已处理结束")
    resident.say("二楼楼道灯不亮", "楼道灯")
    lamp = newest(desk, code="E07")
    kept = resident.say(f"{lamp.tail}不用修了", "公共区域")
    assert "已取消" not in kept
    assert again(desk, lamp).status != "cancelled"
    leader.say(f"关闭 {lamp.tail} 已更换灯管", "已关闭")


# --- SC09 -------------------------------------------------------------------------------------------------------------


def test_sc09_nobody_comes(desk: Stack) -> None:
    resident, plumber = desk.person("赵女士"), desk.person("王师傅")
    leader, manager = desk.person("李工"), desk.person("马经理")
    desk.at("14:00", day=day(4))
    resident.say("马桶堵了，今天下午三点到四点在家", "BX")
    toilet = newest(desk, code="W04")
    plumber.say(f"接单 {toilet.tail}", "已接单")
    desk.at("14:40", day=day(4))
    plumber.say(f"预约 {toilet.tail} 今天15:00-16:00", "今天15:00–16:00")
    resident.hear("15:00–16:00")
    resident.say("可以", "时间定好了")
    resident.say("师傅几点来", "王师傅", "15:00–16:00")
    assert again(desk, toilet).urge_count == 0
    desk.at("15:30", day=day(4))
    plumber.hear("16:00前要到场")
    desk.at("16:00", day=day(4))
    resident.hear("没能按时到", "16:30前")
    desk.at("16:15", day=day(4))
    leader.hear("没按时到场", toilet.ticket_no)
    desk.at("16:20", day=day(4))
    chased = resident.say("怎么还没来？？", "王师傅", "16:30前")
    assert "BX" in chased
    assert (len(desk.tickets(code="W04")), again(desk, toilet).urge_count) == (1, 1)
    desk.at("16:32", day=day(4))
    manager.hear("没按时到场", toilet.ticket_no)
    desk.at("16:50", day=day(4))
    second = resident.say("人呢 咋还不来 啥子时候来嘛", "17:00前")
    assert again(desk, toilet).urge_count == 2
    assert second != chased
    desk.at("17:05", day=day(4))
    plumber.say(f"到场 {toilet.tail}", "17:05")
    resident.hear("已到现场")
    plumber.say(f"完工 {toilet.tail} 疏通了 已自检已清场", "等验收")
    resident.say("好了", "打个分")
    resident.say("3 5", "评价已记下")
    polite(resident)


# --- SC10 -------------------------------------------------------------------------------------------------------------


def test_sc10_a_power_cut_in_one_unit(desk: Stack) -> None:
    wang, li, chen = desk.person("王女士"), desk.person("李先生"), desk.person("陈女士")
    electrician, leader, neighbour = desk.person("赵师傅"), desk.person("李工"), desk.person("孙女士")
    before = len(desk.tickets())
    desk.at("19:02", day=day(5))
    wang.say("家里没电了", "没电")
    first = newest(desk, code="E02")
    desk.at("19:03", day=day(5))
    li.say("我家怎么没电了", "同一件事", "电梯里有没有人", "制氧机")
    whole = newest(desk, source="incident")
    assert (whole.code, whole.level, again(desk, first).status) == ("E05", "U1", "merged")
    wang.hear("同一件事", whole.ticket_no)
    electrician.hear(whole.ticket_no)
    desk.at("19:04", day=day(5))
    joined = chen.say("整个单元都黑了 电梯也停了", whole.ticket_no)
    assert newest(desk).id == whole.id, "counted, no ticket of her own"
    for secret in ("1502", "1402", "王女士", "李先生"):
        assert secret not in joined
    assert len(desk.tickets()) - before == 3, "two reports and what they became"
    leader.hear("3户反映", f"发通知 {whole.tail}")
    neighbour.silent(1.0)
    desk.at("19:05", day=day(5))
    leader.press("通知该处住户")
    neighbour.hear("停电", "正在处理")
    _sc10_the_lift_is_another_matter(desk, whole)
    _sc10_over(desk, whole, wang, li, chen, electrician)
    polite(wang, li, chen, neighbour)


def _sc10_the_lift_is_another_matter(desk: Stack, whole: Ticket) -> None:
    desk.at("19:08", day=day(5))
    zhao = desk.person("赵女士")
    zhao.say("电梯里有人喊救命", "BX")
    stuck = newest(desk, code="L01")
    assert (stuck.level, stuck.parent_id) == ("U0", None)
    assert stuck.id != whole.id
    desk.person("李工").say(f"关闭 {stuck.tail} 人已救出，平安", "已关闭")
    zhao.hear("已处理结束")


def _sc10_over(desk: Stack, whole: Ticket, wang: Person, li: Person, chen: Person, electrician: Person) -> None:
    electrician.say(f"接单 {whole.tail}", "已接单")
    wang.hear("赵师傅", "已接单")
    desk.at("20:14", day=day(5))
    electrician.photo()
    desk.at("20:15", day=day(5))
    electrician.say(f"完工 {whole.tail} 合闸恢复 已自检已清场", "等验收")
    for person in (wang, li, chen):
        person.hear("家里恢复了吗")
    desk.at("20:16", day=day(5))
    chen.say("没有", "单独处理")
    wang.say("有了", "恢复了就好")
    alone = newest(desk, code="E02")
    assert (alone.place_key, alone.linked_id) == ("P1/3/2/801", whole.id)
    assert again(desk, whole).status == "done"
    desk.person("李工").say(f"验收 {whole.tail} 通过")
    desk.person("李工").say(f"关闭 {alone.tail} 户内空开已合上", "已关闭")


# --- SC11 -------------------------------------------------------------------------------------------------------------


def test_sc11_three_rounds_on_one_number(desk: Stack) -> None:
    resident, plumber, night = desk.person("孙女士"), desk.person("王师傅"), desk.person("孙师傅")
    leader, manager = desk.person("李工"), desk.person("马经理")
    desk.at("16:00", day=day(6))
    resident.say("厨房水龙头滴水", "BX")
    tap = newest(desk, code="W02", place_key="P1/3/2/1503")
    plumber.say(f"接单 {tap.tail}", "已接单")
    desk.at("17:00", day=day(6))
    plumber.say(f"完工 {tap.tail} 换了角阀 已自检已清场", "等验收")
    resident.hear("没问题回复1")
    desk.at("17:02", day=day(6))
    resident.say("修是修好了 但是还有点滴 地上弄得都是泥", "第2次", "原来的地方")
    tap = again(desk, tap)
    assert (tap.status, tap.round, tap.ticket_no in told_numbers(resident)) == ("rework", 2, True)
    assert tap.accept_by is not None and clock(tap.accept_by) <= "06-18 19:02" and clock(tap.arrive_by) == "06-19 17:02"
    plumber.hear("返工 第2次", "都是泥")
    leader.hear("第2次处理")
    plumber.say(f"接单 {tap.tail}", "已接单")
    desk.at("09:30", day=day(7))
    plumber.say(f"到场 {tap.tail}")
    plumber.say(f"完工 {tap.tail} 重做 已自检已清场", "还差2张照片")
    plumber.photo("照片")
    plumber.photo("照片")
    plumber.say(f"完工 {tap.tail} 重做 已自检已清场", "等验收")
    resident.hear("没问题回复1")
    desk.at("10:10", day=day(7))
    resident.say("2", "第3次")
    tap = again(desk, tap)
    # The only other plumber works at night: nobody else is on duty, so it stays, and the supervisor comes along.
    assert tap.round == 3
    assert told(desk, tap, "push.rework_on_site") == ["李工"]
    assert "马经理" in told(desk, tap, "push.rework_leader")
    _sc11_done(desk, tap, resident, night if "孙师傅" in told(desk, tap, "push.rework_staff") else plumber)
    manager.hear("第3次")
    polite(resident)


def told_numbers(person: Person) -> str:
    return "\n".join(message["text"] for message in person.heard)


def _sc11_done(desk: Stack, tap: Ticket, resident: Person, worker: Person) -> None:
    desk.at("15:30", day=day(7))
    worker.say(f"接单 {tap.tail}", "已接单")
    worker.photo()
    worker.photo()
    worker.say(f"完工 {tap.tail} 换了新龙头 已自检已清场", "等验收")
    desk.at("16:00", day=day(7))
    closing = resident.say("1 这次好了", "打个分")
    assert "5分最好" not in closing
    tap = again(desk, tap)
    assert (tap.status, tap.round, tap.score_quality) == ("closed", 3, None)
    resident.say("谢谢")
    assert again(desk, tap).status == "closed"
    resident.say("3 3", "评价已记下")


# --- SC13 -------------------------------------------------------------------------------------------------------------


def test_sc13_refused_handed_on_and_nobody(desk: Stack) -> None:
    resident, leader = desk.person("周先生"), desk.person("李工")
    general, cleaner, plumber = desk.person("陈师傅"), desk.person("李明"), desk.person("王师傅")
    desk.at("10:00", day=day(8))
    resident.say("入户门锁坏了 关不上", "BX")
    lock = newest(desk, code="D03")
    general.hear(lock.ticket_no)
    desk.at("10:05", day=day(8))
    general.say(f"拒单 {lock.tail}", "手上有急单")
    assert again(desk, lock).status == "assigned"
    desk.at("10:06", day=day(8))
    general.say(f"拒单 {lock.tail} 手上有急单", "已退回")
    steps = [event.action for event in desk.history(lock)]
    assert "decline" in steps
    desk.at("10:08", day=day(8))
    cleaner.say(f"接单 {lock.tail}", "李明不能接")
    plumber.say(f"接单 {lock.tail}", "王师傅不能接")
    desk.at("10:40", day=day(8))
    leader.hear(lock.ticket_no, "派人")
    desk.at("10:45", day=day(8))
    leader.say(f"派单 {lock.tail} 陈师傅 今天17点", "已派给陈师傅")
    general.say(f"接单 {lock.tail}", "已接单")
    resident.hear("陈师傅")
    assert "手上有急单" not in told_numbers(resident), "who refused, and why, is nobody's business"
    general.say(f"转单 {lock.tail} @赵师傅", "赵师傅不能接")
    assert again(desk, lock).status == "in_progress"
    general.say(f"完工 {lock.tail} 紧了锁舌 已自检已清场", "等验收")
    resident.say("好了", "打个分")
    resident.say("不打分了")
    polite(resident)


# --- SC14 -------------------------------------------------------------------------------------------------------------


def test_sc14_silence_is_never_satisfaction(desk: Stack) -> None:
    resident, electrician = desk.person("陈女士"), desk.person("赵师傅")
    desk.at("14:00", day=day(11))
    resident.say("卧室灯不亮", "BX")
    lamp = newest(desk, code="E04", place_key="P1/3/2/801")
    electrician.say(f"接单 {lamp.tail}", "已接单")
    desk.at("15:00", day=day(11))
    electrician.say(f"完工 {lamp.tail} 换了灯管 已自检已清场", "等验收")
    resident.hear("没问题回复1")
    desk.at("19:00", day=day(11))
    resident.hear("用着还好吗")
    desk.at("10:00", day=day(12))
    resident.hear("用着还好吗")
    desk.at("15:00", day=day(12))
    resident.hear("先按已修好结束")
    lamp = again(desk, lamp)
    assert (lamp.status, lamp.default_accepted, lamp.score_quality) == ("closed", True, None)
    for number, at in ((13, "16:00"), (14, "10:00"), (15, "19:30")):
        desk.at(at, day=day(number))
        resident.hear("现在还好用吗")
    desk.at("19:31", day=day(16))
    until(lambda: "callback_missed" in [event.action for event in desk.history(lamp)])
    assert [event.action for event in desk.history(lamp)].count("callback_asked") == 3
    desk.at("09:00", day=day(17))
    resident.say("其实还是不亮", "第2次")
    lamp = again(desk, lamp)
    assert (lamp.status, lamp.round, len(desk.tickets(code="E04", place_key="P1/3/2/801"))) == ("rework", 2, 1)
    desk.person("李工").say(f"关闭 {lamp.tail} 已换整灯", "已关闭")
    polite(resident)


# --- SC15 -------------------------------------------------------------------------------------------------------------


def test_sc15_the_third_door_of_one_building(desk: Stack) -> None:
    guard, general, butler, leader = (desk.person(name) for name in ("小刘", "陈师傅", "林管家", "李工"))
    desk.at("08:20", day=day(18))
    for spot in ("三楼楼道", "一楼楼道"):
        guard.say(f"代报 一期5栋{spot}消防门关不上", "5栋")
    asked = guard.say("代报 一期5栋楼顶消防门关不上", "楼顶")
    assert "几室" not in asked
    hazard = newest(desk, kind="YH")
    door = newest(desk, code=hazard.code, kind="BX")
    assert (door.source, door.public_area, door.place_key) == ("patrol", True, "PUB:P1/5/-/RF/楼顶")
    assert clock(hazard.finish_by) == clock(day(25).replace(hour=8, minute=20))
    leader.hear(hazard.ticket_no, door.ticket_no)
    general.say(f"接单 {door.tail}", "已接单")
    desk.at("14:00", day=day(18))
    general.photo()
    general.say(f"完工 {door.tail} 换件1 已自检已清场", "等验收", "补记名称和价格")
    general.say(f"换件 {door.tail} 闭门器 60元", "照片")
    general.photo("照片")
    general.say(f"验收 {door.tail} 通过")
    assert again(desk, door).status == "done", "nobody accepts their own work"
    desk.at("14:30", day=day(18))
    butler.say(f"验收 {door.tail} 通过")
    door = again(desk, door)
    assert (door.status, [part["name"] for part in door.detail["parts"]]) == ("closed", ["闭门器"])
    assert door.score_quality is None and "打个分" not in told_numbers(guard)


# --- SC17 -------------------------------------------------------------------------------------------------------------


def test_sc17_an_old_mother_does_not_answer(desk: Stack) -> None:
    son, guard, butler = desk.person("stranger:17"), desk.person("小刘"), desk.person("林管家")
    desk.at("20:00", day=day(25))
    asked = son.say("我妈80了一个人住二期1栋301 电话一直不接", "派人上门敲门", "20:30前", "二期1栋301")
    assert "备用钥匙" not in asked and "时间上门" not in asked
    visit = newest(desk, code="M05")
    assert (visit.level, visit.place_key, clock(visit.arrive_by)) == ("U1", "P2/1/-/301", "07-07 20:30")
    guard.hear(visit.ticket_no)
    butler.hear(visit.ticket_no, "不得自行破门")
    for number in ("13811110012", "独居"):
        assert number not in told_numbers(son)
    desk.at("20:12", day=day(25))
    guard.say("二期1栋301没人应 有糊味", "119")
    danger = newest(desk)
    assert (danger.level, danger.place_key) == ("U0", "P2/1/-/301")
    polite(son)

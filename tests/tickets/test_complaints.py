"""Complaints from the first word to the closed file (domain.md §2.2, §2.4, §7.1, §7.5, §9.3)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import HOME, NOW, Desk, at, key_of

from storage.models import AccessLog, CoHandler, Conversation, Identity, OutboxMessage, Staff, Talk, Ticket
from tickets import complaints, desk_lists, finding, hearing, report_book, verbs
from tickets.answering import Turn, try_answer
from tickets.errors import Accused, CallbackNeeded, CauseNeeded, DeskError, NotAllowed, NotFound, WrongStatus
from tickets.people import Actor, may_see
from tickets.words import bare_threat

SC05 = "你们是死人吗！！漏了半个月来了两次都没修好，物业费养猪呢 再不解决我打12345"


def complain(
    desk: Desk, words: str, code: str = "T99", *, by: str = "王芳", now: datetime = NOW, kind: str = "TS"
) -> Ticket:
    actor = desk.actor(by)
    desk_key = f"said:{by}:{words}:{now.isoformat()}"
    return hearing.hear(desk.session, actor, desk.chat(by), words, code, desk_key, now, kind=kind)


def say(desk: Desk, words: str, now: datetime, by: str = "王芳") -> str | None:
    outcome = try_answer(Turn(desk.session, desk.chat(by), desk.actor(by), words, now, f"turn:{words}:{now}"))
    return None if outcome is None else outcome.reply


def answered(desk: Desk, ticket: Ticket, now: datetime = NOW, words: str = "已处理，请您看看") -> None:
    verbs.answer_matter(desk.session, ticket, desk.handler(ticket), words, now)


# --- what is read off the words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "core", "wish"),
    [
        (SC05, "漏了半个月来了两次都没修好", "再不解决我打12345"),
        ("保安态度很差，在东门骂人，希望道歉", "保安态度很差，在东门骂人", "希望道歉"),
        ("楼上天天半夜拖椅子", "楼上天天半夜拖椅子", ""),
        ("匿名，楼道堆满电动车", "楼道堆满电动车", ""),
        ("希望换个保洁", "希望换个保洁", "希望换个保洁"),
    ],
)
def test_the_core_and_the_wish_stand_beside_the_words(words: str, core: str, wish: str) -> None:
    found = complaints.read(words, "T99")
    assert (found.core, found.wish) == (core, wish)


def test_both_and_the_words_are_kept(desk: Desk) -> None:
    ticket = complain(desk, "保安态度很差，在东门骂人，希望道歉", "T01")
    assert ticket.symptom == "保安态度很差，在东门骂人，希望道歉"
    assert (ticket.detail["core"], ticket.detail["wish"]) == ("保安态度很差，在东门骂人", "希望道歉")


# --- C1 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "becomes", "reason"),
    [
        ("地砖松了把我妈摔伤了，你们管不管", "T99", "T25", "injury"),
        ("你们漏水把我家地板泡了，损失好几万", "T99", "T25", "injury"),
        ("地板全泡坏了，谁来赔", "T99", "T25", "injury"),
        ("家里进了小偷，保安在睡觉", "T05", "T05", "theft"),
        ("门口停的电动车被偷了", "T99", "T05", "theft"),
        ("维修师傅收我200没收据", "T03", "T24", "money"),
        ("保安跟我要红包才放行", "T01", "T24", "money"),
        ("因为没交物业费你们把我家水停了", "T99", "T04", "cut_off"),
        ("你们锁卡逼我交物业费", "T99", "T04", "cut_off"),
        ("停水催费，这是违法的", "T03", "T04", "cut_off"),
        ("我的电话被你们物业卖了", "T99", "T23", "privacy"),
        ("再不管我就打12345", "T09", "T09", "threat"),
        ("我要找记者曝光你们", "T99", "T99", "threat"),
        ("我已经请律师了，法院见", "T03", "T03", "threat"),
    ],
)
def test_what_is_told_makes_it_grave(desk: Desk, words: str, code: str, becomes: str, reason: str) -> None:
    ticket = complain(desk, words, code)
    assert ticket.code == becomes
    assert (ticket.level == "C1") == bool(reason)
    assert (ticket.detail.get("grave") or "") == reason


@pytest.mark.parametrize(
    "words",
    [
        "保洁偷懒，三天没拖地",
        "施工队偷工减料",
        "烟感报警器老是响没人管",
        "物业费涨价凭什么",
        "小区停水也不通知",
        "保安收我的快递不给我",
    ],
)
def test_what_only_sounds_like_it_does_not(desk: Desk, words: str) -> None:
    assert complain(desk, words).level != "C1"


def test_the_manager_hears_of_a_grave_one_once_and_owes_a_call(desk: Desk) -> None:
    ticket = complain(desk, "保洁阿姨推倒我，摔伤了", "T06")
    assert ticket.level == "C1"
    told = [row for row in desk.pushes("马经理") if row.ticket_id == ticket.id]
    assert len(told) == 1
    assert "人身或财产损失" in told[0].text or key_of(told[0]) == "desk_TS"
    assert complaints.call_due(ticket) == at("09:30")
    assert "13800005678" in told[0].text
    (line,) = desk.session.query(AccessLog).filter(AccessLog.action == "phone")
    assert (line.actor, line.target) == (f"staff:{desk.staff('马经理').id}", ticket.ticket_no)
    others = [row.text for row in desk.pushes() if row.staff_id not in (None, desk.staff("马经理").id)]
    assert "13800005678" not in "".join(others)


def test_a_matter_that_is_not_a_failed_repair_is_acknowledged_without_admitting_anything(desk: Desk) -> None:
    ticket = complain(desk, "地砖松了把我妈摔伤了！！", "T99")
    told = hearing.answer_anger(desk.session, ticket, at("09:01"))
    assert "地砖松了把我妈摔伤了" in told and "马经理今天09:30前打电话给您" in told
    for word in ("没做到位", "我们的责任", "赔", "？"):
        assert word not in told


def test_without_a_number_they_are_spoken_to_in_the_chat(desk: Desk) -> None:
    desk.resident("王芳").phone = ""
    ticket = complain(desk, "再不管我打12345", "T09")
    told = hearing.answer_anger(desk.session, ticket, at("09:01"))
    assert "在这里联系您" in told and "打电话给您" not in told


def test_a_colleagues_report_on_behalf_is_linked_to_nobodys_job(desk: Desk) -> None:
    desk.accepted("W02")
    ticket = complain(desk, "业主来前台说修了三次没修好", "T02", by="王师傅")
    assert (ticket.kind, ticket.linked_id) == ("TS", None)


def test_at_night_nobody_is_telephoned_before_the_morning(desk: Desk) -> None:
    ticket = complain(desk, "再不管我就打12345", "T09", now=at("23:10"))
    assert complaints.call_due(ticket) == at("09:00", 13)


def neighbours(desk: Desk, count: int) -> list[Actor]:
    rooms = ("1502", "1402", "801", "302", "702", "1503", "901")
    return [desk.family(f"邻居{room}", f"P1/3/2/{room}") for room in rooms[:count]]


def file(desk: Desk, actor: Actor, code: str = "T10", now: datetime = NOW) -> Ticket:
    return desk.report(code, kind="TS", by=actor, now=now, symptom="楼上装修太吵")


def test_five_homes_with_one_matter_in_a_day_are_one_matter_of_the_managers(desk: Desk) -> None:
    people = neighbours(desk, 6)
    first = [file(desk, one) for one in people[:4]]
    assert not desk.session.query(Ticket).filter(Ticket.code == "T29").count()
    desk.seen()
    fifth = file(desk, people[4], now=at("20:00"))
    whole = desk.session.query(Ticket).filter(Ticket.code == "T29").one()
    assert (whole.level, whole.handler) == ("C1", desk.staff("马经理"))
    assert all(one.detail["group"] == whole.id for one in [*first, fifth])
    assert desk.told()["马经理"] == ["desk_TS"]
    desk.seen()
    sixth = file(desk, people[5], now=at("21:00"))
    assert sixth.detail["group"] == whole.id
    assert "马经理" not in desk.told()
    assert desk.session.query(Ticket).filter(Ticket.code == "T29").count() == 1
    assert len(desk.history(whole, "join")) == 6


def test_four_homes_or_one_home_often_or_over_days_are_not(desk: Desk) -> None:
    people = neighbours(desk, 5)
    for one in people[:4]:
        file(desk, one)
    file(desk, desk.family("同屋的人", HOME))
    file(desk, people[4], now=at("09:01", 13))
    assert not desk.session.query(Ticket).filter(Ticket.code == "T29").count()


def test_matters_that_say_nothing_about_what_it_is_are_never_grouped(desk: Desk) -> None:
    for one in neighbours(desk, 6):
        file(desk, one, code="T99")
    assert not desk.session.query(Ticket).filter(Ticket.code == "T29").count()


def test_told_the_third_time_it_is_grave(desk: Desk) -> None:
    first = file(desk, desk.actor("王芳"), "T09")
    second = file(desk, desk.actor("王芳"), "T09", now=at("09:00", 20))
    assert (first.level, second.level) == ("C2", "C2")
    desk.seen()
    third = file(desk, desk.actor("王芳"), "T09", now=at("09:00", 25))
    assert (third.level, third.detail["grave"]) == ("C1", "told")
    assert "c1" in desk.told()["马经理"]


def test_told_by_somebody_else_or_about_something_else_it_is_not(desk: Desk) -> None:
    file(desk, desk.actor("王芳"), "T09")
    file(desk, desk.actor("李强"), "T09")
    file(desk, desk.actor("王芳"), "T10")
    assert file(desk, desk.actor("王芳"), "T09").level == "C2"


def test_chasing_it_twice_is_telling_it_three_times(desk: Desk) -> None:
    ticket = file(desk, desk.actor("王芳"), "T09")
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "没人管吗", at("10:00"))
    assert ticket.level == "C2"
    desk.seen()
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "没人管吗", at("11:00"))
    assert ticket.level == "C1"
    assert "c1" in desk.told()["马经理"]
    desk.seen()
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "没人管吗", at("12:00"))
    assert "c1" not in desk.told().get("马经理", [])


def test_a_threat_after_it_makes_it_grave_at_once(desk: Desk) -> None:
    ticket = file(desk, desk.actor("王芳"), "T09")
    desk.seen()
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "你们管不管 不管我打12345了", at("09:05"))
    assert (ticket.level, ticket.detail["grave"], ticket.urge_count) == ("C1", "threat", 1)
    assert "c1" in desk.told()["马经理"]


@pytest.mark.parametrize(
    ("words", "bare"),
    [
        ("你们管不管 不管我打12345了", True),
        ("再没人理我就找记者曝光！！", True),
        ("等着 法院见吧 我去起诉", False),
        ("不给说法我投诉到信访局", True),
        ("楼上又在砸墙 再不管我打12345", False),
        ("门卫骂人 我要曝光", False),
        ("你们到底管不管", False),
        ("12345", True),
    ],
)
def test_a_threat_that_names_nothing_new(words: str, bare: bool) -> None:
    assert bare_threat(words) is bare


def test_open_for_thirty_days_it_is_grave(desk: Desk) -> None:
    ticket = file(desk, desk.actor("王芳"), "T12")
    verbs.accept(desk.session, ticket, desk.handler(ticket), NOW)
    month = NOW + timedelta(days=30)
    ticket.finish_by = month + timedelta(days=5)
    desk.sweep(month - timedelta(minutes=1))
    assert ticket.level == "C2"
    desk.seen()
    desk.sweep(month)
    assert (ticket.level, ticket.detail["grave"]) == ("C1", "open")
    assert "c1" in desk.told()["马经理"]


def test_a_facility_that_failed_three_times_lately_is_grave(desk: Desk) -> None:
    lift = {
        "by": "李强",
        "public_area": True,
        "place_key": "PUB:P1/3/2/-/电梯",
        "place_text": "一期3栋2单元电梯",
        "symptom": "电梯坏了",
    }
    for day in (2, 5):
        desk.report("L04", now=at("09:00", day), **lift)
    assert complain(desk, "电梯三天两头坏", "T22", now=at("09:00", 6)).level == "C2"
    desk.report("L04", now=at("09:00", 10), **lift)
    ticket = complain(desk, "电梯三天两头坏", "T22", by="陈静", now=at("09:00", 12))
    assert (ticket.level, ticket.detail["grave"]) == ("C1", "faulty")
    other = complain(desk, "健身器材老坏", "T22", by="赵敏", now=at("09:00", 12))
    assert other.level == "C2"


# --- never the accused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "handler"),
    [
        ("保安态度差", "刘队"),
        ("保洁阿姨态度差", "何姐"),
        ("师傅态度差", "李工"),
        ("前台客服态度差", "周主管"),
        ("小刘态度差", "刘队"),
        ("刘队骂我", "马经理"),
        ("李工态度恶劣", "马经理"),
    ],
)
def test_attitude_is_for_the_leader_of_whoever_is_meant(desk: Desk, words: str, handler: str) -> None:
    assert complain(desk, words, "T01").handler == desk.staff(handler)


def test_about_the_manager_it_goes_above_or_beside_and_never_to_the_manager(desk: Desk) -> None:
    manager = desk.staff("马经理")
    ticket = complain(desk, "马经理收了我500块没给收据", "T03")
    assert (ticket.code, ticket.level) == ("T24", "C1")
    assert ticket.handler not in (None, manager)
    above = Staff(community_id=desk.community.id, name="吴总监", role="manager", department="company")
    desk.session.add(above)
    desk.session.flush()
    other = complain(desk, "马经理索要红包", "T03", by="李强")
    assert other.handler == above
    assert complaints.call_of(other)["name"] == "吴总监"
    assert desk.pushes("马经理") == []


def test_the_accused_meets_it_nowhere(desk: Desk) -> None:
    accused, actor = desk.staff("李工"), desk.actor("李工")
    ticket = complain(desk, "李工来了就骂人，厨房也没修", "T02")
    assert ticket.detail["accused"] == accused.id
    assert not may_see(desk.session, ticket, actor)
    for number in (ticket.ticket_no, ticket.tail):
        with pytest.raises(NotFound):
            finding.by_number(desk.session, desk.community.id, number, actor)
    for name in ("unaccepted", "overdue", "open_jobs", "waiting"):
        page = desk_lists.page_of(desk.session, accused, name, 1, at("10:00", 20))
        assert ticket.ticket_no not in page.text and ticket.tail not in page.text
        seen = desk_lists.chosen(desk.session, desk.staff("马经理"), name, at("10:00", 20))
        assert ticket not in desk_lists.chosen(desk.session, accused, name, at("10:00", 20))
        assert (ticket in seen) == (name in ("unaccepted", "overdue", "open_jobs"))
    for give in (verbs.assign, verbs.hand_on, verbs.add_helper):
        with pytest.raises(Accused):
            if give is verbs.hand_on:
                verbs.hand_on(desk.session, ticket, accused, desk.actor("马经理"), "", at("10:00"))
            else:
                give(desk.session, ticket, accused, desk.actor("马经理"), at("10:00"))
    desk.sweep_through(at("09:00"), at("20:00", 14), timedelta(hours=2))
    assert [row for row in desk.pushes("李工") if row.ticket_id == ticket.id] == []


def test_the_accused_does_not_read_it_off_others_hands_either(desk: Desk) -> None:
    ticket = complain(desk, "李工来了就骂人，厨房也没修", "T02")
    assert ticket.handler == desk.staff("马经理")
    load = desk_lists.load(desk.session, desk.staff("马经理"), at("09:30"), desk.staff("李工"))
    assert ticket.tail not in load and "手上0单" in load
    assert ticket.tail in desk_lists.load(desk.session, desk.staff("马经理"), at("09:30"), desk.staff("周主管"))


def test_what_was_not_delivered_about_it_is_not_the_accuseds_to_telephone(desk: Desk) -> None:
    ticket = complain(desk, "周主管骂我", "T01")
    desk.seen()
    for one in desk.session.query(Identity).filter(Identity.resident_id == desk.resident("王芳").id):
        for chat in desk.session.query(Conversation).filter(Conversation.identity_id == one.id):
            chat.reachable = False
    answered(desk, ticket, at("10:00"))
    desk.sweep(at("10:05"))
    assert [row for row in desk.fresh() if row.status == "dead" and row.resident_id]
    assert desk.fresh("周主管") == []


def test_an_accused_worker_cannot_find_it_by_number(desk: Desk) -> None:
    ticket = complain(desk, "王师傅态度差，骂人", "T01")
    with pytest.raises(NotFound):
        finding.by_number(desk.session, desk.community.id, ticket.ticket_no, desk.actor("王师傅"))


# --- anonymous --------------------------------------------------------------------------------------------------------


def test_an_anonymous_complaint_shows_neither_name_nor_flat(desk: Desk) -> None:
    ticket = complain(desk, "匿名反映，我是1502的王女士，楼道被1402堆满纸箱", "T12")
    assert ticket.detail["hidden"]
    verbs.add_helper(desk.session, ticket, desk.staff("李工"), desk.actor("刘队"), at("09:10"))
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "1502王女士再问一次", at("09:20"))
    seen = " ".join(row.text for row in desk.pushes("刘队", "李工", "小刘", "何姐"))
    assert "楼道" in seen
    for secret in ("王女士", "王芳", "1502", "5678", "2单元"):
        assert secret not in seen, secret
    timeline = desk_lists.timeline(desk.session, ticket, at("09:30"), desk.staff("刘队"))
    for secret in ("王女士", "王芳", "1502"):
        assert secret not in timeline
    assert "1502" not in desk_lists.lines([ticket], at("09:30"))
    assert "王女士" in desk_lists.timeline(desk.session, ticket, at("09:30"), desk.staff("马经理"))


def test_the_export_of_an_anonymous_one_has_no_flat_and_no_number(desk: Desk) -> None:
    from io import BytesIO

    from openpyxl import load_workbook

    hidden = complain(desk, "匿名，楼上1602太吵", "T09")
    assert hidden.place_text
    book = load_workbook(BytesIO(report_book.ticket_book("表", [hidden])))
    cells = " ".join(str(cell.value) for row in book.active.iter_rows() for cell in row)
    assert hidden.ticket_no in cells
    for secret in ("1602", "1502", "5678"):
        assert secret not in cells


def test_not_to_be_named_can_be_said_afterwards(desk: Desk) -> None:
    ticket = complain(desk, "楼上天天半夜拖椅子", "T09")
    assert "只有前台和项目经理" in (say(desk, "别说是我说的", at("09:05")) or "")
    assert ticket.detail["hidden"]
    assert desk.history(ticket, "hidden")


def test_what_is_told_in_the_same_breath_names_nobody_either(desk: Desk) -> None:
    pile = desk.report("F05", symptom="1503门口堆满纸箱", place_key="PUB:P1/3/2/F15/楼道", public_area=True)
    home = desk.report("W04", symptom="马桶堵了")
    for repair, hidden in ((pile, True), (home, False)):
        report = verbs.Report(
            kind="TS", code="T12", symptom="匿名，邻居在楼道堆东西", source_key=f"web:{repair.id}",
            linked=repair, reporter=desk.resident("王芳"), conversation=desk.chat("王芳"),
        )  # fmt: skip
        verbs.open_ticket(desk.session, repair.community_id, report, NOW)
        assert bool((repair.detail or {}).get("hidden")) is hidden


@pytest.mark.parametrize(
    ("words", "hidden"),
    [
        ("匿名反映一下", True),
        ("别说是我说的", True),
        ("千万别让楼上知道是我投诉的", True),
        ("不要告诉他们是我", True),
        ("请保密", True),
        ("我不想透露姓名", True),
        ("别跟我说这些 你是机器人吧", False),
        ("别跟我讲道理，不是我的错", False),
        ("不要以为我不知道", False),
        ("说了三次了都没人管", False),
    ],
)
def test_who_wants_not_to_be_named(words: str, hidden: bool) -> None:
    assert complaints.read(words, "T09").hidden is hidden


def test_nobody_else_hides_or_shows_it(desk: Desk) -> None:
    ticket = complain(desk, "楼上天天半夜拖椅子", "T09")
    with pytest.raises(NotAllowed):
        verbs.hide_name(desk.session, ticket, desk.actor("李强"), "匿名", at("09:05"))


# --- the repair behind it ---------------------------------------------------------------------------------------------


def visited_twice(desk: Desk) -> Ticket:
    """SC05: two visits, one of them after 没修好, and overdue."""
    repair = desk.accepted("W03", now=at("09:00", 10))
    worker, resident = desk.handler(repair), desk.actor("王芳")
    verbs.arrive(desk.session, repair, worker, at("10:00", 10))
    verbs.finish(desk.session, repair, worker, "打了胶", at("11:00", 10), self_checked=True)
    verbs.not_fixed(desk.session, repair, resident, "还在漏", at("12:00", 10))
    verbs.accept(desk.session, repair, worker, at("12:30", 10))
    verbs.arrive(desk.session, repair, worker, at("14:00", 10))
    assert (repair.round, repair.status) == (2, "in_progress")
    return repair


def test_anger_about_a_failed_repair_is_answered_without_the_dialogue(desk: Desk) -> None:
    repair = visited_twice(desk)
    now = at("14:10", 12)
    desk.seen()
    reply = say(desk, SC05, now)
    assert reply is not None
    assert "来了2次还没修好" in reply and "过了答应您的时间" in reply
    assert "马经理今天14:40前打电话给您" in reply
    assert "？" not in reply and "冷静" not in reply
    assert reply.count("没做到位") == 1
    ticket = desk.session.query(Ticket).filter(Ticket.kind == "TS").one()
    assert (ticket.code, ticket.level, ticket.linked_id) == ("T02", "C1", repair.id)
    assert (repair.status, repair.round, repair.handler) == ("rework", 3, desk.staff("孙师傅"))
    told = desk.told()
    assert "rework_on_site" in told["李工"] and "desk_TS" in told["李工"]
    assert "c1" in told["马经理"]
    assert "王芳" not in told, "one answer, not a second apology"
    card = next(row.text for row in desk.fresh("马经理") if key_of(row) == "c1")
    assert "经过" in card and card.count("到场") == 2 and "没修好" in card
    assert SC05 in card


def test_what_they_say_next_gets_the_same_promise_and_no_other_tone(desk: Desk) -> None:
    visited_twice(desk)
    say(desk, SC05, at("14:10"))
    robot = say(desk, "别跟我说这些 你是机器人吧", at("14:11"))
    assert robot is not None
    assert "不是真人" in robot and "今天14:40前打电话给您" in robot
    rude = say(desk, "滚 你们他妈都是骗子", at("14:12"))
    assert rude is not None
    assert "0571-5555-0108" in rude and "今天14:40前" in rude
    assert len(rude) <= 80
    assert desk.session.query(Ticket).filter(Ticket.kind == "TS").count() == 1
    assert say(desk, "厨房灯也不亮了", at("14:13")) is None


def test_a_call_nobody_makes_is_owned_up_to_in_time(desk: Desk) -> None:
    visited_twice(desk)
    above = Staff(community_id=desk.community.id, name="吴总监", role="manager", department="company")
    desk.session.add(above)
    desk.session.flush()
    say(desk, SC05, at("14:10"))
    ticket = desk.session.query(Ticket).filter(Ticket.kind == "TS").one()
    desk.seen()
    desk.sweep(at("14:37"))
    assert "call_late" not in desk.told().get("王芳", [])
    desk.sweep(at("14:38"))
    told = desk.told()
    assert told["王芳"].count("call_late") == 1
    assert "call_late_leader" in told["吴总监"] and "call_late_leader" in told["马经理"]
    assert "今天15:10前" in next(row.text for row in desk.fresh("王芳") if key_of(row) == "call_late")
    assert complaints.call_due(ticket) == at("15:10")
    desk.sweep(at("14:40"))
    assert desk.told()["王芳"].count("call_late") == 1


def test_the_call_is_the_managers_and_ends_the_watch(desk: Desk) -> None:
    visited_twice(desk)
    say(desk, SC05, at("14:10"))
    ticket = desk.session.query(Ticket).filter(Ticket.kind == "TS").one()
    with pytest.raises(NotAllowed):
        verbs.called(desk.session, ticket, desk.actor("李工"), "说好了", at("14:20"))
    verbs.called(desk.session, ticket, desk.actor("马经理"), "明早9点带新师傅来", at("14:30"))
    assert complaints.call_due(ticket) is None
    desk.seen()
    desk.sweep_through(at("14:35"), at("16:00"), timedelta(minutes=5))
    assert "call_late" not in desk.told().get("王芳", [])


def test_a_repair_nobody_came_for_is_chased_not_begun_again(desk: Desk) -> None:
    repair = desk.accepted("W03")
    ticket = complain(desk, "报了三天没人来，我要投诉", "T02", now=at("10:00"))
    assert ticket.linked_id == repair.id
    assert (repair.status, repair.round, repair.urge_count) == ("in_progress", 1, 1)


def test_a_repair_said_to_be_done_goes_into_its_next_round(desk: Desk) -> None:
    repair = desk.done("W03")
    complain(desk, "根本没修好，投诉", "T02", now=at("10:00"))
    assert (repair.status, repair.round) == ("rework", 2)


def test_a_repair_on_hold_is_taken_up_again(desk: Desk) -> None:
    repair = visited_twice(desk)
    verbs.hold(desk.session, repair, desk.handler(repair), "待配件", at("12:00", 11), at("15:00", 10))
    complain(desk, "两次了还没修好，投诉你们", "T02", now=at("16:00", 10))
    assert (repair.status, repair.round, repair.hold_reason) == ("rework", 3, "")


# --- working on it together -------------------------------------------------------------------------------------------


def test_a_helper_sees_it_and_the_handler_stays_responsible(desk: Desk) -> None:
    ticket = complain(desk, "楼上装修太吵", "T10")
    assert ticket.handler == desk.staff("刘队")
    worker = desk.actor("王师傅")
    assert not may_see(desk.session, ticket, worker)
    desk.seen()
    assert verbs.add_helper(desk.session, ticket, desk.staff("王师傅"), desk.actor("马经理"), at("09:10"))
    assert not verbs.add_helper(desk.session, ticket, desk.staff("王师傅"), desk.actor("马经理"), at("09:11"))
    assert desk.told() == {"王师傅": ["helper"], "刘队": ["helper_told"]}
    assert may_see(desk.session, ticket, worker)
    assert finding.helped_by(desk.session, desk.staff("王师傅")) == [ticket]
    assert ticket.handler == desk.staff("刘队")
    assert [one.note for one in desk.history(ticket, "helper")] == ["王师傅"]
    with pytest.raises(NotAllowed):
        verbs.answer_matter(desk.session, ticket, worker, "处理好了", at("09:20"))
    with pytest.raises(NotAllowed):
        verbs.give_cause(desk.session, ticket, worker, "无", "无", at("09:20"))
    assert "王师傅" in desk_lists.timeline(desk.session, ticket, at("09:30"))
    assert desk.session.query(CoHandler).count() == 1


def test_a_helpers_progress_is_for_the_handler_and_the_handlers_for_the_resident(desk: Desk) -> None:
    ticket = complain(desk, "楼上装修太吵", "T10")
    verbs.add_helper(desk.session, ticket, desk.staff("李工"), desk.actor("刘队"), at("09:10"))
    desk.seen()
    assert not verbs.tell_progress(desk.session, ticket, desk.actor("李工"), "看过图纸了", at("09:20"))
    assert desk.told() == {"刘队": ["progress_staff"]}
    with pytest.raises(NotAllowed):
        # A supervisor elsewhere, here a helper like any other.
        verbs.answer_matter(desk.session, ticket, desk.actor("李工"), "处理好了", at("09:25"))
    desk.seen()
    assert verbs.tell_progress(desk.session, ticket, desk.actor("刘队"), "已约装修公司15:00面谈", at("09:30"))
    assert desk.told() == {"王芳": ["progress_words"], "李工": ["progress_staff"]}
    with pytest.raises(NotAllowed):
        verbs.tell_progress(desk.session, ticket, desk.actor("王师傅"), "看过了", at("09:40"))


def test_handing_it_on_keeps_the_old_one_until_the_new_one_accepts_and_the_first_follows_it(desk: Desk) -> None:
    ticket = complain(desk, "楼上装修太吵", "T10")
    verbs.accept(desk.session, ticket, desk.actor("刘队"), at("09:05"))
    verbs.assign(desk.session, ticket, desk.staff("周主管"), desk.actor("马经理"), at("09:10"), reason="邻里的事")
    assert (ticket.handler, ticket.status) == (desk.staff("刘队"), "in_progress")
    verbs.accept(desk.session, ticket, desk.actor("周主管"), at("09:30"))
    assert (ticket.handler, ticket.owner) == (desk.staff("周主管"), desk.staff("刘队"))
    desk.seen()
    answered(desk, ticket, at("10:00"))
    assert desk.told()["刘队"] == ["answered_others"]
    desk.seen()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还是吵", at("11:00"))
    assert "unsatisfied" in desk.told()["刘队"]


def test_the_resident_hears_at_the_interval_also_when_nothing_happened(desk: Desk) -> None:
    ticket = complain(desk, "楼上装修太吵", "T10")
    verbs.accept(desk.session, ticket, desk.actor("刘队"), NOW)
    ticket.finish_by = at("18:00", 30)
    desk.seen()
    desk.sweep_through(at("10:00"), at("08:50", 16), timedelta(minutes=30))
    assert "progress_running" not in desk.told().get("王芳", [])
    desk.sweep(at("09:00", 16))
    assert desk.told()["王芳"].count("progress_running") == 1


# --- the end ----------------------------------------------------------------------------------------------------------


def test_content_is_not_closed_before_cause_and_prevention_are_there(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    answered(desk, ticket, at("10:00"))
    desk.seen()
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), at("10:05"))
    assert (ticket.status, ticket.closed_at) == ("callback", None)
    assert desk.told() == {"王芳": ["closed_TS"], "何姐": ["cause_wanted"]}
    assert verbs.give_cause(desk.session, ticket, desk.actor("何姐"), "排班漏了", "", at("10:10")) == ("prevention",)
    assert ticket.status == "callback"
    assert verbs.give_cause(desk.session, ticket, desk.actor("何姐"), "", "交接时核对", at("10:20")) == ()
    assert ticket.status == "closed"
    assert (ticket.detail["cause"], ticket.detail["prevention"]) == ("排班漏了", "交接时核对")
    assert desk.assignments(ticket) == [("何姐", "done")]


def test_given_before_the_answer_it_closes_with_the_yes(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    verbs.give_cause(desk.session, ticket, desk.actor("何姐"), "排班漏了", "交接时核对", at("09:30"))
    answered(desk, ticket, at("10:00"))
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), at("10:05"))
    assert ticket.status == "closed"


def test_nobody_closes_it_by_hand_without_them(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    for actor in ("何姐", "马经理"):
        with pytest.raises(CauseNeeded):
            verbs.resolve(desk.session, ticket, desk.actor(actor), "已当面答复", at("10:00"))
    verbs.give_cause(desk.session, ticket, desk.actor("何姐"), "排班漏了", "交接时核对", at("10:10"))
    verbs.resolve(desk.session, ticket, desk.actor("何姐"), "已当面答复", at("10:20"))
    assert ticket.status == "closed"


def test_a_false_report_needs_neither(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    verbs.false_alarm(desk.session, ticket, desk.actor("何姐"), "是别的小区", at("10:00"))
    assert ticket.status == "closed"


def test_cause_and_prevention_are_asked_for_again_until_they_are_there(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    answered(desk, ticket, at("10:00"))
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), at("10:05"))
    desk.seen()
    desk.sweep_through(at("10:30"), at("11:00", 14), timedelta(minutes=30))
    assert desk.told() == {"何姐": ["cause_wanted", "cause_wanted"]}


def grave(desk: Desk) -> Ticket:
    ticket = complain(desk, "保洁推倒我，摔伤了", "T06")
    verbs.called(desk.session, ticket, desk.actor("马经理"), "", at("09:10"))
    verbs.give_cause(desk.session, ticket, desk.handler(ticket), "地面湿滑", "放警示牌", at("09:30"))
    answered(desk, ticket, at("10:00"))
    return ticket


def test_a_grave_one_is_called_back_by_the_manager_whatever_was_typed(desk: Desk) -> None:
    ticket = grave(desk)
    desk.seen()
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), at("10:05"))
    assert ticket.status == "callback"
    assert desk.told()["马经理"] == ["callback_manager"]
    with pytest.raises(CallbackNeeded):
        verbs.resolve(desk.session, ticket, desk.actor("马经理"), "已当面答复", at("10:10"))
    for name in ("周主管", "客服小周", "何姐"):
        with pytest.raises(DeskError):
            verbs.call_back(desk.session, ticket, desk.actor(name), True, "", at("10:20"))
    verbs.call_back(desk.session, ticket, desk.actor("马经理"), True, "谢谢", at("10:30"))
    assert ticket.status == "closed"
    assert [one.note for one in desk.history(ticket, "callback")] == ["满意 谢谢"]


def test_a_grave_one_nobody_answers_is_the_managers_to_telephone_not_the_bots(desk: Desk) -> None:
    ticket = grave(desk)
    desk.seen()
    desk.sweep_through(at("10:30"), at("12:00", 14), timedelta(minutes=30))
    told = desk.told()
    assert told["马经理"] == ["callback_manager", "callback_manager"]
    assert "callback_TS" not in told.get("王芳", [])
    assert ticket.status == "done"


def test_never_by_whom_it_is_about(desk: Desk) -> None:
    ticket = complain(desk, "周主管骂我，还摔伤了我", "T01")
    assert ticket.detail["accused"] == desk.staff("周主管").id
    verbs.give_cause(desk.session, ticket, desk.handler(ticket), "沟通不当", "培训", at("09:30"))
    answered(desk, ticket, at("10:00"))
    with pytest.raises(NotAllowed):
        verbs.call_back(desk.session, ticket, desk.actor("周主管"), True, "", at("10:30"))


def test_a_call_back_that_finds_them_not_content_opens_it_again(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    with pytest.raises(WrongStatus):
        verbs.call_back(desk.session, ticket, desk.actor("周主管"), True, "", at("09:30"))
    answered(desk, ticket, at("10:00"))
    verbs.call_back(desk.session, ticket, desk.actor("周主管"), False, "还是脏", at("10:30", 13))
    assert (ticket.status, ticket.round) == ("rework", 2)
    answered(desk, ticket, at("14:00", 13))
    verbs.call_back(desk.session, ticket, desk.actor("周主管"), None, "", at("14:30", 14))
    assert ticket.status == "done"


# --- suggestions and praise -------------------------------------------------------------------------------------------


def test_a_suggestion_is_answered_within_three_working_days(desk: Desk) -> None:
    ticket = complain(desk, "建议在东门加一个快递柜", "J01", kind="JY")
    # Thursday: Friday, Monday, Tuesday.
    assert ticket.finish_by == at("18:00", 17)
    assert ticket.handler == desk.staff("客服小周")


def test_the_suggestion_box_takes_what_comes_next_also_without_a_name(desk: Desk) -> None:
    assert "意见箱" in (say(desk, "意见箱", at("09:00")) or "")
    reply = say(desk, "东门加个快递柜吧，匿名", at("09:01"))
    assert reply is not None and "JY20250612" in reply and "6月17日" in reply and "只有前台和项目经理" in reply
    ticket = desk.session.query(Ticket).filter(Ticket.kind == "JY").one()
    assert ticket.detail["hidden"]
    assert ticket.symptom == "东门加个快递柜吧，匿名"


def test_praise_reaches_the_person_and_their_leader_without_a_name(desk: Desk) -> None:
    told = hearing.praise(
        desk.session, desk.actor("王芳"), desk.chat("王芳"), "我是1502王女士，王师傅修得又快又好", "p:1", at("09:00")
    )
    assert "王师傅" in told
    ticket = desk.session.query(Ticket).filter(Ticket.kind == "BY").one()
    assert ticket.status == "closed"
    for name in ("王师傅", "李工"):
        (text,) = [row.text for row in desk.pushes(name) if key_of(row) == "praise"]
        assert "修得又快又好" in text and "王女士" not in text and "1502" not in text
    desk.seen()
    assert "写上" in (say(desk, "可以", at("09:02")) or "")
    assert all("王女士" in row.text for row in desk.fresh("王师傅", "李工"))
    assert desk.told() == {"王师傅": ["praise_by"], "李工": ["praise_by"]}


def test_who_does_not_agree_is_not_named(desk: Desk) -> None:
    hearing.praise(desk.session, desk.actor("王芳"), desk.chat("王芳"), "王师傅真不错", "p:1", at("09:00"))
    desk.seen()
    assert "不写" in (say(desk, "不用写", at("09:02")) or "")
    assert desk.told() == {}


def test_praise_for_the_worker_of_the_last_repair_or_for_the_desk_to_place(desk: Desk) -> None:
    repair = desk.closed()
    hearing.praise(desk.session, desk.actor("王芳"), desk.chat("王芳"), "师傅很好", "p:1", at("10:00"))
    assert "praise" in desk.told()[repair.handler.name if repair.handler else ""]
    desk.seen()
    told = hearing.praise(desk.session, desk.actor("李强"), desk.chat("李强"), "你们物业真好", "p:2", at("10:00"))
    assert "BY" in told
    ticket = desk.session.query(Ticket).filter(Ticket.kind == "BY").order_by(Ticket.id.desc()).first()
    assert ticket is not None and ticket.status == "assigned"
    verbs.forward_praise(desk.session, ticket, desk.staff("何姐"), desk.actor("客服小周"), at("10:10"))
    assert ticket.status == "closed"
    assert "praise" in desk.told()["何姐"]


# --- a person -------------------------------------------------------------------------------------------------------------


def test_the_second_angry_word_brings_a_person_where_no_call_is_owed(desk: Desk) -> None:
    ticket = complain(desk, "楼道三天没拖", "T06")
    hearing.answer_anger(desk.session, ticket, at("09:01"))
    reply = say(desk, "你们干什么吃的", at("09:02"))
    assert reply is not None and "客服小周" in reply and "今天09:12前" in reply
    talk = desk.session.query(Talk).one()
    assert (talk.why, talk.ticket_id) == ("angry", ticket.id)


def test_nobody_reached_or_answers_that_miss_the_point_are_for_a_person_at_once(desk: Desk) -> None:
    complain(desk, "电话打不通，机器人答非所问", "T27")
    assert desk.session.query(Talk).one().why == "complaint"


def test_a_complaint_told_twice_by_the_same_message_is_one(desk: Desk) -> None:
    first = complain(desk, "楼道三天没拖", "T06")
    again = complain(desk, "楼道三天没拖", "T06")
    assert first.id == again.id
    assert len([row for row in desk.session.query(OutboxMessage) if key_of(row) == "desk_TS"]) == 1

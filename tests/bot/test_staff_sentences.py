"""What staff type, through parsing and the verb to what they and the resident read."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deskhelp import Desk, at
from sqlalchemy import select

from bot import commands
from bot.commands import Context, Reply
from storage.models import InboxMessage, Leave, OutboxMessage, Ticket, TicketEvent
from tickets import verbs, working
from tickets.errors import DeskError, NotFound, PhotoNeeded, WrongStatus
from tickets.texts import say

TEN = at("10:00")


def type_(desk: Desk, name: str, text: str, now: datetime = TEN) -> Reply:
    staff = desk.staff(name)
    command = commands.parse(text, staff.role)
    assert command is not None, text
    context = Context(desk.session, desk.chat("王芳"), desk.actor(name), staff, now, f"test:{text}")
    return commands.run(context, command)


def test_a_step_too_early_says_what_comes_first(desk: Desk) -> None:
    ticket = desk.report()
    assert ticket.status == "assigned" and ticket.handler
    with pytest.raises(WrongStatus) as refused:
        type_(desk, ticket.handler.name, f"收费80 {ticket.tail} 换角阀")
    assert commands.refusal(refused.value) == say("refused.visit_assigned")
    assert commands.refusal(WrongStatus(action="merge", status="closed")) == say("error.wrong_status")


@pytest.mark.parametrize(
    ("words", "name", "no"),
    [
        ("0002我弄完了 换了个电容 收了30", "finish", "0002"),
        ("通完了 收了80块", "finish", ""),
        ("换个电容要30块", "quote", ""),
    ],
)
def test_a_sum_belongs_to_what_is_done_or_planned(words: str, name: str, no: str) -> None:
    command = commands.parse(words, "worker")
    assert command is not None
    assert (command.name, command.values["no"]) == (name, no)


def test_a_survey_from_the_order_to_the_plan(desk: Desk) -> None:
    ticket = desk.report()
    reply = type_(desk, "李工", f"勘查 {ticket.tail} 陈师傅 原因不明")
    assert "陈师傅" in reply.text and ticket.status == "survey"
    with pytest.raises(DeskError):
        type_(desk, "陈师傅", f"勘查结果 {ticket.tail} 原因：防水老化 范围：卫生间")
    words = f"勘查结果 {ticket.tail} 原因：防水老化 范围：卫生间地面 物料：防水涂料 人数：2 费用：800"
    type_(desk, "陈师傅", words)
    assert ticket.status == "assigned"
    assert ticket.detail["survey"]["materials"] == "防水涂料"
    assert ticket.detail["quote"]["fen"] == 80000


@pytest.mark.parametrize(
    ("role", "words", "name"),
    [
        ("worker", "0063我出门了 十分钟到", "set_out"),
        ("worker", "0060暖气漏水地址哪儿啊", "status"),
        ("worker", "我手上有啥", "my_jobs"),
        ("manager", "0051呢", "status"),
        ("manager", "0141 误报 关了", "false_alarm"),
        ("manager", "帮我催一下王师傅0048", "nudge"),
        ("manager", "有谁找人工了", "talks"),
        ("worker", "0063收到 马上到", "set_out"),
        ("worker", "行 我一会儿就过去看看", "set_out"),
        ("worker", "0063到他家门口了 敲门没人应", "not_home"),
        ("worker", "0063进门了", "arrive"),
        ("worker", "0063镇流器烧了 得等配件 后天才有货", "hold"),
        ("worker", "0063货到了 我现在去装", "resume"),
        ("worker", "要得 我来嘛", "accept"),
        ("worker", "0063电闸拉了 没危险了", "control"),
        ("supervisor", "0063换成孙师傅去", "assign"),
        ("supervisor", "0063可以关了 隐患排除了", "resolve"),
        ("supervisor", "0063处理得怎么样", "status"),
        ("supervisor", "0063重复了 不用做", "cancel"),
        ("worker", "到咯", "arrive"),
        ("worker", "0063修好啦", "finish"),
        ("worker", "出发喽", "set_out"),
        ("supervisor", "0063加急", "level"),
        ("supervisor", "0063降成U3 已关阀", "level"),
        ("supervisor", "0063让小刘去", "assign"),
        ("manager", "这周共多少单修完多少", "count"),
        ("manager", "昨天投诉几个都是什么", "count"),
        ("manager", "现在最急的是哪单", "urgent"),
        ("manager", "水电工谁最闲", "on_duty"),
        ("manager", "今天有没有差评", "low_scores"),
        ("manager", "王师傅还有几单没完", "load"),
        ("manager", "投诉还有几个没回", "open_complaints"),
        ("manager", "没处理的投诉有哪些", "open_complaints"),
        ("manager", "这个月投诉几个", "count"),
        ("manager", "哪些快超时了", "due_soon"),
        ("manager", "超时的有哪些", "overdue"),
        ("manager", "上周和这周比怎么样", "compare"),
        ("manager", "平均多久上门", "figure"),
        ("manager", "这个月评分", "figure"),
        ("manager", "返工多少", "figure"),
        ("manager", "谁手上活最多", "on_duty"),
        ("manager", "李明明天请假", "leave"),
        ("manager", "周师傅今天请假", "leave"),
        ("worker", "今天不舒服 请假", "leave_wish"),
        ("worker", "我明天家里有事请假一天", "leave_wish"),
        ("worker", "行吧我去", "accept"),
        ("worker", "二十分钟到", "set_out"),
        ("worker", "半个小时左右过去", "set_out"),
        ("worker", "下午两点去", "appointment"),
        ("worker", "0063 我明天上午去修", "appointment"),
        ("worker", "我接了，下午两点去", "accept"),
        ("worker", "换好了电也通了", "finish"),
        ("worker", "灯座换好了 亮了", "finish"),
        ("worker", "通了 弄好了", "finish"),
        ("worker", "上次弄好了", ""),
        ("worker", "0063我接了 二十分钟到", "accept"),
        ("worker", "我十二点半到她家", "appointment"),
        ("worker", "路上堵 晚半小时", "set_out"),
        ("worker", "缺个灯座 明天才有货", "hold"),
        ("worker", "手上活", "my_jobs"),
        ("worker", "先干哪个", "my_jobs"),
        ("supervisor", "0063怎么取消了", "status"),
        ("worker", "到了 是水管裂了 要换", "arrive"),
        ("worker", "到了 没人应", "not_home"),
        ("worker", "今天去看了是主板坏了", ""),
        ("worker", "明天去买配件", ""),
        ("worker", "1502到了一包货", ""),
        ("supervisor", "1502漏水", ""),
        # Who asks whether it was done is told how it stands.
        ("manager", "0063结了没 谁在跟", "status"),
        ("manager", "0063关闭了没有", "status"),
        ("manager", "0063取消了吗", "status"),
        ("manager", "0063取消没有", "status"),
        ("manager", "0063是误报吧？", "status"),
        ("manager", "0063降级了没", "status"),
        ("manager", "关闭0063了吗", "status"),
        ("manager", "0063取消吧", "cancel"),
        ("manager", "关闭0063 没有问题了", "resolve"),
        ("manager", "0063没漏气 关", "resolve"),
        ("manager", "0063删掉", "cancel"),
        ("manager", "把0063转给李师傅", "assign"),
        ("manager", "0063叫小刘马上去", "assign"),
        ("manager", "0063派给孙师傅", "assign"),
        ("manager", "0063派给孙师傅了没", ""),
        ("manager", "0063 0080是一个，并了", "merge"),
        ("manager", "0063那个同意", "approve_hold"),
    ],
)
def test_free_words_of_colleagues(role: str, words: str, name: str) -> None:
    command = commands.parse(words, role)
    assert (command.name if command else "") == name
    if command and words.startswith("0063"):
        assert command.values["no"] == "0063"


def test_the_part_has_come_for_a_job_nobody_paused(desk: Desk) -> None:
    ticket = desk.accepted()
    type_(desk, "王师傅", f"{ticket.tail}货到了 我现在去装")
    assert ticket.on_the_way_at == TEN


def test_a_job_is_taken_with_the_hour_of_the_visit(desk: Desk) -> None:
    ticket = desk.report()
    worker = ticket.handler
    assert worker is not None
    assert ticket.ticket_no in type_(desk, worker.name, "我接了，下午两点去").text
    assert verbs.open_question(desk.session, ticket, "appointment") is not None
    # Of a job he has already it is the hour alone.
    assert ticket.ticket_no in type_(desk, worker.name, "好的，下午三点去").text


def test_what_is_found_on_arriving_is_kept(desk: Desk) -> None:
    ticket = desk.accepted()
    type_(desk, "王师傅", "到了 是水管裂了 要换")
    assert ticket.arrived_at == TEN
    told = select(TicketEvent.note).where(TicketEvent.ticket_id == ticket.id, TicketEvent.action == "comment")
    assert desk.session.scalars(told).all() == ["是水管裂了 要换"]


def test_words_about_a_ticket_that_are_no_command_touch_nothing(desk: Desk) -> None:
    ticket = desk.accepted()

    def told(name: str, text: str) -> Reply:
        context = Context(desk.session, desk.chat("王芳"), desk.actor(name), desk.staff(name), TEN, "test:1")
        return commands.misunderstood(context, text) or Reply()

    first, *_ = told("王师傅", f"{ticket.tail}重新接了下线 不闪了").buttons
    assert first[0] == f"say:完工 {ticket.ticket_no} 重新接了下线 不闪了"
    assert commands.parse(first[0].removeprefix("say:"), "worker").values["note"] == "重新接了下线 不闪了"  # type: ignore[union-attr]
    shown = told("李工", f"{ticket.tail}让他明天早上去").text
    assert ticket.ticket_no in shown and f"派单 {ticket.tail}" in shown
    assert told("李工", "1502漏水") == told("王师傅", "好的") == Reply()
    with pytest.raises(NotFound):
        told("李工", "0999再去冲一下地")


@pytest.mark.parametrize(
    "words",
    [
        "王师傅的活转给孙师傅",
        "陈师傅那边要帮手，叫孙师傅去",
        "李明呢",
        "33和32是一张，合一起",
        "停水通知发一下，今晚十点到明早六点3栋停水",
        "谁没看到我发的通知",
    ],
)
def test_what_colleagues_say_to_each_other_is_no_report(desk: Desk, words: str) -> None:
    context = Context(desk.session, desk.chat("王芳"), desk.actor("李工"), desk.staff("李工"), TEN, "test:1")
    assert commands.parse(words, "supervisor") is None
    assert commands.misunderstood(context, words) == Reply(say("staff.unknown_leader"))
    assert not commands.ends_danger(words)


def test_how_far_something_is_asked_by_who_leads(desk: Desk) -> None:
    ticket = desk.report("L01", place_key="PUB:P1/3/2/-/LIFT", public_area=True, symptom="电梯困人", level="U0")
    for name, words in (("李工", "电梯那个人救出来没"), ("马经理", "电梯那个修好了吗")):
        context = Context(desk.session, desk.chat("王芳"), desk.actor(name), desk.staff(name), TEN, "test:1")
        told = commands.misunderstood(context, words)
        assert told is not None and ticket.ticket_no in told.text, words


def test_how_far_something_in_a_room_is(desk: Desk) -> None:
    ticket, _ = desk.report("W04", symptom="马桶堵了"), desk.report("W03", by="李强", place_key="P1/3/2/1402")
    context = Context(desk.session, desk.chat("王芳"), desk.actor("马经理"), desk.staff("马经理"), TEN, "test:1")
    for words, shown in (("2单元1502那个去了没", ticket.ticket_no), ("1单元903那个去了没", say("staff.none_about"))):
        told = commands.misunderstood(context, words)
        assert told is not None and shown in told.text, words


def test_an_alarm_that_is_called_off_is_no_new_one(desk: Desk) -> None:
    assert commands.ends_danger("电梯困人那单解除了，关了吧") and commands.ends_danger("2栋801没漏，警报解除")
    for danger in ("3栋着火了 叫小刘过来", "那个单元门夹住人了 电关了", "那个阀门关不上 水喷出来了"):
        assert not commands.ends_danger(danger), danger
    context = Context(desk.session, desk.chat("王芳"), desk.actor("李工"), desk.staff("李工"), TEN, "test:1")
    for report in ("3栋2单元楼道灯不亮", "电梯坏了 王师傅快来", "3栋着火了 叫小刘过来", "那单元门坏了"):
        assert commands.misunderstood(context, report) is None, report


def test_a_change_with_and_without_a_date(desk: Desk) -> None:
    ticket = desk.accepted()
    assert "主管同意" in type_(desk, "王师傅", f"变更 {ticket.tail} 墙里管子也裂了 明天下午完成").text
    due = ticket.finish_by
    type_(desk, "李工", f"同意 {ticket.tail}")
    assert ticket.finish_by != due
    assert "主管同意" not in type_(desk, "王师傅", f"变更 {ticket.tail} 要多拆一块砖").text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("角阀 35元", ("角阀", 3500)),
        ("生料带", ("生料带", None)),
        ("角阀12.5元", ("角阀", 1250)),
    ],
)
def test_a_part_with_its_price(desk: Desk, words: str, part: tuple[str, int | None]) -> None:
    ticket = desk.accepted()
    assert "照片" in type_(desk, "王师傅", f"换件 {ticket.tail} {words}").text
    assert [(one["name"], one["fen"]) for one in ticket.detail["parts"]] == [part]


def test_a_matter_of_the_water_company(desk: Desk) -> None:
    ticket = desk.accepted("W09")
    assert "自来水公司" in type_(desk, "李工", f"转告 {ticket.tail} 别家").text
    assert ticket.status == "in_progress"
    type_(desk, "李工", f"转告 {ticket.tail} 自来水公司 管网压力低")
    assert (ticket.status, ticket.detail["referred"]) == ("referred", "自来水公司")


def test_one_report_into_another(desk: Desk) -> None:
    first, second = desk.report("W03"), desk.report("W15", by="李强", place_key="P1/3/2/1402")
    type_(desk, "李工", f"并单 {second.tail} {first.tail}")
    assert (second.status, second.parent_id) == ("merged", first.id)


def test_a_false_alarm(desk: Desk) -> None:
    ticket = desk.report("W01")
    type_(desk, "李工", f"误报 {ticket.tail} 洗衣机排水")
    assert (ticket.status, ticket.detail["false_alarm"]) == ("closed", True)


def test_nobody_home(desk: Desk) -> None:
    ticket = desk.accepted()
    type_(desk, "王师傅", "没人在家")
    assert (ticket.status, ticket.wake_at) == ("on_hold", at("10:00", 14))
    assert "hold_approve" not in desk.told().get("李工", [])


def test_a_long_pause_names_both_dates(desk: Desk) -> None:
    ticket = desk.accepted()
    reply = type_(desk, "王师傅", f"等配件 {ticket.tail} 周一到")
    assert "主管同意" in reply.text
    type_(desk, "李工", f"同意 {ticket.tail}")
    assert ticket.wake_at is not None and ticket.wake_at > at("10:00", 15)


def power_cut(desk: Desk) -> Ticket:
    desk.report("E02", place_key="P1/3/2/1502", now=at("09:00"))
    desk.report("E02", by="李强", place_key="P1/3/2/1402", now=at("09:01"))
    whole = next(one for one in desk.session.query(Ticket) if one.source == "incident")
    verbs.accept(desk.session, whole, desk.handler(whole), at("09:05"))
    return whole


def test_the_power_is_back(desk: Desk) -> None:
    whole = power_cut(desk)
    with pytest.raises(PhotoNeeded):
        type_(desk, "赵师傅", "恢复")
    desk.photo(whole, at("10:00"))
    reply = type_(desk, "赵师傅", "恢复")
    assert [code.partition(":")[0] for code, _ in reply.buttons] == ["checked", "unchecked"]


def test_a_notice_to_everybody_there(desk: Desk) -> None:
    whole = power_cut(desk)
    assert "4位" in type_(desk, "李工", f"发通知 {whole.tail}").text


# --- complaints -------------------------------------------------------------------------------------------------------


def complaint(desk: Desk, code: str = "T02", **more: object) -> Ticket:
    return desk.report(code, kind="TS", **more)  # type: ignore[arg-type]


def test_a_call_with_a_time_is_the_visit_of_the_repair_behind_it(desk: Desk) -> None:
    repair = desk.accepted("W03")
    ticket = complaint(desk, level="C1", linked=repair)
    reply = type_(desk, "马经理", "已电话 明早9点带新师傅")
    assert ticket.ticket_no in reply.text and "明天（6月13日）09:00" in reply.text
    assert ticket.detail["call"]["made"]
    assert repair.appointment_start_at == at("09:00", 13)
    assert any("明早9点带新师傅" in row.text for row in desk.pushes("王芳"))


def test_what_was_agreed_on_the_telephone_is_screened(desk: Desk) -> None:
    ticket = complaint(desk, level="C1")
    with pytest.raises(DeskError):
        type_(desk, "马经理", f"已电话 {ticket.ticket_no} 他自己弄坏的，不归我们管")
    assert "made" not in ticket.detail["call"]


def test_several_ask_for_help_and_say_how_it_goes(desk: Desk) -> None:
    ticket = complaint(desk, "T10")
    assert "刘队负责" in type_(desk, "马经理", f"协办 {ticket.ticket_no} 李工").text
    assert "已经在协办" in type_(desk, "马经理", f"协办 {ticket.ticket_no} @李工").text
    assert "主办会看到" in type_(desk, "李工", f"进展 {ticket.ticket_no} 看过图纸").text
    assert "发给居民" in type_(desk, "刘队", f"进展 {ticket.ticket_no} 15:00面谈").text
    assert f"协办：\n{ticket.tail}" in type_(desk, "李工", "我的单").text
    assert "协办：李工" in type_(desk, "李工", f"状态 {ticket.ticket_no}").text


def test_cause_and_prevention_in_one_sentence_or_two(desk: Desk) -> None:
    ticket = complaint(desk, "T06")
    assert "还差预防措施" in type_(desk, "何姐", f"原因 {ticket.ticket_no} 排班漏了人").text
    assert "可以归档" in type_(desk, "何姐", f"预防 {ticket.ticket_no} 交接时核对").text
    other = complaint(desk, "T06")
    type_(desk, "何姐", f"原因 {other.ticket_no}：排班漏了人，预防：交接时核对")
    for one in (ticket, other):
        assert (one.detail["cause"], one.detail["prevention"]) == ("排班漏了人", "交接时核对")


@pytest.mark.parametrize(
    ("words", "status", "result"),
    [("满意 谢谢", "callback", "满意"), ("不满意 还是脏", "rework", "不满意"), ("未接", "done", "未接")],
)
def test_what_calling_back_found_out(desk: Desk, words: str, status: str, result: str) -> None:
    ticket = complaint(desk, "T06")
    verbs.answer_matter(desk.session, ticket, desk.handler(ticket), "已打扫", at("09:30"))
    assert result in type_(desk, "周主管", f"回访 {ticket.ticket_no} {words}").text
    assert ticket.status == status


def test_praise_is_passed_on_and_a_complaint_handed_on(desk: Desk) -> None:
    praise = desk.report("B01", kind="BY")
    assert "何姐" in type_(desk, "客服小周", f"表扬 {praise.ticket_no} 何姐").text
    assert praise.status == "closed"
    ticket = complaint(desk, "T10")
    reply = type_(desk, "马经理", f"派单 {ticket.ticket_no} 周主管 邻里的事")
    assert "对方接下前仍由刘队负责" in reply.text
    type_(desk, "周主管", f"接单 {ticket.ticket_no}")
    assert ticket.handler == desk.staff("周主管")


def test_speaking_to_whoever_told_it(desk: Desk) -> None:
    ticket = complaint(desk, "T06")
    reply = type_(desk, "何姐", f"联系 {ticket.ticket_no}")
    assert "王女士" in reply.text and "13800005678" not in reply.text
    assert "王女士" in type_(desk, "何姐", "结束").text


# --- which one ---------------------------------------------------------------------------------------------------------


def test_the_number_alone_says_which_job_was_meant(desk: Desk) -> None:
    first, second = desk.accepted("W03"), desk.accepted("W04")
    assert first.handler is second.handler
    reply = type_(desk, "王师傅", "到咯")
    assert {code for code, _ in reply.buttons} == {f"say:{first.ticket_no}", f"say:{second.ticket_no}"}
    context = Context(desk.session, desk.chat("王芳"), desk.actor("王师傅"), desk.staff("王师傅"), TEN, "test:2")
    command = commands.chosen(context, second.tail)
    assert command is not None and command.name == "arrive"
    commands.run(context, command)
    assert (first.arrived_at, second.arrived_at) == (None, TEN)
    assert commands.chosen(context, first.tail) is None, "asked once, answered once"


def test_a_job_by_its_place_in_the_list(desk: Desk) -> None:
    first, second = desk.accepted("W03"), desk.accepted("W04")
    shown = type_(desk, "王师傅", "我的单").text
    second, first = (first, second) if shown.index(first.tail) > shown.index(second.tail) else (second, first)
    type_(desk, "王师傅", "第二个到了")
    assert (first.arrived_at, second.arrived_at) == (None, TEN)
    with pytest.raises(NotFound):
        type_(desk, "王师傅", "第三个到了")
    with pytest.raises(NotFound):
        type_(desk, "李工", "派第一个给王师傅")


def test_the_place_in_the_choice_says_which_job_was_meant(desk: Desk) -> None:
    desk.accepted("W03"), desk.accepted("W04")
    shown = [code.removeprefix("say:") for code, _ in type_(desk, "王师傅", "到咯").buttons]
    context = Context(desk.session, desk.chat("王芳"), desk.actor("王师傅"), desk.staff("王师傅"), TEN, "test:2")
    command = commands.chosen(context, "第二个")
    assert command is not None and command.values["no"] == shown[1]


@pytest.mark.parametrize(
    ("words", "name", "which"),
    [
        ("1502马桶那个我到了", "arrive", 1),
        ("天花板那个我到了", "arrive", 0),
        # None or both of them: he is asked which.
        ("电梯那个我到了", "arrive", -1),
        ("1502那个我到了", "arrive", -1),
        ("天花板漏水 我到了就修", "", -1),
    ],
)
def test_a_job_by_its_thing_or_room(desk: Desk, words: str, name: str, which: int) -> None:
    jobs = [desk.accepted("W03", symptom="天花板漏水"), desk.accepted("W04", symptom="马桶堵了")]
    context = Context(desk.session, desk.chat("王芳"), desk.actor("王师傅"), desk.staff("王师傅"), TEN, "test:2")
    command = commands.of_named_job(context, words)
    assert (command.name if command else "") == name
    assert command is None or command.ticket_id == (jobs[which].id if which >= 0 else None)


def test_a_job_by_its_room_that_is_only_offered(desk: Desk) -> None:
    ticket = desk.report("W04", symptom="马桶堵了")
    assert ticket.handler is not None
    name = ticket.handler.name
    context = Context(desk.session, desk.chat("王芳"), desk.actor(name), desk.staff(name), TEN, "test:2")
    for words in ("1502那个我接了", "3栋1502那个马桶我去", "马桶堵的我来"):
        command = commands.of_named_job(context, words)
        assert command is not None and (command.name, command.ticket_id) == ("accept", ticket.id)


def test_a_bare_yes_takes_the_one_card_that_waits(desk: Desk) -> None:
    ticket = desk.report("W04", symptom="马桶堵了")
    assert ticket.handler is not None
    context = Context(desk.session, desk.chat("王芳"), desk.actor(ticket.handler.name), ticket.handler, TEN, "test:2")
    assert commands.misunderstood(context, "好的") is not None
    assert ticket.accepted_at == TEN


def test_a_bare_yes_to_two_cards_takes_neither(desk: Desk) -> None:
    first, second = desk.report("W04", symptom="马桶堵了"), desk.report("W04", symptom="水槽堵了")
    assert first.handler is not None and first.handler is second.handler
    context = Context(desk.session, desk.chat("王芳"), desk.actor(first.handler.name), first.handler, TEN, "test:2")
    hint = commands.misunderstood(context, "好的")
    assert hint is not None and "接单" in hint.text
    assert (first.accepted_at, second.accepted_at) == (None, None)


def test_another_command_leaves_the_choice_behind(desk: Desk) -> None:
    ticket, _ = desk.accepted("W03"), desk.accepted("W04")
    type_(desk, "王师傅", "到咯")
    type_(desk, "王师傅", "我的单")
    context = Context(desk.session, desk.chat("王芳"), desk.actor("王师傅"), desk.staff("王师傅"), TEN, "test:2")
    assert commands.chosen(context, ticket.tail) is None


def test_the_one_that_has_nobody_is_given_without_its_number(desk: Desk) -> None:
    ticket = desk.report("W04")
    ticket.handler, ticket.status = None, "new"
    desk.session.flush()
    type_(desk, "李工", "刚才那张派给王师傅")
    assert ticket.handler is desk.staff("王师傅")


def test_a_workers_own_leave_is_asked_of_the_leaders(desk: Desk) -> None:
    reply = type_(desk, "王师傅", "我明天请假 孩子家长会")
    assert "李工" in reply.text and "批准" in reply.text
    told = desk.session.scalars(select(OutboxMessage).where(OutboxMessage.text.contains("王师傅要请假"))).all()
    assert len(told) == 1 and "孩子家长会" in told[0].text
    assert not desk.session.scalars(select(Leave)).all(), "nobody has granted it"


def test_what_comes_due_within_two_hours(desk: Desk) -> None:
    soon, late, far = desk.accepted("W03"), desk.accepted("W04"), desk.accepted("E04")
    for ticket, hours in ((soon, 1), (late, -1), (far, 9)):
        ticket.arrived_at, ticket.finish_by = TEN, TEN + timedelta(hours=hours)
    desk.session.flush()
    shown = type_(desk, "马经理", "哪些快超时了").text
    assert soon.tail in shown and late.tail not in shown and far.tail not in shown


def test_complaints_that_are_not_settled(desk: Desk) -> None:
    noise, lamp = desk.report("T09", kind="TS", symptom="楼上半夜拖椅子"), desk.report("E04", symptom="灯不亮")
    shown = type_(desk, "马经理", "投诉还有几个没回").text
    assert noise.tail in shown and lamp.tail not in shown


def test_two_spans_side_by_side(desk: Desk) -> None:
    desk.report("W04")
    first, second = type_(desk, "马经理", "报修昨天和今天比").text.splitlines()
    assert ("昨天" in first or "6月11日" in first) and "0次" in first and "1次" in second


# --- the same question again ------------------------------------------------------------------------------------------


def asked(desk: Desk, *questions: str) -> Reply:
    """What a leader reads who asks these one after the other."""
    staff = desk.staff("李工")
    chat = desk.chat("李工")
    for number, text in enumerate(questions):
        row = InboxMessage(
            channel="web",
            message_id=f"{len(questions)}:{number}:{text}",
            conversation_id=chat.id,
            text=text,
            received_at=TEN,
        )
        desk.session.add(row)
        desk.session.flush()
    command = commands.parse(questions[-1], staff.role)
    assert command is not None, questions[-1]
    key = f"web:{len(questions)}:{len(questions) - 1}:{questions[-1]}"
    return commands.run(Context(desk.session, chat, desk.actor("李工"), staff, TEN, key), command)


@pytest.mark.parametrize(
    ("questions", "same"),
    [
        (("3栋这个月报了多少次漏水", "上个月呢"), "3栋上个月报了多少次漏水"),
        (("3栋这个月报了多少次漏水", "上个月呢", "那1栋呢"), "1栋上个月报了多少次漏水"),
        (("上周满意度", "这周呢？"), "这周满意度"),
        (("王师傅手上几单", "陈师傅呢"), "陈师傅手上几单"),
        (("昨天呢",), "昨天多少单"),
        (("今天怎么样", "昨天呢"), "昨天多少单"),
    ],
)
def test_a_question_again_about_something_else(desk: Desk, questions: tuple[str, ...], same: str) -> None:
    desk.report("W03")
    assert asked(desk, *questions).text == asked(desk, same).text != ""


def test_a_free_question_again_goes_to_the_dialogue(desk: Desk) -> None:
    assert asked(desk, "有没有哪家被催了好几回的", "上周呢").forward == "上周有没有哪家被催了好几回的"


# --- the job once more, and what is told of it without a step ---------------------------------------------------------


@pytest.mark.parametrize("words", ["业主电话多少", "地址发我", "几号楼来着", "这单什么问题", "业主有没有说几点"])
def test_a_worker_reads_his_job_again_with_the_number_only_when_it_is_his(desk: Desk, words: str) -> None:
    ticket = desk.report(contact_phone="13800005678")
    worker = ticket.handler.name  # type: ignore[union-attr]
    offered = type_(desk, worker, words).text
    assert ticket.place_text in offered and ticket.symptom in offered
    assert "13800005678" not in offered
    verbs.accept(desk.session, ticket, desk.actor(worker), TEN)
    assert "13800005678" in type_(desk, worker, words).text


def test_nobody_reads_the_job_of_another_by_its_number(desk: Desk) -> None:
    ticket = desk.accepted()
    other = "赵师傅" if ticket.handler.name != "赵师傅" else "王师傅"  # type: ignore[union-attr]
    with pytest.raises(DeskError):
        type_(desk, other, f"{ticket.tail}业主电话多少")


def test_a_remark_is_kept_and_read_by_the_leaders(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    reply = type_(desk, ticket.handler.name, f"备注 {ticket.tail} 业主不同意砸墙")  # type: ignore[union-attr]
    assert ticket.ticket_no in reply.text and ticket.status == "in_progress"
    assert desk.history(ticket, "comment")[-1].note == "业主不同意砸墙"
    told = [row.text for row in desk.fresh() if "业主不同意砸墙" in row.text]
    assert told and not [row for row in desk.fresh() if row.resident_id]


def test_what_is_no_command_can_be_kept_by_one_tap(desk: Desk) -> None:
    """The button holds no long words: they are those typed before it."""
    ticket = desk.accepted()
    worker = ticket.handler.name  # type: ignore[union-attr]
    words = "墙里头的管子也锈穿了 业主说什么都不同意砸墙"
    asked = working.asked_back(desk.session, desk.staff(worker), words, TEN)
    assert asked is not None
    button = next(key for key, label in asked[1] if label == say("button.act_remark"))
    for number, text in enumerate((words, button.removeprefix("say:"))):
        chat = desk.chat("王芳")  # where `type_` types
        row = InboxMessage(
            channel=chat.channel, message_id=f"r{number}", conversation_id=chat.id, text=text, received_at=TEN
        )
        desk.session.add(row)
    desk.session.flush()
    type_(desk, worker, button.removeprefix("say:"))
    assert desk.history(ticket, "comment")[-1].note == words


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("弄不了 要叫厂家", "待第三方"),
        ("得等燃气公司的人", "待第三方"),
        ("缺主板 厂家周五发货", "待配件"),
        ("挂起 下雨干不了 等明天", "待天气"),
        ("暂缓 业主要考虑一下", "待业主"),
        ("等配件 周五到", "待配件"),
        ("没梯子", "待配件"),
    ],
)
def test_why_a_job_waits_is_told_by_the_words(desk: Desk, words: str, reason: str) -> None:
    ticket = desk.accepted()
    type_(desk, ticket.handler.name, words)  # type: ignore[union-attr]
    assert (ticket.status, ticket.hold_reason) == ("on_hold", reason)


@pytest.mark.parametrize("words", ["水关了 明天再来", "料不够 明天接着干", "胶没干 明天再装", "明天接着干"])
def test_who_comes_again_tomorrow_proposes_it(words: str) -> None:
    command = commands.parse(words, "worker")
    assert command is not None and command.name == "appointment"


def test_a_quote_goes_on_with_a_job_that_waited_for_somebody_at_home(desk: Desk) -> None:
    ticket = desk.accepted()
    worker = ticket.handler.name  # type: ignore[union-attr]
    type_(desk, worker, "到了 敲门没人应 电话也不接")
    assert ticket.status == "on_hold"
    type_(desk, worker, "门开了 管子得换一截 材料80 手工60 跟业主说下")
    assert ticket.status == "in_progress"
    assert ticket.detail["quote"]["fen"] == 14000


@pytest.mark.parametrize(
    ("words", "yuan"),
    [
        ("收费80 换角阀", 80),
        ("锁芯280 手工50", 330),
        ("换个电容要30块", 30),
        ("材料80 手工60 一共140", 140),
        ("收140 材料80 手工60", 140),
        ("收费80.5元 换角阀", 80.5),
    ],
)
def test_what_a_quote_comes_to(words: str, yuan: float) -> None:
    assert commands._sum_in(words) == yuan * 100


@pytest.mark.parametrize("words", ["国产80 进口150 还是换总成", "阀芯80 或者总成200"])
def test_prices_to_choose_from_are_not_added(words: str) -> None:
    assert commands._sum_in(words) not in (230 * 100, 280 * 100)

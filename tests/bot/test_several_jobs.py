"""One message about several tickets, a colleague urged by name, and which of several jobs a bare word fits."""

from __future__ import annotations

import pytest
from deskhelp import Desk, at
from staffhelp import TEN, hall, kitchen, listening, told

from bot import commands
from storage.models import Ticket
from tickets import verbs

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def two(desk: Desk) -> tuple[Ticket, Ticket]:
    return desk.report("W03", symptom="水槽滴水"), desk.report(
        "W02", symptom="马桶漏水", by="李强", place_key="P1/4/1/302"
    )


# --- a list of tickets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "{a}和{b}取消",
        "{a} {b}取消",
        "取消{a}、{b}",
        "{a}、{b}都取消了吧",
        "{a}跟{b}这两个都不用去了",
        "{a}，{b}两张单都撤掉",
        "取消 {a} {b} 重复报的",
    ],
)
def test_each_of_a_list_is_cancelled(desk: Desk, words: str) -> None:
    a, b = two(desk)
    text = told(desk, "李工", words.format(a=a.tail, b=b.tail)).text
    assert (a.status, b.status) == ("cancelled", "cancelled")
    assert a.ticket_no in text and b.ticket_no in text


@pytest.mark.parametrize(
    "words",
    [
        "{a} {b} 都派给钱师傅",
        "把{a}、{b}转给钱师傅",
        "派单 {a} {b} 钱师傅",
        "{a}和{b}让钱师傅去",
        "{a}，{b} 一起派给钱师傅 他在附近",
    ],
)
def test_each_of_a_list_is_dispatched(desk: Desk, words: str) -> None:
    a, b = two(desk)
    helper = desk.worker("钱师傅", ["plumber"])
    told(desk, "李工", words.format(a=a.tail, b=b.tail))
    assert a.handler == b.handler == helper


def test_what_is_refused_is_told_by_its_number_and_the_rest_is_done(desk: Desk) -> None:
    a = desk.report("W03")
    text = told(desk, "李工", f"{a.tail}和0999取消").text
    assert a.status == "cancelled"
    assert "0999 没办成" in text


def test_a_worker_hands_on_two_jobs(desk: Desk) -> None:
    a, b = kitchen(desk, accepted=True), hall(desk)
    desk.worker("钱师傅", ["plumber"])
    assert a.handler is not None
    text = told(desk, a.handler.name, f"把{a.tail}、{b.tail}转给钱师傅").text
    assert a.ticket_no in text and b.ticket_no in text
    assert ("钱师傅", "offered") in desk.assignments(a) and ("钱师傅", "offered") in desk.assignments(b)


def test_each_clause_may_say_something_else(desk: Desk) -> None:
    a, b = kitchen(desk, accepted=True), hall(desk)
    assert a.handler is not None
    told(desk, a.handler.name, f"{a.tail}没人在家，{b.tail}到了")
    assert a.status == "on_hold" and b.arrived_at is not None


@pytest.mark.parametrize(
    "words",
    [
        "0070和0122是同一个 并了",
        "并单 0012 0009",
        "0070修好了没 0122呢",
        "0070和0122是不是一回事",
        "0070换了1203的阀芯",
        "BX20250612-0007到了",
        "6-2-1203漏水",
        "0070到了 1203没人",
        "今天0070到现在怎么还没好",
    ],
)
@pytest.mark.parametrize("name", ["李工", "王师傅"])
def test_these_are_no_list(desk: Desk, words: str, name: str) -> None:
    context = listening(desk, name)
    assert commands.several(context, words) is None


# --- a colleague by name ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "催一下王师傅",
        "催下老王",
        "帮我催一催王师傅",
        "王师傅那边催一下",
        "让王师傅快点",
        "催一下王师傅的单",
        "催王师傅",
        "催一下小王",
    ],
)
def test_a_colleague_is_asked_about_what_is_due_next(desk: Desk, words: str) -> None:
    late, later = kitchen(desk, accepted=True), hall(desk)
    assert late.handler == desk.staff("王师傅")
    desk.seen()
    text = told(desk, "李工", words).text
    first = min((late, later), key=lambda one: (one.arrive_by or one.finish_by or TEN, one.id))
    assert "没有超时的单" in text and first.tail in text
    assert desk.told() == {"王师傅": ["nudged"]}


def test_of_what_is_late_all_is_asked_about(desk: Desk) -> None:
    a, b = kitchen(desk, accepted=True), hall(desk)
    desk.seen()
    text = told(desk, "李工", "催一下王师傅", at("09:00", 20)).text
    assert a.tail in text and b.tail in text
    assert desk.told() == {"王师傅": ["nudged", "nudged"]}


def test_who_has_nothing_is_not_asked(desk: Desk) -> None:
    desk.worker("钱多多", ["plumber"])
    desk.seen()
    assert "没有催" in told(desk, "李工", "催一下钱多多").text
    assert desk.told() == {}


@pytest.mark.parametrize("words", ["催一下", "催一下他", "催一下物业费", "催一下师傅", "催缴物业费", "催一下进度"])
def test_nobody_is_urged_without_a_name(desk: Desk, words: str) -> None:
    context = listening(desk, "李工")
    command = commands.understood(context, words)
    assert command is None or command.name != "nudge_worker"


# --- which of several a bare word fits ----------------------------------------------------------------------------------


def running(desk: Desk) -> tuple[Ticket, Ticket]:
    """Two jobs taken long ago, at the first of which the worker is."""
    there, other = kitchen(desk, accepted=True), hall(desk)
    verbs.arrive(desk.session, there, desk.handler(there), at("09:10"))
    return there, other


@pytest.mark.parametrize("words", ["好了", "修完了", "弄好了", "搞定"])
def test_done_is_said_of_the_job_one_is_at(desk: Desk, words: str) -> None:
    there, _other = running(desk)
    assert there.ticket_no in told(desk, "王师傅", words).text


@pytest.mark.parametrize("words", ["到了", "到门口了", "已到现场"])
def test_there_is_said_of_the_job_not_reached_yet(desk: Desk, words: str) -> None:
    _there, other = running(desk)
    told(desk, "王师傅", words)
    assert other.arrived_at == TEN


@pytest.mark.parametrize("words", ["到了", "好了"])
def test_of_two_that_fit_it_is_asked_which(desk: Desk, words: str) -> None:
    a, b = kitchen(desk, accepted=True), hall(desk)
    if words == "好了":
        for one in (a, b):
            one.arrived_at = at("09:10")
    text = told(desk, "王师傅", words).text
    assert a.tail in text and b.tail in text


# --- a job that is not his ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["5栋的活我不去了", "5栋那个我来不了", "5栋1单元的单我接不了", "5栋那家我今天去不了"])
def test_who_refuses_a_job_that_is_not_his_reads_which_are(desk: Desk, words: str) -> None:
    ticket = kitchen(desk)
    reply = told(desk, "王师傅", words)
    assert "没有那里的单" in reply.text and ticket.tail in reply.text
    assert ticket.status == "assigned"


@pytest.mark.parametrize(
    "words", ["3栋的活我不去了", "3栋那个我来不了", "3栋1502那个我接不了", "这单我不去了 家里有事"]
)
def test_his_own_is_given_back_with_a_reason(desk: Desk, words: str) -> None:
    ticket = kitchen(desk)
    reply = told(desk, "王师傅", words)
    assert "没有那里" not in reply.text
    assert reply.buttons or ticket.handler != desk.staff("王师傅")


def test_no_reason_is_asked_for_what_is_taken_already(desk: Desk) -> None:
    kitchen(desk, accepted=True)
    with pytest.raises(commands.WrongStatus):
        told(desk, "王师傅", "3栋的活我不去了")


def test_put_off_because_nobody_is_at_home(desk: Desk) -> None:
    ticket = kitchen(desk, accepted=True)
    told(desk, "王师傅", f"挂起 {ticket.tail} 业主不在")
    assert (ticket.detail or {})["hold"]["nobody_home"]


# --- free words of workers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("接了马上走", "accept"),
        ("收到 半小时到", "set_out"),
        ("他家没人我先走了", "not_home"),
        ("敲门没反应", "not_home"),
        ("人不在 电话说晚上八点回来", "not_home"),
        ("业主电话没人接", "not_home"),
        ("业主说下午再来", "appointment"),
        ("业主让明天来", "appointment"),
        ("0001没修好 明天再来", "appointment"),
        ("0001要改明天上午", "appointment"),
        ("下班了 明天弄", "appointment"),
        ("得两个人 我一个人抬不动", "help_wanted"),
        ("活干完了", "finish"),
        ("好了收工", "finish"),
        ("完事了", "finish"),
        ("0001完活", "finish"),
        ("没啥问题 就是总闸跳了 推上去了", "finish"),
        ("上午那个弄完了 现在去下一家", "finish"),
        ("接错了 退掉", "decline"),
        ("这单太远了不想去", "decline"),
        ("临时有急事 这单派给别人吧", "decline"),
        ("把0001转给孙师傅", "transfer"),
        ("下一单是哪个", "my_jobs"),
        ("今天还有几单", "my_jobs"),
    ],
)
def test_free_words_of_a_worker(desk: Desk, words: str, name: str) -> None:
    kitchen(desk, accepted=True)
    command = commands.understood(listening(desk, "王师傅"), words)
    assert command is not None and command.name == name


@pytest.mark.parametrize(
    "words",
    [
        "业主不同意收费",
        "业主自己买的龙头 装上了",
        "业主电话换了",
        "业主不让进门",
        "没反应 主板烧了",
        "没问题吗 明天还要去",
        "修是修好了 就是墙要补",
        "换个阀芯吧",
        "别人来过了",
        "这家太吵了",
        "没修好",
        "一个人在家",
    ],
)
def test_words_that_are_no_command(desk: Desk, words: str) -> None:
    kitchen(desk, accepted=True)
    assert commands.understood(listening(desk, "王师傅"), words) is None


def test_nobody_at_home_until_a_time_goes_on_then(desk: Desk) -> None:
    ticket = kitchen(desk, accepted=True)
    told(desk, "王师傅", "人不在 电话说晚上八点回来")
    assert (ticket.status, ticket.wake_at) == ("on_hold", at("20:00"))
    desk.sweep(at("20:00"))
    assert ticket.status == "in_progress"

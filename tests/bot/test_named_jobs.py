"""Which job a colleague's free words are about, and what they do to it: at no other place than the one typed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import Desk, at
from sqlalchemy import delete
from staffhelp import TEN, hall, kitchen, listening, told

from bot import commands
from bot.commands import Context
from storage.models import Assignment, InboxMessage
from tickets import finding, working

# --- the place and the thing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("4栋602那个我接了", {"building": "4", "room": "602"}),
        ("三栋一单元8楼那个灯", {"building": "3", "unit": "1", "floor": "8"}),
        ("6-2-1203的", {"building": "6", "unit": "2", "room": "1203"}),
        ("11号楼电梯", {"building": "11"}),
        ("换了阀芯收150", {}),
        ("收了120块", {}),
        ("BX20250612-0007到了", {}),
        ("0193到了", {}),
        ("楼上漏水", {}),
    ],
)
def test_the_parts_of_a_place_in_words(words: str, parts: dict[str, str]) -> None:
    assert finding.place_named(words) == parts


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ("3栋1502那个我接了", True),
        ("3栋2单元1502那个我接了", True),
        ("3-2-1502水槽那个我去", True),
        ("3栋15楼水槽那个我去", True),
        ("1502我接了 马上过去", True),
        ("6栋2单元1203那个我接了", False),
        ("3栋1503那个我接了", False),
        ("3栋1单元1502那个我接了", False),
        ("3栋1502马桶那个我接了", False),
        ("4栋水槽滴水那个我接了", False),
    ],
)
def test_a_card_is_taken_at_the_place_and_for_the_thing_that_was_typed(desk: Desk, words: str, fits: bool) -> None:
    ticket = kitchen(desk)
    assert ticket.handler is not None
    reply = told(desk, ticket.handler.name, words)
    assert (ticket.accepted_at is not None) == fits
    if not fits:
        assert reply.buttons and reply.buttons[0][0] == f"say:{ticket.ticket_no}"


def test_one_that_nobody_has_is_offered_and_not_taken(desk: Desk) -> None:
    mine = kitchen(desk)
    free = desk.report("W03", by="李强", place_key="P1/3/2/1402", symptom="水管滴水")
    worker = mine.handler
    assert worker is not None
    free.handler, free.status = None, "new"
    desk.session.execute(delete(Assignment).where(Assignment.ticket_id == free.id))
    desk.session.flush()
    reply = told(desk, worker.name, "1402那个我接了")
    assert [code for code, _ in reply.buttons] == [f"say:{free.ticket_no}"]
    assert (mine.accepted_at, free.accepted_at) == (None, None)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("3栋1单元8楼那个水管换好了", "finish"),
        ("3栋1单元8楼那个到了 接头裂了 得换 配件三天到", "arrive"),
        ("8楼水管的 帮我转给孙师傅", "transfer"),
        ("3栋8楼换了接头收80", "finish"),
        ("8楼楼道水管那个明天上午十点去换", "appointment"),
    ],
)
def test_what_is_done_at_a_place(desk: Desk, words: str, name: str) -> None:
    kitchen(desk, accepted=True)
    there = hall(desk)
    context = listening(desk, "王师傅")
    command = commands.understood(context, words)
    assert command is not None and (command.name, command.ticket_id) == (name, there.id)


@pytest.mark.parametrize(
    "words",
    ["3栋2单元电梯坏了", "4栋602灯不亮 我明天再看", "8楼漏水了", "3栋1502马桶堵了", "6栋着火了", "水槽又滴水了"],
)
def test_a_report_is_no_act(desk: Desk, words: str) -> None:
    kitchen(desk, accepted=True), hall(desk)
    assert commands.understood(listening(desk, "王师傅"), words) is None


def test_a_word_about_his_own_job_is_asked_about_and_no_report(desk: Desk) -> None:
    ticket = kitchen(desk, accepted=True)
    worker = desk.staff("王师傅")
    asked = working.asked_back(desk.session, worker, "3栋1502水槽角阀坏了 回去拿货", TEN)
    assert asked is not None and ticket.ticket_no in asked[0]
    for report in ("3栋1502卧室灯不亮", "4栋602水槽滴水", "5栋地库积水"):
        assert working.asked_back(desk.session, worker, report, TEN) is None, report


def test_a_danger_in_a_named_home_is_no_word_about_the_job(desk: Desk) -> None:
    kitchen(desk, accepted=True)
    context = listening(desk, "王师傅")
    assert commands.tells_of_known_job(context, "1502那个我到了")
    assert not commands.tells_of_known_job(context, "1502着火了我去")
    assert not commands.tells_of_known_job(context, "6栋那个电梯困人了我去")


# --- numbered words about the work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("0193换了阀芯收80", "finish"),
        ("0041通了 没收费", "finish"),
        ("0189锯掉了 拉走了", "finish"),
        ("0101扫好了", "finish"),
        ("0193缺个阀芯明天有货", "hold"),
        ("0026的漏保明天才有货", "hold"),
        ("灯板坏了 仓库没货 后天到", "hold"),
        ("0193要换阀芯收80", "quote"),
        ("角阀坏了换一个收80 行不行", "quote"),
        ("0102那个到了", "arrive"),
        ("0038帮我转给孙师傅", "transfer"),
        ("0038转给赵师傅", "transfer"),
        ("0038我今天请假 换个人", "decline"),
        ("0025返工我晚上八点过去", "appointment"),
        # Neither done nor waiting.
        ("0193换了阀芯还漏", ""),
        ("0193换了吗", ""),
        ("接了个电话", ""),
        ("换了班 明天休息", ""),
        ("师傅明天到", ""),
        ("我明天到货场", ""),
    ],
)
def test_words_about_the_work(words: str, name: str) -> None:
    command = commands.parse(words, "worker")
    assert (command.name if command else "") == name
    if command and words[0] == "0":
        assert command.values["no"] == words[:4]


@pytest.mark.parametrize("words", ["{}收到", "{}好的", "收到 {}", "{}行"])
def test_a_number_and_yes_takes_that_card(desk: Desk, words: str) -> None:
    other, ticket = kitchen(desk), desk.report("W04", symptom="马桶堵了")
    assert ticket.handler is not None and ticket.handler is other.handler
    told(desk, ticket.handler.name, words.format(ticket.tail))
    assert (other.accepted_at, ticket.accepted_at) == (None, TEN)


def test_a_part_that_is_missing_on_arriving_makes_the_job_wait(desk: Desk) -> None:
    ticket = kitchen(desk, accepted=True)
    reply = told(desk, "王师傅", f"{ticket.tail}到了 接头裂了得换 配件明天到")
    assert (ticket.arrived_at, ticket.status) == (TEN, "on_hold")
    assert "暂缓" in reply.text


def test_a_sum_without_its_unit_is_put_to_the_resident(desk: Desk) -> None:
    ticket = kitchen(desk, accepted=True)
    told(desk, "王师傅", "角阀坏了换一个收80 行不行")
    assert ticket.detail["quote"]["fen"] == 8000


def test_a_job_that_waits_goes_on_by_arriving_and_by_being_done(desk: Desk) -> None:
    ticket = kitchen(desk, accepted=True)
    told(desk, "王师傅", "没人在家")
    told(desk, "王师傅", "到了")
    assert (ticket.status, ticket.arrived_at) == ("in_progress", TEN)
    told(desk, "王师傅", f"等配件 {ticket.tail} 明天到")
    assert told(desk, "王师傅", f"{ticket.tail}弄好了").buttons, "the self-check"


def test_the_job_just_spoken_of_is_meant(desk: Desk) -> None:
    first, second = kitchen(desk, accepted=True), hall(desk)
    told(desk, "王师傅", f"{second.tail}到了")
    told(desk, "王师傅", "缺个接头 明天有货", TEN + timedelta(minutes=5))
    assert (first.status, second.status) == ("in_progress", "on_hold")


def test_whoever_took_a_card_may_arrive_at_another(desk: Desk) -> None:
    first, second = kitchen(desk, accepted=True), desk.report("W04", symptom="马桶堵了")
    told(desk, "王师傅", f"接单 {second.tail}")
    assert len(told(desk, "王师傅", "到了").buttons) == 2
    assert (first.arrived_at, second.arrived_at) == (None, None)
    assert second.ticket_no in told(desk, "王师傅", "明天九点到").text


def test_away_is_a_reason(desk: Desk) -> None:
    ticket = kitchen(desk)
    assert ticket.handler is not None
    name = ticket.handler.name
    assert "不在班" in told(desk, name, f"{ticket.tail}我今天请假 换个人").text
    assert ticket.handler is None or ticket.handler.name != name


def test_the_reason_comes_in_the_next_message(desk: Desk) -> None:
    ticket = kitchen(desk)
    assert ticket.handler is not None
    worker = ticket.handler
    assert "原因" in told(desk, worker.name, f"拒单 {ticket.tail}").text
    told(desk, worker.name, "手上有急单 走不开")
    assert ticket.handler is not worker


# --- leaders --------------------------------------------------------------------------------------------------------------


def looked(desk: Desk, *said: str) -> Context:
    """A leader who writes these one after the other; the last one is to be read."""
    chat = desk.chat("马经理")
    for number, text in enumerate(said):
        row = InboxMessage(
            channel="web",
            message_id=f"{number}:{said}",
            conversation_id=chat.id,
            text=text,
            received_at=TEN,
        )
        desk.session.add(row)
        desk.session.flush()
    key = f"web:{len(said) - 1}:{said}"
    return Context(desk.session, chat, desk.actor("马经理"), desk.staff("马经理"), TEN, key)


@pytest.mark.parametrize(
    ("words", "name"),
    [("催一下", "nudge"), ("催一下他", "nudge"), ("取消掉", "cancel"), ("派给王师傅", "assign")],
)
def test_after_a_look_that_ticket_is_meant(desk: Desk, words: str, name: str) -> None:
    ticket, _ = kitchen(desk, accepted=True), hall(desk)
    for before in (f"{ticket.tail}怎么还没好", "1502水槽那个怎么样了"):
        context = looked(desk, before, words)
        command = commands.understood(context, words)
        assert command is not None and command.name == name
        assert commands.looked_at(context) is ticket


@pytest.mark.parametrize("words", ["催一下", "取消掉"])
def test_without_a_look_nothing_is_meant(desk: Desk, words: str) -> None:
    kitchen(desk, accepted=True), hall(desk)
    for before in ("今天多少单", "水槽坏了几个"):
        assert commands.understood(looked(desk, before, words), words) is None


def test_a_leader_gives_the_reason_in_the_next_message(desk: Desk) -> None:
    ticket = kitchen(desk)
    name = "孙师傅" if ticket.handler is not desk.staff("孙师傅") else "王师傅"
    night = at("03:00", 13)
    context = listening(desk, "马经理", night)
    command = commands.understood(context, f"{ticket.tail}派给{name}")
    assert command is not None
    asked = commands.run(context, command)
    if "原因" in asked.text:
        told(desk, "马经理", "他离得近 人在小区", night)
    assert ticket.handler is desk.staff(name)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("0026怎么还没好", "status"),
        ("0041怎么没人接", "status"),
        ("0025什么情况 怎么又返工", "status"),
        ("0041到哪一步了", "status"),
        ("0193收了多少钱", "status"),
        ("0191让陈师傅去看", "assign"),
        ("0127是我随口问的 不是真的 取消掉", "false_alarm"),
        ("TS0161我打过电话了 楼上答应晚上不拖了", "called"),
        ("收到 我晚点打电话给他", "ack"),
        ("这个我去说", "accept"),
        ("0063让他问问怎么回事", ""),
        ("0127不是真的吗", ""),
    ],
)
def test_what_leaders_ask_and_do(words: str, name: str) -> None:
    command = commands.parse(words, "manager")
    assert (command.name if command else "") == name


def test_a_question_about_a_known_danger_is_no_new_one(desk: Desk) -> None:
    ticket = desk.report("L01", place_key="PUB:P1/3/2/-/电梯", public_area=True, symptom="电梯困人", level="U0")
    for words in ("电梯困人那个现在啥情况", "电梯困人那单到哪一步了"):
        assert commands.asks_of_known(words)
        hint = commands.misunderstood(listening(desk, "马经理"), words)
        assert hint is not None and ticket.ticket_no in hint.text
    for danger in ("那边着火了", "3栋电梯困人怎么办", "那个电梯困人了快来", "那户煤气味好大 啥情况啊快来人"):
        assert not commands.asks_of_known(danger), danger


def test_a_leader_names_a_job_by_its_thing(desk: Desk) -> None:
    ticket, _ = kitchen(desk, accepted=True), desk.accepted("E04", symptom="客厅灯不亮")
    command = commands.understood(listening(desk, "马经理"), "水槽那个派给陈师傅")
    assert command is not None and (command.name, command.ticket_id) == ("assign", ticket.id)


def test_a_complaint_that_will_be_seen_to_takes_note_of_no_alarm(desk: Desk) -> None:
    alarm = desk.report("L01", place_key="PUB:P1/3/2/-/电梯", public_area=True, symptom="电梯困人", level="U0")
    complaint = desk.report("T10", kind="TS")
    assert complaint.ticket_no in told(desk, "刘队", "收到 我晚点打电话给他").text
    assert not desk.history(alarm, "ack") and desk.history(complaint, "ack")

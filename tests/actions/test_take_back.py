"""One of several faults is taken back while they are told, or after; the others stay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.changes import Cancel, Correct, Deny, Inform, Reschedule
from actions.progress import Urge
from actions.rating import NotFixed
from actions.repair import OpenRepair, ValidateRepairForm
from storage.models import Draft, Ticket
from tickets import questions
from tickets.texts import say

TWO = {"门禁卡刷不开单元门": "A01", "我家马桶堵了": "W05"}


def told(desk: Community) -> list[str]:
    draft = desk.session.scalar(select(Draft))
    return [fault["code"] for fault in draft.data["faults"]] if draft else []


def test_only_the_named_one_goes(desk: Community) -> None:
    hear(desk, "门禁卡刷不开单元门 还有我家马桶堵了", "report_repair", ValidateRepairForm(), faults=TWO)
    found = hear(desk, "门禁卡那个先不用管了", "cancel", Cancel())
    assert found == [say("reply.fault_dropped", what="门禁")]
    assert told(desk) == ["W05"]
    hear(desk, "算了不报了", "cancel", Cancel())
    assert told(desk) == []


def test_what_names_neither_takes_all_back(desk: Community) -> None:
    hear(desk, "门禁卡刷不开单元门 还有我家马桶堵了", "report_repair", ValidateRepairForm(), faults=TWO)
    hear(desk, "不用了", "cancel", Cancel())
    assert told(desk) == []


def test_by_its_room_in_the_same_message(desk: Community) -> None:
    words = "客厅灯不亮 厨房水龙头也滴水，客厅那个算了"
    faults = {"客厅灯不亮": "E04", "厨房水龙头也滴水": "W02"}
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), faults=faults)
    assert [one.code for one in desk.session.scalars(select(Ticket))] == ["W02"]


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("客厅灯不亮 厨房水龙头也滴水，水龙头我自己拧紧了", ["E04"]),
        ("客厅灯不亮 厨房水龙头也滴水，水龙头我自己拧紧了还是滴", ["E04", "W02"]),
        ("客厅灯不亮 厨房水龙头也滴水，灯那个好了", ["W02"]),
    ],
)
def test_what_was_mended_in_the_same_message_goes(desk: Community, words: str, codes: list[str]) -> None:
    faults = {"客厅灯不亮": "E04", "厨房水龙头也滴水": "W02"}
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), faults=faults)
    assert [one.code for one in desk.session.scalars(select(Ticket))] == codes


def test_one_of_two_tickets_by_its_room(desk: Community) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮")
    tap = desk.report("W02", symptom="厨房水龙头滴水")
    hear(desk, "客厅那个算了", "cancel", Cancel())
    assert (lamp.status, tap.status) == ("cancelled", "assigned")


@pytest.mark.parametrize(
    ("words", "hours", "status"),
    [
        ("算了 我多接几桶", 3, "assigned"),
        ("算了 我多接几桶", 0, "cancelled"),
        ("不用来了 我自己弄好了", 3, "cancelled"),
        ("水龙头那个算了", 3, "cancelled"),
    ],
)
def test_an_old_job_is_not_given_up_for_a_sigh(desk: Community, words: str, hours: int, status: str) -> None:
    ticket = desk.report("W02", symptom="厨房水龙头滴水")
    ticket.created_at = NOW - timedelta(hours=hours)
    hear(desk, words, "cancel", Cancel())
    assert ticket.status == status


@pytest.mark.parametrize(
    ("words", "lamp", "drain"),
    [
        ("马桶我自己通好了 就修客厅的灯吧", "assigned", "cancelled"),
        ("灯还是要修 马桶不用了", "assigned", "cancelled"),
        ("卫生间的灯不用修了", "cancelled", "assigned"),
    ],
)
def test_only_what_is_taken_back_goes(desk: Community, words: str, lamp: str, drain: str) -> None:
    light, toilet = desk.report("E04", symptom="客厅不亮了"), desk.report("W04", symptom="卫生间堵了")
    hear(desk, words, "cancel", Cancel())
    assert (light.status, toilet.status) == (lamp, drain)


def test_what_is_not_registered_is_not_taken_back_for_what_is(desk: Community) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮")
    for words in ("马桶我自己通好了 就修灯吧", "吊扇那个先不用 灯修吧"):
        assert hear(desk, words, "cancel", Cancel()) == [say("reply.nothing_changed")]
    assert lamp.status == "assigned"


@pytest.mark.parametrize("words", ["说好了今天来的 算了", "不来就算了", "算了 电话不改了"])
def test_light_words_are_asked_back(desk: Community, words: str) -> None:
    ticket = desk.report("W02", symptom="厨房水龙头滴水")
    ticket.created_at = NOW - timedelta(hours=3)
    hear(desk, words, "cancel", Cancel())
    assert ticket.status == "assigned"


def test_who_only_wanted_to_ask_takes_it_back_at_once(desk: Community) -> None:
    ticket = desk.report("W02", symptom="厨房水龙头滴水")
    hear(desk, "不用登记 我就问问", "deny", Deny())
    assert ticket.status == "cancelled"
    other = desk.report("W02", symptom="厨房水龙头滴水")
    other.created_at = NOW - timedelta(hours=3)
    assert hear(desk, "不用登记 我就问问", "deny", Deny()) == [say("reply.denied")]


def test_a_job_that_did_not_last_and_is_not_known_is_a_new_report(desk: Community) -> None:
    anew = [{"text": "上次修的那个门又耷拉下来了", "category": "D03", "confidence": 0.9}]
    form = (NotFixed(), ValidateRepairForm(), OpenRepair())
    hear(desk, "上次修的那个门又耷拉下来了", "not_fixed", *form, anew=anew)
    assert [one.code for one in desk.session.scalars(select(Ticket))] == ["D03"]


def test_two_of_one_category_are_told_apart_by_their_words(desk: Community) -> None:
    lamp, socket = desk.report("E04", symptom="灯不行了"), desk.report("E04", symptom="插座不行了")
    hear(desk, "灯那个算了 自己换个泡就好", "cancel", Cancel())
    assert (lamp.status, socket.status) == ("cancelled", "assigned")


def test_what_is_wanted_still_stays(desk: Community) -> None:
    tap = desk.report("W02", symptom="厨房水槽底下漏水")
    socket = desk.report("E03", symptom="主卧插座没电")
    hear(desk, "水槽那个我自己弄好了 就修插座吧", "cancel", Cancel())
    assert (tap.status, socket.status) == ("cancelled", "assigned")


def test_the_clause_that_takes_back_says_which(desk: Community) -> None:
    cleaning = desk.report("T06", kind="TS", symptom="保洁三天没来", source_key="web:8")
    dog = desk.report("T13", kind="TS", symptom="楼上的狗在楼道撒尿", source_key="web:9")
    hear(desk, "保洁那个算了 估计是请假了 狗的事你们得跟楼上说说", "cancel", Cancel())
    assert (cleaning.status == "cancelled", dog.status == "cancelled") == (True, False)


@pytest.mark.parametrize("words", ["费用找我 别找租客", "两个灯都登记了吧"])
def test_nothing_is_cancelled_without_a_word_that_says_so(desk: Community, words: str) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮")
    hear(desk, words, "cancel", Cancel())
    assert lamp.status == "assigned"


@pytest.mark.parametrize(
    ("words", "lamp"), [("到底是哪天来修", True), ("门今天到底来不来修", True), ("收费那事到底怎么说", False)]
)
def test_who_asks_when_somebody_comes_means_the_repair(desk: Community, words: str, lamp: bool) -> None:
    door = desk.report("D06", symptom="单元门关不上", public_area=True, place_key="PUB:P1/3/2/F1/单元门")
    fee = desk.report("T03", kind="TS", symptom="停车收费乱", source_key="web:9")
    hear(desk, words, "urge", Urge())
    assert (door.urge_count, fee.urge_count) == ((1, 0) if lamp else (0, 1))


def test_where_somebody_lives_is_not_where_the_street_lamp_stands(desk: Community) -> None:
    lamp = desk.report("E08", symptom="北门路灯太刺眼", place_key="PUB:-/-/-/-/北门", public_area=True)
    hear(desk, "3栋2单元1402", "inform", Inform())
    assert lamp.place_key == "PUB:-/-/-/-/北门"


@pytest.mark.parametrize(
    "words", ["算了楼上那个先别说了 烧烤店的继续", "楼上跳绳的那个不用了", "楼上那个撤了吧 烧烤店的留着"]
)
def test_a_complaint_is_named_by_its_own_words(desk: Community, words: str) -> None:
    upstairs = desk.report("T09", kind="TS", symptom="楼上天天半夜跳绳", source_key="web:8")
    smoke = desk.report("T17", kind="TS", symptom="楼下烧烤店油烟呛得睡不着", source_key="web:9")
    hear(desk, words, "cancel", Cancel())
    assert (upstairs.status == "cancelled", smoke.status == "cancelled") == (True, False)


@pytest.mark.parametrize(("danger", "asked"), [("GAS", False), ("MED", True)])
def test_smell_of_gas_just_denied_is_not_asked_again(desk: Community, danger: str, asked: bool) -> None:
    question = questions.ask(desk.session, desk.resident("王芳"), "safety", NOW, danger=danger, text="灶")
    questions.answered(question, "没有", NOW)
    question.data = {**question.data, "denied": True}
    stove = {"燃气灶打不着火": "G02"}
    found = hear(desk, "燃气灶打不着火", "report_repair", ValidateRepairForm(), OpenRepair(), faults=stove)
    assert any(say("ask.gas_smell") in text for text in found) is asked


@pytest.mark.parametrize(("danger", "level"), [("WATER_ELEC", "U3"), ("GAS", "U0")])
def test_water_that_has_not_reached_the_socket_is_a_drip(desk: Community, danger: str, level: str) -> None:
    words = "厨房插座旁边滴水"
    question = questions.ask(desk.session, desk.resident("王芳"), "safety", NOW, danger=danger, text=words)
    questions.answered(question, "没有", NOW)
    question.data = {**question.data, "denied": True}
    hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), faults={words: "W02"})
    assert [one.level for one in desk.session.scalars(select(Ticket))] == [level]


def test_each_job_gets_the_time_that_is_said_of_it(desk: Community) -> None:
    drain = desk.report("W04", symptom="地漏下水慢", source_key="web:8")
    power = desk.report("E03", symptom="厨房插座没电", source_key="web:9")
    hear(desk, "地漏后天再弄也行 插座明天能来吗 我六点半以后在家", "reschedule", Reschedule())
    assert "6月14日" in drain.wanted_label and "6月13日" in power.wanted_label and "18:30" in power.wanted_label
    hear(desk, "不是 地漏才是明天 插座我要今天晚上来", "correct", Correct())
    assert "6月13日" in drain.wanted_label and "今天" in power.wanted_label


def test_one_time_for_all_that_are_open(desk: Community) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮", source_key="web:8")
    tap = desk.report("W02", symptom="水龙头滴水", source_key="web:9")
    hear(desk, "后天晚上七点 租客才在家 两个一起弄", "reschedule", Reschedule())
    assert "19:00" in lamp.wanted_label and lamp.wanted_label == tap.wanted_label


def test_a_time_that_is_too_late_is_no_other_time(desk: Community) -> None:
    ticket = desk.report("L03", symptom="电梯晃")
    hear(desk, "明早才来？坐着都怕掉下去", "reschedule", Reschedule())
    assert not ticket.wanted_label


def test_a_wrong_time_is_put_right_when_nothing_is_asked_any_more(desk: Community) -> None:
    lamp = desk.report("E04", symptom="客厅灯不亮", source_key="web:9:0", wanted_label="明天上午")
    drain = desk.report("W04", symptom="马桶堵了", source_key="web:9:1", wanted_label="明天上午")
    assert not hear(desk, "不是 后天上午", "correct", Correct())
    assert lamp.wanted_label == drain.wanted_label != "明天上午"
    assert hear(desk, "不是马桶 是地漏", "correct", Correct()), "the worker reads it as it was said"


def test_another_day_is_no_cancellation(desk: Community) -> None:
    ticket = desk.report("W02", symptom="厨房水龙头滴水")
    hear(desk, "那算了周一吧", "cancel", Cancel())
    assert ticket.status == "assigned" and "周一" in ticket.wanted_label


def test_the_hours_of_a_noise_are_no_visit(desk: Community) -> None:
    ticket = desk.report("T09", kind="TS", symptom="楼上半夜拖椅子")
    hear(desk, "就1点多到3点", "inform", Inform())
    assert not ticket.wanted_label


@pytest.mark.parametrize(
    "words", ["算了不用看脚 把架子重新装好就行", "不用换新的 把它固定好就行了", "算了不追究了 重新装好就好"]
)
def test_who_still_wants_it_done_takes_nothing_back(desk: Community, words: str) -> None:
    rack = desk.report("W12", symptom="花洒架掉下来砸我脚上了")
    assert hear(desk, words, "cancel", Cancel()) == [say("reply.nothing_changed")]
    assert rack.status == "assigned"


def test_who_does_it_themselves_takes_it_back(desk: Community) -> None:
    rack = desk.report("W12", symptom="花洒架掉下来了")
    hear(desk, "不用来了 我自己装上了就行", "cancel", Cancel())
    assert rack.status == "cancelled"


def test_two_of_a_kind_are_told_apart_by_their_own_words(desk: Community) -> None:
    kitchen = desk.report("E04", symptom="厨房灯一闪一闪的")
    mirror = desk.report("E04", symptom="卫生间的镜前灯直接不亮了")
    hear(desk, "镜前灯我自己换了 那个不用了", "cancel", Cancel())
    assert (kitchen.status, mirror.status) == ("assigned", "cancelled")


def test_two_lamps_named_together_are_both_meant(desk: Community) -> None:
    kitchen = desk.report("E04", symptom="厨房灯一闪一闪的")
    mirror = desk.report("E04", symptom="卫生间的镜前灯直接不亮了")
    asked = "\n".join(hear(desk, "灯不用修了", "cancel", Cancel()))
    assert "厨房灯" in asked and "镜前灯" in asked, "the names of both categories are the same"
    assert (kitchen.status, mirror.status) == ("assigned", "assigned")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("没得味道", False),
        ("没闻到", False),
        ("冇味", False),
        ("没气 味道好大", True),
        ("闻得到一点", True),
        ("没味道吧？", True),
    ],
)
def test_whoever_smells_nothing_is_not_asked_whether_it_smells(desk: Community, words: str, asked: bool) -> None:
    hear(desk, "灶台打不着火", "report_repair", ValidateRepairForm(), by="李强", faults={"灶台打不着火": "G02"})
    hear(desk, words, "inform", ValidateRepairForm(), by="李强")
    found = hear(desk, "3栋2单元1502", "inform", ValidateRepairForm(), OpenRepair(), by="李强")
    assert any(say("ask.gas_smell") in text for text in found) is asked


@pytest.mark.parametrize(
    ("words", "answer"),
    [("不是马桶 是地漏", "reply.detail_thanks"), ("是不是漏到楼下去了", "reply.detail_thanks")],
)
def test_who_wonders_takes_nothing_back(desk: Community, words: str, answer: str) -> None:
    ticket = desk.accepted()
    assert hear(desk, words, "correct", Correct()) == [say(answer)]
    assert desk.history(ticket, "comment")[-1].note == words

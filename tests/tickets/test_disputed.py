"""Work or a visit that its resident disputes, money without a receipt, and what stands in a complaint (domain.md §7.1, §7.4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk

from storage.models import InboxMessage, Ticket
from tickets import complaints, hearing, verbs
from tickets.texts import say
from tickets.words import (
    adds_to_complaint,
    asks_money_back,
    asks_what_is_in_it,
    damage_by_worker,
    disputes_visit,
    hides_name,
    hurt_by_animal,
    of_many_homes,
    points_back,
    result_told,
    wants_it_now,
)

STILL_WET = "哪里弄好了 他就拧了两下 我刚摸还是潮的"
NOBODY = "谁说没人 我一天都在家 门铃响都没响过"
CASH = "他收我现金80没给票，龙头倒是新的，装歪了"


def complain(desk: Desk, words: str, code: str = "T99", *, by: str = "王芳") -> Ticket:
    return hearing.hear(desk.session, desk.actor(by), desk.chat(by), words, code, f"said:{by}:{words}", NOW)


def read(desk: Desk, name: str) -> str:
    return "\n".join(row.text for row in desk.fresh(name))


# --- chasing ----------------------------------------------------------------------------------------------------------


def test_whoever_has_it_reads_the_words_of_a_chaser(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "水都流到客厅了 快点", NOW)
    assert "水都流到客厅了 快点" in read(desk, "王师傅")
    assert desk.told() == {"王师傅": ["urged"]}, "an ordinary chaser is for the worker alone"


def test_after_the_visit_the_words_are_for_the_leader_too_and_nobody_is_asked_to_go(desk: Desk) -> None:
    ticket = desk.accepted()
    verbs.arrive(desk.session, ticket, desk.handler(ticket), NOW)
    desk.seen()
    verbs.urge(desk.session, ticket, desk.actor("王芳"), STILL_WET, NOW)
    assert desk.told() == {"王师傅": ["urged_after"], "李工": ["work_disputed"]}
    assert STILL_WET in read(desk, "李工") and STILL_WET in read(desk, "王师傅")
    assert "马上去" not in read(desk, "王师傅")


def test_a_disputed_visit_reaches_the_leader_with_the_words(desk: Desk) -> None:
    ticket = desk.accepted()
    desk.seen()
    verbs.urge(desk.session, ticket, desk.actor("王芳"), NOBODY, NOW)
    assert desk.told()["李工"] == ["visit_disputed"] and NOBODY in read(desk, "李工")


@pytest.mark.parametrize(
    "words", ["哪有人来过啊？？", NOBODY, "根本没人来过", "没人敲过门", "没来过啊", "人影都没见着"]
)
def test_who_says_that_nobody_was_there(words: str) -> None:
    assert disputes_visit(words)


@pytest.mark.parametrize(
    "words", ["怎么还没人来", "门铃坏了 按了不响", "师傅来过了 没修好", "家里没人 明天来", "没来电"]
)
def test_other_words_dispute_no_visit(words: str) -> None:
    assert not disputes_visit(words)


# --- acceptance -------------------------------------------------------------------------------------------------------


def test_finished_without_a_visit_the_leader_hears_it_with_the_words(desk: Desk) -> None:
    ticket = desk.done()
    desk.seen()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "哪有人来过啊？？", NOW)
    assert "visit_disputed" in desk.told()["李工"] and "哪有人来过啊？？" in read(desk, "李工")


def test_cash_without_a_receipt_reaches_leader_and_manager(desk: Desk) -> None:
    ticket = desk.done()
    desk.seen()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), CASH, NOW, half=True)
    told = desk.told()
    assert "money_told" in told["李工"] and "money_told" in told["马经理"]
    assert "money_told" not in told["王师傅"]
    assert "现金80没给票" in read(desk, "马经理")


def test_work_that_did_not_last_is_no_word_about_money(desk: Desk) -> None:
    ticket = desk.done()
    desk.seen()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", NOW)
    assert "马经理" not in desk.told() and desk.told()["李工"] == ["rework_leader"]


def test_accepted_with_a_wish_for_the_invoice_it_is_passed_on(desk: Desk) -> None:
    ticket = desk.done()
    desk.seen()
    verbs.confirm(desk.session, ticket, desk.actor("王芳"), NOW, remark="就这样吧，票要给我")
    assert "remark" in desk.told()["李工"]


@pytest.mark.parametrize(
    ("note", "result"),
    [
        ("换了个感应头 拍不了 太黑", "换了个感应头"),
        ("拍不了 太黑", ""),
        ("完工 0012 换了个感应头", "换了个感应头"),
        ("换了灯管，手机没电没法拍照", "换了灯管"),
        ("太暗的灯管换了", "太暗的灯管换了"),
    ],
)
def test_why_there_is_no_picture_is_no_result(note: str, result: str) -> None:
    assert result_told(note) == result


def test_the_result_told_before_the_picture_was_asked_for_is_kept(desk: Desk) -> None:
    ticket = desk.accepted("E07", place_key="PUB:P1/3/2/F5/楼道", place_text="一期3栋2单元5层楼道", public_area=True)
    worker = desk.handler(ticket)
    chat = desk.chat(worker.name)
    for number, words in enumerate(("完工 换了个感应头", "完工 拍不了 太黑")):
        told = InboxMessage(
            channel="web", message_id=f"f{number}", conversation_id=chat.id, text=words, received_at=NOW
        )
        desk.session.add(told)
    desk.seen()
    verbs.finish(desk.session, ticket, worker, "拍不了 太黑", NOW + timedelta(minutes=1), self_checked=True)
    assert "换了个感应头" in read(desk, "王芳") and "太黑" not in read(desk, "王芳")
    assert "太黑" in read(desk, "李工"), "whoever inspects has to know why there is no picture"


# --- the complaint and what was told before it ------------------------------------------------------------------------


def test_what_points_back_carries_the_place_and_the_story(desk: Desk) -> None:
    leak = desk.report("W03", symptom="楼上漏水把我家次卧天花板泡了 上去找他还要打人")
    ticket = complain(desk, "那他要打人这事你们管不管")
    assert ticket.place_text == leak.place_text
    assert "次卧天花板" in ticket.symptom and "管不管" in ticket.symptom


@pytest.mark.parametrize("words", ["保安骂人 这事没完", "楼道灯坏了这事", "垃圾桶满了"])
def test_a_matter_of_its_own_takes_nothing_over(desk: Desk, words: str) -> None:
    desk.report("W03", symptom="楼上漏水")
    assert "楼上漏水" not in complain(desk, words, "T06").symptom


def test_who_points_back_at_nothing_is_taken_as_told(desk: Desk) -> None:
    assert points_back("那他要打人这事你们管不管")
    assert complain(desk, "那他要打人这事你们管不管").symptom == "那他要打人这事你们管不管"


def test_one_person_is_not_many_homes(desk: Desk) -> None:
    assert complain(desk, "再不管楼下烧烤摊我就泼水了 大家一起死", "T29").code != "T29"
    assert complain(desk, "我们整栋楼都被烧烤摊熏得受不了", "T29", by="李强").code == "T29"
    assert of_many_homes("五户联名") and not of_many_homes("我们一家都睡不好")


def test_money_asked_back_is_a_matter_of_charges(desk: Desk) -> None:
    assert complaints.read("我要退600块", "T99").code == "T03"
    assert complaints.read("楼上天天吵", "T99").code == "T99"


@pytest.mark.parametrize("words", ["退钱！", "我要退600块 你登记了没", "把多收的钱退给我"])
def test_money_asked_back(words: str) -> None:
    assert asks_money_back(words)


@pytest.mark.parametrize("words", ["押金什么时候退", "退订", "水往后退了"])
def test_other_words_ask_no_money_back(words: str) -> None:
    assert not asks_money_back(words)


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("鞋被泡了，处理嘛，要么修好要么给我发双登山鞋", "要么修好要么给我发双登山鞋"),
        ("楼道很脏，处理嘛", ""),
        ("楼道很脏，希望道歉", "希望道歉"),
    ],
)
def test_the_whole_wish_or_none(words: str, wish: str) -> None:
    assert complaints.read(words, "T99").wish == wish


def test_a_quotation_ends_with_a_whole_clause() -> None:
    clause = "楼上每天半夜拖椅子拖到一点多"
    core = complaints.core_of("，".join([clause] * 4))
    assert core == "，".join([clause] * 2) + "…"


# --- where it is ------------------------------------------------------------------------------------------------------


def test_a_place_told_later_becomes_that_of_the_complaint(desk: Desk) -> None:
    ticket = hearing.hear(desk.session, desk.stranger(), desk.chat("王芳"), "10楼那家的狗天天叫", "T13", "s:1", NOW)
    assert not ticket.place_text and complaints.lacks_place(ticket)
    assert ticket.reporter is not None
    reporter = desk.actor("王芳").__class__(resident=ticket.reporter)
    verbs.add_detail(desk.session, ticket, reporter, "10楼 他1003 我1004 2栋1单元", NOW)
    assert "2栋1单元" in ticket.place_text and not complaints.lacks_place(ticket)


def test_a_known_place_is_not_changed_by_another_detail(desk: Desk) -> None:
    ticket = complain(desk, "5栋1503半夜装修", "T10")
    before = ticket.place_text
    verbs.add_detail(desk.session, ticket, desk.actor("王芳"), "2栋1单元1004也听得到", NOW)
    assert before and ticket.place_text == before


def test_barking_is_heard_at_home(desk: Desk) -> None:
    assert complain(desk, "隔壁的狗从早叫到晚", "T13").place_text
    assert not complain(desk, "小区里遛狗不牵绳", "T13", by="李强").place_text


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_wish_for_silence_beside_a_shared_fault_is_kept_and_said(desk: Desk) -> None:
    ticket = desk.report("F05", symptom="鞋柜堵走廊", place_key="PUB:P1/3/2/F15/走廊", public_area=True)
    desk.seen()
    verbs.add_detail(desk.session, ticket, desk.actor("王芳"), "我不留号码 怕他报复 就匿名", NOW)
    assert ticket.detail["hidden"] and say("reply.name_hidden") in read(desk, "王芳")


@pytest.mark.parametrize("words", ["别发给他微信", "不要转发给楼上", "千万别让对方知道是我说的", "别说是我讲的啊"])
def test_who_wants_no_word_of_it_passed_on_is_not_named(words: str) -> None:
    assert hides_name(words)


@pytest.mark.parametrize("words", ["别发垃圾短信", "快递发给我", "别给他开门"])
def test_other_words_hide_no_name(words: str) -> None:
    assert not hides_name(words)


# --- what our worker broke --------------------------------------------------------------------------------------------


def test_damage_by_our_worker_is_a_complaint_tied_to_his_job(desk: Desk) -> None:
    job = desk.done("D03", symptom="门锁卡")
    desk.seen()
    words = "师傅来修门锁把我门框磕掉一大块漆，还踩了一地泥，这算谁的"
    desk.report("D03", symptom=words)
    told = desk.session.query(Ticket).filter(Ticket.kind == "TS").one()
    assert (told.code, told.linked_id) == ("T25", job.id)
    assert told.handler_id != job.handler_id and told.ticket_no in read(desk, "王芳")


@pytest.mark.parametrize("words", ["门框磕掉一块漆", "师傅修好了", "师傅说水管坏了", "工人在敲墙"])
def test_other_damage_is_not_laid_to_our_worker(words: str) -> None:
    assert not damage_by_worker(words)


def test_money_asked_back_beside_a_fault_is_a_complaint_too(desk: Desk) -> None:
    desk.seen()
    fault = desk.report("C02", symptom="收我垃圾清运费600 垃圾还堆在楼下没拉走 退钱！")
    told = desk.session.query(Ticket).filter(Ticket.kind == "TS").one()
    assert (told.code, told.linked_id, told.place_text) == ("T03", fault.id, fault.place_text)
    assert told.ticket_no in read(desk, "王芳")


def test_an_ordinary_fault_opens_no_complaint(desk: Desk) -> None:
    desk.report("C02", symptom="垃圾还堆在楼下没拉走")
    assert not desk.session.query(Ticket).filter(Ticket.kind == "TS").all()


# --- other words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["大金毛扑我奶奶，胳膊蹭破皮了", "狗咬了我", "猫把孩子抓伤了"])
def test_hurt_by_an_animal(words: str) -> None:
    assert hurt_by_animal(words)


@pytest.mark.parametrize("words", ["狗天天叫", "狗扑过来 没事", "遛狗不牵绳", "狗屎没人扫", "狗没咬人"])
def test_nobody_was_hurt(words: str) -> None:
    assert not hurt_by_animal(words)


@pytest.mark.parametrize(
    "words", ["你们现在就上去敲门行不行 这会儿还在拖", "所以现在有没有人上去？", "赶紧派人过来管管"]
)
def test_somebody_is_to_go_now(words: str) -> None:
    assert wants_it_now(words)


@pytest.mark.parametrize("words", ["现在还在响", "明天再说", "什么时候有结果", "现在安静了"])
def test_nobody_is_sent_for(words: str) -> None:
    assert not wants_it_now(words)


@pytest.mark.parametrize("words", ["今天还把我妈关里面十分钟，加到投诉里", "这个也写进去", "补充到登记单里"])
def test_added_to_a_complaint(words: str) -> None:
    assert adds_to_complaint(words)


@pytest.mark.parametrize("words", ["里面写我妈被关十分钟了没", "写进去了吗", "加我微信", "水漏进去了"])
def test_not_added_to_it(words: str) -> None:
    assert not adds_to_complaint(words)


def test_what_is_in_it() -> None:
    assert asks_what_is_in_it("里面写我妈被关十分钟了没") and not asks_what_is_in_it("里面有没有人")

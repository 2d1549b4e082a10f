"""A complaint that goes on is pressed and not told a second time; who only asks when something comes of it hears where it stands."""

from __future__ import annotations

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions.complaint import OpenComplaint, ValidateComplaintForm
from actions.inquiry import AnswerQuestion
from actions.rating import NotFixed
from actions.repair import OpenRepair, ValidateRepairForm
from storage.models import Draft, Ticket
from tickets import notify
from tickets.texts import say
from tickets.words import asks_of_dangers, asks_when_it_comes, mocks, only_presses


def complain(desk: Community, text: str, category: str = "T09") -> list[str]:
    return hear(desk, text, "file_complaint", ValidateComplaintForm(), OpenComplaint(), category=category)


def open_complaint(desk: Community) -> Ticket:
    return desk.report("T09", kind="TS", symptom="楼上半夜拖椅子", conversation=desk.chat("王芳"))


def test_the_same_again_presses_the_open_one(desk: Community) -> None:
    ticket = open_complaint(desk)
    assert complain(desk, "昨天又闹到两点") == [say("reply.complaint_goes_on", **notify.facts(ticket, NOW))]
    assert ticket.urge_count == 1
    assert desk.session.scalar(select(Draft)) is None
    assert complain(desk, "你们到底管不管啊", "T02")
    assert ticket.urge_count == 2
    assert len(list(desk.session.scalars(select(Ticket)))) == 1


def test_what_sounds_like_a_failed_repair_presses_it_too(desk: Community) -> None:
    ticket = open_complaint(desk)
    said = hear(desk, "昨晚又搞到一点", "not_fixed", NotFixed())
    assert said == [say("reply.complaint_goes_on", **notify.facts(ticket, NOW))]
    assert ticket.urge_count == 1
    assert not hear(desk, "马桶又堵了", "not_fixed", NotFixed()), "the repair form asks on"
    assert ticket.urge_count == 1


@pytest.mark.parametrize(
    ("text", "category"), [("保洁又没来", "T06"), ("一期7栋2单元902又在吵", "T09"), ("楼下麻将声到一点", "T09")]
)
def test_another_matter_is_a_complaint_of_its_own(desk: Community, text: str, category: str) -> None:
    ticket = open_complaint(desk)
    complain(desk, text, category)
    assert ticket.urge_count == 0


def test_when_it_comes_is_answered_by_where_it_stands(desk: Community) -> None:
    ticket = desk.report("W02", symptom="水龙头滴水")
    (told,) = hear(desk, "几点来啊", "ask_question", AnswerQuestion(), category="Q11")
    assert ticket.ticket_no in told


@pytest.mark.parametrize("text", ["几点来啊", "什么时候退我", "有消息没", "到底什么时候去说"])
def test_nothing_but_when(text: str) -> None:
    assert asks_when_it_comes(text)


@pytest.mark.parametrize("text", ["几点到几点", "什么时候供暖", "几点开门", "明天停电吗"])
def test_when_something_else_is(text: str) -> None:
    assert not asks_when_it_comes(text)


@pytest.mark.parametrize(
    ("text", "presses"),
    [
        ("你们到底管不管", True),
        ("行 我给你们三天 不弄我打12345", True),
        ("你们等着 抖音见", False),
        ("楼上又吵 管不管", False),
    ],
)
def test_only_pressing(text: str, presses: bool) -> None:
    assert only_presses(text) is presses


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("今天有几个人打分了", True),
        ("今天有人打架吗", True),
        ("有没有火警", True),
        ("今天报警的有几个", True),
        ("有没有人 快来 着火了", False),
        ("3栋着火了 谁在附近", False),
        ("有人打架 在南门", False),
        ("有没有人在 3栋电梯困人了快来", False),
    ],
)
def test_colleagues_ask_about_dangers_and_tell_of_them(text: str, asks: bool) -> None:
    assert asks_of_dangers(text) is asks


@pytest.mark.parametrize(
    ("text", "mocking"),
    [
        ("呵呵 你们效率真高啊 报修一个月了灯还没亮 牛", True),
        ("真行 三天了垃圾还在", True),
        ("王师傅手艺好 用了三个月没坏过", False),
        ("师傅真快 我还没来得及倒茶就修好了", False),
        ("修得真好 谢谢", False),
    ],
)
def test_praise_in_words_only(text: str, mocking: bool) -> None:
    assert mocks(text) is mocking


@pytest.mark.parametrize(
    ("words", "registered"), [("你们还管不管事了!!!", False), ("物业是吃干饭的吗", False), ("楼上半夜拖椅子", True)]
)
def test_anger_without_a_matter_is_asked_what_happened(desk: Community, words: str, registered: bool) -> None:
    hear(desk, words, "file_complaint", ValidateComplaintForm(), category="T99" if not registered else "T09")
    draft = desk.session.scalar(select(Draft))
    assert draft is not None and bool(draft.data["words"]) is registered


def test_the_fault_behind_mere_anger_is_no_complaint(desk: Community) -> None:
    hear(desk, "你们还管不管事了!!!", "file_complaint", ValidateComplaintForm(), category="T99")
    faults = {"我家水槽堵了": "W04"}
    form = (ValidateComplaintForm(), ValidateRepairForm(), OpenRepair())
    hear(desk, "我家水槽堵了", "report_repair", *form, faults=faults)
    assert [one.code for one in desk.session.scalars(select(Ticket))] == ["W04"]

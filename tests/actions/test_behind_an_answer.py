"""What is said right behind a written answer, behind offered questions, or behind a complaint, and reports nothing."""

from __future__ import annotations

import pytest
from actionhelp import hear
from deskhelp import NOW
from deskhelp import Desk as Community
from sqlalchemy import select

from actions import drafts
from actions.changes import Inform
from actions.complaint import OpenComplaint, ValidateComplaintForm
from actions.context import Desk
from actions.repair import OpenRepair, ValidateRepairForm
from actions.service import Suggest
from storage.models import Draft, Ticket
from tickets import inquiries, notify, questions
from tickets.texts import say


def inquiry_tickets(desk: Community) -> list[Ticket]:
    return list(desk.session.scalars(select(Ticket).where(Ticket.kind == "ZX")))


def test_a_place_behind_an_answer_is_kept_for_what_may_follow(desk: Community) -> None:
    inquiries.note_told(desk.session, desk.resident("王芳"), "刷脸录入在哪弄", "face", "Q05", NOW)
    assert hear(desk, "4栋1单元501", "inform", Inform()) == [say("reply.place_kept")]
    kept = desk.session.scalars(select(Draft)).one()
    assert kept.data["place"]["place_key"] == "P1/4/1/501" and not kept.data.get("faults")


def test_thanks_end_a_report_of_nothing(desk: Community) -> None:
    told = Desk(desk.session, desk.chat("王芳"), desk.actor("王芳"), NOW, "web:1", "4栋1单元501", {})
    drafts.keep_place(told)
    assert hear(desk, "行吧 谢了", "thanks", ValidateRepairForm(), OpenRepair()) == []
    assert desk.session.scalar(select(Draft)) is None and desk.session.scalar(select(Ticket)) is None


def test_that_one_of_two_can_wait_is_no_third_fault(desk: Community) -> None:
    drain, lamp = desk.report("W15", symptom="下水道反味"), desk.report("E04", symptom="客厅射灯灭了俩")
    hear(desk, "射灯那个不急", "report_repair", ValidateRepairForm(), OpenRepair(), category="E04")
    assert [len(desk.history(one, "comment")) + len(desk.history(one, "detail")) for one in (drain, lamp)] == [0, 1]
    assert desk.session.scalar(select(Ticket.id).offset(2)) is None


def test_who_was_meant_behind_praise_is_more_of_it(desk: Community) -> None:
    praised = desk.report("B01", kind="BY", symptom="保洁把楼道拖得很亮")
    assert hear(desk, "3号楼那个阿姨", "inform", Inform()) == [say(notify.detail_thanks(praised))]
    assert [one.note for one in desk.history(praised, "comment")] == ["3号楼那个阿姨"]


@pytest.mark.parametrize(("kind", "asked"), [("which_question", True), ("phone", False)])
def test_a_fact_behind_offered_questions_goes_to_a_person_with_them(desk: Community, kind: str, asked: bool) -> None:
    resident, words = desk.resident("王芳"), "快递柜超时收我钱"
    questions.ask(desk.session, resident, kind, NOW, text=words, code="Q13")
    hear(desk, "就大门口那个丰巢", "inform", Inform())
    assert [one.symptom for one in inquiry_tickets(desk)] == ([f"{words}，就大门口那个丰巢"] if asked else [])


@pytest.mark.parametrize(
    ("text", "pressed"),
    [("都说了多少回了 你们就会说协调协调", True), ("保安就会骂人", False), ("你们就会糊弄 电梯天天坏", False)],
)
def test_scolding_right_behind_a_complaint_presses_it(desk: Community, text: str, pressed: bool) -> None:
    ticket = desk.report("T09", kind="TS", symptom="楼上天天半夜蹦")
    hear(desk, text, "file_complaint", ValidateComplaintForm(), OpenComplaint(), category="T18")
    assert bool(desk.history(ticket, "urge")) is pressed


@pytest.mark.parametrize(("words", "more"), [("能不能关小点", True), ("建议在西门装个车棚", False)])
def test_a_wish_right_behind_a_complaint_is_for_it(desk: Community, words: str, more: bool) -> None:
    complaint = desk.report("T99", kind="TS", symptom="电梯里广告太吵")
    hear(desk, words, "suggest", Suggest())
    assert [one.note for one in desk.history(complaint, "comment")] == ([words] if more else [])
    assert len(list(desk.session.scalars(select(Ticket).where(Ticket.kind == "JY")))) == (not more)


@pytest.mark.parametrize(
    ("words", "code", "asked"),
    [
        ("欠两年了会断我水不", "T04", True),
        ("物业费涨价了?", "T03", True),
        ("那他装修拆墙也行？", "T11", True),
        ("遛狗不牵绳没人管吗", "T13", False),
        ("公摊电费怎么这么高？", "T03", False),
        ("凭什么欠费就断我水？", "T04", False),
    ],
)
def test_a_plain_question_is_answered_and_no_complaint(desk: Community, words: str, code: str, asked: bool) -> None:
    told = hear(desk, words, "file_complaint", ValidateComplaintForm(), OpenComplaint(), category=code)
    draft = desk.session.scalar(select(Draft))
    complaints = list(desk.session.scalars(select(Ticket).where(Ticket.kind == "TS")))
    assert (not complaints and draft is None and len(told) == 1) is asked
